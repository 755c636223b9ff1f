"""The request log is read page by page, whole, or by search: the same on both databases."""

from __future__ import annotations

import asyncio
import base64
import itertools
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.store import migrate, reading, walk
from dragoman.store.engine import Database, locate
from dragoman.store.feed import Feed
from dragoman.store.reading import Filter, InvalidCursor, everything, facets, latest, one, page
from tests.support.ledger import NOON, put, row


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [one["request_id"].removeprefix("req_") for one in rows]


async def paged(database: Database, wanted: Filter, limit: int = 3) -> list[str]:
    """All pages, one after the other."""
    found: list[str] = []
    cursor: str | None = None
    for _ in range(1000):
        got = await page(database, wanted, cursor, limit)
        assert len(got.rows) <= limit
        found += ids(got.rows)
        cursor = got.next
        if cursor is None:
            return found
    raise AssertionError("the pages have no end")


async def test_a_row_is_read_as_it_was_written(database: Database) -> None:
    """B100: every field, under the names of the documentation."""
    full = row(
        1,
        effort="high",
        attempts=[{"account": "home", "cause": "rate_limit", "status": 429, "code": None}],
        lineage="l",
        session_hash="5" * 32,
        conversation_hash="c" * 32,
        stop_reason="end_turn",
        written_tokens=7,
        reasoning_tokens=3,
        queue_ms=0.5,
        connect_ms=1.5,
        first_byte_ms=200.25,
        ignored_fields=["top_k"],
        repaired=["an interrupted call"],
        dropped_reasoning=2,
        cache_verdict="tail_replaced(2)",
        cache_story="why",
        stream=True,
        choice="stays on home",
        move="stayed",
        lost_nano=2_500_000,
    )
    await put(database, [full, row(2, cost_nano=None, anthropic_cost_nano=None, cache_verdict=None)])
    first, second = (await page(database, Filter())).rows[::-1]
    assert first == {
        "request_id": "req_1",
        "time": "2026-07-03T12:00:01.000Z",
        "key": "laptop",
        "client": "claude-cli/2.1.0",
        "requested_model": "claude-opus-4-8",
        "upstream_model": "gpt-5.5",
        "effort": "high",
        "account": "work",
        "attempts": [{"account": "home", "cause": "rate_limit", "status": 429, "code": None}],
        "lineage": "l",
        "session_hash": "5" * 32,
        "conversation_hash": "c" * 32,
        "lane": "main",
        "status": 200,
        "outcome": "ok",
        "error_type": None,
        "stop_reason": "end_turn",
        "input_tokens": 100,
        "cached_tokens": 80,
        "written_tokens": 7,
        "output_tokens": 10,
        "reasoning_tokens": 3,
        "usage_source": "measured",
        "cost_usd": 0.0015,
        "anthropic_cost_usd": 0.003,
        "queue_ms": 0.5,
        "connect_ms": 1.5,
        "first_byte_ms": 200.25,
        "first_token_ms": 300.0,
        "duration_ms": 900.0,
        "ignored_fields": ["top_k"],
        "cache_verdict": "tail_replaced(2)",
        "cache_story": "why",
        "repaired": ["an interrupted call"],
        "dropped_reasoning": 2,
        "stream": True,
        "route": "messages",
        "service_tier": None,
        "choice": "stays on home",
        "move": "stayed",
        "lost_usd": 0.0025,
    }
    assert list(first) == list(walk.FIELDS)
    assert second["cost_usd"] is None
    assert second["anthropic_cost_usd"] is None
    assert second["stream"] is False
    assert second["attempts"] == []


