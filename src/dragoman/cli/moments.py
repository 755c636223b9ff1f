"""Times on the command line: durations, ends of keys, and how a moment is shown.

Whoever writes a day means it to its end, in UTC; what is shown is always UTC and says so.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from dragoman.cli.options import MISUSED, Stop

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# A hundred years: beyond that somebody has mistaken the unit.
_LONGEST = 36_525 * 86_400


def duration(option: str, text: str) -> float:
    """Seconds of `30d`, `24h`, `90m`, `45s`, `2w` or `0`. Raises Stop naming the option."""
    word = text.strip().lower()
    if word == "0":
        return 0.0
    found = _DURATION.fullmatch(word)
    if found is None:
        raise Stop(f"{option} {text!r}: must be a duration such as 30d, 24h or 90m", MISUSED)
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST:
        raise Stop(f"{option} {text!r}: must be a hundred years at most", MISUSED)
    return float(seconds)


def end(option: str, text: str, now: float) -> float:
    """Epoch seconds of a duration from now, a day (its end), or a moment with its zone. Raises Stop."""
    word = text.strip()
    at = now + duration(option, word) if _DURATION.fullmatch(word.lower()) else _moment(option, word)
    if at <= now:
        raise Stop(f"{option} {text!r}: lies in the past", MISUSED)
    if at - now > _LONGEST:
        raise Stop(f"{option} {text!r}: must be a hundred years at most", MISUSED)
    return at


def _moment(option: str, word: str) -> float:
    try:
        moment = datetime.fromisoformat(word)
        if _DAY.fullmatch(word):
            return (moment.replace(tzinfo=UTC) + timedelta(days=1)).timestamp()
        if moment.tzinfo is None:
            raise Stop(f"{option} {word!r}: needs a time zone, for example {word}Z", MISUSED)
        return moment.timestamp()
    except (ValueError, OverflowError):
        raise Stop(
            f"{option} {word!r}: must be a duration such as 30d, a day such as 2027-01-31, "
            "or a moment such as 2027-01-31T12:00:00Z",
            MISUSED,
        ) from None


def iso(at: float | None) -> str | None:
    """`2027-01-31T00:00:00Z`."""
    return None if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def shown(at: float | None, absent: str = "-") -> str:
    """`2027-01-31 00:00 UTC`, for people."""
    return absent if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
