"""Finished requests as they happen, for whoever watches: a bounded number of watchers with bounded memory.

It implements the gateway's Ledger port and keeps nothing: a row goes to those who watch now. A watcher that
does not take its rows is dropped, so that nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from dragoman.gateway.ports import Row

WATCHERS = 32
WAITING = 256


class Watcher:
    """One reader's rows. `dropped` says that it was too slow, `closed` that nothing more will come."""

    def __init__(self) -> None:
        self._rows: deque[Row] = deque()
        self._news = asyncio.Event()
        self.dropped = False
        self.closed = False

    async def take(self, seconds: float) -> list[Row]:
        """What has come; waits up to `seconds` for something. Empty after that, and at the end."""
        if not self._rows and not self.closed:
            self._news.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                pass
        found = list(self._rows)
        self._rows.clear()
        return found

    def put(self, row: Row) -> None:
        """One more row; beyond the bound the watcher is dropped with all that waits."""
        if len(self._rows) >= WAITING:
            self.dropped = True
            self._rows.clear()
            self.close()
        else:
            self._rows.append(row)
            self._news.set()

    def close(self) -> None:
        """Nothing more will come."""
        self.closed = True
        self._news.set()


class Full(Exception):
    """There are too many watchers."""


class Live:
    """The broadcaster."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()

    @property
    def watchers(self) -> int:
        """How many watch now."""
        return len(self._watchers)

    @property
    def full(self) -> bool:
        """Whether nobody more can watch."""
        return len(self._watchers) >= WATCHERS

    def record(self, row: Row) -> None:
        """Never waits and never raises."""
        for watcher in tuple(self._watchers):
            watcher.put(row)
            if watcher.closed:
                self._watchers.discard(watcher)

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """Watches until the block ends. Raises Full."""
        if self.full:
            raise Full
        watcher = Watcher()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def close(self) -> None:
        """Ends every feed: the gateway is about to stop."""
        for watcher in tuple(self._watchers):
            watcher.close()
        self._watchers.clear()
