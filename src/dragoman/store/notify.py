"""Hears of new revisions at once, where the database can tell: LISTEN of PostgreSQL, on its own connection.

It only wakes; what has changed is read by the watch, which asks by itself all the same, so nothing is lost
while this connection is down. On SQLite there is nothing to hear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dragoman.gateway.beside import Beside
from dragoman.store.engine import Database
from dragoman.store.facts import CHANNEL

RETRY_SECONDS = 2.0
# A connection whose other end went away without a word is noticed by asking.
ALIVE_SECONDS = 30.0
_ANSWER_SECONDS = 10.0


class Listener(Beside):
    """Calls `heard` for every change, and whenever it begins to listen: something may have been missed."""

    def __init__(
        self, database: Database, heard: Callable[[], None], *, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._database = database
        self._heard = heard
        self._retry = retry_seconds
        self.listening = False

    def start(self) -> None:
        """Listens until `stop`, over every break of the connection."""
        if self._database.dialect == "postgresql":
            super().start()

    async def _loop(self) -> None:
        while True:
            try:
                async with self._database.aside() as connection:
                    await self._listen(connection)
            except Exception:
                # Whatever the driver says of a connection that broke: there will be another, and the watch
                # tells of a store that does not answer.
                pass
            finally:
                self.listening = False
            await asyncio.sleep(self._retry)

    async def _listen(self, connection: Any) -> None:
        """Until the connection ends."""
        over = asyncio.Event()
        connection.add_termination_listener(lambda _: over.set())
        await connection.add_listener(CHANNEL, lambda *_: self._heard())
        self.listening = True
        self._heard()
        while not over.is_set():
            try:
                async with asyncio.timeout(ALIVE_SECONDS):
                    await over.wait()
            except TimeoutError:
                await connection.fetchval("SELECT 1", timeout=_ANSWER_SECONDS)
