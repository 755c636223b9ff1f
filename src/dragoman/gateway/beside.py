"""A job beside the requests: one task that goes on until it is stopped. It decides nothing of the work."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod


class Beside(ABC):
    """Has its task from `start` to `stop`, and keeps the reference: nobody else would."""

    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins, inside the running loop."""
        self._task = asyncio.ensure_future(self._loop())

    async def stop(self) -> None:
        """Ends wherever it stands; what was begun is given up."""
        await self._end()

    @abstractmethod
    async def _loop(self) -> None:
        """The work, until it is cancelled. A failure of one round must not end it."""

    async def _end(self) -> bool:
        """Cancels the task and waits for its end; False where none was running."""
        if self._task is None:
            return False
        self._task.cancel()
        await asyncio.wait([self._task])
        self._task = None
        return True
