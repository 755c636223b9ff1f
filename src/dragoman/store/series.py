"""Usage over time and in total, for people: sums of the hourly sums, which outlive the rows.

A request counts in the hour in which it ended. Buckets are UTC; weeks begin on Monday. Buckets without
requests are left out. What limits count is `usage.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, case, func, select

from dragoman.store.engine import Database
from dragoman.store.reading import hours
from dragoman.store.tables import usage_hours
from dragoman.store.walk import instant

Bucket = Literal["hour", "day", "week", "month"]
Dimension = Literal["key", "requested_model", "upstream_model", "account", "outcome"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
BUCKETS: tuple[Bucket, ...] = get_args(Bucket)
# What ended without the answer that was asked for. A client that left is no error.
ERRORS = ("refused", "upstream_error", "aborted")
_DAY = 86_400
_TOKENS = ("input_tokens", "cached_tokens", "written_tokens", "output_tokens", "reasoning_tokens")
_PLAIN = ("requests", "counted", *_TOKENS, "unpriced", "estimated")
_HELPERS = ("cost_nano", "anthropic_cost_nano", "first_token_ms", "first_tokens", "duration_ms", "errors")
_NAMES = (*_PLAIN, *_HELPERS)


async def totals(
    database: Database,
    since: float | None = None,
    until: float | None = None,
    by: Dimension | None = None,
    where: Mapping[Dimension, str] | None = None,
) -> list[dict[str, Any]]:
    """Sums of a time (epoch seconds, whole hours), one for each value of `by`, most requests first.

    Each has the value under the name of `by`, then requests, counted (those with usage), tokens, `cost_usd`
    and `anthropic_cost_usd`, unpriced (counted without a price), estimated, errors and the means
    `first_token_ms` and `duration_ms`. Costs and means are None where nothing is known.
    """
    dimension = [] if by is None else [usage_hours.c[by]]
    query = select(*dimension, *_sums()).where(*hours(since, until), *_where(where)).group_by(*dimension)
    async with database.read() as connection:
        rows = (await connection.execute(query)).all()
    found = [(row[0] if by else None, tuple(row[len(dimension) :])) for row in rows]
    found.sort(key=lambda one: (-int(one[1][0] or 0), one[0] or ""))
    return [_shown({} if by is None else {by: value}, sums) for value, sums in found]


async def series(
    database: Database,
    since: float | None = None,
    until: float | None = None,
    bucket: Bucket = "day",
    by: Dimension | None = None,
    where: Mapping[Dimension, str] | None = None,
) -> list[dict[str, Any]]:
    """The same for each bucket of the time, oldest first; `time` (RFC 3339) is where the bucket begins."""
    width = usage_hours.c.hour if bucket == "hour" else usage_hours.c.hour - usage_hours.c.hour % _DAY
    place = [width.label("place"), *([] if by is None else [usage_hours.c[by]])]
    query = select(*place, *_sums()).where(*hours(since, until), *_where(where)).group_by(*place)
    async with database.read() as connection:
        rows = (await connection.execute(query)).all()
    buckets: dict[tuple[int, str], Sequence[Any]] = {}
    for row in rows:
        at = (begin(bucket, row[0]), row[1] if by else "")
        sums = tuple(row[len(place) :])
        before = buckets.get(at)
        buckets[at] = sums if before is None else [a + b for a, b in zip(before, sums, strict=True)]
    return [
        _shown({"time": instant(at)} | ({} if by is None else {by: value}), buckets[at, value])
        for at, value in sorted(buckets)
    ]


def begin(bucket: Bucket, at: int) -> int:
    """Where the bucket of an instant begins, in epoch seconds."""
    if bucket == "hour":
        return at - at % 3600
    day = at - at % _DAY
    if bucket == "day":
        return day
    date = datetime.fromtimestamp(day, UTC)
    first = date - timedelta(days=date.weekday() if bucket == "week" else date.day - 1)
    return int(first.timestamp())


def _sums() -> Iterable[ColumnElement[Any]]:
    errors = case((usage_hours.c.outcome.in_(ERRORS), usage_hours.c.requests), else_=0)
    return [
        func.coalesce(func.sum(errors if name == "errors" else usage_hours.c[name]), 0).label(f"sum_{name}")
        for name in _NAMES
    ]


def _where(where: Mapping[Dimension, str] | None) -> list[ColumnElement[bool]]:
    return [usage_hours.c[name] == value for name, value in (where or {}).items()]


def _shown(place: dict[str, Any], sums: Sequence[Any]) -> dict[str, Any]:
    of = dict(zip(_NAMES, sums, strict=True))
    told: dict[str, Any] = place | {name: int(of[name]) for name in _PLAIN}
    unknown = told["counted"] > 0 and told["unpriced"] == told["counted"]
    told["cost_usd"] = None if unknown else int(of["cost_nano"]) / 1e9
    # Anthropic gives no token away: a sum of nothing is of names that it has no price for.
    nameless = not of["anthropic_cost_nano"] and told["input_tokens"] + told["output_tokens"] > 0
    told["anthropic_cost_usd"] = None if nameless else int(of["anthropic_cost_nano"]) / 1e9
    told["errors"] = int(of["errors"])
    told["first_token_ms"] = _mean(of["first_token_ms"], of["first_tokens"])
    told["duration_ms"] = _mean(of["duration_ms"], of["requests"])
    return told


def _mean(total: Any, count: Any) -> float | None:
    return round(float(total) / int(count), 2) if count else None
