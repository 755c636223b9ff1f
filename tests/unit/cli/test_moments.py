"""Durations and ends of keys, as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dragoman.cli import moments
from dragoman.cli.options import MISUSED, Stop

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("45s", 45),
        ("90m", 5400),
        ("24h", 86_400),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
        (" 1D ", 86_400),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert moments.duration("--overlap", text) == seconds


@pytest.mark.parametrize("text", ["", "30", "-1d", "1.5h", "1y", "d", "1d2h", "99999999w", "٣d"])
def test_what_is_no_duration_names_the_option(text: str) -> None:
    with pytest.raises(Stop, match="--overlap") as stop:
        moments.duration("--overlap", text)
    assert stop.value.code == MISUSED


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("1d", "2027-01-02T12:00:00Z"),
        ("2027-01-31", "2027-02-01T00:00:00Z"),
        ("2027-01-01", "2027-01-02T00:00:00Z"),
        ("2027-01-31T06:00:00Z", "2027-01-31T06:00:00Z"),
        ("2027-01-31T06:00+02:00", "2027-01-31T04:00:00Z"),
    ],
)
def test_a_key_ends_after_a_while_with_its_day_or_at_a_moment(text: str, end: str) -> None:
    assert moments.iso(moments.end("--expires", text, NOW)) == end


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-12-31", "lies in the past"),
        ("0d", "lies in the past"),
        ("2027-01-01T12:00:00Z", "lies in the past"),
        ("2027-01-31T06:00:00", "needs a time zone"),
        ("2027-02-30", "must be a duration such as"),
        ("tomorrow", "must be a duration such as"),
        ("", "must be a duration such as"),
        ("9999-12-31", "must be a duration such as|hundred years"),
        ("2500-01-01", "hundred years"),
    ],
)
def test_what_is_no_end_says_why(text: str, why: str) -> None:
    with pytest.raises(Stop, match=why) as stop:
        moments.end("--expires", text, NOW)
    assert stop.value.code == MISUSED
    assert str(stop.value).startswith("--expires")


def test_moments_are_shown_in_utc() -> None:
    assert moments.shown(NOW) == "2027-01-01 12:00 UTC"
    assert moments.shown(None, "never") == "never"
    assert moments.iso(None) is None
