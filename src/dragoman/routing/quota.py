"""What is left of an account's quota, from readings of any age.

It decides when a spent window blocks, how much room counts for new work, and how far a reading is to be
believed. The newest reading of a window wins; one whose reset has passed counts as unused until it is seen
again. It never asks a clock or an upstream: `now` is epoch seconds of a clock that does not jump.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypedDict

from dragoman.routing.readings import (
    BUCKETS,
    MAIN,
    Credits,
    Source,
    Window,
    credits_from,
    from_event,
    from_headers,
    from_usage,
    meter_name,
)

__all__ = [
    "AGING_SECONDS",
    "MAIN",
    "RETRY_SECONDS",
    "STALE_SECONDS",
    "Credits",
    "QuotaRow",
    "Quotas",
    "Window",
    "confidence",
    "credits_from",
    "from_event",
    "from_headers",
    "from_usage",
    "room",
    "used",
]

Confidence = Literal["fresh", "aging", "stale"]

# A reading is fresh up to the first and stale after the second.
AGING_SECONDS = 300.0
STALE_SECONDS = 3600.0
# A spent window that tells no reset blocks so long from its reading; then somebody has to look again.
RETRY_SECONDS = 120.0
_WINDOWS = 64


class QuotaRow(TypedDict):
    """One window as the operator sees it: shares from 0 to 1, lengths and ages in seconds."""

    meter: str
    window: str
    seconds: int
    used: float
    remaining: float
    resets_at: float | None
    confidence: Confidence
    age: float
    source: Source


class Quotas:
    """The windows of one account, by meter and length."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, int], Window] = {}
        # The meters that count for single models; most accounts have none.
        self._own: set[str] = set()
        self.credits: Credits | None = None

    def learn(self, windows: Iterable[Window], paid: Credits | None = None) -> None:
        """Takes readings in. An older one than is known is passed over.

        A usage page tells all windows of the meters it names: one that it leaves out exists no longer.
        """
        whole: dict[str, float] = {}
        for window in windows:
            key = (window.meter, window.seconds)
            known = self._windows.get(key)
            if known is None and len(self._windows) >= _WINDOWS:
                continue
            if known is None or known.seen_at <= window.seen_at:
                self._windows[key] = window
            if window.source == "usage":
                whole[window.meter] = window.seen_at
        if whole:
            for key, window in list(self._windows.items()):
                if window.seen_at < whole.get(window.meter, window.seen_at):
                    del self._windows[key]
        self._own = {meter for meter, _ in self._windows if meter != MAIN and meter not in BUCKETS}
        if paid is not None and (self.credits is None or self.credits.seen_at <= paid.seen_at):
            self.credits = paid

    def metered(self, model: str | None) -> bool:
        """Whether the model has a meter of its own, so that the account's main one does not count for it."""
        return model is not None and self._meter(model) != MAIN

    def exhausted(self, model: str | None, now: float) -> float | None:
        """When the spent windows of the model's meter are all free again (epoch seconds), or None.

        A reading blocks until its reset, but no longer than it can be believed: after an hour without a
        newer one the account may be tried once more.
        """
        if not self._windows or (self.credits is not None and self.credits.usable):
            return None
        blocking = [
            window
            for window in self._of(model)
            if used(window, now) >= 1 and now < window.seen_at + _blocks(window)
        ]
        return max((_free_at(window) for window in blocking), default=None)

    def headroom(self, now: float, model: str | None = None) -> float:
        """Room for new work, 0 to 1: the least `room` of the windows that count for the model.

        An account that told nothing counts as unused; so do credits without end.
        """
        if not self._windows or (self.credits is not None and self.credits.unlimited):
            return 1.0
        main = [room(window, now) for window in self._of(model)]
        main += [room(window, now) for what in BUCKETS for window in self._named(what)]
        return min(main, default=1.0)

    def seen_since(self, moment: float, model: str | None) -> bool:
        """Whether the windows that count for the model were all read at or after a moment."""
        windows = list(self._of(model))
        return bool(windows) and all(window.seen_at >= moment for window in windows)

    def rows(self, now: float) -> list[QuotaRow]:
        """Every window for display: the main meter first, short windows before long ones."""
        order = sorted(self._windows.values(), key=lambda window: (window.meter != MAIN, *_key(window)))
        return [_row(window, now) for window in order]

    def _meter(self, model: str) -> str:
        if not self._own:
            return MAIN
        name = meter_name(model)
        return name if name in self._own else MAIN

    def _of(self, model: str | None) -> Iterator[Window]:
        return self._named(MAIN if model is None else self._meter(model))

    def _named(self, meter: str) -> Iterator[Window]:
        return (window for window in self._windows.values() if window.meter == meter)


def used(window: Window, now: float) -> float:
    """The share that is used as far as is known: none after its reset."""
    over = window.resets_at if window.resets_at is not None else window.seen_at + window.seconds
    return 0.0 if over <= now else window.used


def room(window: Window, now: float) -> float:
    """How much room for new work a window offers: `remaining ** (time to reset / length)`.

    What is left shortly before a reset is lost if nobody uses it, so a window that ends soon counts for
    more; a spent one counts for nothing however soon it ends.

    | remaining | whole window ahead | half | a tenth |
    |-----------|--------------------|------|---------|
    | 1.0       | 1.00               | 1.00 | 1.00    |
    | 0.5       | 0.50               | 0.71 | 0.93    |
    | 0.1       | 0.10               | 0.32 | 0.79    |
    | 0.0       | 0.00               | 0.00 | 0.00    |
    """
    remaining = 1 - used(window, now)
    if remaining <= 0:
        return 0.0
    ahead = window.seconds if window.resets_at is None else window.resets_at - now
    return float(remaining ** min(max(ahead / window.seconds, 0.0), 1.0))


def confidence(window: Window, now: float) -> Confidence:
    """How far a reading is to be believed; an old one, or one past its reset, is stale."""
    age = now - window.seen_at
    if age > STALE_SECONDS or used(window, now) != window.used:
        return "stale"
    return "fresh" if age <= AGING_SECONDS else "aging"


def _blocks(window: Window) -> float:
    return RETRY_SECONDS if window.resets_at is None else STALE_SECONDS


def _free_at(window: Window) -> float:
    return window.seen_at + RETRY_SECONDS if window.resets_at is None else window.resets_at


def _key(window: Window) -> tuple[str, int]:
    return window.meter, window.seconds


def _row(window: Window, now: float) -> QuotaRow:
    spent = used(window, now)
    return {
        "meter": window.meter,
        "window": _length(window.seconds),
        "seconds": window.seconds,
        "used": round(spent, 4),
        "remaining": round(max(0.0, 1 - spent), 4),
        "resets_at": window.resets_at if window.resets_at is None or window.resets_at > now else None,
        "confidence": confidence(window, now),
        "age": max(0.0, now - window.seen_at),
        "source": window.source,
    }


def _length(seconds: int) -> str:
    """`5h`, `7d`, `90m`, `45s`: the largest unit that divides it."""
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"
