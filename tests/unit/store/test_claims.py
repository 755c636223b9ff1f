"""On both databases: one holder at a time, over tasks, databases and processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from dragoman.store.accounts import Accounts, AccountSpec, Credentials
from dragoman.store.claims import claim, held_by, release
from dragoman.store.engine import Database, StoreDown
from dragoman.store.ring import Ring

NAME = "refresh:acc"


@pytest_asyncio.fixture
async def other(database: Database) -> AsyncIterator[Database]:
    """The same database, opened a second time."""
    second = Database(database.url)
    yield second
    await second.close()


async def test_one_holder_at_a_time(database: Database, other: Database) -> None:
    async with claim(database, NAME, "a", 30.0, 100.0) as got:
        assert got and not got.abandoned
        async with claim(other, NAME, "b", 30.0, 129.0) as refused:
            assert not refused
        assert await held_by(other, NAME, 129.0) == "a"
        async with claim(other, "refresh:another", "b", 30.0, 100.0) as free:
            assert free
    assert await held_by(database, NAME, 100.0) is None
    async with claim(other, NAME, "b", 30.0, 101.0) as got:
        assert got and not got.abandoned


async def test_one_whose_time_is_over_is_taken_over_and_that_is_told(
    database: Database, other: Database
) -> None:
    """A killed holder blocks nobody for ever, and who comes after it knows that it never finished."""
    async with claim(database, NAME, "a", 30.0, 100.0):
        async with claim(other, NAME, "b", 30.0, 130.0) as got:
            assert got and got.abandoned
            await release(database, NAME, "a")
            assert await held_by(database, NAME, 131.0) == "b", (
                "the late holder releases nothing of another's"
            )
        assert await held_by(database, NAME, 131.0) is None


async def test_a_holder_may_ask_again_for_longer(database: Database) -> None:
    async with claim(database, NAME, "a", 30.0, 100.0), claim(database, NAME, "a", 30.0, 120.0) as again:
        assert again and not again.abandoned
        assert await held_by(database, NAME, 140.0) == "a"


async def test_it_is_released_whatever_happens_inside(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with claim(database, NAME, "a", 30.0):
            assert await held_by(database, NAME) == "a"
            raise RuntimeError
    assert await held_by(database, NAME) is None
    entered = asyncio.Event()

    async def hold() -> None:
        async with claim(database, NAME, "b", 30.0):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(hold())
    await entered.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert await held_by(database, NAME) is None


async def test_a_store_that_went_away_meanwhile_is_no_failure_of_the_work(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with claim(database, NAME, "a", 30.0):

        def down(*_: object, **__: object) -> None:
            raise StoreDown("no answer in time")

        monkeypatch.setattr(database, "write", down)


async def test_of_many_that_race_one_works_at_a_time(database: Database, other: Database) -> None:
    """Two databases, twenty tasks, each does its work: never two at once."""
    inside: list[int] = []
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        where = (database, other)[number % 2]
        async with claim(where, NAME, f"holder-{number}", 60.0, wait_seconds=60.0) as got:
            assert got
            inside.append(number)
            most = max(most, len(inside))
            await asyncio.sleep(0)
            inside.remove(number)

    await asyncio.gather(*(work(number) for number in range(20)))
    assert most == 1


async def test_one_refresh_for_all_who_wait_on_one_expired_token(database: Database, other: Database) -> None:
    """Issue 5, 3: claim, read again, refresh, write by comparison; the issuer is asked once."""
    repositories = [Accounts(one, Ring(["text"]), b"pepper") for one in (database, other)]
    spec = AccountSpec("work", "chatgpt", "https://chatgpt.test/backend-api")
    expired = Credentials(access_token="old", refresh_token="refresh-1", account_id="acc-1")
    account = (await repositories[0].add(spec, expired, 50.0, expires_at=60.0)).account
    asked: list[str | None] = []

    async def token(number: int) -> str | None:
        accounts, where = repositories[number % 2], (database, other)[number % 2]
        name = f"refresh:{account.id}"
        async with claim(where, name, f"holder-{number}", 60.0, wait_seconds=60.0) as got:
            assert got
            present = await accounts.credentials(account.id)
            if present.access_token == "old":
                asked.append(present.refresh_token)
                anew = replace(present, access_token="new", refresh_token="refresh-2")
                assert await accounts.save_tokens(
                    account.id,
                    anew,
                    expires_at=900.0,
                    last_refresh=70.0,
                    expected_refresh=accounts.mark(present.refresh_token or ""),
                )
            return (await accounts.credentials(account.id)).access_token

    assert set(await asyncio.gather(*(token(number) for number in range(20)))) == {"new"}
    assert asked == ["refresh-1"]


_CHILD = """
import asyncio, sys
from pathlib import Path
from dragoman.store.claims import claim
from dragoman.store.engine import Database, locate

async def main():
    database = Database(locate(sys.argv[1], Path("/")))
    async with claim(database, "refresh:acc", "child", float(sys.argv[2])) as got:
        print("got" if got else "refused", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    await database.close()

asyncio.run(main())
"""


def child(url: str, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, url, str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


async def test_over_processes_and_after_a_killed_one(database: Database, database_url: str) -> None:
    """Issue 5, 3: a second process is refused; what a killed one held is free when its time is over."""
    with child(database_url, 3600.0) as first:
        assert first.stdout is not None and first.stdin is not None
        assert await asyncio.to_thread(first.stdout.readline) == "got\n"
        async with claim(database, NAME, "parent", 30.0) as refused:
            assert not refused
        first.stdin.write("\n")
        first.stdin.flush()
        assert await asyncio.to_thread(first.wait, 60) == 0
    async with claim(database, NAME, "parent", 30.0) as got:
        assert got
    with child(database_url, 1.0) as second:
        assert second.stdout is not None and second.stdin is not None
        assert await asyncio.to_thread(second.stdout.readline) == "got\n"
        second.kill()
        await asyncio.to_thread(second.wait, 60)
        async with claim(database, NAME, "parent", 30.0, wait_seconds=60.0) as got:
            assert got and got.abandoned


async def test_the_clock_is_the_databases_own(database: Database) -> None:
    """Hosts whose clocks differ do not take each other's claims."""
    async with claim(database, NAME, "a", 30.0), claim(database, NAME, "b", 30.0) as refused:
        assert not refused
