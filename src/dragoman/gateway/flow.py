"""How many requests are in flight: a bounded number of places and a bounded queue for them, fair by key.

A place is a lease: it is taken with `async with` and given back on every way out. Who waits too long or
finds the queue full is told 529 with a short, jittered wait, so that a crowd does not come back at once.
It knows keys by name alone and never what a request asks for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from dragoman.wire.errors import Failure, Kind, Refused

# Of the places, what one key may hold while others wait.
SHARE = 0.5
# Where several keys are known, the last sixteenth is kept from those that hold their share: a small key finds
# a place at once instead of waiting for the end of somebody's long stream.
RESERVED = 16


# Names of keys that are remembered; past it those without a place are forgotten.
KNOWN = 10_000

_FULL = "The gateway is at its limit of parallel requests."


class Place:
    """The lease of one place. Written out: a context manager made of a generator costs three times that.

    `owner` is the task that holds it.
    """

    __slots__ = ("_gate", "key", "owner")

    def __init__(self, gate: Gate, key: str) -> None:
        self._gate = gate
        self.key = key
        self.owner: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> None:
        gate, key = self._gate, self.key
        if gate.free > gate.kept and key in gate.held and not gate.draining:
            gate.free -= 1
            gate.held[key] += 1
        else:
            await gate.enter(key)
        self.owner = asyncio.current_task()
        gate.places.add(self)

    async def __aexit__(self, *_: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Effective once: the janitor may have been here before."""
        places = self._gate.places
        if self in places:
            places.discard(self)
            self._gate.leave(self.key)


class Gate:
    """`size` places, `queue` waiting requests at most, each for `seconds` at most; `jitter` is 0 to 1.

    Places that come free go round the keys that wait, first to those below their share; inside a key they go
    in order of arrival. When the queue is full, the last of the key with the most waiting gives way.

    free    places nobody has; one that was given to a guest who is waking up is not free
    kept    so many of them are for keys below their share
    held    places by key, of every key that was here
    places  the leases that are held now
    draining  nobody is let in any more;  leaving  this process is to end: what has no end of its own ends now
    """

    def __init__(self, size: int, queue: int, seconds: float, jitter: Callable[[], float]) -> None:
        self.free = size
        self.kept = 0
        self.held: dict[str, int] = {}
        self.places: set[Place] = set()
        self.draining = False
        self.leaving = False
        self._size = size
        self._queue = queue
        self._seconds = seconds
        self._jitter = jitter
        self._share = max(1, int(size * SHARE))
        # Who waits, by key; the key whose turn is next comes first.
        self._lines: dict[str, deque[asyncio.Future[bool]]] = {}
        self._waiting = 0

    @property
    def in_flight(self) -> int:
        return self._size - self.free

    @property
    def waiting(self) -> int:
        return self._waiting

    def close(self) -> None:
        """From now on nobody is let in; who is inside or waits stays."""
        self.draining = self.leaving = True

    def retire(self) -> None:
        """A successor serves the same address: who is connected here is still let in, to the last."""
        self.leaving = True

    def place(self, key: str = "") -> Place:
        """Holds one place while it is entered. Entering raises Refused(OVERLOADED) without one in time."""
        return Place(self, key)

    async def enter(self, key: str) -> None:
        """Takes a place of the key's, after a wait if need be; Place calls it. Raises Refused(OVERLOADED)."""
        if self.draining:
            raise self._refused("The gateway is shutting down.")
        if key not in self.held:
            self._meet(key)
        if self.free > self.kept or (self.free and self.held[key] < self._share):
            # Whoever waits may take none of these places.
            self._take(key)
            return
        if self._waiting >= self._queue:
            self._make_room(key)
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(key, deque()).append(turn)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._seconds):
                given = await turn
        except BaseException as error:
            if not turn.done() or turn.cancelled():
                self._forget(key, turn)
            elif turn.result():
                self.leave(key)  # the place came at the very moment of giving up
            if isinstance(error, TimeoutError):
                raise self._refused("No place became free in time.") from None
            raise
        if not given:
            raise self._refused(_FULL)

    def leave(self, key: str) -> None:
        """Gives a place of the key's back; Place calls it."""
        self.free += 1
        self.held[key] -= 1
        if self._lines:
            self._hand_on()

    def _take(self, key: str) -> None:
        self.free -= 1
        self.held[key] += 1

    def _meet(self, key: str) -> None:
        if len(self.held) >= KNOWN:
            self.held = {name: held for name, held in self.held.items() if held or name in self._lines}
        self.held[key] = 0
        if len(self.held) > 1:
            self.kept = self._size // RESERVED

    def _hand_on(self) -> None:
        """Gives what is free to those who wait, one place a key and round."""
        while self.free and (key := self._next()) is not None:
            line = self._lines.pop(key)
            turn = line.popleft()
            self._waiting -= 1
            if line:
                self._lines[key] = line  # behind the others
            if not turn.done():  # else its guest has left and does not know yet that it was found out
                self._take(key)
                turn.set_result(True)

    def _next(self) -> str | None:
        for key in self._lines:
            if self.held[key] < self._share:
                return key
        return next(iter(self._lines), None) if self.free > self.kept else None

    def _make_room(self, newcomer: str) -> None:
        """Sends the last of the greediest key away; raises Refused where that is the newcomer itself."""

        def greed(key: str) -> tuple[int, int]:
            return len(self._lines.get(key, ())) + (key == newcomer), self.held[key]

        greediest = max((newcomer, *self._lines), key=greed)
        if greediest == newcomer:
            raise self._refused(_FULL)
        turn = self._lines[greediest][-1]
        self._forget(greediest, turn)
        if not turn.done():
            turn.set_result(False)

    def _forget(self, key: str, turn: asyncio.Future[bool]) -> None:
        line = self._lines.get(key, ())
        if turn not in line:
            return
        self._waiting -= 1
        if len(line) > 1:
            self._lines[key].remove(turn)
        else:
            del self._lines[key]

    def _refused(self, message: str) -> Refused:
        return Refused(Failure(Kind.OVERLOADED, message, retry_after=1 + 9 * self._jitter()))
