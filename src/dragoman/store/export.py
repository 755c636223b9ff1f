"""Rows of the request log as text for other programs: JSON lines and CSV.

JSON lines are pure ASCII, one object a line. CSV is RFC 4180 in UTF-8 with a header; a text that a
spreadsheet would take for a formula gets an apostrophe in front, a number never. It touches no file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from dragoman.store.walk import FIELDS
from dragoman.wire import jsonio

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """One object a line."""
    return b"".join(jsonio.dump_ascii(row) + b"\n" for row in rows)


def csv_header() -> bytes:
    """The names of the columns."""
    return _csv([FIELDS])


def csv_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """One record a row; lists are JSON, what is unknown is empty."""
    return _csv([_cell(row[name]) for name in FIELDS] for row in rows)


def _csv(records: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(records)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return jsonio.dump_ascii(value).decode()
    return value
