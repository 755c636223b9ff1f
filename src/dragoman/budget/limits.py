"""What a client key may still use: reserve before a request, settle after it.

It decides what is refused and what is reserved, for all limits of a key together or not at all. It never asks
a clock and stores nothing: what was used before the process began is loaded into it. One event loop owns a
key's meters; nothing here may be called from two threads at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from dragoman.budget.terms import MEASURES, PERIODS, Amounts, Limit, Measure, limit_table, parse_limit
from dragoman.budget.windows import Period, ends, start, window

__all__ = [
    "MEASURES",
    "PERIODS",
    "Amounts",
    "Limit",
    "Line",
    "Measure",
    "Meter",
    "Meters",
    "Period",
    "Reservation",
    "Spent",
    "ends",
    "limit_table",
    "parse_limit",
    "ratelimit_headers",
    "reset_text",
    "start",
]

# Names are the clients' text: only so many, of such a length, are kept with the meters that they fall under.
_NAMES = 256
_NAME_LENGTH = 200
# The header fields of each measure that has them.
_FIELDS: dict[Measure, tuple[str, str, str]] = {
    measure: tuple(  # type: ignore[misc]
        f"anthropic-ratelimit-{measure.replace('_', '-')}-{what}" for what in ("limit", "remaining", "reset")
    )
    for measure in MEASURES
    if measure != "cost_usd"
}
# How long to wait for requests in flight, in seconds: nobody knows when they end.
_SOON = 1.0


class Line(NamedTuple):
    """A limit as it stands: what is settled, held by open requests, and free; when more becomes free."""

    limit: Limit
    used: int
    held: int
    remaining: int
    resets_at: float | None


class Spent(NamedTuple):
    """A refusal, by the limit that takes longest to free anything.

    resets_at, wait_seconds  when to ask again, in epoch seconds and from now; None: waiting does not help
    held                     what is left is held by open requests, and mostly given back when they end
    """

    limit: Limit
    remaining: int
    resets_at: float | None
    wait_seconds: float | None
    held: bool = False


class Meter:
    """The state of one limit of one key: what is settled in its window, and what open requests hold.

    A reservation counts from its admission until it is settled or released, in whichever window that falls; a
    settled amount counts from the time of settlement. Figures below zero count as zero. `elsewhere` is what
    open requests of other processes hold, as last heard.
    """

    __slots__ = ("_window", "elsewhere", "held", "limit")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.held = 0
        self.elsewhere = 0
        self._window = window(limit.per)

    def load(self, parts: Iterable[tuple[float, int]]) -> None:
        """Counts what was settled elsewhere, (epoch seconds, amount) in any order, in addition."""
        self._window.load((at, max(0, amount)) for at, amount in parts)

    def used(self, now: float) -> int:
        """What is settled in the window of `now`."""
        return self._window.total(now)

    def remaining(self, now: float) -> int:
        """What is neither settled nor held; never below zero."""
        return max(0, self._left(now))

    def reserve(self, wanted: int, now: float) -> int | None:
        """Holds what is wanted or, where less remains, all of that. None where nothing remains."""
        left = self._left(now)
        if left <= 0:
            return None
        kept = min(left, max(0, wanted))
        self.held += kept
        return kept

    def settle(self, reserved: int, amount: int, now: float) -> None:
        """Counts what a request really used, instead of what was reserved for it."""
        self.release(reserved)
        self.add(amount, now)

    def add(self, amount: int, now: float) -> None:
        """Counts an amount for which nothing is held."""
        self._window.add(max(0, amount), now)

    def release(self, reserved: int) -> None:
        """Gives back what was reserved."""
        self.held = max(0, self.held - reserved)

    def resets_at(self, now: float) -> float | None:
        """When the window ends or, of one that slides, gives anything free; None where it never does.

        In a sliding window that open requests alone fill, a moment from now.
        """
        if not self.limit.max or self.limit.per == "total":
            return None
        frees = self._window.frees_at(self.limit.max, now)
        if frees is None:
            return now + _SOON if self.held + self.elsewhere else now
        return max(now, frees)

    def retry_at(self, now: float) -> tuple[float | None, bool]:
        """When a refused request may succeed (None: waiting does not help), and whether others hold it up."""
        # What requests in flight hold of tokens and money is mostly given back, of requests it never is.
        used = self._window.total(now)
        if self.limit.measure != "requests" and used < self.limit.max:
            return now + _SOON, True
        slides = self.limit.per != "total" and ends(self.limit.per, now) is None
        return self.resets_at(now), slides and not used and self.limit.max > 0

    def line(self, now: float) -> Line:
        """The limit as it stands."""
        used, held = self._window.total(now), self.held + self.elsewhere
        return Line(self.limit, used, held, max(0, self.limit.max - used - held), self.resets_at(now))

    def _left(self, now: float) -> int:
        return self.limit.max - self._window.total(now) - self.held - self.elsewhere


class Reservation:
    """What one request holds of its key's limits, until it is settled or released; only the first counts."""

    __slots__ = ("_kept", "_meters", "_owner", "_requested", "done")

    def __init__(self, owner: Meters, requested: str, meters: Sequence[Meter], kept: Sequence[int]) -> None:
        self._owner = owner
        self._requested = requested
        self._meters = meters
        self._kept = kept
        self.done = False

    @property
    def parts(self) -> list[tuple[Limit, int]]:
        """Each limit that the request falls under, with what was reserved of it."""
        return [(meter.limit, kept) for meter, kept in zip(self._meters, self._kept, strict=True)]

    def settle(self, actual: Amounts, now: float) -> None:
        """Counts what the request really used, also under limits that came while it ran."""
        if not self.done:
            self.release()
            self._owner.count(self._requested, actual, now)

    def release(self) -> None:
        """Gives everything back: the request used nothing."""
        if not self.done:
            self.done = True
            for meter, kept in zip(self._meters, self._kept, strict=True):
                meter.release(kept)


