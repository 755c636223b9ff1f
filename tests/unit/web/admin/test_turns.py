"""A request's time as stretches that follow each other and add up to the whole of it."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.web.admin.turns import spans

ANSWERED: dict[str, Any] = {
    "account": "work",
    "attempts": [],
    "outcome": "ok",
    "queue_ms": 10.0,
    "connect_ms": 200.0,
    "first_byte_ms": 250.0,
    "first_token_ms": 900.0,
    "duration_ms": 2000.0,
}
FAILED = [{"account": "home", "cause": "overloaded", "status": 503, "code": None}]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, [("queue", 10), ("connect", 200), ("first_byte", 40), ("first_token", 650), ("rest", 1100)]),
        # The last attempt's answer came late because others had failed before.
        (
            {"attempts": FAILED, "first_byte_ms": 800.0},
            [("queue", 10), ("attempts", 590), ("connect", 200), ("first_token", 100), ("rest", 1100)],
        ),
        # The attempt that broke off behind its content is the one that is told.
        (
            {"attempts": FAILED, "outcome": "upstream_error"},
            [("queue", 10), ("connect", 200), ("first_byte", 40), ("first_token", 650), ("rest", 1100)],
        ),
        ({"first_token_ms": None}, [("queue", 10), ("connect", 200), ("first_byte", 40), ("rest", 1750)]),
        (
            {"first_byte_ms": None, "first_token_ms": None, "attempts": FAILED},
            [("queue", 10), ("attempts", 1990)],
        ),
        (
            {"first_byte_ms": None, "first_token_ms": None, "connect_ms": None},
            [("queue", 10), ("unanswered", 1990)],
        ),
        # No upstream was asked.
        ({"queue_ms": None, "account": ""}, [("gateway", 2000)]),
        ({"account": "", "queue_ms": 1990.0}, [("queue", 1990), ("gateway", 10)]),
        ({"account": "", "queue_ms": 2000.0}, [("queue", 2000)]),
        ({"duration_ms": None}, []),
        # Clocks that contradict each other are cut, not added.
        (
            {"first_byte_ms": 100.0, "first_token_ms": 90.0, "connect_ms": 5000.0},
            [("queue", 10), ("connect", 1990), ("first_byte", 0), ("first_token", 0), ("rest", 0)],
        ),
    ],
)
def test_the_stretches_of_a_request(change: dict[str, Any], found: list[tuple[str, float]]) -> None:
    row = ANSWERED | change
    assert spans(row) == found
    if found:
        assert sum(ms for _, ms in found) == row["duration_ms"]
