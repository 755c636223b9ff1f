"""Limits that hold over all processes of one database: what others used and hold is counted here too.

What others used is what grew in the hourly sums beyond what this process wrote, read twice a second; what
their open requests hold each of them publishes as often. So a process knows of the others what is older than
a second; what they let in since then it cannot know, and by that much a limit may be overrun. It works only
while there are limits, and reads little while this process is alone. It decides no admission.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Insert, Select, bindparam, delete, select, text

from dragoman.budget.limits import Amounts, Limit, Meters
from dragoman.gateway.beside import Beside
from dragoman.store import usage
from dragoman.store.core import AsyncConnection
from dragoman.store.engine import Database, StoreError, clock, insertion
from dragoman.store.rows import HOUR, counted
from dragoman.store.tables import replicas
from dragoman.store.usage import NOTHING, Cell
from dragoman.store.writer import Writer
from dragoman.wire import jsonio

LOOK_SECONDS = 0.5
# A process that said nothing for so long is gone, and what it held with it.
LIVE_SECONDS = 10.0
_FORGET_SECONDS = 86_400.0
# Every so many looks: this process is told to be alive; sums are read though it is alone (a verb may have
# taken in what a dead process left); old hours are looked at too.
_BEAT, _ALONE, _WIDE = 4, 20, 120
# How old an hour may be whose sums still change.
_BACK = 26 * HOUR
_What = tuple[str, str, str, str | None]


@dataclass(slots=True)
class _Mark:
    """What the sums said of one key: by place what others had used, and what this process wrote since.

    first  the earliest hour that was looked at: what changes in an older one is not known
    """

    first: int
    others: dict[Cell, Amounts] = field(default_factory=dict)
    own: dict[Cell, Amounts] = field(default_factory=dict)


class Sharing(Beside):
    """Shares the limits of one process. `limits` are its meters by key, `boot` its own name.

    `looked` is told after every look that worked, `failed` why one did not. `silent`: another process may
    use what it says nothing of, so the sums are read at every look. It must be the writer's witness from the
    first request on.
    """

    def __init__(
        self,
        database: Database,
        writer: Writer,
        boot: str,
        limits: Callable[[], Mapping[str, Meters]],
        *,
        now: Callable[[], float],
        looked: Callable[[], None] = lambda: None,
        failed: Callable[[str], None] = lambda why: None,
        silent: bool = False,
        seconds: float = LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._writer = writer
        self._boot = boot
        self._limits = limits
        self._now = now
        self._looked = looked
        self._failed = failed
        self._silent = silent
        self._seconds = seconds
        self._marks: dict[str, _Mark] = {}
        self._unwritten: dict[tuple[str, str], Amounts] = {}
        self._published: str | None = None
        self._looks = 0
        self._over = False
        self._last_good = 0.0
        self.peers = 0

    # -- the writer's witness ------------------------------------------------------------------------------

    def recorded(self, values: dict[str, Any]) -> None:
        """A row ended: its reservation is gone, and until the database has it others must know."""
        amount = usage.used(values)
        if amount.requests:
            _, key, model = counted(values)
            self._unwritten[key, model] = _plus(self._unwritten.get((key, model), NOTHING), amount)

    async def storing(self, connection: AsyncConnection, batch: Sequence[dict[str, Any]]) -> None:
        """In the transaction that writes rows: what they used goes over from what is held to the sums."""
        if self._limits() and not self._over:
            self._published = None
            await self._publish(connection, self._holds(_by_place(batch)))

    def stored(self, batch: Sequence[dict[str, Any]], refused: Sequence[dict[str, Any]]) -> None:
        """The database has these rows, but for those it refused."""
        for place, amount in _by_place(batch).items():
            left = _minus(self._unwritten.get(place, NOTHING), amount)
            if any(left):
                self._unwritten[place] = left
            else:
                self._unwritten.pop(place, None)
        lost = {values["uid"] for values in refused}
        for values in batch:
            cell = Cell(*counted(values))
            mark = self._marks.get(cell.key)
            if mark is not None and values["uid"] not in lost:
                mark.own[cell] = _plus(mark.own.get(cell, NOTHING), usage.used(values))

    # -- what others did -----------------------------------------------------------------------------------

    async def mark(self, connection: AsyncConnection, keys: Collection[str]) -> None:
        """Takes in what the sums say at this moment; meters filled from the same moment go on from here.

        For whoever holds the writer still and reads sums in the same snapshot.
        """
        now = self._now()
        since = now - _BACK
        self._take(await usage.cells(connection, keys, since), keys, since, now)

    async def look(self) -> None:
        """Publishes what this process holds, takes in what others used and hold. Raises StoreError."""
        limits = self._limits()
        if not limits:
            return
        self._looks += 1
        now = self._now()
        wide = self._looks % _WIDE == 0 or any(key not in self._marks for key in limits)
        since = now - (_BACK if wide else HOUR)
        async with self._writer.still():
            async with self._database.write() as connection:
                if self._database.dialect == "postgresql":
                    # Sums and holds of one moment: what went over from one to the other is not counted twice.
                    await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
                holds = self._holds()
                if holds != self._published or self._looks % _BEAT == 1:
                    await self._publish(connection, holds)
                told = await self._others(connection)
                found = None
                if told or wide or self._silent or self._looks % _ALONE == 0:
                    found = await usage.cells(connection, limits, since)
            if found is not None:
                self._take(found, limits, since, now)
            self._hold(told)
        self.peers = len(told)
        self._published = holds
        self._last_good = asyncio.get_running_loop().time()
        if self._looks % _WIDE == 0:
            await self._forget()

    async def stop(self) -> None:
        """Ends, and tells the others that nothing is held here any more."""
        if not await self._end():
            return
        self._over = True
        try:
            async with self._database.write() as connection:
                await connection.execute(delete(replicas).where(replicas.c.boot == self._boot))
        except StoreError as error:
            self._failed(str(error))

    async def _loop(self) -> None:
        while True:
            try:
                await self.look()
                self._looked()
            except Exception as error:
                # It must not die of what it reads; the kind is told, texts may hold values.
                self._failed(str(error) if isinstance(error, StoreError) else type(error).__name__)
                self._doubt()
            await asyncio.sleep(self._seconds)

    def _doubt(self) -> None:
        """Nothing was heard for too long: what others held then is no longer believed."""
        if asyncio.get_running_loop().time() - self._last_good > LIVE_SECONDS:
            self._hold([])

    def _take(self, found: Mapping[Cell, Amounts], keys: Collection[str], since: float, now: float) -> None:
        first = int(since) // HOUR * HOUR
        limits = self._limits()
        for gone in self._marks.keys() - keys:
            del self._marks[gone]
        new = {key for key in keys if key not in self._marks}
        for key in new:
            self._marks[key] = _Mark(first)
        for cell, amounts in found.items():
            mark = self._marks[cell.key]
            before = mark.others.get(cell, NOTHING)
            # A commit whose answer was lost is here before it counts as ours: it must not count less then.
            others = _most(_minus(amounts, mark.own.get(cell, NOTHING)), before)
            mark.others[cell] = others
            if cell.key not in new and cell.hour >= mark.first and others != before:
                grown = _minus(others, before)
                for meter in limits.get(cell.key, ()):
                    if meter.limit.matches(cell.model):
                        # Of an hour that is over, its last moment: a window that began later has none of it.
                        meter.load([(min(now, cell.hour + HOUR - 1), grown.of(meter.limit.measure))])
        for mark in self._marks.values():
            _prune(mark, int(now) - _BACK - HOUR)

    def _hold(self, told: Iterable[str]) -> None:
        sums: dict[_What, int] = {}
        for one in told:
            for key, measure, per, models, amount in jsonio.parse(one.encode()):
                what = (key, measure, per, models)
                sums[what] = sums.get(what, 0) + amount
        for key, meters in self._limits().items():
            for meter in meters:
                meter.elsewhere = sums.get(_what(key, meter.limit), 0)

    # -- what this process tells ---------------------------------------------------------------------------

    def _holds(self, less: Mapping[tuple[str, str], Amounts] | None = None) -> str:
        """What open requests hold, and what ended ones used that the database does not have yet."""
        less = less or {}
        waiting: dict[str, list[tuple[str, Amounts]]] = {}
        for (key, model), amount in self._unwritten.items():
            waiting.setdefault(key, []).append((model, _minus(amount, less.get((key, model), NOTHING))))
        told = []
        for key, meters in self._limits().items():
            for meter in meters:
                limit = meter.limit
                ended = sum(
                    one.of(limit.measure) for model, one in waiting.get(key, ()) if limit.matches(model)
                )
                if meter.held + ended > 0:
                    told.append([*_what(key, limit), meter.held + ended])
        return jsonio.dump(told).decode()

    async def _publish(self, connection: AsyncConnection, holds: str) -> None:
        told = {"told_boot": self._boot, "told_holds": holds}
        await connection.execute(_publishing(connection.dialect.name), told)

    async def _others(self, connection: AsyncConnection) -> list[str]:
        """What every other live process holds."""
        query = _hearing(connection.dialect.name)
        return list(await connection.scalars(query, {"own": self._boot}))

    async def _forget(self) -> None:
        """Removes processes that are long gone."""
        async with self._database.write() as connection:
            old = clock(connection.dialect.name) - _FORGET_SECONDS
            await connection.execute(delete(replicas).where(replicas.c.seen_at < old))


@cache
def _publishing(dialect: str) -> Insert:
    # Put together once: every batch of rows needs it.
    told = {"boot": bindparam("told_boot"), "holds": bindparam("told_holds"), "seen_at": clock(dialect)}
    statement = insertion(dialect, replicas).values(told)
    changed = {name: statement.excluded[name] for name in ("holds", "seen_at")}
    found: Insert = statement.on_conflict_do_update(index_elements=["boot"], set_=changed)
    return found


@cache
def _hearing(dialect: str) -> Select[tuple[str]]:
    alive = replicas.c.seen_at > clock(dialect) - LIVE_SECONDS
    return select(replicas.c.holds).where(replicas.c.boot != bindparam("own"), alive)


def _prune(mark: _Mark, before: int) -> None:
    for places in (mark.others, mark.own):
        for cell in [one for one in places if one.hour < before]:
            del places[cell]
    mark.first = max(mark.first, before)


def _by_place(batch: Iterable[dict[str, Any]]) -> dict[tuple[str, str], Amounts]:
    sums: dict[tuple[str, str], Amounts] = {}
    for values in batch:
        amount = usage.used(values)
        if amount.requests:
            _, key, model = counted(values)
            sums[key, model] = _plus(sums.get((key, model), NOTHING), amount)
    return sums


def _what(key: str, limit: Limit) -> _What:
    return key, limit.measure, limit.per, limit.models


def _plus(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(*(a + b for a, b in zip(one, other, strict=True)))


def _minus(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(*(a - b for a, b in zip(one, other, strict=True)))


def _most(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(*(max(a, b) for a, b in zip(one, other, strict=True)))
