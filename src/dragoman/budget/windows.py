"""The windows that limits count in: where they begin and end, and what was used inside of them.

Minute, hour and 5h slide; day, week (from Monday) and month follow the calendar in UTC; total never ends. It
never asks a clock: times are epoch seconds that come in, and one that runs back neither opens a closed window
nor stops the current one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, Protocol

Period = Literal["minute", "hour", "5h", "day", "week", "month", "total"]

# Seconds of the windows that slide. They are counted in parts of a six-hundredth; a part is forgotten as soon
# as any of it has left the window, so that an amount counts for up to that much shorter and never longer: who
# has waited for as long as the window is let in.
_SPANS = {"minute": 60, "hour": 3600, "5h": 18_000}
PARTS = 600
# Parts are whole numbers of such units, because tenths of a second are no exact numbers.
_UNITS = 10
_DAY = 86_400
# 1970 began on a Thursday.
_MONDAY = 4 * _DAY
# A clock that is set back by no more than this stays in its calendar window.
_BACK = 3600.0
_LATE = 10  # units that a caller's look at the clock may be old


def start(per: Period, now: float) -> float | None:
    """The earliest time whose amounts count at `now`, in epoch seconds; None for `total`."""
    if per == "total":
        return None
    if per in _SPANS:
        width = _width(per)
        return (int(now * _UNITS) // width - PARTS + 1) * width / _UNITS
    return _calendar(per, now)[0]


def ends(per: Period, now: float) -> float | None:
    """The end of the calendar window that holds `now`, in epoch seconds; None for other windows."""
    return None if per == "total" or per in _SPANS else _calendar(per, now)[1]


def _width(per: str) -> int:
    """The length of a part, in units."""
    return _SPANS[per] * _UNITS // PARTS


def _calendar(per: str, now: float) -> tuple[float, float]:
    if per == "day":
        first = now // _DAY * _DAY
        return first, first + _DAY
    if per == "week":
        first = (now - _MONDAY) // (7 * _DAY) * 7 * _DAY + _MONDAY
        return first, first + 7 * _DAY
    # Whole seconds, as datetime rounds to microseconds: the last moment of a month would be in the next.
    today = datetime.fromtimestamp(now // 1, UTC)
    following = datetime(today.year + today.month // 12, today.month % 12 + 1, 1, tzinfo=UTC)
    return datetime(today.year, today.month, 1, tzinfo=UTC).timestamp(), following.timestamp()


class Window(Protocol):
    """What was used in one window."""

    def add(self, amount: int, now: float) -> None:
        """Counts an amount at `now`."""

    def total(self, now: float) -> int:
        """The sum of what counts at `now`."""

    def load(self, parts: Iterable[tuple[float, int]]) -> None:
        """Counts amounts of former times in addition, in any order."""

    def frees_at(self, below: int, now: float) -> float | None:
        """When the total falls below a figure and by anything at all; None: never, or nothing counts."""


def window(per: Period) -> Window:
    """An empty window."""
    if per == "total":
        return _Forever()
    return _Sliding(_width(per)) if per in _SPANS else _Calendar(per)


class _Forever:
    __slots__ = ("_total",)

    def __init__(self) -> None:
        self._total = 0

    def add(self, amount: int, now: float) -> None:
        self._total += amount

    def total(self, now: float) -> int:
        return self._total

    def load(self, parts: Iterable[tuple[float, int]]) -> None:
        self._total += sum(amount for _, amount in parts)

    def frees_at(self, below: int, now: float) -> float | None:
        return None


class _Calendar:
    __slots__ = ("_end", "_per", "_start", "_total")

    def __init__(self, per: str) -> None:
        self._per = per
        self._start = self._end = float("-inf")
        self._total = 0

    def add(self, amount: int, now: float) -> None:
        self._roll(now)
        self._total += amount

    def total(self, now: float) -> int:
        self._roll(now)
        return self._total

    def load(self, parts: Iterable[tuple[float, int]]) -> None:
        parts = list(parts)
        for at, _ in parts:
            if at >= self._end:
                self._roll(at)
        self._total += sum(amount for at, amount in parts if at >= self._start)

    def frees_at(self, below: int, now: float) -> float | None:
        self._roll(now)
        return self._end

    def _roll(self, now: float) -> None:
        """Goes to the window of `now`. What was used stays used where the clock was set far back."""
        if self._start - _BACK <= now < self._end:
            return
        if now >= self._end:
            self._total = 0
        self._start, self._end = _calendar(self._per, now)


class _Sliding:
    """`_parts` are [number of the part, amount], ascending; `_shift` parts are added to a clock set back."""

    __slots__ = ("_current", "_parts", "_shift", "_total", "_width")

    def __init__(self, width: int) -> None:
        self._width = width
        self._parts: deque[list[int]] = deque()
        self._total = 0
        self._current = 0
        self._shift = 0

    def add(self, amount: int, now: float) -> None:
        part = self._part(now)
        if not amount:
            return
        self._total += amount
        if self._parts and self._parts[-1][0] == part:
            self._parts[-1][1] += amount
        else:
            self._parts.append([part, amount])

    def total(self, now: float) -> int:
        self._part(now)
        return self._total

    def load(self, parts: Iterable[tuple[float, int]]) -> None:
        sums: dict[int, int] = {}
        for part, amount in self._parts:
            sums[part] = amount
        for at, amount in parts:
            if amount:
                part = int(at * _UNITS) // self._width + self._shift
                sums[part] = sums.get(part, 0) + amount
        self._parts = deque([part, sums[part]] for part in sorted(sums))
        self._total = sum(sums.values())
        if self._parts:
            self._current = max(self._current, self._parts[-1][0])
        self._forget()

    def frees_at(self, below: int, now: float) -> float | None:
        self._part(now)
        left = self._total
        for part, amount in self._parts:
            left -= amount
            if left < below:
                return (part - self._shift + PARTS) * self._width / _UNITS
        return None

    def _part(self, now: float) -> int:
        """The number of the current part, which never goes down; forgets what has left the window."""
        part = int(now * _UNITS) // self._width
        if part == self._current and not self._shift:
            return part
        if part >= self._current:
            self._shift = 0
        elif (behind := self._current - part - self._shift) > 1 and behind * self._width > _LATE:
            # The clock was set back. Time goes on from where it was, or nothing would leave the window until
            # the clock has caught up. A little is left to callers that looked at the clock a moment ago.
            self._shift += behind
        part = max(part + self._shift, self._current)
        if part > self._current:
            self._current = part
            self._forget()
        return part

    def _forget(self) -> None:
        gone = self._current - PARTS
        while self._parts and self._parts[0][0] <= gone:
            self._total -= self._parts.popleft()[1]
