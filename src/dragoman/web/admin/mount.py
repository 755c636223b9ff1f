"""Where the admin API hangs in the application: built in a thread when it is asked for first.

FastAPI takes longer to import than a gateway may take to start, and most processes never need it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dragoman.web import reply
from dragoman.web.admin.auth import Doorman
from dragoman.web.incoming import Incoming
from dragoman.wire.errors import Failure

if TYPE_CHECKING:
    from dragoman.web.admin.guard import Guard
    from dragoman.web.admin.house import AdminHouse


class Mount:
    """A door for every path that `is_admin` names. `doorman` knows admin tokens for other doors, too."""

    def __init__(self, admin: AdminHouse) -> None:
        self._admin = admin
        self.doorman = Doorman(admin)
        self._guard: Guard | None = None
        self._lock = asyncio.Lock()

    async def __call__(self, incoming: Incoming) -> None:
        guard = self._guard or await self._build()
        await guard(incoming)

    async def stop(self) -> None:
        """Ends the feeds, and finishes what is still being written: before the database is closed."""
        self._admin.live.close()
        await self.doorman.finish()

    async def _build(self) -> Guard:
        async with self._lock:
            if self._guard is None:
                self._guard = await asyncio.to_thread(_built, self._admin, self.doorman)
            return self._guard


def is_admin(path: str) -> bool:
    """Whether a path is the admin API's."""
    return path == "/admin" or path.startswith("/admin/")


async def refuse(incoming: Incoming, failure: Failure) -> None:
    """Answers for somebody who does not even get to the guard."""
    from dragoman.web.admin.envelope import envelope

    fields = reply.failure_headers(failure, incoming.request_id)
    await reply.send_json(incoming.send, failure.status, envelope(failure, incoming.request_id), fields)


def _built(admin: AdminHouse, doorman: Doorman) -> Guard:
    from dragoman.web.admin.app import build

    return build(admin, doorman)
