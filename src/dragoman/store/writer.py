"""Writes the ledger behind the requests: journal first, then the database in batches.

`begin` and `record` never wait and never raise. While the database does not answer, rows stay in the journal
and in memory and are written when it is back; beyond the bound only explaining texts are dropped, and
counted. It knows nothing of limits or prices: rows arrive finished.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from dragoman.gateway.beside import Beside
from dragoman.gateway.ports import Row, StoreFigures
from dragoman.store import claims, clientkeys, rows
from dragoman.store.core import AsyncConnection
from dragoman.store.engine import Database, StoreError
from dragoman.store.health import Health
from dragoman.store.journal import Journal, left

BATCH = 500
PAUSE_SECONDS = 0.1
FEW = 8
SYNC_SECONDS = 1.0
PROBE_SECONDS = 1.0
USED_SECONDS = 60.0
SLOW_SECONDS = 0.5
BOUND_ROWS = 50_000
BOUND_BYTES = 64 * 1024 * 1024
_BACKOFF = (0.25, 0.5, 1.0, 2.0)


class Witness(Protocol):
    """Sees rows on their way, in the order of the methods; the lock of `still` is held in the last two."""

    def recorded(self, values: dict[str, Any]) -> None: ...

    async def storing(self, connection: AsyncConnection, batch: Sequence[dict[str, Any]]) -> None: ...

    def stored(self, batch: Sequence[dict[str, Any]], refused: Sequence[dict[str, Any]]) -> None: ...


class Writer(Beside):
    """Implements the gateway's Ledger port over a database and a journal. `monotonic` in seconds."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        health: Health,
        *,
        monotonic: Callable[[], float],
        keys: clientkeys.ClientKeys | None = None,
    ) -> None:
        self._database = database
        self._journal = journal
        self._health = health
        self._monotonic = monotonic
        self._keys = keys
        self._waiting: deque[dict[str, Any]] = deque()
        self._count = 0
        self._news = asyncio.Event()
        self._lock = asyncio.Lock()
        self._last_sync = monotonic()
        self._last_write = -math.inf
        self._flushing: asyncio.Future[None] | None = None
        self._used: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._doubt = False
        self._busy_since: float | None = None
        self.figures: StoreFigures | None = None
        self.witness: Witness | None = None
        self.written = 0
        self.dropped_texts = 0
        self.refused = 0

    @property
    def waiting(self) -> int:
        """Rows that the database does not have yet."""
        return len(self._waiting)

    def stuck(self, seconds: float) -> bool:
        """Whether the database has taken nothing, or let nobody write, for longer than so many seconds."""
        return self._busy_since is not None and self._monotonic() - self._busy_since > seconds

    def begin(self, row: Row) -> None:
        """A request was accepted: from now on it has a row, whatever happens to this process."""
        row.uid = self._uid()
        self._journal.begin(row.uid, rows.begun(row))
        if self._journal.fault is not None:
            self._news.set()  # told and tried again at once, however long the request takes

    def record(self, row: Row) -> None:
        """A request ended."""
        if not row.uid:
            row.uid = self._uid()
        values = rows.columns(row)
        if len(self._waiting) >= BOUND_ROWS or self._journal.size >= BOUND_BYTES:
            values = rows.compacted(values)
            self.dropped_texts += 1
            if self.figures is not None:
                self.figures.dropped_texts(1)
        self._journal.end(row.uid, values)
        self._waiting.append(values)
        if self.witness is not None:
            self.witness.recorded(values)
        if row.key:
            self._used[row.key] = row.time
        self._news.set()

    async def stop(self, seconds: float = 10.0) -> None:
        """Writes what waits, for at most `seconds`; what remains is in the journal for the next start."""
        await self._end()
        try:
            async with asyncio.timeout(seconds):
                await self.flush()  # after the batch that is being written
                if self._flushing is not None:
                    await asyncio.wait([self._flushing])
        except (TimeoutError, StoreError):
            if self._flushing is not None:
                self._flushing.cancel()
                await asyncio.wait([self._flushing], timeout=seconds)
            await self._journal.sync()
        self._journal.close()

    async def flush(self) -> None:
        """Writes everything that waits now. Raises StoreError."""
        while self._waiting:
            # One batch at a time: whoever needs it still comes in between, however much there is to write.
            async with self._lock:
                await self._write()

    @asynccontextmanager
    async def still(self) -> AsyncIterator[Sequence[dict[str, Any]]]:
        """Holds writing back: this process changes nothing, and these are the rows the database lacks."""
        async with self._lock:
            yield self._waiting

    async def recover(self) -> tuple[int, int, int]:
        """Takes in what dead processes left: counts of rows ended, aborted, unreadable. Raises StoreError.

        What they had claimed is free again.
        """
        counts = [0, 0, 0]
        for found in left(self._journal.directory, self._journal.boot):
            try:
                batch = found.ended + [rows.aborted(row) for row in found.aborted]
                for start in range(0, len(batch), BATCH):
                    async with self._database.write() as connection:
                        await rows.add(connection, batch[start : start + BATCH])
                await claims.release_all(self._database, found.boot)
                found.forget()
            finally:
                found.release()
            counts = [counts[0] + len(found.ended), counts[1] + len(found.aborted), counts[2] + found.torn]
        return counts[0], counts[1], counts[2]

    def _uid(self) -> str:
        self._count += 1
        return f"{self._journal.boot}-{self._count}"

    async def _loop(self) -> None:
        failures = 0
        self._journal.prepare()
        while True:
            await self._wait()
            await self._sync()
            try:
                # To be told to stop is no reason to give up a batch in the middle.
                wrote = bool(self._waiting)
                self._flushing = asyncio.ensure_future(self.flush() if wrote else self._try())
                self._flushing.add_done_callback(_looked_at)
                await self._patiently(self._flushing)
                if wrote:
                    self._last_write = self._monotonic()
                await self._tell_used()
                failures = 0
                self._health.well("db_write")
                self._tell(True)
            except Exception as error:
                # Whatever it was, the rows stay: a writer that dies would lose them all.
                told = str(error) if isinstance(error, StoreError) else type(error).__name__
                self._health.ill("db_write", told)
                self._tell(False)
                await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
                failures += 1

    async def _patiently(self, flushing: asyncio.Future[None]) -> None:
        """Waits for it; a database that takes no row for a while is told of before it says so itself."""
        before = -1
        while not (await asyncio.wait([flushing], timeout=SLOW_SECONDS))[0]:
            if self.written == before:
                self._health.ill("db_write", "the database has not answered for a while")
                self._tell(False)
            before = self.written
        flushing.result()

    def _tell(self, well: bool) -> None:
        if self.figures is not None:
            self.figures.up(well)
            self.figures.spooled(len(self._waiting))

    async def _wait(self) -> None:
        """Until there is something to write, and then a moment more, so that a batch gathers."""
        if not self._waiting:
            self._news.clear()
            # Of a file that is locked nothing else would tell while nothing comes, nor that a disk has room.
            idle = self._journal.fault is None and self._database.shared
            with suppress(TimeoutError):
                async with asyncio.timeout(None if idle else PROBE_SECONDS):
                    await self._news.wait()
            if not self._waiting:
                return
        if len(self._waiting) < BATCH:
            await asyncio.sleep(PAUSE_SECONDS)
        # A transaction costs as much as forty rows: where there are many, or others were written just now,
        # more of them share one.
        just_now = self._monotonic() - self._last_write < PAUSE_SECONDS * 4
        if (just_now or len(self._waiting) > FEW) and len(self._waiting) < BATCH:
            await asyncio.sleep(PAUSE_SECONDS * 3)

    async def _sync(self) -> None:
        if self._monotonic() - self._last_sync >= SYNC_SECONDS:
            self._last_sync = self._monotonic()
            await self._journal.sync()
            await self._journal.probe()
        if self._journal.fault is None:
            self._health.well("journal")
        else:
            self._health.ill("journal", self._journal.fault)

    async def _try(self) -> None:
        """A transaction that changes nothing: whether SQLite's one place to write can be had."""
        if self._database.shared:
            return
        async with self._lock:
            self._busy_since = self._monotonic()
            try:
                async with self._database.write():
                    pass
            finally:
                self._busy_since = None

    async def _write(self) -> None:
        """One batch; nothing where another has written it meanwhile."""
        batch = [self._waiting[index] for index in range(min(BATCH, len(self._waiting)))]
        refused: list[dict[str, Any]] = []
        if not batch:
            return
        self._busy_since = self._monotonic()
        try:
            async with self._database.write() as connection:
                await rows.add(connection, batch, doubt=self._doubt)
                if self.witness is not None:
                    await self.witness.storing(connection, batch)
            self._doubt = False
        except StoreError:
            self._doubt = True  # a commit whose answer was lost may have happened
            raise
        except Exception:
            self._doubt = True
            refused = await self._write_singly(batch)
        finally:
            self._busy_since = None
        for _ in batch:
            self._waiting.popleft()
        if self.witness is not None:
            self.witness.stored(batch, refused)
        self.written += len(batch)
        if self.figures is not None:
            self.figures.written(len(batch))
        self._journal.stored(values["uid"] for values in batch)

    async def _write_singly(self, batch: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """One row that the database will not take must not keep the others out; returns those."""
        refused = []
        for values in batch:
            for form in (values, rows.compacted(values)):
                try:
                    async with self._database.write() as connection:
                        await rows.add(connection, [form])
                    break
                except StoreError:
                    raise
                except Exception as error:
                    self._health.ill("row", f"{values['uid']}: {type(error).__name__}")
            else:
                self.refused += 1
                refused.append(values)
        return refused

    async def _tell_used(self) -> None:
        """When a key was used last is written once a minute at most."""
        if self._keys is None or not self._used:
            return
        due = {name: at for name, at in self._used.items() if at - self._told.get(name, 0.0) >= USED_SECONDS}
        if due:
            await self._keys.used(due)
            self._told.update(due)
        self._used.clear()


def _looked_at(flushing: asyncio.Future[None]) -> None:
    """Its failure is nobody's news: the next one to flush meets it again."""
    if not flushing.cancelled():
        flushing.exception()
