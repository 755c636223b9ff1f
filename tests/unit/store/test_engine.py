"""On both databases: a transaction ends with its task, whatever ended it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from sqlalchemy import text

from dragoman.store.engine import Database

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
