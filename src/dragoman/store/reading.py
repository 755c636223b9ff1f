"""Reading the request log: pages, single requests, the whole of it for exports, values to filter by.

A page may be short, even empty, and still have a `next`: a step looks at a bounded number of rows, however
rare what is wanted may be. It never writes. How rows are found is `walk.py`'s.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, func, select

from dragoman.store.engine import Database
from dragoman.store.rows import HOUR
from dragoman.store.tables import requests, usage_hours
from dragoman.store.walk import Filter, Path, Spot, path, step

__all__ = [
    "FACETS",
    "MOST",
    "Filter",
    "InvalidCursor",
    "Page",
    "around",
    "everything",
    "facets",
    "hours",
    "latest",
    "one",
    "page",
]

MOST = 500  # rows of one page
FACETS = ("key", "requested_model", "upstream_model", "account", "outcome")
FACET_VALUES = 200
_BATCH = 1000
_NEIGHBOURS = 5
_SEVERAL = 100  # rows of one request id: clients choose ids, so they may come again


class InvalidCursor(ValueError):
    """The cursor is not one that a page gave."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first, and the cursor of what follows; None at the end of the log."""

    rows: list[dict[str, Any]]
    next: str | None


async def page(database: Database, wanted: Filter, cursor: str | None = None, limit: int = 50) -> Page:
    """The newest rows before `cursor`, at most `limit` (1 to 500).

    Raises InvalidCursor for a broken cursor, ValueError for another limit, StoreError.
    """
    if not 1 <= limit <= MOST:
        raise ValueError(f"limit: must be 1 to {MOST}")
    after = None if cursor is None else _spot(cursor)
    async with database.read() as connection:
        way = await path(connection, wanted)
        rows, following = await step(connection, way, after, limit)
    return Page([row for _, row in rows], None if following is None else _cursor(following))


async def latest(
    database: Database, wanted: Filter, count: int, *, written: int | None = None
) -> list[dict[str, Any]]:
    """The newest `count` rows, newest first, however far back they lie; of the first `written`, if given."""
    found: list[dict[str, Any]] = []
    after: Spot | None = None
    while len(found) < count:
        async with database.read() as connection:
            way = await path(connection, wanted)
            if written is not None:
                way = upto(way, written)
            rows, after = await step(connection, way, after, min(count - len(found), MOST))
        found += [row for _, row in rows]
        if after is None:
            break
    return found


async def one(database: Database, request_id: str) -> list[dict[str, Any]]:
    """The rows of a request id, newest first; several where clients chose the same id again."""
    return (await page(database, Filter(request_id=request_id), None, _SEVERAL)).rows


async def around(
    database: Database, conversation: str, time: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The turns of a conversation beside a moment: the few before it, newest first, and the next after it."""
    # Rows tell their time in whole milliseconds, cut off; a float may be a hair below what it tells.
    until, since = Spot(time - 1e-6, 0), Spot(time + 0.001, 0)
    async with database.read() as connection:
        way = await path(connection, Filter(conversation_hash=conversation))
        before, _ = await step(connection, replace(way, until=until), None, _NEIGHBOURS)
        after, _ = await step(connection, replace(way, since=since), None, 1, oldest_first=True)
    return [row for _, row in before], [row for _, row in after]


async def everything(database: Database, wanted: Filter) -> AsyncIterator[dict[str, Any]]:
    """Every row that was there at the beginning, oldest first, each once, whatever is added meanwhile.

    Read in steps with a transaction each: memory stays constant and no snapshot is held.
    """
    async with database.read() as connection:
        way = await path(connection, wanted)
        newest = await connection.scalar(select(func.max(requests.c.id)))
    if newest is None:
        return
    way = upto(way, newest)
    after: Spot | None = None
    while True:
        async with database.read() as connection:
            rows, after = await step(connection, way, after, _BATCH, oldest_first=True)
        for _, row in rows:
            yield row
        if after is None:
            return


def upto(way: Path, number: int) -> Path:
    """The same way without rows that were written later than the one of this number."""
    # Not a bound on the column itself, which would offer the planner the wrong index.
    return replace(way, index=(*way.index, requests.c.id + 0 <= number))


async def facets(
    database: Database, since: float | None = None, until: float | None = None
) -> dict[str, list[tuple[str, int]]]:
    """Values of FACETS with their counts, most frequent first, at most FACET_VALUES each.

    Counted in whole hours by the time requests ended. Requested names that led nowhere count as "".
    """
    columns = [usage_hours.c[name] for name in FACETS]
    query = select(*columns, func.sum(usage_hours.c.requests)).where(*hours(since, until)).group_by(*columns)
    async with database.read() as connection:
        rows = (await connection.execute(query)).all()
    counts: dict[str, dict[str, int]] = {name: {} for name in FACETS}
    for row in rows:
        for place, name in enumerate(FACETS):
            counts[name][row[place]] = counts[name].get(row[place], 0) + int(row[-1])
    return {
        name: sorted(values.items(), key=lambda value: (-value[1], value[0]))[:FACET_VALUES]
        for name, values in counts.items()
    }


def hours(since: float | None, until: float | None) -> list[ColumnElement[bool]]:
    """Conditions on the hourly sums: all hours that a time touches, in epoch seconds."""
    bounds: list[ColumnElement[bool]] = []
    if since is not None:
        bounds.append(usage_hours.c.hour >= math.floor(since) // HOUR * HOUR)
    if until is not None:
        bounds.append(usage_hours.c.hour < math.ceil(until))
    return bounds


# -- cursors -----------------------------------------------------------------------------------------------

_SPOT = struct.Struct(">dq")


def _cursor(spot: Spot) -> str:
    return base64.urlsafe_b64encode(_SPOT.pack(*spot)).rstrip(b"=").decode()


def _spot(cursor: str) -> Spot:
    try:
        time, number = _SPOT.unpack(base64.b64decode(cursor + "==", altchars="-_", validate=True))
    except (binascii.Error, struct.error, ValueError):
        time, number = math.nan, 0
    if not math.isfinite(time):
        raise InvalidCursor(
            "cursor: must be the `next` of an earlier page; leave it out to begin at the newest"
        )
    return Spot(time, number)
