"""How late the event loop is: one timer a second, compared with when it should have come.

It measures and tells; it never does anything about it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PERIOD_SECONDS = 1.0


class LagSampler:
    """Tells `observe` the delay in seconds, once a period, from `start` to `stop`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        observe: Callable[[float], None],
        period: float = PERIOD_SECONDS,
    ) -> None:
        self._loop = loop
        self._observe = observe
        self._period = period
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begins; calling it again changes nothing."""
        if self._timer is None:
            self._wait()

    def stop(self) -> None:
        """Ends; nothing is told any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        due = self._loop.time() + self._period
        self._timer = self._loop.call_at(due, self._ring, due)

    def _ring(self, due: float) -> None:
        self._observe(max(0.0, self._loop.time() - due))
        self._wait()
