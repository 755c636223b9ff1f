"""The virtual clock: what the simulator calls now.

It drives cache lifetimes, quota windows and token expiry. It ticks with real time unless frozen, and it
can be advanced. It never delays anything: pacing uses real sleeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Seconds since the epoch, moved by hand where a test wants it."""

    def __init__(
        self,
        start: float | None = None,
        *,
        frozen: bool = False,
        source: Callable[[], float] = time.time,
    ) -> None:
        begin = source() if start is None else start
        self._source = source
        self._offset = begin - source()
        self._frozen = begin if frozen else None

    def now(self) -> float:
        return self._source() + self._offset if self._frozen is None else self._frozen

    @property
    def frozen(self) -> bool:
        return self._frozen is not None

    def advance(self, seconds: float) -> None:
        """Moves time forward. Raises ValueError for a negative step: nothing here may grow younger."""
        if seconds < 0:
            raise ValueError("the clock only goes forward")
        if self._frozen is None:
            self._offset += seconds
        else:
            self._frozen += seconds

    def freeze(self, frozen: bool = True) -> None:
        """Stops the clock at its present reading, or lets it tick again from there."""
        now = self.now()
        if frozen:
            self._frozen = now
        else:
            self._frozen = None
            self._offset = now - self._source()
