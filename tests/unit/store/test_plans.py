"""Whatever list is asked for, both databases walk along one index: no scan of the table, no sort of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import fields
from functools import partial
from typing import Any

import pytest

from dragoman.store import reading
from dragoman.store.engine import Database
from dragoman.store.feed import Feed
from dragoman.store.reading import Filter, Page, around, everything, facets, latest, one, page
from dragoman.store.retention import Retention
from dragoman.store.series import series, totals
from tests.support.ledger import NOON, analyze, plan, put, row, statements

# Filter -> the index that leads to its rows.
LISTS: dict[str, tuple[Filter, str]] = {
    "all": (Filter(), "ix_requests_time_id"),
    "key": (Filter(key="laptop"), "ix_requests_key_time_id"),
    "requested_model": (Filter(requested_model="claude-opus-4-8"), "ix_requests_requested_model_time_id"),
    "upstream_model": (Filter(upstream_model="gpt-5.5"), "ix_requests_upstream_model_time_id"),
    "account": (Filter(account="work"), "ix_requests_account_time_id"),
    "outcome": (Filter(outcome="refused"), "ix_requests_outcome_time_id"),
    "outcome ok": (Filter(outcome="ok"), "ix_requests_time_id"),
    "status": (Filter(status=429), "ix_requests_status_time_id"),
    "status 200": (Filter(status=200), "ix_requests_time_id"),
    "error_type": (Filter(error_type="rate_limit_error"), "ix_requests_error_type_time_id"),
    "session_hash": (Filter(session_hash="5" * 32), "ix_requests_session_hash_time_id"),
    "conversation_hash": (Filter(conversation_hash="c" * 32), "ix_requests_conversation_hash_time_id"),
    "request_id": (Filter(request_id="req_7"), "ix_requests_request_id_time_id"),
    "cache_verdict": (Filter(cache_verdict="messages_changed"), "ix_requests_cache_cause_time_id"),
    "cache_verdict with its number": (
        Filter(cache_verdict="messages_changed(3)"),
        "ix_requests_cache_cause_time_id",
    ),
    "lane": (Filter(lane="search"), "ix_requests_time_id"),
    "client": (Filter(client="claude-cli/"), "ix_requests_time_id"),
    "since": (Filter(since=NOON + 100), "ix_requests_time_id"),
    "until": (Filter(until=NOON + 100), "ix_requests_time_id"),
    "search for a part": (Filter(search="opus"), "ix_requests_time_id"),
    "search for a request": (Filter(search="req_7"), "ix_requests_request_id_time_id"),
    "search for a hash": (Filter(search="555555"), "ix_requests_session_hash_time_id"),
    "several": (
        Filter(key="laptop", requested_model="claude-opus-4-8", lane="main", since=NOON, until=NOON + 1000),
        "ix_requests_key_time_id",
    ),
}


async def filled(database: Database) -> Database:
    """Answered requests of many keys and models, and some of every other kind."""
    other = {
        "key": "other",
        "status": 429,
        "outcome": "refused",
        "error_type": "rate_limit_error",
        "session_hash": "5" * 32,
        "conversation_hash": "c" * 32,
        "account": "home",
        "cache_verdict": "messages_changed(3)",
        "lane": "search",
    }
    for start in range(0, 3000, 500):
        await put(
            database,
            [
                row(number, **(other if number % 50 == 7 else _usual(number)))
                for number in range(start, start + 500)
            ],
        )
    await analyze(database)
    return database


def _usual(number: int) -> dict[str, Any]:
    if number % 25 == 0:
        return {}
    some = number % 9
    return {
        "key": f"key{some}",
        "requested_model": f"claude-{some}",
        "upstream_model": f"gpt-{some}",
        "account": f"account{some}",
        "session_hash": f"{some:032x}",
    }


async def explained(database: Database, work: Callable[[], Awaitable[Any]]) -> list[tuple[str, str]]:
    """The statements that the work sends, with the database's plan for each."""
    with statements(database) as sent:
        await work()
    assert sent
    return [(statement, await plan(database, statement, parameters)) for statement, parameters in sent]


