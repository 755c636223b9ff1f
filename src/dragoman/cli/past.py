"""Moments that lie behind, as people type them: `7d` ago, or a date. It asks no clock: `now` comes in."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_AGO = re.compile(r"(\d{1,9})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DATE = re.compile(r"\d{4}-\d\d-\d\d([Tt ].+)?")


def moment(text: str, now: float) -> float:
    """Epoch seconds of `90s`, `30m`, `24h`, `7d` or `2w` before `now`, or of an RFC 3339 date or time.

    A time without an offset is UTC; the result is never before 1970. Raises ValueError.
    """
    text = text.strip()
    if (ago := _AGO.fullmatch(text)) is not None:
        return max(0.0, now - int(ago[1]) * _SECONDS[ago[2]])
    try:
        if _DATE.fullmatch(text) is None:
            raise ValueError
        found = datetime.fromisoformat(text.upper())
        return max(0.0, (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is neither a duration such as 7d or 24h nor a date such as 2026-07-31 "
            "or 2026-07-31T12:00:00Z"
        ) from None
