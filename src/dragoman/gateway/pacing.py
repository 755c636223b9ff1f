"""Watches one exchange for silence: holds, pings and time limits with a single lazy timer.

The hot path only stores the time of the last upstream bytes (`touch`). The timer wakes up when the next
limit could be due, looks, and goes back to sleep; nothing is scheduled or cancelled per event.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum


class Expired(StrEnum):
    """Which limit ended the attempt."""

    FIRST_EVENT = "first_event"
    DEADLINE = "deadline"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Limits:
    """All in seconds."""

    first_event: float = 60.0
    idle: float = 300.0
    ping: float = 15.0
    hold: float = 10.0


class Pacer:
    """Owns the timer of one exchange.

    `on_hold` runs once when the head was held back long enough, `on_ping` after each silence. A time
    limit cancels the exchange's task and leaves its reason in `expired`.
    """

    def __init__(
        self,
        limits: Limits,
        on_hold: Callable[[], Awaitable[None]] | None,
        on_ping: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self._limits = limits
        self._on_hold = on_hold
        self._on_ping = on_ping
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a Pacer belongs to a task")
        self._task = task
        self._timer: asyncio.Handle | None = None
        self._wakes = 0.0
        self._beat: asyncio.Future[None] | None = None
        now = self._loop.time()
        self._born = now
        self._attempt: float | None = None
        self._first = limits.first_event
        self._upstream = now
        self._client = now
        self.expired: Expired | None = None
        self.writing = False

    def attempt(self, left: float = math.inf) -> None:
        """A new attempt begins: its first-byte limit starts now; it is no longer than what is `left`."""
        self._first = min(self._limits.first_event, left)
        self._attempt = self._upstream = self._loop.time()
        self.expired = None
        self._arm()

    def rest(self) -> None:
        """Between two attempts no limit runs."""
        self._attempt = None
        self._upstream = math.inf  # there is no upstream whose silence would mean something
        if self._timer is not None:
            self._arm()

    def touch(self) -> None:
        """Upstream bytes arrived."""
        self._attempt = None
        self._upstream = self._loop.time()

    def wrote(self) -> None:
        """Bytes went to the client. Until then `writing` says that the client is being waited for."""
        self.writing = False
        self._client = self._upstream = self._loop.time()

    @property
    def busy(self) -> bool:
        """Whether a ping or the held head is being written right now."""
        return self._beat is not None and not self._beat.done()

    async def settled(self) -> None:
        """Waits for that writing to end, so that frames never mix."""
        if self._beat is not None:
            await asyncio.wait([self._beat])

    async def close(self) -> None:
        """Stops the timer and waits for a ping that is being written."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._on_hold = self._on_ping = None  # they hold the exchange, which holds this: no cycle may be left
        beat, self._beat = self._beat, None
        if beat is not None and not beat.done():
            beat.cancel()
            await asyncio.wait([beat])

    def _due(self) -> float:
        limits = self._limits
        due = self._upstream + limits.idle
        if self._attempt is not None:
            due = min(due, self._attempt + self._first)
        if self._on_hold is not None:
            due = min(due, self._born + limits.hold)
        elif self._on_ping is not None:
            due = min(due, self._client + limits.ping)
        return due

    def _arm(self) -> None:
        due = self._due()
        if self._timer is not None:
            if self._wakes <= due:
                return  # it wakes early enough, looks, and arms itself again
            self._timer.cancel()
        if due == math.inf:
            return
        # uvloop's handle of a time that has passed knows no `when()`.
        self._wakes = due
        self._timer = self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = self._loop.time() + 0.001  # the loop may call a hair early
        limits = self._limits
        if self.writing:
            self._upstream = now  # nobody reads the upstream now: its silence means nothing
        if self._attempt is not None and now >= self._attempt + self._first:
            self._expire(Expired.DEADLINE if self._first < limits.first_event else Expired.FIRST_EVENT)
            return
        if now >= self._upstream + limits.idle:
            self._expire(Expired.IDLE)
            return
        if self._on_hold is not None:
            if now >= self._born + limits.hold:
                hold, self._on_hold = self._on_hold, None
                self._run(hold)
        elif self._on_ping is not None and now >= self._client + limits.ping:
            self._client = now
            self._run(self._on_ping)
        self._arm()

    def held(self) -> None:
        """The head is out: from now on silence is filled with pings."""
        self._on_hold = None
        self._client = self._loop.time()
        if self._timer is not None:
            self._arm()

    def _expire(self, reason: Expired) -> None:
        self.expired = reason
        self._task.cancel()

    def _run(self, action: Callable[[], Awaitable[None]]) -> None:
        if self._beat is None or self._beat.done():
            self._beat = asyncio.ensure_future(action())
            self._beat.add_done_callback(_swallow)


def _swallow(beat: asyncio.Future[None]) -> None:
    # A ping that cannot be written means that the client is gone; the exchange learns that on its own way.
    if not beat.cancelled():
        beat.exception()
