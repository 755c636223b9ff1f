"""Rows of the request log for tests, and what a database does to answer a question about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text

from dragoman.gateway.ports import Row
from dragoman.store import rows
from dragoman.store.engine import Database

NOON = 1_783_080_000.0  # 2026-07-03 12:00:00 UTC, a Friday


def row(number: int, **more: Any) -> Row:
    """An answered request, a second after the one before it."""
    values: dict[str, Any] = {
        "request_id": f"req_{number}",
        "time": NOON + number,
        "key": "laptop",
        "client": "claude-cli/2.1.0",
        "requested_model": "claude-opus-4-8",
        "upstream_model": "gpt-5.5",
        "account": "work",
        "lane": "main",
        "status": 200,
        "outcome": "ok",
        "input_tokens": 100,
        "cached_tokens": 80,
        "output_tokens": 10,
        "usage_source": "measured",
        "cost_nano": 1_500_000,
        "anthropic_cost_nano": 3_000_000,
        "first_token_ms": 300.0,
        "duration_ms": 900.0,
        "cache_verdict": "hit",
        "uid": f"test-{number}",
    }
    return Row(**(values | more))


async def put(database: Database, made: Iterable[Row]) -> None:
    """Writes rows as the writer does."""
    async with database.write() as connection:
        await rows.add(connection, [rows.columns(one) for one in made])


async def analyze(database: Database) -> None:
    """Lets PostgreSQL know how many rows there are, as it would after a while by itself."""
    if database.dialect == "postgresql":
        async with database.write() as connection:
            await connection.execute(text("ANALYZE"))


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Collects the queries that are sent, with their parameters."""
    seen: list[tuple[str, Any]] = []

    def before(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "DELETE")):
            seen.append((statement, parameters))

    engines = {database._reader.sync_engine}
    if database.dialect == "sqlite":  # on PostgreSQL the others are views of it
        engines.add(database._writer.sync_engine)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", before)
    try:
        yield seen
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", before)


async def plan(database: Database, statement: str, parameters: Any) -> str:
    """How the database would answer the query, a step a line.

    A few thousand rows are read faster at one go than along an index: PostgreSQL is told not to do that, so
    that it plans as for a grown log.
    """
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN (COSTS OFF) "
    async with database.snapshot() as connection:
        if database.dialect == "postgresql":
            for how in ("seqscan", "bitmapscan"):
                off = text("SELECT set_config(:name, 'off', true)")
                await connection.execute(off, {"name": f"enable_{how}"})
        found = (await connection.exec_driver_sql(explain + statement, parameters)).all()
    return "\n".join(str(step[-1]) for step in found)
