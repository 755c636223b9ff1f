"""The watch: what changes in the store is adopted once, and a silent store is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dragoman.gateway.credentials import digest
from dragoman.store.accounts import Accounts, AccountSpec, Credentials
from dragoman.store.clientkeys import ClientKeys, KeySpec
from dragoman.store.engine import Database, StoreDown
from dragoman.store.names import Aliases, PriceOverrides
from dragoman.store.ring import Ring
from dragoman.store.watch import Snapshot, Watch


class Listener:
    """Keeps what a watch says."""

    def __init__(self, database: Database, now: float = 100.0, seconds: float = 0.01) -> None:
        self.snapshots: list[Snapshot] = []
        self.answers = 0
        self.failures: list[str] = []
        self.broken = False
        self.watch = Watch(
            database,
            now=lambda: now,
            changed=self._changed,
            answered=self._answered,
            failed=self.failures.append,
            seconds=seconds,
        )

    async def _changed(self, snapshot: Snapshot) -> None:
        if self.broken:
            raise LookupError("secret words")
        self.snapshots.append(snapshot)

    def _answered(self) -> None:
        self.answers += 1


async def test_each_change_is_adopted_once(database: Database) -> None:
    listener = Listener(database)
    await listener.watch.look()
    await listener.watch.look()
    assert (len(listener.snapshots), listener.answers) == (1, 2)
    key, _ = await ClientKeys(database, b"pepper").create(KeySpec("laptop"), 50.0)
    await Aliases(database).set("claude-*", "gpt-5.5@high")
    await PriceOverrides(database).set("gpt-5.5", {"input": 1, "output": 2}, 50.0)
    await listener.watch.look()
    assert len(listener.snapshots) == 2
    found = listener.snapshots[-1]
    assert [one.id for _, _, one in found.digests] == [key.id]
    assert found.aliases == {"claude-*": "gpt-5.5@high"}
    assert found.prices == {"gpt-5.5": {"input": 1, "output": 2}}


async def test_a_rotated_key_has_two_digests_until_its_overlap_ends(database: Database) -> None:
    keys = ClientKeys(database, b"pepper")
    await keys.create(KeySpec("laptop"), 50.0)
    await keys.rotate("laptop", 60.0, 90.0)
    early, late = Listener(database, now=149.0), Listener(database, now=151.0)
    await early.watch.look()
    await late.watch.look()
    assert [until for _, until, _ in early.snapshots[0].digests] == [None, 150.0]
    assert [until for _, until, _ in late.snapshots[0].digests] == [None]
    assert [len(listener.snapshots[0].ended) for listener in (early, late)] == [0, 1]


async def test_a_revoked_key_is_gone(database: Database) -> None:
    keys = ClientKeys(database, b"pepper")
    _, text = await keys.create(KeySpec("laptop"), 50.0)
    await keys.revoke("laptop", 60.0)
    listener = Listener(database)
    await listener.watch.look()
    assert listener.snapshots[0].digests == []
    assert listener.snapshots[0].keyed
    assert listener.snapshots[0].ended == [digest(b"pepper", text)]


async def test_it_goes_on_after_failures_and_tells_kinds_only(database: Database) -> None:
    listener = Listener(database)
    read = database.read

    @asynccontextmanager
    async def down() -> AsyncIterator[Any]:
        raise StoreDown("no answer in time")
        yield

    async def until(what: Any) -> None:
        async with asyncio.timeout(30):
            while not what():
                await asyncio.sleep(0.01)

    database.read = down  # type: ignore[method-assign]
    listener.watch.start()
    await until(lambda: listener.failures == ["no answer in time"] * len(listener.failures) != [])
    listener.broken = True
    database.read = read  # type: ignore[method-assign]
    await until(lambda: "LookupError" in listener.failures)
    assert not any("secret" in failure for failure in listener.failures)
    listener.broken = False
    await until(lambda: listener.snapshots)
    await listener.watch.stop()
    await listener.watch.stop()


async def test_accounts_are_part_of_what_is_read(database: Database) -> None:
    accounts = Accounts(database, Ring(["text"]), b"pepper")
    listener = Listener(database)
    await listener.watch.look()
    spec = AccountSpec("paid", "openai", "https://api.test/v1")
    made = await accounts.add(spec, Credentials(api_key="sk-1"), 50.0)
    await listener.watch.look()
    assert [snapshot.accounts for snapshot in listener.snapshots] == [[], [made.account]]


async def test_it_looks_at_once_when_it_is_woken(database: Database) -> None:
    listener = Listener(database, seconds=3600.0)
    listener.watch.start()
    for number in range(1, 4):
        await Aliases(database).set(f"a{number}", "gpt-5.5")
        listener.watch.wake()
        async with asyncio.timeout(30):
            while len(listener.snapshots) < number:
                await asyncio.sleep(0.01)
    await listener.watch.stop()