class Meters:
    """All limits of one key."""

    def __init__(self, limits: Iterable[Limit] = ()) -> None:
        self._meters = [Meter(limit) for limit in limits]
        self._matching: dict[str, tuple[Meter, ...]] = {}

    def __iter__(self) -> Iterator[Meter]:
        return iter(self._meters)

    def reserve(self, requested: str, estimate: Amounts, now: float) -> Reservation | Spent:
        """Reserves under every limit that the requested name falls under, or under none."""
        meters = self.matching(requested)
        kept: list[int] = []
        for meter in meters:
            got = meter.reserve(estimate.of(meter.limit.measure), now)
            if got is None:
                Reservation(self, requested, meters[: len(kept)], kept).release()
                return _spent(meters, now)
            kept.append(got)
        return Reservation(self, requested, meters, kept)

    def count(self, requested: str, actual: Amounts, now: float) -> None:
        """Counts what a request used, for which nothing is held."""
        for meter in self.matching(requested):
            meter.add(actual.of(meter.limit.measure), now)

    def matching(self, requested: str) -> tuple[Meter, ...]:
        """The meters that a requested name falls under."""
        meters = self._matching.get(requested)
        if meters is None:
            meters = tuple(meter for meter in self._meters if meter.limit.matches(requested))
            if len(requested) <= _NAME_LENGTH:
                if len(self._matching) >= _NAMES:
                    self._matching.clear()
                self._matching[requested] = meters
        return meters

    def counts_money(self, requested: str) -> bool:
        """Whether a requested name falls under a limit of money, so that its price must be known."""
        return any(meter.limit.measure == "cost_usd" for meter in self.matching(requested))

    def lines(self, now: float, requested: str | None = None) -> list[Line]:
        """Every limit as it stands, or those that a requested name falls under, in their order."""
        meters = self._meters if requested is None else self.matching(requested)
        return [meter.line(now) for meter in meters]

    def replace(self, limits: Iterable[Limit]) -> list[Meter]:
        """Takes other limits; those that stay the same but for their maximum keep what they counted.

        Returns the meters that are new and know of nothing yet. Open reservations go on as they are.
        """
        kept: dict[tuple[str, str, str | None], list[Meter]] = {}
        for meter in self._meters:
            kept.setdefault(_what(meter.limit), []).append(meter)
        self._meters.clear()
        self._matching.clear()
        fresh = []
        for limit in limits:
            if same := kept.get(_what(limit)):
                meter = same.pop(0)
                meter.limit = limit
            else:
                meter = Meter(limit)
                fresh.append(meter)
            self._meters.append(meter)
        return fresh


def _what(limit: Limit) -> tuple[str, str, str | None]:
    return limit.measure, limit.per, limit.models


def _spent(meters: Iterable[Meter], now: float) -> Spent:
    """The refusal of those meters that have nothing left."""
    waits = [(meter.limit, *meter.retry_at(now)) for meter in meters if not meter.remaining(now)]
    limit, at, held = max(waits, key=lambda wait: math.inf if wait[1] is None else wait[1])
    return Spent(limit, 0, at, None if at is None else at - now, held)


def ratelimit_headers(lines: Iterable[Line], now: float) -> dict[str, str]:
    """`anthropic-ratelimit-*` of limits of requests and tokens; of several the one with the least share.

    A limit that never resets has no `-reset`.
    """
    tightest: dict[Measure, Line] = {}
    for line in lines:
        measure = line.limit.measure
        if measure != "cost_usd" and (measure not in tightest or _share(line) < _share(tightest[measure])):
            tightest[measure] = line
    fields = {}
    for measure, line in tightest.items():
        limit, remaining, reset = _FIELDS[measure]
        fields[limit] = str(line.limit.max)
        fields[remaining] = str(line.remaining)
        if line.resets_at is not None:
            fields[reset] = reset_text(max(now, line.resets_at))
    return fields


def reset_text(at: float) -> str:
    """A time to wait for, as RFC 3339: in the next whole second, because in this one it is too early."""
    return _rfc3339(math.ceil(at))


def _share(line: Line) -> tuple[float, int]:
    return (line.remaining / line.limit.max if line.limit.max else 0.0), line.remaining


@lru_cache(maxsize=256)
def _rfc3339(at: int) -> str:
    """Every answer tells the few same times."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}Z"