FILTERED: dict[str, tuple[Filter, list[str]]] = {
    "nothing": (Filter(), ["6", "5", "4", "3", "2", "1"]),
    "key": (Filter(key="phone"), ["2"]),
    "no key": (Filter(key=""), ["4"]),
    "requested model": (Filter(requested_model="claude-haiku-4-5"), ["3"]),
    "upstream model": (Filter(upstream_model="gpt-5.5-mini"), ["3"]),
    "account": (Filter(account="home"), ["2"]),
    "outcome": (Filter(outcome="refused"), ["4"]),
    "good outcome": (Filter(outcome="ok"), ["6", "3", "2", "1"]),
    "status": (Filter(status=499), ["5"]),
    "good status": (Filter(status=200), ["6", "3", "2", "1"]),
    "error": (Filter(error_type="authentication_error"), ["4"]),
    "session": (Filter(session_hash="a1" * 16), ["2", "1"]),
    "conversation": (Filter(conversation_hash="b1" * 16), ["1"]),
    "request": (Filter(request_id="req_5"), ["5"]),
    "verdict": (Filter(cache_verdict="messages_changed"), ["3", "2"]),
    "verdict with its number": (Filter(cache_verdict="messages_changed(3)"), ["2"]),
    "lane": (Filter(lane="agent"), ["6"]),
    "client": (Filter(client="codex"), ["6", "3"]),
    "client with signs": (Filter(client="%"), []),
    "since": (Filter(since=NOON + 5), ["6", "5"]),
    "until": (Filter(until=NOON + 3), ["2", "1"]),
    "a time": (Filter(since=NOON + 2, until=NOON + 4), ["3", "2"]),
    "a time without rows": (Filter(since=NOON + 4, until=NOON + 2), []),
    "two": (Filter(key="laptop", cache_verdict="messages_changed"), ["3"]),
    "two that exclude each other": (Filter(key="phone", account="work"), []),
    "an error and its outcome": (Filter(outcome="refused", status=401), ["4"]),
    "a good outcome of a key": (Filter(outcome="ok", key="laptop"), ["6", "3", "1"]),
    "search: a request": (Filter(search=" req_3 "), ["3"]),
    "search: the beginning of a hash": (Filter(search="a1a1a1"), ["2", "1"]),
    "search: the beginning of two hashes": (Filter(search="b1b1b1"), ["2", "1"]),
    "search: a whole hash": (Filter(search="b1" * 16), ["1"]),
    "search: a hash of nothing": (Filter(search="0123456789"), []),
    "search: part of a model": (Filter(search="HAIKU"), ["3"]),
    "search: part of a client": (Filter(search="codex"), ["6", "3"]),
    "search: part of an error": (Filter(search="authent"), ["4"]),
    "search: signs of a pattern": (Filter(search="%_"), []),
    "search: nothing": (Filter(search="  "), ["6", "5", "4", "3", "2", "1"]),
    "search and a filter": (Filter(search="a1a1a1", key="phone"), ["2"]),
    "search and another session": (Filter(search="a1a1a1", session_hash="c" * 32), []),
    "what no text holds": (Filter(key="\0"), []),
    "half a character": (Filter(search="\ud83d", client="\udc00"), []),
}


async def some(database: Database) -> None:
    session = {"session_hash": "a1" * 16}
    await put(
        database,
        [
            row(1, **session, conversation_hash="b1" * 16),
            row(
                2,
                **session,
                conversation_hash="b1b1b1" + "2" * 26,
                key="phone",
                account="home",
                cache_verdict="messages_changed(3)",
            ),
            row(
                3,
                requested_model="claude-haiku-4-5",
                upstream_model="gpt-5.5-mini",
                client="codex_cli_rs/1",
                cache_verdict="messages_changed(12)",
            ),
            row(
                4,
                key="",
                status=401,
                outcome="refused",
                error_type="authentication_error",
                upstream_model="",
                account="",
                usage_source="none",
                cost_nano=None,
            ),
            row(5, status=499, outcome="client_gone"),
            row(6, lane="agent", client="codex/2"),
        ],
    )


