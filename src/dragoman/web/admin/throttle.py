"""How often somebody may try: so many attempts in so many seconds for each name, in bounded memory.

An attempt counts for all of its names or for none (then it is refused). It knows no request; `now` is a
monotonic clock in seconds.
"""

from __future__ import annotations

from collections import OrderedDict, deque


class Throttle:
    """`most` attempts within `seconds` per name; beyond `size` names the longest unseen are forgotten."""

    def __init__(self, most: int = 5, seconds: float = 60.0, size: int = 4096) -> None:
        self._most = most
        self._seconds = seconds
        self._size = size
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def take(self, names: tuple[str, ...], now: float) -> float:
        """Counts one attempt under every name and returns 0.0, or how many seconds to wait."""
        wait = 0.0
        for name in names:
            times = self._seen.setdefault(name, deque(maxlen=self._most))
            self._seen.move_to_end(name)
            while times and times[0] <= now - self._seconds:
                times.popleft()
            if len(times) >= self._most:
                wait = max(wait, times[0] + self._seconds - now)
        if not wait:
            for name in names:
                self._seen[name].append(now)
        while len(self._seen) > self._size:
            self._seen.popitem(last=False)
        return wait

    def give_back(self, names: tuple[str, ...]) -> None:
        """The last attempt under these names was a good one: it does not count."""
        for name in names:
            if times := self._seen.get(name):
                times.pop()
                if not times:
                    del self._seen[name]
