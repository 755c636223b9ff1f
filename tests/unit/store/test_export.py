"""Rows as text for other programs: JSON lines in ASCII, CSV that a spreadsheet may open."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.store.export import csv_header, csv_lines, json_lines
from dragoman.store.walk import FIELDS

ROW: dict[str, Any] = dict.fromkeys(FIELDS) | {
    "request_id": "req_1",
    "time": "2026-07-03T12:00:00.000Z",
    "requested_model": 'müller, "best"\r\n',
    "attempts": [{"account": "hömé"}],
    "ignored_fields": [],
    "repaired": [],
    "status": 200,
    "cost_usd": 0.0015,
    "stream": True,
}


def read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def test_json_lines_are_one_ascii_object_each() -> None:
    """B100"""
    data = json_lines([ROW, ROW])
    assert data.isascii()
    assert data.count(b"\n") == 2
    assert [json.loads(line) for line in data.splitlines()] == [ROW, ROW]
    assert json_lines([]) == b""


def test_csv_has_a_header_and_a_cell_for_every_field() -> None:
    """RFC 4180: lines end in CRLF, quotes are doubled, line ends inside a cell are kept."""
    data = csv_header() + csv_lines([ROW])
    assert data.startswith(b"request_id,time,key,client,")
    assert data.endswith(b"\r\n")
    header, cells = read(data)
    found = dict(zip(header, cells, strict=True))
    assert tuple(header) == FIELDS
    assert found["requested_model"] == ROW["requested_model"]
    assert found["attempts"] == '[{"account":"h\\u00f6m\\u00e9"}]'
    assert found["ignored_fields"] == "[]"
    assert found["cost_usd"] == "0.0015"
    assert found["stream"] == "true"
    assert found["effort"] == ""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_text_is_a_formula(text: str) -> None:
    """Model names and clients are what anybody sends."""
    cells = dict(zip(FIELDS, read(csv_lines([ROW | {"requested_model": text}]))[0], strict=True))
    assert cells["requested_model"] == "'" + text


def test_a_number_stays_a_number() -> None:
    cells = dict(zip(FIELDS, read(csv_lines([ROW | {"queue_ms": -0.5}]))[0], strict=True))
    assert cells["queue_ms"] == "-0.5"


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
def test_any_text_comes_back(text: str) -> None:
    row = ROW | {"client": text}
    assert json.loads(json_lines([row])) == row
    cells = dict(zip(FIELDS, read(csv_lines([row]))[0], strict=True))
    assert cells["client"].removeprefix("'") == text.removeprefix("'")
