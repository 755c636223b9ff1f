"""Work on a large request is done in pieces, so that streams are relayed in between.

It decides when a piece is followed by a turn of the event loop. Parsing and translating hold the interpreter,
so a thread would gain nothing: what a stream waits for is the longest piece that is done in one go. A request
in pieces costs more (its content has left the processor's caches meanwhile), so one that keeps nobody waiting
is done at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

# Bytes of a request. Beside streams a large one comes in pieces, a huge one always.
LARGE = 64 * 1024
HUGE = 1_000_000
_AT_ONCE = nullcontext()


class Pieces:
    """One for a house. `streams` counts the answers that clients are reading."""

    __slots__ = ("_lock", "streams")

    def __init__(self) -> None:
        self.streams = 0
        self._lock = asyncio.Lock()

    def of(self, size: int) -> AbstractAsyncContextManager[None]:
        """Around one piece of work on a request of `size` bytes: no two of them in one turn of the loop."""
        if size <= LARGE or (size <= HUGE and not self.streams):
            return _AT_ONCE
        return self._piece()

    @asynccontextmanager
    async def _piece(self) -> AsyncIterator[None]:
        async with self._lock:
            yield
            await asyncio.sleep(0)
