"""The way to the rows of the request log: which index a filter leads along, and one step on it.

Every list is walked in the order of (time, id). The most telling filter chooses the index, the others are
judged on the way, and a step looks at no more than SCAN rows. Nothing is sorted, counted or written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)

from dragoman.store.core import AsyncConnection
from dragoman.store.rows import cause
from dragoman.store.tables import requests
from dragoman.wire import jsonio

SCAN = 10_000  # rows that one step looks at
# Names of a row as it is read, in the order of the documentation.
FIELDS = (
    *("request_id", "time", "key", "client", "requested_model", "upstream_model", "effort", "account"),
    *("attempts", "lineage", "session_hash", "conversation_hash", "lane", "status", "outcome", "error_type"),
    *("stop_reason", "input_tokens", "cached_tokens", "written_tokens", "output_tokens", "reasoning_tokens"),
    *("usage_source", "cost_usd", "anthropic_cost_usd", "queue_ms", "connect_ms", "first_byte_ms"),
    *("first_token_ms", "duration_ms", "ignored_fields", "cache_verdict", "cache_story", "repaired"),
    *("dropped_reasoning", "stream", "route", "service_tier", "choice", "move", "lost_usd"),
)
_STORED = {"cost_usd": "cost_nano", "anthropic_cost_usd": "anthropic_cost_nano", "lost_usd": "lost_nano"}
_COLUMNS = [requests.c[_STORED.get(name, name)] for name in FIELDS]
_LISTS = tuple(FIELDS.index(name) for name in ("attempts", "ignored_fields", "repaired"))
_MONEY = tuple(FIELDS.index(name) for name in _STORED)
_TIME = FIELDS.index("time")
_HASH = re.compile("[0-9a-f]{6,32}")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows: all given conditions hold. Texts are compared exactly, `client` from its beginning.

    `cache_verdict` is a verdict with its number or its name alone; `since` (included) and `until` (not) are
    epoch seconds of the request's arrival. `search` is a request id, the first six or more digits of a
    session's or conversation's hash, or a part of a model, client or error, whatever its case.
    """

    key: str | None = None
    requested_model: str | None = None
    upstream_model: str | None = None
    account: str | None = None
    outcome: str | None = None
    status: int | None = None
    error_type: str | None = None
    session_hash: str | None = None
    conversation_hash: str | None = None
    request_id: str | None = None
    cache_verdict: str | None = None
    lane: str | None = None
    client: str | None = None
    since: float | None = None
    until: float | None = None
    search: str | None = None


class Spot(NamedTuple):
    """A place in the log."""

    time: float
    id: int


@dataclass(frozen=True, slots=True)
class Path:
    """How a filter is answered: `index` leads along one index, `rest` is judged on the rows."""

    index: tuple[ColumnElement[bool], ...]
    rest: tuple[ColumnElement[bool], ...]
    since: Spot | None
    until: Spot | None


def instant(epoch: float) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Conditions that have an index of their own, the most telling first.
_LEADING = (
    *("request_id", "conversation_hash", "session_hash", "error_type", "status", "outcome", "cache_verdict"),
    *("account", "key", "upstream_model", "requested_model"),
)


_PARTIAL: dict[str, ColumnElement[Any]] = {"outcome": literal_column("'ok'"), "status": literal_column("200")}


async def path(connection: AsyncConnection, wanted: Filter) -> Path:
    """Chooses the index, and finds out what `search` means."""
    given = {name: value for name in _LEADING if (value := _text(getattr(wanted, name))) is not None}
    rest = _judged(wanted)
    if search := _words(wanted):
        name, found = await _meaning(connection, search)
        if name is None:
            rest.append(_mentions(search))
        elif given.setdefault(name, found) != found:
            rest.append(false())
        given = {known: given[known] for known in _LEADING if known in given}
    index: tuple[ColumnElement[bool], ...] = ()
    for name, value in given.items():
        if not index and (name, value) not in (("outcome", "ok"), ("status", 200)):
            index = _leading(name, value)
            if name == "cache_verdict" and value != cause(str(value)):
                rest.append(requests.c.cache_verdict == value)
        else:
            rest.append(_same(name, value))
    return Path(
        index,
        tuple(rest),
        None if wanted.since is None else Spot(wanted.since, 0),
        None if wanted.until is None else Spot(wanted.until, 0),
    )


def conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    """The filter as conditions on rows that are found by another way."""
    found = _judged(wanted)
    found += [_same(name, value) for name in _LEADING if (value := _text(getattr(wanted, name))) is not None]
    if wanted.since is not None:
        found.append(requests.c.time >= wanted.since)
    if wanted.until is not None:
        found.append(requests.c.time < wanted.until)
    if search := _words(wanted):
        found.append(or_(requests.c.request_id == search, _mentions(search)))
    return found


