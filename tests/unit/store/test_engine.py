"""The two ways to read: each query as of now, or all of them as of one moment. On both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from dragoman.store import facts
from dragoman.store.engine import Database, StoreError, locate
from dragoman.store.names import Aliases, read_aliases


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
