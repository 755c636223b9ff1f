"""On both databases: a transaction ends with its task, whatever ended it; what each way of reading sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import text

from dragoman.store import facts
from dragoman.store.engine import Database, StoreError, locate
from dragoman.store.names import Aliases, read_aliases

ROWS, COLUMNS = 3000, 30
MOMENTS = (0.0, 0.001, 0.003, 0.01, 0.02)  # of the cancellation, in seconds after the beginning


@pytest_asyncio.fixture
async def other(database: Database) -> AsyncIterator[Database]:
    """The same database, opened a second time, as another process would."""
    second = Database(database.url, busy_seconds=3.0)
    yield second
    await second.close()


async def test_a_cancelled_transaction_lets_go_of_its_lock(database: Database, other: Database) -> None:
    """A gateway that ends while it writes must not keep the others, and itself, from writing."""
    async with database.write() as connection:
        columns = ", ".join(f"c{number} TEXT" for number in range(COLUMNS))
        await connection.execute(text(f"CREATE TABLE things ({columns})"))
    places = [("?" if database.dialect == "sqlite" else f"${number + 1}") for number in range(COLUMNS)]
    statement = f"INSERT INTO things VALUES ({', '.join(places)})"
    many = [tuple(f"thing {number}" for _ in range(COLUMNS)) for number in range(ROWS)]
    if database.dialect == "postgresql":
        del many[1:]  # its driver takes half a minute to give up in the middle of many
    kept: list[BaseException] = []

    async def add() -> None:
        async with database.write() as connection:
            begun.set()
            try:
                await connection.exec_driver_sql(statement, many)
                await asyncio.sleep(3600)
            except asyncio.CancelledError as error:
                kept.append(error)  # its traceback holds whatever was at work
                raise

    for moment in MOMENTS:
        begun = asyncio.Event()
        adding = asyncio.ensure_future(add())
        await begun.wait()
        await asyncio.sleep(moment)
        adding.cancel()
        await asyncio.wait([adding])
        assert adding.cancelled()
        for one in (other, database):
            async with one.write() as connection:
                await connection.execute(text("INSERT INTO things (c0) VALUES ('one')"))
    assert len(kept) == len(MOMENTS)
    async with database.read() as connection:
        assert list(await connection.scalars(text("SELECT DISTINCT c0 FROM things"))) == ["one"]


async def test_a_snapshot_does_not_see_what_is_committed_meanwhile(database: Database) -> None:
    async with database.snapshot() as connection:
        assert await read_aliases(connection) == {}
        await Aliases(database).set("a", "gpt-5.5")
        assert await read_aliases(connection) == {}
    async with database.snapshot() as connection:
        assert await read_aliases(connection) == {"a": "gpt-5.5"}


async def test_reading_keeps_no_transaction_open_on_postgresql(database: Database) -> None:
    """One that is open holds back the server's cleaning, and costs ways to the server."""
    if database.dialect == "sqlite":
        return
    state = text("SELECT state FROM pg_stat_activity WHERE pid = :pid")
    found = []
    async with database.read() as watching:
        for way in (database.read, database.snapshot, database.write):
            async with way() as connection:
                pid = await connection.scalar(text("SELECT pg_backend_pid()"))
                found.append(await watching.scalar(state, {"pid": pid}))
    assert found == ["idle", "idle in transaction", "idle in transaction"]


async def test_a_connection_is_used_again_as_each_needs_it(database: Database) -> None:
    """Connections go round: what one was told of transactions must not stay with it."""
    if database.dialect == "sqlite":
        return
    level = text("SHOW transaction_isolation")
    for _ in range(2):
        async with database.snapshot() as connection:
            assert await connection.scalar(level) == "repeatable read"
        async with database.write() as connection:
            assert await connection.scalar(level) == "read committed"
        async with database.read() as connection:
            assert await connection.scalar(level) == "read committed"


async def test_what_ends_in_an_error_has_not_happened(database: Database) -> None:
    async with database.read() as connection:
        before = await facts.revision(connection)
    with pytest.raises(RuntimeError):
        async with database.write() as connection:
            await facts.bump(connection)
            raise RuntimeError
    async with database.read() as connection:
        assert await facts.revision(connection) == before


@pytest.mark.parametrize("url", ["mysql://host/x", "sqlite://", "nonsense"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(StoreError, match=r"^database\.url: "):
        locate(url, Path())
