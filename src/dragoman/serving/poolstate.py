"""What the pool knows, kept in the store: whose conversation is where, what is left, who rests until when.

It is written behind the requests and read at the start; where several processes share a database, each reads
what the others wrote. It joins routing and store, which do not know each other, and decides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from dragoman.gateway.beside import Beside
from dragoman.routing.pins import Kept
from dragoman.routing.pool import Heard, Pool
from dragoman.routing.quota import Window
from dragoman.store.engine import Database, StoreError
from dragoman.store.pins import Pin, Pins, read_pins
from dragoman.store.quotas import Quota, Quotas, read_quotas
from dragoman.store.rests import Rest, Rests, read_rests
from dragoman.translate.messages.failure import Cause

SECONDS = 0.5
# Other processes' clocks may be behind by so much, and their writes late.
BACK_SECONDS = 5.0
PINS = 20_000
# A pin that nobody used for so long is of no use; see routing/pins.
PIN_DAYS = 2.0
_PRUNE_EVERY = 7200  # in looks: an hour


class PoolState(Beside):
    """Keeps one pool equal to the store. `steady` gives epoch seconds that never jump.

    id_of   the store's name of an account's quotas
    shared  whether other processes write, too
    failed  is told the reason when the store does not answer, `well` when it does
    """

    def __init__(
        self,
        pool: Pool,
        database: Database,
        *,
        steady: Callable[[], float],
        id_of: Callable[[str], str],
        shared: bool,
        well: Callable[[], None] = lambda: None,
        failed: Callable[[str], None] = lambda why: None,
        seconds: float = SECONDS,
    ) -> None:
        self._pool = pool
        self._database = database
        self._pins = Pins(database)
        self._quotas = Quotas(database)
        self._rests = Rests(database)
        self._steady = steady
        self._id_of = id_of
        self._shared = shared
        self._well = well
        self._failed = failed
        self._seconds = seconds
        self._looks = 0
        # What was said last of an account and a model, and when: nothing is taken in twice, nor one's own.
        self._said: dict[tuple[str, str], float] = {}
        # What could not be written yet.
        self._unwritten: tuple[list[Pin], list[Quota], list[Rest]] = ([], [], [])

    async def load(self) -> None:
        """Takes over everything that is kept. Raises StoreDown."""
        await self._take(None)

    async def stop(self) -> None:
        """Writes what is left and ends."""
        if await self._end():
            with contextlib.suppress(StoreError):
                await self._write()

    async def _loop(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self._write()
                if self._shared:
                    await self._take(self._steady() - BACK_SECONDS)
                self._looks += 1
                if self._looks % _PRUNE_EVERY == 0:
                    while await self._pins.prune(self._steady(), PIN_DAYS):
                        pass
                self._well()
            except StoreError as error:
                self._failed(str(error))
            except Exception as error:
                # A job beside the requests must not die of one bad row; texts may hold values.
                self._failed(type(error).__name__)

    async def _take(self, since: float | None) -> None:
        pool, now = self._pool, self._steady()
        async with self._database.read() as connection:
            found = await read_pins(connection, PINS, since)
            heard = await read_quotas(connection, since)
            resting = await read_rests(connection, now, since)
        pool.load([Kept(pin.affinity, pin.account, pin.used_at) for pin in found], now)
        names = {self._id_of(name): name for name in pool.in_flight()}
        for quota in heard:
            if quota.account_id in names and quota.seconds > 0:
                pool.recall(names[quota.account_id], [_window(quota)])
        for rest in resting:
            if rest.heard_at <= self._said.get((rest.account, rest.model), 0.0):
                continue
            self._said[rest.account, rest.model] = rest.heard_at
            with contextlib.suppress(ValueError):  # a cause of a newer version
                pool.heard(Heard(rest.account, rest.model or None, Cause(rest.cause), rest.until), now)

    async def _write(self) -> None:
        """Writes what is new; what cannot be written stays for the next time, within bounds."""
        now = self._steady()
        pins, quotas, rests = self._unwritten
        pins += [Pin(kept.affinity, kept.account, kept.used_at) for kept in self._pool.pins_changed()]
        quotas += [_quota(self._id_of(name), window) for name, window in self._pool.readings_changed()]
        rests += [
            Rest(one.account, one.model or "", str(one.cause), one.until, now)
            for one in self._pool.heard_changed()
        ]
        self._said.update({(one.account, one.model): one.heard_at for one in rests})
        self._unwritten = (pins[-PINS:], quotas[-PINS:], rests[-PINS:])
        if pins:
            await self._pins.save(pins)
        if quotas:
            await self._quotas.save(quotas)
        if rests:
            await self._rests.save(rests, now)
        self._unwritten = ([], [], [])


def _quota(account_id: str, window: Window) -> Quota:
    return Quota(account_id, window.meter, window.seconds, window.used, window.resets_at, window.seen_at)


def _window(quota: Quota) -> Window:
    return Window(quota.meter, quota.seconds, quota.used, quota.resets_at, quota.seen_at, "header")
