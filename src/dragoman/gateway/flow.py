"""How many requests are in flight: a bounded number of places and a bounded queue for them.

A place is a lease: it is taken with `async with` and given back on every way out. Who waits too long or
finds the queue full is told 529 with a short, jittered wait, so that a crowd does not come back at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from dragoman.wire.errors import Failure, Kind, Refused


class Place:
    """The lease of one place. Written out: a context manager made of a generator costs three times that."""

    __slots__ = ("_enter", "_leave")

    def __init__(self, enter: Callable[[], Awaitable[None]], leave: Callable[[], None]) -> None:
        self._enter = enter
        self._leave = leave

    async def __aenter__(self) -> None:
        await self._enter()

    async def __aexit__(self, *_: object) -> None:
        self._leave()


class Gate:
    """`size` places, `queue` waiting requests at most, each for `seconds` at most."""

    def __init__(self, size: int, queue: int, seconds: float, jitter: Callable[[], float]) -> None:
        self._free = size
        self._size = size
        self._queue = queue
        self._seconds = seconds
        self._jitter = jitter
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.draining = False

    @property
    def in_flight(self) -> int:
        return self._size - self._free

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def close(self) -> None:
        """From now on nobody is let in; who is inside stays."""
        self.draining = True

    def place(self) -> Place:
        """Holds one place while it is entered. Entering raises Refused(OVERLOADED) without one in time."""
        return Place(self._enter, self._leave)

    async def _enter(self) -> None:
        if self.draining:
            raise Refused(self._overloaded("The gateway is shutting down."))
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return
        if len(self._waiting) >= self._queue:
            raise Refused(self._overloaded("The gateway is at its limit of parallel requests."))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave()  # the place came at the very moment of giving up
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise Refused(self._overloaded("No place became free in time.")) from None
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _overloaded(self, message: str) -> Failure:
        return Failure(Kind.OVERLOADED, message, retry_after=1 + 9 * self._jitter())
