"""Keeps what a process holds in memory equal to the store: keys, limits, aliases, prices and accounts.

It asks twice a second for the revision, and when it is woken, and reads everything again when that has grown,
so a revoked key or a new limit is effective within a second in every process. It also tells whether the store
answers at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dragoman.gateway.beside import Beside
from dragoman.store import accounts, clientkeys, facts, names
from dragoman.store.accounts import StoredAccount
from dragoman.store.clientkeys import ClientKey
from dragoman.store.engine import Database, StoreError

POLL_SECONDS = 0.5
_Digests = list[tuple[bytes, float | None, ClientKey]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the store said at one revision.

    digests   the presentable keys, see clientkeys.digests
    accounts  all, with what is kept of those of the configuration file; their tokens may be new as well
    keyed     whether a client key was ever made here, be it revoked since
    ended     digests of keys that are none any more
    """

    revision: int = -1
    digests: _Digests = field(default_factory=list)
    aliases: Mapping[str, str] = field(default_factory=dict)
    prices: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    accounts: Sequence[StoredAccount] = ()
    keyed: bool = False
    ended: Sequence[bytes] = ()


class Watch(Beside):
    """Reads the store for one process.

    `changed` makes a new snapshot effective, `answered` is called after every reading that worked, `failed`
    with the reason after one that did not.
    """

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], float],
        changed: Callable[[Snapshot], Awaitable[None]],
        answered: Callable[[], None],
        failed: Callable[[str], None],
        seconds: float = POLL_SECONDS,
    ) -> None:
        self._database = database
        self._now = now
        self._changed = changed
        self._answered = answered
        self._failed = failed
        self._seconds = seconds
        self._revision = -1
        self._looking = asyncio.Lock()
        self._woken = asyncio.Event()

    async def look(self) -> None:
        """Reads once. Raises StoreError."""
        async with self._looking:  # an older reading must not come after a newer one
            async with self._database.read() as connection:
                revision = await facts.revision(connection)
                snapshot = None
                if revision != self._revision:
                    snapshot = Snapshot(
                        revision,
                        await clientkeys.digests(connection, self._now()),
                        await names.read_aliases(connection),
                        await names.read_prices(connection),
                        await accounts.read(connection),
                        await clientkeys.ever(connection),
                        await clientkeys.ended(connection, self._now()),
                    )
            if snapshot is not None:
                await self._changed(snapshot)
                self._revision = revision
            self._answered()

    def wake(self) -> None:
        """Something has changed: looks at once instead of at its time."""
        self._woken.set()

    async def _loop(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self.look()
            except StoreError as error:
                self._failed(str(error))
            except Exception as error:
                # A reader must not die of what it reads; the kind is told, texts may hold values.
                self._failed(type(error).__name__)
