"""`dragoman secrets rotate`: whatever happens in the middle, the installation opens what it has sealed."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman.cli import ringfile
from dragoman.gateway.credentials import digest
from dragoman.serving.store import Store, opened
from dragoman.settings import load
from dragoman.store import clientkeys, facts
from dragoman.store.facts import Facts
from dragoman.store.ring import Ring
from tests.support.verbs import Verbs


def within(verbs: Verbs, work: Callable[[Store], Awaitable[Any]]) -> Any:
    """Opens the store as the next start would."""

    async def begin() -> Any:
        async with opened(load(), verbs.data, monotonic=time.monotonic) as store:
            return await work(store)

    return asyncio.run(begin())


async def _facts(store: Store) -> Facts:
    return store.facts


def texts(verbs: Verbs) -> list[str]:
    return (verbs.data / "secret").read_text().split()


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRAGOMAN_CONFIG", raising=False)


def test_a_rotation_changes_nothing_that_is_sealed(verbs: Verbs) -> None:
    """X2: client keys, sealed reasoning and cache keys depend on root and pepper, and both stay."""
    text = verbs("key", "create", "laptop", "--json").json()["key"]
    first, before = texts(verbs), within(verbs, _facts)
    assert before.root == first[0].encode(), "the text of the first start"
    said = verbs("secrets", "rotate")
    assert [*texts(verbs)[1:]] == first
    assert stat.S_IMODE((verbs.data / "secret").stat().st_mode) == 0o600
    assert "--drop-old removes them" in said.out
    verbs("secrets", "rotate", "--drop-old")
    assert len(texts(verbs)) == 1
    assert texts(verbs)[0] not in first
    assert within(verbs, _facts) == before

    async def presentable(store: Store) -> set[bytes]:
        async with store.database.read() as connection:
            return {mark for mark, _, _ in await clientkeys.digests(connection, time.time())}

    assert within(verbs, presentable) == {digest(before.pepper, text)}
    for secret in (*first, *texts(verbs)):
        assert secret not in said.out + said.err


class Killed(BaseException):
    """Nothing after it happens, as with a signal that cannot be caught."""


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("step", range(5))
def test_killed_in_between_it_opens_what_it_has_sealed(
    verbs: Verbs, monkeypatch: pytest.MonkeyPatch, step: int, drop: bool
) -> None:
    """Before and after each thing a rotation writes: the new file, the sealing, the shorter file."""
    verbs("key", "create", "laptop")
    before = within(verbs, _facts)
    left = [step]

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return real(*given)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(ringfile, "write", dying(ringfile.write))
        patch.setattr(facts, "reseal", dying(facts.reseal))
        options = ["--drop-old"] if drop else []
        if step < (4 if drop else 2):
            with pytest.raises(Killed):
                verbs("secrets", "rotate", *options)
        else:
            verbs("secrets", "rotate", *options)
    assert within(verbs, _facts) == before
    verbs("secrets", "rotate", "--drop-old")
    assert within(verbs, _facts) == before
    assert len(texts(verbs)) == 1


def test_a_failed_sealing_drops_nothing(verbs: Verbs, monkeypatch: pytest.MonkeyPatch) -> None:
    verbs("key", "create", "laptop")
    first = texts(verbs)

    async def nothing(*_: object) -> int:
        return 0

    monkeypatch.setattr(facts, "reseal", nothing)
    assert "does not open the database" in verbs("secrets", "rotate", "--drop-old", code=3).err
    assert first[0] in texts(verbs)


def test_a_running_process_needs_no_restart(verbs: Verbs) -> None:
    """It seals with the newest text, and what it sealed opens after the old ones are gone."""
    verbs("key", "create", "laptop")

    async def run(store: Store) -> str:
        early = store.ring.seal("user:u", b"seed")
        await asyncio.to_thread(verbs, "secrets", "rotate", "--drop-old")
        late = store.ring.seal("user:u", b"seed")
        assert store.ring.open("user:u", early) == b"seed"
        assert store.ring.open("user:u", Ring(texts(verbs)).seal("user:u", b"new")) == b"new"
        return late

    late = within(verbs, run)
    assert Ring(texts(verbs)).open("user:u", late) == b"seed"


def test_a_second_rotation_waits_for_nobody(verbs: Verbs) -> None:
    verbs("key", "create", "laptop")
    with ringfile.alone(verbs.data / "secret"):
        assert "another rotation is going on" in verbs("secrets", "rotate", code=2).err
    assert len(texts(verbs)) == 1


def test_the_wrong_secret_is_not_rotated(verbs: Verbs) -> None:
    verbs("key", "create", "laptop")
    (verbs.data / "secret").write_text("another\n")
    assert "does not open the database" in verbs("secrets", "rotate", code=3).err
    assert texts(verbs) == ["another"]


def test_a_secret_of_a_variable_is_the_operators_to_change(verbs: Verbs) -> None:
    """A text may hold spaces; several stand on lines of their own, newest first."""
    verbs.environment |= {"DRAGOMAN_SECRETS__KEY_ENV": "RING", "RING": "one long text"}
    verbs("key", "create", "laptop")
    said = verbs("secrets", "rotate", code=2)
    assert "put a new text on a line before the present one" in said.err
    verbs.environment["RING"] = "another long text\none long text\n"
    assert "Values sealed with the first text of RING: 2." in verbs("secrets", "rotate").out
    verbs.environment["RING"] = "another long text"
    assert verbs("key", "list", "--json").json()[-1]["name"] == "laptop"
    assert not (verbs.data / "secret").exists()


def test_a_place_that_cannot_be_written_is_told(verbs: Verbs, tmp_path: Path) -> None:
    verbs("key", "create", "laptop")
    first = texts(verbs)

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", refuse)
        assert "cannot be written: Read-only file system" in verbs("secrets", "rotate", code=2).err
    assert texts(verbs) == first