async def test_each_filter_finds_its_rows(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """B100: alone and together, in pages, for a watcher and in an export, however short the steps are."""
    await some(database)
    for scan in (10_000, 2):
        monkeypatch.setattr(walk, "SCAN", scan)
        for name, (wanted, expected) in FILTERED.items():
            assert await paged(database, wanted, 1 if scan == 2 else 3) == expected, name
            assert ids([one async for one in everything(database, wanted)]) == expected[::-1], name
            assert ids(await latest(database, wanted, 3)) == expected[:3], name
            assert ids(await Feed(database, wanted).open(3)) == expected[:3][::-1], name


async def test_a_page_may_be_empty_and_go_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step looks at so many rows and no more, however rare what is wanted may be."""
    monkeypatch.setattr(walk, "SCAN", 10)
    await put(database, [row(number, lane="search" if number == 0 else "main") for number in range(25)])
    pages = []
    cursor = None
    while True:
        got = await page(database, Filter(lane="search"), cursor, 5)
        pages.append(ids(got.rows))
        cursor = got.next
        if cursor is None:
            break
    assert pages == [[], [], ["0"]]


async def test_rows_of_one_instant_are_neither_lost_nor_doubled(database: Database) -> None:
    await put(database, [row(number, time=NOON) for number in range(20)])
    assert await paged(database, Filter(), 3) == [str(number) for number in range(19, -1, -1)]
    oldest_first = ids([one async for one in everything(database, Filter())])
    assert oldest_first == [str(number) for number in range(20)]


async def test_a_request_id_that_came_again_has_all_its_rows(database: Database) -> None:
    await put(database, [row(1), row(2, request_id="req_1", uid="again", status=500), row(3)])
    assert [one["status"] for one in await one(database, "req_1")] == [500, 200]
    assert await one(database, "req_9") == []


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "not base64 at all!",
        "é",
        "AAAA",
        base64.urlsafe_b64encode(b"0" * 17).decode(),
        base64.urlsafe_b64encode(struct.pack(">dq", float("nan"), 1)).decode(),
        base64.urlsafe_b64encode(struct.pack(">dq", float("inf"), 1)).decode(),
    ],
)
async def test_a_broken_cursor_is_refused(cursor: str, tmp_path: Path) -> None:
    database = Database(locate("sqlite:///a.db", tmp_path))
    with pytest.raises(InvalidCursor, match="cursor: must be the `next` of an earlier page"):
        await page(database, Filter(), cursor)
    await database.close()


@pytest.mark.parametrize("limit", [0, -1, 501])
async def test_a_page_has_bounds(limit: int, tmp_path: Path) -> None:
    database = Database(locate("sqlite:///a.db", tmp_path))
    with pytest.raises(ValueError, match="limit: must be 1 to 500"):
        await page(database, Filter(), None, limit)
    await database.close()


@given(
    times=st.lists(st.integers(0, 30), max_size=40),
    added=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 40)), max_size=20),
    limit=st.integers(1, 7),
    scan=st.integers(1, 9),
    lanes=st.sampled_from([None, "main", "agent"]),
)
@settings(max_examples=40, deadline=None)
def test_pages_are_the_whole_list_while_rows_are_added(
    times: list[int],
    added: list[tuple[int, int]],
    limit: int,
    scan: int,
    lanes: str | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """What was there when the first page was read comes once, in order, whatever is added between pages."""
    asyncio.run(_paging(times, added, limit, scan, lanes, tmp_path_factory.mktemp("pages")))


async def _paging(
    times: list[int],
    added: list[tuple[int, int]],
    limit: int,
    scan: int,
    lane: str | None,
    place: Path,
) -> None:
    database = Database(locate("sqlite:///a.db", place))
    await migrate.prepare(database)

    def made(number: int, second: int) -> Any:
        return row(number, time=NOON + second, lane="agent" if number % 3 == 0 else "main")

    numbers = itertools.count()
    before = [made(next(numbers), second) for second in times]
    await put(database, before)
    wanted = Filter(lane=lane)
    kept = [one for one in enumerate(before) if lane in (None, one[1].lane)]
    expected = [one.request_id for _, one in sorted(kept, key=lambda it: (it[1].time, it[0]))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "SCAN", scan)
        patch.setattr(reading, "_BATCH", limit)
        export = [one["request_id"] async for one in _disturbed(database, wanted, made, numbers)]
        assert [one for one in export if one in expected] == expected
        assert len(export) == len(expected)
        found: list[str] = []
        cursor: str | None = None
        for turn in range(1000):
            got = await page(database, wanted, cursor, limit)
            found += [one["request_id"] for one in got.rows]
            for when, second in added:
                if when == turn:
                    await put(database, [made(next(numbers), second)])
            cursor = got.next
            if cursor is None:
                break
    assert cursor is None
    assert len(found) == len(set(found))
    assert [one for one in found if one in expected] == expected[::-1]
    await database.close()


async def _disturbed(
    database: Database, wanted: Filter, made: Any, numbers: Any
) -> AsyncIterator[dict[str, Any]]:
    """The export, while rows are added before and behind the place where it stands."""
    count = 0
    async for found in everything(database, wanted):
        yield found
        count += 1
        if count <= 3:
            await put(database, [made(next(numbers), 0), made(next(numbers), 50)])


async def test_a_watcher_hears_of_every_row_once(database: Database) -> None:
    """Rows come in the order of writing: a long request is written after a short one that came later."""
    await put(database, [row(number) for number in range(5)])
    feed = Feed(database, Filter(key="laptop"))
    assert ids(await feed.open(2)) == ["3", "4"]
    assert await feed.poll() == []
    await put(database, [row(10), row(11, key="phone"), row(-10)])
    assert ids(await feed.poll()) == ["10", "-10"]
    assert await feed.poll() == []
    await put(database, [row(number) for number in range(100, 100 + reading.MOST + 20)])
    heard: list[str] = []
    for _ in range(5):
        heard += ids(await feed.poll())
    assert heard == [str(number) for number in range(100, 100 + reading.MOST + 20)]


async def test_a_watcher_of_an_empty_log_begins_with_nothing(database: Database) -> None:
    feed = Feed(database, Filter())
    assert await feed.open(10) == []
    await put(database, [row(1)])
    assert ids(await feed.poll()) == ["1"]


async def test_facets_count_what_there_is_to_filter_by(database: Database) -> None:
    """B100"""
    await some(database)
    await put(database, [row(90_000, time=NOON + 90_000, key="later")])
    found = await facets(database, NOON, NOON + 3600)
    assert found["key"] == [("laptop", 4), ("", 1), ("phone", 1)]
    assert found["account"] == [("work", 4), ("", 1), ("home", 1)]
    assert found["outcome"] == [("ok", 4), ("client_gone", 1), ("refused", 1)]
    assert found["upstream_model"] == [("gpt-5.5", 4), ("", 1), ("gpt-5.5-mini", 1)]
    # A name that led nowhere is not offered as a filter.
    assert found["requested_model"] == [("claude-opus-4-8", 4), ("", 1), ("claude-haiku-4-5", 1)]
    assert dict((await facets(database))["key"])["later"] == 1
