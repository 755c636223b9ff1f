from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.translate.messages.waits import LONGEST, span, wait

NOW = 1_780_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1.2s", 1.2),
        ("250ms", 0.25),
        ("6m0s", 360.0),
        ("1h2m3s", 3723.0),
        ("1 day, 2 hours", 93600.0),
        ("3 minutes and 5 seconds", 185.0),
        ("5 milliseconds", 0.005),
        ("2 MINS", 120.0),
        ("", None),
        ("soon", None),
        ("5 monkeys", None),
    ],
)
def test_spans_of_time_are_read(text: str, seconds: float | None) -> None:
    assert span(text) == (pytest.approx(seconds) if seconds is not None else None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please try again in 20s.", 20.0),
        ("Please try again in 1m2.5s. Thanks", 62.5),
        ("try again in 1 hour and 5 minutes, or pay", 3900.0),
        ("Retry after 3 seconds", 3.0),
        ("limit resets in 2 days", 172800.0),
        ("try again in a while", None),
        ("try again in 5 parsecs", None),
        ("20s", None),
    ],
)
def test_a_wait_in_a_sentence(text: str, seconds: float | None) -> None:
    assert wait({}, {}, text, NOW) == seconds


@pytest.mark.parametrize(
    ("error", "headers", "seconds"),
    [
        ({"resets_in_seconds": 3600}, {}, 3600.0),
        ({"resets_in_seconds": "90"}, {}, 90.0),
        ({"resets_at": NOW + 60}, {}, 60.0),
        ({"resets_at": (NOW + 60) * 1000}, {}, 60.0),
        ({"resets_at": NOW - 60}, {}, 0.0),
        ({"resets_at": NOW + 400 * 86400}, {}, LONGEST),
        ({"resets_in_seconds": -5}, {}, 0.0),
        ({"resets_in_seconds": float("inf")}, {}, LONGEST),
        ({"resets_in_seconds": float("nan"), "resets_at": NOW + 5}, {}, 5.0),
        ({"resets_in_seconds": True}, {}, None),
        ({"resets_in_seconds": []}, {}, None),
        ({"resets_in_seconds": 10**400}, {}, None),
        ({"resets_in_seconds": 7}, {"retry-after": "9"}, 7.0),
        ({}, {"retry-after": "9"}, 9.0),
        ({}, {"retry-after": "1.5"}, 1.5),
        ({}, {"retry-after": "soon"}, None),
        ({}, {"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({}, {"retry-after": "Thu, 28 May 2026 20:26:50 GMT"}, 10.0),
        ({}, {"retry-after": "Thu, 28 Mai 2026 20:26:50 GMT"}, None),
        ({}, {"retry-after": "Thu, 31 Feb 2026 20:26:50 GMT"}, None),
        ({}, {"x-codex-primary-used-percent": "100", "x-codex-primary-reset-after-seconds": "30"}, 30.0),
        ({}, {"x-codex-secondary-used-percent": "101", "x-codex-secondary-reset-at": str(NOW + 9)}, 9.0),
        ({}, {"x-codex-primary-used-percent": "99", "x-codex-primary-reset-after-seconds": "30"}, None),
        ({}, {"x-codex-primary-used-percent": "", "x-codex-primary-reset-after-seconds": "30"}, None),
        ({}, {"x-codex-primary-used-percent": "100"}, None),
        ({}, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        ({}, {"x-ratelimit-remaining-tokens": "1", "x-ratelimit-reset-tokens": "6m0s"}, None),
        ({}, {"x-ratelimit-remaining-requests": "0"}, None),
    ],
)
def test_where_a_wait_is_found(error: dict[str, Any], headers: dict[str, str], seconds: float | None) -> None:
    """behaviours E3, B82: never before 0, never beyond eight days."""
    assert wait(error, headers, "", NOW) == seconds


def test_without_a_clock_absolute_times_say_nothing() -> None:
    headers = {"retry-after": "Thu, 28 May 2026 20:26:50 GMT"}
    assert wait({"resets_at": NOW + 60}, headers, "", None) is None
    assert wait({"resets_at": NOW + 60}, {"retry-after": "4"}, "", None) == 4.0


@given(st.dictionaries(st.sampled_from(["resets_at", "resets_in_seconds"]), st.floats() | st.integers()))
def test_any_figures_give_a_sane_wait(error: dict[str, Any]) -> None:
    found = wait(error, {}, "", NOW)
    assert found is None or 0 <= found <= LONGEST
