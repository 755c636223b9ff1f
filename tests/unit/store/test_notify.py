"""The listener: a change is heard of at once on PostgreSQL, over every break; on SQLite it does nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sqlalchemy import text

from dragoman.store import facts
from dragoman.store.engine import Database
from dragoman.store.names import Aliases
from dragoman.store.notify import Listener
from dragoman.store.watch import Watch


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not what():
            await asyncio.sleep(0.01)


async def test_a_change_is_heard_when_it_is_committed(database: Database) -> None:
    heard: list[int] = []
    listener = Listener(database, lambda: heard.append(1))
    listener.start()
    if database.dialect == "sqlite":
        assert not listener.listening
        await listener.stop()
        return
    await until(lambda: listener.listening)
    other = Database(database.url)
    async with other.write() as connection:
        await facts.bump(connection)
        before = len(heard)
    await until(lambda: len(heard) == before + 1)
    await listener.stop()
    await listener.stop()
    await other.close()
    assert not listener.listening


async def test_it_listens_again_after_its_connection_was_cut(database: Database) -> None:
    if database.dialect == "sqlite":
        return
    heard: list[int] = []
    listener = Listener(database, lambda: heard.append(1), retry_seconds=0.01)
    listener.start()
    await until(lambda: listener.listening)
    async with database.write() as connection:
        cut = text(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'"
        )
        assert await connection.scalar(cut) == 1
    # It wakes when it listens again: what was changed meanwhile would be missed otherwise.
    await until(lambda: len(heard) == 2)
    await Aliases(database).set("a", "gpt-5.5")
    await until(lambda: len(heard) == 3)
    await listener.stop()


async def test_a_watch_is_woken_by_another_process(database: Database) -> None:
    if database.dialect == "sqlite":
        return
    found: list[int] = []

    async def changed(snapshot: object) -> None:
        found.append(1)

    watch = Watch(
        database,
        now=lambda: 0.0,
        changed=changed,
        answered=lambda: None,
        failed=lambda why: None,
        seconds=3600.0,
    )
    listener = Listener(database, watch.wake)
    watch.start()
    listener.start()
    await until(lambda: listener.listening and bool(found))
    other = Database(database.url)
    await Aliases(other).set("a", "gpt-5.5")
    await until(lambda: len(found) == 2)
    await listener.stop()
    await watch.stop()
    await other.close()


async def test_it_waits_for_a_database_that_is_not_there(database: Database) -> None:
    listener = Listener(Database(database.url.set(database="nowhere")), lambda: None, retry_seconds=0.01)
    listener.start()
    await asyncio.sleep(0.1)
    assert not listener.listening
    await listener.stop()
