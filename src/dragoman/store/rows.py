"""The request log: a row in, its sums with it, and both only once.

It decides how a Row becomes columns and how rows of one batch become hourly sums. Lists are JSON text; client
text is cut to what a column holds. Reading the log is `reading.py`'s, sums are `usage.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import Insert, String, insert, select

from dragoman.gateway.ports import Row
from dragoman.store.core import AsyncConnection
from dragoman.store.engine import driver, insertion
from dragoman.store.tables import requests, usage_hours
from dragoman.wire import jsonio

# Plain strings: the names of columns are a class of their own, which JSON keys must not be.
_COLUMNS = tuple(str(column.name) for column in requests.columns if column.name != "id")
_NAMES = tuple(name for name in _COLUMNS if name != "cache_cause")
_read = attrgetter(*_NAMES)
_LISTS = ("attempts", "ignored_fields", "repaired")
_WIDTHS = {
    str(column.name): column.type.length
    for column in requests.columns
    if isinstance(column.type, String) and column.type.length is not None
}
_CLIENT_TEXT = tuple(
    (name, _WIDTHS[name])
    for name in ("request_id", "client", "requested_model", "upstream_model", "key", "account")
)
_KNOWN = (
    "uid",
    "request_id",
    "time",
    "key",
    "client",
    "route",
    "requested_model",
    "upstream_model",
    "account",
    "lineage",
    "session_hash",
    "conversation_hash",
    "lane",
    "stream",
)
_read_known = attrgetter(*_KNOWN)
_DIMENSIONS = ("hour", "key", "requested_model", "upstream_model", "account", "outcome")
_SUMS = tuple(str(column.name) for column in usage_hours.columns if column.name not in _DIMENSIONS)
HOUR = 3600


def columns(row: Row) -> dict[str, Any]:
    """The row as values of the table's columns."""
    values: dict[str, Any] = dict(zip(_NAMES, _read(row), strict=True))
    for name in _LISTS:
        values[name] = jsonio.dump(values[name]).decode() if values[name] else "[]"
    _fit(values)
    values["cache_cause"] = None if row.cache_verdict is None else cause(row.cache_verdict)
    return values


def begun(row: Row) -> dict[str, Any]:
    """What is known of a request when it is accepted; `aborted` makes a final row of it."""
    values: dict[str, Any] = dict(zip(_KNOWN, _read_known(row), strict=True))
    _fit(values)
    return values


def cause(verdict: str) -> str:
    """The cache verdict without its number: `messages_changed` of `messages_changed(3)`."""
    return verdict.partition("(")[0]


def _fit(values: dict[str, Any]) -> None:
    for name, width in _CLIENT_TEXT:
        text = values[name]
        if len(text) > width or "\0" in text:  # PostgreSQL takes no NUL in a text
            values[name] = text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:width]


def compacted(values: dict[str, Any]) -> dict[str, Any]:
    """The same settlement without what only explains it: kept when there is too much to keep."""
    return {**values, "attempts": "[]", "ignored_fields": "[]", "repaired": "[]", "cache_story": None}


def aborted(begun_row: dict[str, Any]) -> dict[str, Any]:
    """The final row of a request whose process died: nothing is known of what it used, nothing is charged."""
    return {
        **_EMPTY,
        **{name: value for name, value in begun_row.items() if name in _EMPTY},
        "outcome": "aborted",
        "status": 500,
        "error_type": "api_error",
        "usage_source": "none",
    }


_EMPTY = columns(Row("", 0.0))


async def add(connection: AsyncConnection, batch: Sequence[dict[str, Any]], *, doubt: bool = True) -> int:
    """Writes the rows of a batch that are not there yet, with their sums; returns how many were new.

    Without `doubt` the caller knows that none of them was ever sent to the database.
    """
    fresh = batch
    if doubt:
        uids = [values["uid"] for values in batch]
        known = set(await connection.scalars(select(requests.c.uid).where(requests.c.uid.in_(uids))))
        fresh = list({values["uid"]: values for values in batch if values["uid"] not in known}.values())
    if not fresh:
        return 0
    dialect = connection.dialect.name
    # Past the statement's own handling of parameters, which costs as much as the rest: types are plain here.
    statement, take = _inserting(dialect)
    await connection.exec_driver_sql(statement, [take(values) for values in fresh])
    await connection.execute(_adding(dialect), _sums(fresh))
    return len(fresh)


def ended(values: dict[str, Any]) -> float:
    """When a request ended, in epoch seconds: the moment its consumption counts from."""
    return float(values["time"]) + (values["duration_ms"] or 0.0) / 1000


def counted(values: dict[str, Any]) -> tuple[int, str, str]:
    """Where the sums have a row that was counted: hour, key and requested model."""
    # A name that led nowhere is a client's free text: it does not get a line of its own in the sums.
    requested = values["requested_model"] if values["upstream_model"] else ""
    return int(ended(values)) // HOUR * HOUR, values["key"], requested


def _sums(batch: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    sums: dict[tuple[Any, ...], dict[str, Any]] = {}
    for values in batch:
        place = (*counted(values), values["upstream_model"], values["account"], values["outcome"])
        total = sums.get(place)
        if total is None:
            total = sums[place] = dict(zip(_DIMENSIONS, place, strict=True)) | dict.fromkeys(_SUMS, 0)
        total["requests"] += 1
        total["counted"] += values["usage_source"] != "none"
        for name in ("input_tokens", "cached_tokens", "written_tokens", "output_tokens", "reasoning_tokens"):
            total[name] += values[name]
        total["cost_nano"] += values["cost_nano"] or 0
        total["anthropic_cost_nano"] += values["anthropic_cost_nano"] or 0
        total["unpriced"] += values["cost_nano"] is None and values["usage_source"] != "none"
        total["estimated"] += values["usage_source"] == "estimated"
        total["duration_ms"] += values["duration_ms"] or 0.0
        if values["first_token_ms"] is not None:
            total["first_token_ms"] += values["first_token_ms"]
            total["first_tokens"] += 1
    # In one order everywhere, so that two writers of one PostgreSQL never wait for each other in a circle.
    return [sums[place] for place in sorted(sums)]


@cache
def _inserting(dialect: str) -> tuple[str, Callable[[dict[str, Any]], tuple[Any, ...]]]:
    """The INSERT as its driver wants it, and what takes a row's values in the order of its places."""
    compiled = insert(requests).values(dict.fromkeys(_COLUMNS)).compile(dialect=driver(dialect))
    return str(compiled), itemgetter(*(compiled.positiontup or ()))


@cache
def _adding(dialect: str) -> Insert:
    statement = insertion(dialect, usage_hours)
    grown = {name: usage_hours.c[name] + statement.excluded[name] for name in _SUMS}
    found: Insert = statement.on_conflict_do_update(index_elements=list(_DIMENSIONS), set_=grown)
    return found
