"""Sums of the request log: what limits have counted so far, and usage over time for people.

Sliding windows are summed from the rows themselves, calendar windows from the hourly sums, which outlive the
rows. Consumption counts at the time a request ended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, cast, func, select

from dragoman.budget.limits import Amounts, Limit, start
from dragoman.budget.windows import PARTS
from dragoman.store.core import AsyncConnection
from dragoman.store.rows import HOUR, ended
from dragoman.store.tables import requests, usage_hours

SLIDING = {"minute": 60.0, "hour": 3600.0, "5h": 18_000.0}
# No request lasts longer; a row that began earlier cannot have ended inside a sliding window.
_LONGEST = 86_400.0
# More names than this are sorted out here instead of in the query.
_MOST_NAMED = 500
NOTHING = Amounts(0, 0, 0, 0)


class Cell(NamedTuple):
    """One place of the hourly sums: the hour's begin, a key's name, a requested model."""

    hour: int
    key: str
    model: str


async def settled(connection: AsyncConnection, key: str, limit: Limit, now: float) -> list[tuple[float, int]]:
    """What a key has used under a limit, as (time, amount) pairs inside the limit's present window."""
    found = await (_sliding if limit.per in SLIDING else _hourly)(connection, key, limit, now)
    return [(at, amount.of(limit.measure)) for at, amount in found]


def pending(waiting: Iterable[dict[str, Any]], key: str, limit: Limit) -> list[tuple[float, int]]:
    """The same of rows that the database does not have yet."""
    return [
        (ended(values), used(values).of(limit.measure))
        for values in waiting
        if values["key"] == key
        and values["usage_source"] != "none"
        and limit.matches(values["requested_model"])
    ]


async def cells(connection: AsyncConnection, keys: Collection[str], since: float) -> dict[Cell, Amounts]:
    """The hourly sums of some keys from the hour of `since` on: what changes in them was used meanwhile."""
    query = (
        select(
            usage_hours.c.hour,
            usage_hours.c.key,
            usage_hours.c.requested_model,
            func.sum(usage_hours.c.counted),
            func.sum(usage_hours.c.input_tokens),
            func.sum(usage_hours.c.output_tokens),
            func.sum(usage_hours.c.cost_nano),
        )
        .where(usage_hours.c.hour >= int(since) // HOUR * HOUR)
        .group_by(usage_hours.c.hour, usage_hours.c.key, usage_hours.c.requested_model)
    )
    if len(keys) <= _MOST_NAMED:
        query = query.where(usage_hours.c.key.in_(keys))
    wanted = frozenset(keys)
    rows = (await connection.execute(query)).all()
    return {Cell(*row[:3]): _amounts(row[3:]) for row in rows if row.key in wanted}


def used(values: dict[str, Any]) -> Amounts:
    """What a row counts for; nothing where nothing was used."""
    if values["usage_source"] == "none":
        return NOTHING
    return Amounts(1, values["input_tokens"], values["output_tokens"], values["cost_nano"] or 0)


async def _sliding(
    connection: AsyncConnection, key: str, limit: Limit, now: float
) -> list[tuple[float, Amounts]]:
    window = SLIDING[limit.per]
    # The parts in which meters count: what is read here frees when it would have without a restart.
    width = window / PARTS
    since = start(limit.per, now) or 0.0
    end = requests.c.time + func.coalesce(requests.c.duration_ms, 0.0) / 1000
    # PostgreSQL's cast rounds, and not every SQLite has a floor.
    bucket: ColumnElement[Any] = (
        cast(end / width, Integer) if connection.dialect.name == "sqlite" else func.floor(end / width)
    )
    query = (
        select(
            bucket.label("bucket"),
            requests.c.requested_model,
            func.count(),
            func.sum(requests.c.input_tokens),
            func.sum(requests.c.output_tokens),
            func.sum(func.coalesce(requests.c.cost_nano, 0)),
        )
        .where(requests.c.key == key, requests.c.time > since - _LONGEST, end >= since)
        .where(requests.c.usage_source != "none")
        .group_by(bucket, requests.c.requested_model)
    )
    rows = (await connection.execute(query)).all()
    # The middle of a part, so that no rounding moves it into the one before.
    return [
        ((float(row[0]) + 0.5) * width, _amounts(row[2:]))
        for row in rows
        if limit.matches(row.requested_model)
    ]


async def _hourly(
    connection: AsyncConnection, key: str, limit: Limit, now: float
) -> list[tuple[float, Amounts]]:
    since = start(limit.per, now)
    query = (
        select(
            usage_hours.c.requested_model,
            func.sum(usage_hours.c.counted),
            func.sum(usage_hours.c.input_tokens),
            func.sum(usage_hours.c.output_tokens),
            func.sum(usage_hours.c.cost_nano),
        )
        .where(usage_hours.c.key == key)
        .group_by(usage_hours.c.requested_model)
    )
    if since is not None:
        query = query.where(usage_hours.c.hour >= int(since) // HOUR * HOUR)
    rows = (await connection.execute(query)).all()
    return [(now, _amounts(row[1:])) for row in rows if limit.matches(row.requested_model)]


def _amounts(figures: Sequence[Any]) -> Amounts:
    return Amounts(*(int(figure or 0) for figure in figures))
