"""How long an upstream asks to wait, from headers, bodies and sentences.

Every source is optional and none is trusted: a wait is a finite number of seconds between 0 and eight
days, anything else is as if it were not there. The clock comes in as `now` (epoch seconds); without it
absolute times say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

LONGEST = 8 * 24 * 3600.0

_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(
    r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)(?![a-z])",
    re.I,
)
_SENTENCE = re.compile(
    r"(?:try again|retry|resets?)\s+(?:in|after)\s+((?:\d+(?:\.\d+)?\s*[a-z]+[\s,]*(?:and\s+)?)+)", re.I
)
_HTTP_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MILLISECONDS_FROM = 1e11  # an epoch time beyond this is given in milliseconds


def wait(error: Mapping[str, Any], headers: Mapping[str, str], text: str, now: float | None) -> float | None:
    """Seconds to wait, or None. The error's own reset first, then headers, the sentence, spent windows."""
    for seconds in _candidates(error, headers, text, now):
        if seconds is not None and seconds == seconds:  # not NaN
            return min(max(seconds, 0.0), LONGEST)
    return None


def _candidates(
    error: Mapping[str, Any], headers: Mapping[str, str], text: str, now: float | None
) -> Iterator[float | None]:
    yield _number(error.get("resets_in_seconds"))
    yield _until(_number(error.get("resets_at")), now)
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        yield milliseconds / 1000
    yield _retry_after(headers.get("retry-after", ""), now)
    if sentence := _SENTENCE.search(text):
        yield span(sentence[1])
    yield _spent_windows(headers, now)
    yield _spent_limits(headers)


def span(text: str) -> float | None:
    """Seconds of `1.2s`, `6m0s`, `120ms`, `1 day, 2 hours`; None where there is no such figure."""
    found = _SPAN.findall(text)
    if not found:
        return None
    return sum(
        float(figure) * _UNIT["ms" if (u := unit.lower()).startswith(("ms", "mil")) else u[0]]
        for figure, unit in found
    )


def _retry_after(value: str, now: float | None) -> float | None:
    if date := _HTTP_DATE.fullmatch(value.strip()):
        day, month, year, hour, minute, second = date.groups()
        if month not in _MONTHS:
            return None
        try:
            moment = datetime(
                int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC
            )
        except ValueError:
            return None
        return _until(moment.timestamp(), now)
    return _number(value)


def _spent_windows(headers: Mapping[str, str], now: float | None) -> float | None:
    """The later reset of the ChatGPT windows that are used up; which slot is which does not matter."""
    resets = []
    for slot in ("primary", "secondary"):
        used = _number(headers.get(f"x-codex-{slot}-used-percent"))
        if used is None or used < 100:
            continue
        reset = _number(headers.get(f"x-codex-{slot}-reset-after-seconds"))
        if reset is None:
            reset = _until(_number(headers.get(f"x-codex-{slot}-reset-at")), now)
        if reset is not None:
            resets.append(reset)
    return max(resets, default=None)


def _spent_limits(headers: Mapping[str, str]) -> float | None:
    resets = [
        reset
        for what in ("requests", "tokens")
        if _number(headers.get(f"x-ratelimit-remaining-{what}")) == 0
        and (reset := span(headers.get(f"x-ratelimit-reset-{what}", ""))) is not None
    ]
    return max(resets, default=None)


def _until(moment: float | None, now: float | None) -> float | None:
    if moment is None or now is None:
        return None
    return (moment / 1000 if moment > _MILLISECONDS_FROM else moment) - now


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
