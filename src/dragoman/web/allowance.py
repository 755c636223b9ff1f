"""What a client key may still use, told to its holder: `/v1/usage`, and in the shape that Codex asks for.

It tells of the key's own limits and of nothing else: not of other keys, not of the accounts behind the
gateway. Amounts of money are in US dollars, times in ISO 8601, in Codex's shape in epoch seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from dragoman.budget.limits import Line, reset_text
from dragoman.budget.terms import limit_table
from dragoman.gateway.house import House
from dragoman.web import reply
from dragoman.web.incoming import Incoming

NANO = 1_000_000_000
_SECONDS = {"minute": 60, "hour": 3600, "5h": 18_000, "day": 86_400, "week": 604_800, "month": 2_592_000}
# Codex shows two windows: one that is over soon, one that lasts.
_SHORT = ("5h", "hour", "day", "minute")
_LONG = ("week", "month")


class AllowanceDoor:
    """Answers the holder of a key. `codex` chooses the shape."""

    def __init__(self, house: House, *, codex: bool) -> None:
        self._house = house
        self._codex = codex

    async def __call__(self, incoming: Incoming) -> None:
        house = self._house
        principal = house.keys.authenticate(incoming.headers)
        meters = house.admission.keys.get(principal.name)
        now = house.clock.now()
        lines = [] if meters is None else meters.lines(now)
        told = _codex(lines, now) if self._codex else _usage(principal.name, principal.expires_at, lines)
        await reply.send_json(incoming.send, 200, told, reply.id_fields(incoming.request_id, "openai"))


def _usage(name: str, expires_at: float | None, lines: Iterable[Line]) -> dict[str, Any]:
    return {
        "object": "usage",
        "key": name,
        "expires_at": _iso(expires_at),
        "limits": [_limit(line) for line in lines],
    }


def _limit(line: Line) -> dict[str, Any]:
    money = line.limit.measure == "cost_usd"

    def figure(amount: int) -> float | int:
        return amount / NANO if money else amount

    return {
        **limit_table(line.limit),
        "used": figure(line.used),
        "held": figure(line.held),
        "remaining": figure(line.remaining),
        "resets_at": None if line.resets_at is None else reset_text(line.resets_at),
    }


def _codex(lines: Sequence[Line], now: float) -> dict[str, Any]:
    """The two windows in which least is left, as the backend tells of an account's; null where none is."""
    return {
        "plan_type": "unknown",
        "rate_limit": {
            "allowed": all(line.remaining > 0 for line in lines),
            "limit_reached": any(line.remaining <= 0 for line in lines),
            "primary_window": _window(lines, _SHORT, now),
            "secondary_window": _window(lines, _LONG, now),
        },
        "credits": None,
        "additional_rate_limits": [],
    }


def _window(lines: Sequence[Line], periods: Sequence[str], now: float) -> dict[str, Any] | None:
    found = [line for line in lines if line.limit.per in periods]
    if not found:
        return None
    line = min(found, key=lambda one: one.remaining / one.limit.max if one.limit.max else 0.0)
    most = line.limit.max
    used = 100 if not most else min(100, round(100 * (most - line.remaining) / most))
    seconds = _SECONDS[line.limit.per]
    resets = now + seconds if line.resets_at is None else line.resets_at
    return {
        "used_percent": used,
        "limit_window_seconds": seconds,
        "reset_after_seconds": max(0, math.ceil(resets - now)),
        "reset_at": math.ceil(resets),
    }


def _iso(at: float | None) -> str | None:
    return None if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
