"""What the holder of a key is told of its limits, in Codex's shape."""

from __future__ import annotations

from dragoman.budget.limits import Line
from dragoman.budget.terms import Limit
from dragoman.web.allowance import _codex, _usage


def line(per: str, most: int, remaining: int, resets_at: float | None = None) -> Line:
    return Line(Limit("requests", per, most), most - remaining, 0, remaining, resets_at)  # type: ignore[arg-type]


def test_of_several_the_one_with_the_least_share_is_shown() -> None:
    told = _codex([line("5h", 100, 50), line("day", 10, 1, 150.0), line("month", 10, 10)], 100.0)[
        "rate_limit"
    ]
    assert told["primary_window"] == {
        "used_percent": 90,
        "limit_window_seconds": 86_400,
        "reset_after_seconds": 50,
        "reset_at": 150,
    }
    assert told["secondary_window"]["used_percent"] == 0
    assert told["secondary_window"]["reset_at"] == 100 + 2_592_000
    assert (told["allowed"], told["limit_reached"]) == (True, False)


def test_a_reset_within_a_second_is_told_as_the_next_one() -> None:
    """As the headers tell it: at an earlier one nothing is free."""
    lines = [line("minute", 10, 0, 150.2)]
    window = _codex(lines, 100.0)["rate_limit"]["primary_window"]
    assert (window["reset_after_seconds"], window["reset_at"]) == (51, 151)
    assert _usage("laptop", None, lines)["limits"][0]["resets_at"] == "1970-01-01T00:02:31Z"


def test_a_limit_of_nothing_is_reached() -> None:
    told = _codex([line("hour", 0, 0)], 0.0)["rate_limit"]
    assert told["primary_window"]["used_percent"] == 100
    assert (told["allowed"], told["limit_reached"], told["secondary_window"]) == (False, True, None)


def test_a_limit_for_ever_has_no_window() -> None:
    told = _codex([line("total", 10, 5)], 0.0)["rate_limit"]
    assert told["primary_window"] is None and told["secondary_window"] is None and told["allowed"]
