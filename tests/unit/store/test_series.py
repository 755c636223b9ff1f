"""Usage over time and in total, from the hourly sums: the same on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dragoman.store.engine import Database
from dragoman.store.series import BUCKETS, DIMENSIONS, begin, series, totals
from tests.support.ledger import NOON, put, row

DAY = 86_400


async def some(database: Database) -> None:
    await put(
        database,
        [
            row(1),
            row(2, key="phone", first_token_ms=None, usage_source="estimated", reasoning_tokens=4),
            row(3, cost_nano=None, anthropic_cost_nano=None, first_token_ms=500.0),
            row(4, time=NOON + DAY, outcome="refused", status=429, usage_source="none", cost_nano=None),
            row(5, time=NOON + 3 * DAY, outcome="client_gone", status=499, account="home"),
            row(6, time=NOON + 40 * DAY, outcome="upstream_error", status=502, usage_source="none"),
        ],
    )


async def test_totals_say_what_is_known(database: Database) -> None:
    """B99: money where a price is known; what has none is counted, not called free."""
    await some(database)
    first_hour = await totals(database, NOON, NOON + 3600)
    assert first_hour == [
        {
            "requests": 3,
            "counted": 3,
            "input_tokens": 300,
            "cached_tokens": 240,
            "written_tokens": 0,
            "output_tokens": 30,
            "reasoning_tokens": 4,
            "unpriced": 1,
            "estimated": 1,
            "cost_usd": 0.003,
            "anthropic_cost_usd": 0.006,
            "errors": 0,
            "first_token_ms": 400.0,
            "duration_ms": 900.0,
        }
    ]
    everything = (await totals(database))[0]
    assert everything["requests"] == 6
    assert everything["errors"] == 2


async def test_a_cost_that_is_wholly_unknown_is_no_figure(database: Database) -> None:
    await put(database, [row(1, cost_nano=None)])
    assert (await totals(database))[0]["cost_usd"] is None
    nothing = (await totals(database, NOON + DAY))[0]
    assert (nothing["requests"], nothing["cost_usd"], nothing["first_token_ms"]) == (0, 0.0, None)
    assert nothing["anthropic_cost_usd"] == 0.0


async def test_what_anthropic_has_no_name_for_would_have_cost_nothing_known(database: Database) -> None:
    await put(database, [row(1, requested_model="gpt-5.5", anthropic_cost_nano=None), row(2)])
    found = await totals(database, by="requested_model")
    told = {one["requested_model"]: one["anthropic_cost_usd"] for one in found}
    assert told == {"gpt-5.5": None, "claude-opus-4-8": 0.003}
    assert (await totals(database))[0]["anthropic_cost_usd"] == 0.003


async def test_totals_by_a_dimension_and_of_a_part(database: Database) -> None:
    """B100: what each key, model, account and outcome used."""
    await some(database)
    by_key = await totals(database, by="key")
    assert [(one["key"], one["requests"]) for one in by_key] == [("laptop", 5), ("phone", 1)]
    of_phone = await totals(database, by="account", where={"key": "phone"})
    assert [(one["account"], one["requests"]) for one in of_phone] == [("work", 1)]
    for dimension in DIMENSIONS:
        assert sum(one["requests"] for one in await totals(database, by=dimension)) == 6


async def test_series_have_buckets_of_the_calendar(database: Database) -> None:
    await some(database)
    expected = {
        "hour": [("2026-07-03T12", 3), ("2026-07-04T12", 1), ("2026-07-06T12", 1), ("2026-08-12T12", 1)],
        "day": [("2026-07-03T00", 3), ("2026-07-04T00", 1), ("2026-07-06T00", 1), ("2026-08-12T00", 1)],
        "week": [("2026-06-29T00", 4), ("2026-07-06T00", 1), ("2026-08-10T00", 1)],
        "month": [("2026-07-01T00", 5), ("2026-08-01T00", 1)],
    }
    for bucket in BUCKETS:
        found = await series(database, bucket=bucket)
        assert [(one["time"][:13], one["requests"]) for one in found] == expected[bucket]
    july: dict[str, Any] = (await series(database, bucket="month"))[0]
    assert july["first_token_ms"] == 350.0
    by_outcome = await series(database, NOON, NOON + 2 * DAY, bucket="week", by="outcome")
    assert [(one["time"][:10], one["outcome"], one["requests"]) for one in by_outcome] == [
        ("2026-06-29", "ok", 3),
        ("2026-06-29", "refused", 1),
    ]


@pytest.mark.parametrize(
    ("bucket", "at", "start"),
    [
        ("hour", "2026-07-03T12:59:59", "2026-07-03T12:00:00"),
        ("day", "2026-07-03T23:59:59", "2026-07-03T00:00:00"),
        ("week", "2026-07-05T23:59:59", "2026-06-29T00:00:00"),
        ("week", "2026-07-06T00:00:00", "2026-07-06T00:00:00"),
        ("month", "2024-02-29T12:00:00", "2024-02-01T00:00:00"),
        ("month", "2026-12-31T23:59:59", "2026-12-01T00:00:00"),
    ],
)
def test_buckets_begin_where_the_calendar_says(bucket: Any, at: str, start: str) -> None:
    def epoch(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())

    assert begin(bucket, epoch(at)) == epoch(start)


async def test_a_time_is_taken_in_whole_hours(database: Database) -> None:
    await put(database, [row(1)])
    assert (await totals(database, NOON + 1800, NOON + 1801))[0]["requests"] == 1
    assert (await totals(database, NOON - 3600, NOON))[0]["requests"] == 0
    assert (await totals(database, NOON - 3600, 4e9))[0]["requests"] == 1
