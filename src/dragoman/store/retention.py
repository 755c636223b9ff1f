"""Removes rows of the request log that are older than they may be kept; the hourly sums stay.

Once an hour, in batches with a pause after each, so that nothing waits for it longer than one small
transaction takes. It never asks for more than one batch at a time and gives up until the next hour when the
store does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sqlalchemy import delete, select

from dragoman.gateway.beside import Beside
from dragoman.store.engine import Database, StoreError
from dragoman.store.tables import requests

BATCH = 500
PAUSE_SECONDS = 0.2
EVERY_SECONDS = 3600.0
FIRST_SECONDS = 60.0
DAY = 86_400


class Retention(Beside):
    """The job of one process; several processes do not wait for each other.

    `now` in epoch seconds. `removed` gets the count of every sweep that removed something, `failed` the
    reason of one that could not go on. Neither may raise.
    """

    def __init__(
        self,
        database: Database,
        days: int,
        *,
        now: Callable[[], float],
        removed: Callable[[int], None] = lambda count: None,
        failed: Callable[[str], None] = lambda why: None,
        first_seconds: float = FIRST_SECONDS,
        every_seconds: float = EVERY_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._database = database
        self._days = days
        self._now = now
        self._removed = removed
        self._failed = failed
        self._first = first_seconds
        self._every = every_seconds
        self._pause = pause_seconds

    async def sweep(self) -> int:
        """Removes everything that is too old now; returns how many rows. Raises StoreError."""
        if self._days <= 0:
            return 0
        before = self._now() - self._days * DAY
        count = 0
        while True:
            gone = await self._batch(before)
            count += gone
            if gone < BATCH:
                return count
            await asyncio.sleep(self._pause)

    def start(self) -> None:
        """Sweeps again and again until `stop`; with 0 days there is nothing to do."""
        if self._days > 0:
            super().start()

    async def _loop(self) -> None:
        await asyncio.sleep(self._first)
        while True:
            try:
                if count := await self.sweep():
                    self._removed(count)
            except StoreError as error:
                self._failed(str(error))
            except Exception as error:
                # The job must not die of one sweep; the kind is told, texts may hold values.
                self._failed(type(error).__name__)
            await asyncio.sleep(self._every)

    async def _batch(self, before: float) -> int:
        old = (
            select(requests.c.id)
            .where(requests.c.time < before)
            .order_by(requests.c.time, requests.c.id)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        async with self._database.write() as connection:
            numbers = list(await connection.scalars(old))
            if numbers:
                await connection.execute(delete(requests).where(requests.c.id.in_(numbers)))
        return len(numbers)
