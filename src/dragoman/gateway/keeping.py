"""A short memory with a bound and an age: what was said lately, by whom it concerns."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Keeping(Generic[K, V]):
    """Holds at most `entries` values for at most `seconds` each; the longest unused goes first."""

    def __init__(self, entries: int, seconds: float) -> None:
        self._entries = entries
        self._seconds = seconds
        self._held: dict[K, tuple[V, float]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def put(self, key: K, value: V, now: float) -> None:
        """Keeps a value from `now` (monotonic seconds) on."""
        self._held.pop(key, None)
        self._held[key] = value, now + self._seconds
        while len(self._held) > self._entries:
            del self._held[next(iter(self._held))]

    def get(self, key: K, now: float) -> V | None:
        """The value, unless it is too old; asking keeps it longer."""
        found = self._held.pop(key, None)
        if found is None or found[1] <= now:
            return None
        self._held[key] = found[0], now + self._seconds
        return found[0]