async def step(
    connection: AsyncConnection, way: Path, after: Spot | None, limit: int, *, oldest_first: bool = False
) -> tuple[list[tuple[Spot, dict[str, Any]]], Spot | None]:
    """At most `limit` rows behind `after`, and the spot to go on from; None when that was all."""
    low, high = way.since, way.until  # the lower included, the upper not
    if after is not None:
        if oldest_first:
            low = max(low or after, Spot(after.time, after.id + 1))
        else:
            high = min(high or after, after)
    time, id_ = requests.c.time, requests.c.id
    order = (time, id_) if oldest_first else (time.desc(), id_.desc())
    end: Spot | None = None
    if way.rest:
        horizon = (
            select(time, id_)
            .where(*way.index, *_between(low, high))
            .order_by(*order)
            .offset(SCAN - 1)
            .limit(1)
        )
        if (last := (await connection.execute(horizon)).first()) is not None:
            end = Spot(last[0], last[1])
            if oldest_first:
                high = Spot(end.time, end.id + 1)
            else:
                low = end
    query = (
        select(time, id_, *_COLUMNS)
        .where(*way.index, *way.rest, *_between(low, high))
        .order_by(*order)
        .limit(limit + 1)
    )
    found = (await connection.execute(query)).all()
    rows = [(Spot(row[0], row[1]), shown(row[2:])) for row in found[:limit]]
    return rows, rows[-1][0] if len(found) > limit else end


def shown(values: Sequence[Any]) -> dict[str, Any]:
    """A row as people and programs get it, from the columns `SHOWN`."""
    told = list(values)
    told[_TIME] = instant(told[_TIME])
    for place in _LISTS:
        told[place] = [] if told[place] == "[]" else jsonio.parse(told[place].encode())
    for place in _MONEY:
        if told[place] is not None:
            told[place] /= 1e9
    return dict(zip(FIELDS, told, strict=True))


SHOWN = tuple(_COLUMNS)


def _between(low: Spot | None, high: Spot | None) -> list[ColumnElement[bool]]:
    place = tuple_(requests.c.time, requests.c.id)
    bounds: list[ColumnElement[bool]] = []
    if low is not None:
        bounds.append(place >= _literal(low))
    if high is not None:
        bounds.append(place < _literal(high))
    return bounds


def _literal(spot: Spot) -> Any:
    return tuple_(literal(spot.time, Float), literal(spot.id, BigInteger))


def _leading(name: str, value: str | int) -> tuple[ColumnElement[bool], ...]:
    """The condition as its index wants it; a partial index must see its own condition in the query."""
    if name == "cache_verdict":
        return (requests.c.cache_cause == cause(str(value)),)
    if name in _PARTIAL:
        return (requests.c[name] == value, requests.c[name] != _PARTIAL[name])
    return (requests.c[name] == value,)


def _same(name: str, value: str | int) -> ColumnElement[bool]:
    """The condition in a form that no index serves, so that the chosen one is taken."""
    if name == "status":
        return requests.c.status + 0 == value
    if name == "cache_verdict" and value == cause(str(value)):
        name = "cache_cause"
    return func.coalesce(requests.c[name], "") == value


def _judged(wanted: Filter) -> list[ColumnElement[bool]]:
    """Conditions without an index."""
    found: list[ColumnElement[bool]] = []
    if (lane := _text(wanted.lane)) is not None:
        found.append(requests.c.lane == lane)
    if (client := _text(wanted.client)) is not None:
        found.append(func.substr(requests.c.client, 1, len(str(client))) == client)
    return found


async def _meaning(connection: AsyncConnection, search: str) -> tuple[str | None, str]:
    """The column that a search names exactly, and its value; None where it is a part of some text."""
    exact = select(requests.c.id).where(requests.c.request_id == search).limit(1)
    if await connection.scalar(exact) is not None:
        return "request_id", search
    if _HASH.fullmatch(search):
        for name in ("session_hash", "conversation_hash"):
            column = requests.c[name]
            # Digits of a hash end below "g", in every collation.
            begun = select(column).where(column >= search, column < search + "g").order_by(column).limit(1)
            first = await connection.scalar(begun)
            if first is not None:
                another = await connection.scalar(begun.where(column > first))
                return (name, first) if another is None else (None, search)
    return None, search


def _mentions(search: str) -> ColumnElement[bool]:
    part = search.lower()
    columns = (
        requests.c.requested_model,
        requests.c.upstream_model,
        requests.c.client,
        requests.c.error_type,
    )
    told: list[ColumnElement[bool]] = [
        func.lower(column).contains(part, autoescape=True) for column in columns
    ]
    if _HASH.fullmatch(search):
        hashes = (requests.c.session_hash, requests.c.conversation_hash)
        told += [func.substr(column, 1, len(search)) == search for column in hashes]
    return or_(*told)


def _words(wanted: Filter) -> str:
    return str(_text(wanted.search) or "").strip()


def _text(value: str | int | None) -> str | int | None:
    """The value as rows hold it: text that no database takes is not in any row as it came."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