def assert_walks(told: str, *indexes: str) -> None:
    """No scan of a table, no sort, along one of the indexes. SQLite calls SCAN a walk along a whole index."""
    for line in told.splitlines():
        assert "Seq Scan" not in line, told
        assert "Sort" not in line, told
        assert "TEMP B-TREE" not in line, told
        assert not line.startswith("SCAN") or "USING" in line, told
    assert not indexes or any(index in told for index in indexes), told


async def _ask(database: Database, wanted: Filter, cursor: str | None, found: list[Page]) -> None:
    found.append(await page(database, wanted, cursor, 10))


async def test_every_list_walks_along_an_index(database: Database) -> None:
    """B100: whatever the log is filtered by; the first page and the ones behind it."""
    await filled(database)
    assert {field.name for field in fields(Filter)} <= {name.partition(" ")[0] for name in LISTS}
    for wanted, index in LISTS.values():
        cursor: str | None = None
        for _ in range(2):
            found: list[Page] = []
            told = await explained(database, partial(_ask, database, wanted, cursor, found))
            # PostgreSQL knows how frequent a value is, and rightly walks along time for a frequent one.
            others = () if database.dialect == "sqlite" else ("ix_requests_time_id",)
            for statement, steps in told:
                assert_walks(steps, *((index, *others) if "duration_ms" in statement else ()))
            cursor = found[0].next
            if cursor is None:
                break


async def test_exports_single_requests_and_watchers_walk_along_an_index(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_BATCH", 50)  # a small part of the table, as it is of a grown one
    await filled(database)

    async def export() -> None:
        wanted = Filter(key="laptop")
        assert len([one async for one in everything(database, wanted)]) == 120
        assert len([one async for one in everything(database, Filter())]) == 3000

    async def show() -> None:
        assert len(await one(database, "req_5")) == 1

    async def newest() -> None:
        assert len(await latest(database, Filter(lane="search"), 5)) == 5

    async def beside() -> None:
        before, after = await around(database, "c" * 32, NOON + 1507)
        assert [one["request_id"] for one in before] == [f"req_{n}" for n in (1457, 1407, 1357, 1307, 1257)]
        assert [one["request_id"] for one in after] == ["req_1557"]

    for work in (export, show, newest, beside):
        for statement, steps in await explained(database, work):
            if "max(" not in statement:
                assert_walks(steps)
    feed = Feed(database, Filter(search="opus"))
    await feed.open(5)
    await put(database, [row(9000)])
    found: list[Any] = []

    async def poll() -> None:
        found.extend(await feed.poll())

    told = await explained(database, poll)
    assert [one["request_id"] for one in found] == ["req_9000"]
    for _, steps in told:
        assert "Seq Scan" not in steps
        assert "SCAN requests\n" not in steps + "\n"


async def test_removing_old_rows_walks_along_an_index(database: Database) -> None:
    await filled(database)
    old = Retention(database, 1, now=lambda: NOON + 86_400 + 10)
    for _, steps in await explained(database, old.sweep):
        assert_walks(steps)


@pytest.mark.parametrize("where", [{}, {"key": "laptop"}], ids=["all keys", "a key"])
async def test_sums_of_a_time_read_only_its_hours(database: Database, where: dict[Any, str]) -> None:
    """Grouping gathers what was read; it is never the whole table that is read."""
    for month in range(30):
        await put(
            database,
            [
                row(
                    month * 1000 + number,
                    time=NOON + month * 2_592_000 + number * 3600,
                    key=f"key{number % 40}" if number % 3 else "laptop",
                )
                for number in range(200)
            ],
        )
    await analyze(database)
    since = NOON + 12 * 2_592_000

    async def sums() -> None:
        await totals(database, since, since + 7200, "requested_model", where)
        await series(database, since, since + 7200, "day", "account", where)
        if not where:
            await facets(database, since, since + 7200)

    for statement, steps in await explained(database, sums):
        assert "usage_hours" in statement
        assert "Seq Scan" not in steps, steps
        assert "SCAN usage_hours" not in steps, steps
        assert "hour" in steps, steps
