"""On both databases: root and pepper outlive every rotation, and the revision tells of every change."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import insert, select, update

from dragoman.gateway.credentials import digest
from dragoman.store import facts
from dragoman.store.accounts import Accounts, AccountSpec, Credentials
from dragoman.store.engine import Database, StoreError
from dragoman.store.facts import SEALED
from dragoman.store.ring import Ring
from dragoman.store.tables import meta, users


async def values(database: Database) -> dict[str, str]:
    async with database.read() as connection:
        return {row.name: row.value for row in (await connection.execute(select(meta))).all()}


async def test_the_first_start_makes_them_and_later_ones_find_them(database: Database) -> None:
    made = await facts.unlock(database, Ring(["text"]), b"text")
    assert made.root == b"text"
    assert len(made.pepper) == 32
    assert await facts.unlock(database, Ring(["text"]), b"another") == made
    stored = await values(database)
    assert set(stored) == set(SEALED)
    assert "text" not in "".join(stored.values())


async def test_of_two_that_start_at_once_both_take_the_same(database: Database) -> None:
    ring = Ring(["text"])
    found = await asyncio.gather(*(facts.unlock(database, ring, b"text") for _ in range(4)))
    assert len({one.pepper for one in found}) == 1


async def test_another_secret_is_refused_and_named(database: Database) -> None:
    await facts.check(database, Ring(["anything"]))  # nothing is sealed yet
    await facts.unlock(database, Ring(["text"]), b"text")
    for attempt in (
        facts.unlock(database, Ring(["other"]), b"other"),
        facts.check(database, Ring(["other"])),
    ):
        with pytest.raises(StoreError, match=r"secrets\.key_file") as refused:
            await attempt
        assert "text" not in str(refused.value).replace("the text", "")
    await facts.check(database, Ring(["other", "text"]))


async def test_a_value_moved_to_another_record_does_not_open(database: Database) -> None:
    await facts.unlock(database, Ring(["text"]), b"text")
    root = (await values(database))["root"]
    async with database.write() as connection:
        await connection.execute(update(meta).where(meta.c.name == "pepper").values(value=root))
    with pytest.raises(StoreError, match="does not open"):
        await facts.unlock(database, Ring(["text"]), b"text")


async def test_a_rotation_changes_no_secret_and_the_old_text_can_go(database: Database) -> None:
    """X2: client keys, sealed reasoning and cache keys depend on root and pepper, not on the ring."""
    first = await facts.unlock(database, Ring(["old"]), b"old")
    mark = digest(first.pepper, "sk-drg-key")
    async with database.write() as connection:
        totp = Ring(["old"]).seal("user:u", b"seed")
        row = {"id": "u", "name": "u", "role": "admin", "password": "x", "totp": totp, "created_at": 0.0}
        await connection.execute(insert(users).values(row))
        await connection.execute(insert(users).values({**row, "id": "v", "name": "v", "totp": None}))
    ring = Ring(["new", "old"])
    assert await facts.reseal(database, ring) == 3
    assert await facts.reseal(database, ring) == 0
    alone = Ring(["new"])
    after = await facts.unlock(database, alone, b"new")
    assert after == first
    assert digest(after.pepper, "sk-drg-key") == mark
    async with database.read() as connection:
        sealed = await connection.scalar(select(users.c.totp).where(users.c.id == "u"))
    assert alone.open("user:u", str(sealed)) == b"seed"
    with pytest.raises(StoreError, match="does not open"):
        await facts.unlock(database, Ring(["old"]), b"old")


async def test_sealing_anew_is_whole_or_not_at_all(database: Database) -> None:
    """One value that no key opens, and nothing is changed."""
    await facts.unlock(database, Ring(["old"]), b"old")
    async with database.write() as connection:
        row = {"id": "u", "name": "u", "role": "admin", "password": "x", "created_at": 0.0}
        await connection.execute(insert(users).values(**row, totp=Ring(["lost"]).seal("user:u", b"seed")))
    before = await values(database)
    with pytest.raises(StoreError, match="no key of the ring"):
        await facts.reseal(database, Ring(["new", "old"]))
    assert await values(database) == before


async def test_the_revision_grows_with_the_change_or_not_at_all(database: Database) -> None:
    async def revision() -> int:
        async with database.read() as connection:
            return await facts.revision(connection)

    assert await revision() == 0
    for expected in (1, 2, 3):
        async with database.write() as connection:
            await facts.bump(connection)
        assert await revision() == expected
    with pytest.raises(RuntimeError):
        async with database.write() as connection:
            await facts.bump(connection)
            raise RuntimeError
    assert await revision() == 3


async def test_a_token_that_is_refreshed_during_a_rotation_stays(database: Database) -> None:
    """Whichever is first, the account ends with the newer token."""
    texts = ["old"]
    spec = AccountSpec("work", "chatgpt", "https://chatgpt.test/backend-api")
    tokens = Credentials(refresh_token="refresh-0", account_id="acc-1")
    account = (await Accounts(database, Ring(texts), b"pepper").add(spec, tokens, 50.0)).account
    for number in range(5):
        before = Accounts(database, Ring(texts), b"pepper")
        texts = [f"new-{number}", *texts]
        anew = Credentials(refresh_token=f"refresh-{number + 1}", account_id="acc-1")
        mark = before.mark(f"refresh-{number}")
        _, saved = await asyncio.gather(
            facts.reseal(database, Ring(texts)),
            before.save_tokens(account.id, anew, expires_at=None, last_refresh=60.0, expected_refresh=mark),
        )
        assert saved
        assert await Accounts(database, Ring(texts), b"pepper").credentials(account.id) == anew
