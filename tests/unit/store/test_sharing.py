"""Limits over several processes of one database: nothing is counted twice, nothing is forgotten.

A process here is what one has: an open database, a ledger's writer, meters, and its sharing of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert, select, update

from dragoman.budget.limits import Amounts, Limit, Meters, Reservation
from dragoman.gateway.ports import Row
from dragoman.store import rows, sharing, usage
from dragoman.store.engine import Database, StoreDown
from dragoman.store.health import Health
from dragoman.store.journal import Journal
from dragoman.store.sharing import Sharing
from dragoman.store.tables import replicas
from dragoman.store.writer import Writer

NOW = 1_795_780_800.0 + 1800.0  # half past an hour
DAY = Limit("tokens", "day", 1000)
KEY = "laptop"
MODEL = "claude-opus-4-6"


class Process:
    """One process. Its clock stands still unless a test moves it."""

    def __init__(self, database: Database, place: Path, *limits: Limit, silent: bool = False) -> None:
        self.database = database
        self.now = NOW
        self.journal = Journal(place)
        self.journal.open()
        self.writer = Writer(database, self.journal, Health(), monotonic=lambda: 0.0)
        self.limits = {KEY: Meters(limits or (DAY,))}
        self.failures: list[str] = []
        self.sharing = Sharing(
            database,
            self.writer,
            self.journal.boot,
            lambda: self.limits,
            now=lambda: self.now,
            failed=self.failures.append,
            silent=silent,
            seconds=0.01,
        )
        self.writer.witness = self.sharing

    async def begin(self) -> None:
        """Fills the meters as a start does."""
        async with self.writer.still(), self.database.snapshot() as connection:
            for meter in self.limits[KEY]:
                meter.load(await usage.settled(connection, KEY, meter.limit, self.now))
            await self.sharing.mark(connection, self.limits)

    def ask(self, tokens: int, model: str = MODEL) -> Reservation:
        found = self.limits[KEY].reserve(model, Amounts(1, tokens, 0, 0), self.now)
        assert isinstance(found, Reservation), found
        return found

    def end(self, one: Reservation, tokens: int, model: str = MODEL) -> None:
        """A request ends: it is settled, and its row goes to the writer."""
        one.settle(Amounts(1, tokens, 0, 0), self.now)
        row = Row(f"req_{id(one)}", self.now, key=KEY, requested_model=model, upstream_model="gpt-5.5")
        row.input_tokens, row.usage_source = tokens, "measured"
        self.writer.record(row)

    def use(self, tokens: int, model: str = MODEL) -> None:
        self.end(self.ask(tokens, model), tokens, model)

    def counted(self, index: int = 0) -> tuple[int, int]:
        """Settled and held, here and elsewhere."""
        line = self.limits[KEY].lines(self.now)[index]
        return line.used, line.held

    async def close(self) -> None:
        await self.sharing.stop()
        await self.writer.stop()


Start = Callable[..., Any]


@pytest_asyncio.fixture
async def start(database: Database, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a process with a database of its own."""
    opened: list[tuple[Process, Database]] = []

    async def begin(*limits: Limit, silent: bool = False) -> Process:
        own = Database(database.url)
        process = Process(own, tmp_path / f"journal-{len(opened)}", *limits, silent=silent)
        opened.append((process, own))
        await process.begin()
        await process.sharing.look()
        return process

    yield begin
    for process, own in opened:
        await process.close()
        await own.close()


async def look(*processes: Process) -> None:
    for process in processes:
        await process.sharing.look()


async def test_what_one_holds_and_used_counts_in_the_others(start: Start) -> None:
    a, b, c = await start(), await start(), await start()
    held = a.ask(400)
    await look(a, b, c)
    assert [one.counted() for one in (a, b, c)] == [(0, 400), (0, 400), (0, 400)]
    assert b.limits[KEY].lines(NOW)[0].remaining == 600
    a.end(held, 350)
    await look(a, b, c)
    assert [one.counted() for one in (a, b, c)] == [(350, 0), (0, 350), (0, 350)], "not written yet"
    await a.writer.flush()
    await look(b, c, a, b, c)
    assert [one.counted() for one in (a, b, c)] == [(350, 0)] * 3
    b.use(100)
    c.use(10)
    for one in (b, c, a):
        await one.writer.flush()
    await look(a, b, c)
    assert [one.counted() for one in (a, b, c)] == [(460, 0)] * 3
    assert [one.sharing.peers for one in (a, b, c)] == [2, 2, 2]


async def test_rows_go_over_from_what_is_held_to_the_sums_in_one_moment(start: Start) -> None:
    """However the looks fall, what was published is seen once, never twice and never not at all."""
    a, b = await start(), await start()
    for number in range(1, 6):
        a.use(10)
        await look(a)
        await look(b)
        assert sum(b.counted()) == number * 10
        await a.writer.flush()
        await look(b)
        assert b.counted() == (number * 10, 0)


async def test_a_process_that_starts_later_knows_all_that_was(start: Start) -> None:
    a = await start()
    a.use(100)
    await a.writer.flush()
    a.use(20)
    open_one = a.ask(300)
    await look(a)
    b = await start()
    assert b.counted() == (100, 320)
    a.end(open_one, 300)
    await a.writer.flush()
    await look(b)
    assert b.counted() == (420, 0) == a.counted()


async def test_what_is_used_before_a_limit_comes_is_in_its_sum_alone(start: Start) -> None:
    """A limit that is new in a process starts from the sums, and what comes after is added once."""
    a, b = await start(), await start()
    a.use(100)
    await a.writer.flush()
    more = Limit("requests", "day", 50)
    (fresh,) = b.limits[KEY].replace((DAY, more))
    async with b.writer.still(), b.database.snapshot() as connection:
        parts = await usage.settled(connection, KEY, more, NOW)
        await b.sharing.mark(connection, b.limits)
    # The sums of that moment are added in any case; what `mark` took in before is in them.
    before = fresh.used(NOW)
    fresh.load(parts)
    assert fresh.used(NOW) - before == 1
    assert b.counted() == (100, 0)
    a.use(50)
    await a.writer.flush()
    await look(b)
    assert b.counted() == (150, 0)


async def test_models_windows_and_measures_are_kept_apart(start: Start) -> None:
    limits = (
        Limit("tokens", "minute", 1000, "claude-opus-*"),
        Limit("requests", "total", 100),
        Limit("input_tokens", "5h", 1000),
        Limit("tokens", "month", 1000, "gpt-*"),
    )
    a, b = await start(*limits), await start(*limits)
    held = a.ask(30)
    a.use(10, "gpt-5.5")
    a.use(20)
    await look(a, b)
    assert [b.counted(index) for index in range(4)] == [(0, 50), (0, 3), (0, 60), (0, 10)]
    a.end(held, 30)
    await a.writer.flush()
    await look(b)
    assert [b.counted(index) for index in range(4)] == [(50, 0), (3, 0), (60, 0), (10, 0)]
    b.now = NOW + 120
    assert b.counted(0) == (0, 0), "a minute later what others used is gone as well"


async def test_what_others_used_in_the_hour_before_does_not_count_in_a_day_that_began_after(
    start: Start,
) -> None:
    midnight = (NOW // 86_400 + 1) * 86_400
    a, b = await start(), await start()
    for one in (a, b):
        one.now = midnight - 5
        await look(one)
    a.use(100)
    await a.writer.flush()
    b.now = midnight + 5
    await look(b)
    assert b.counted() == (0, 0)


async def test_a_process_that_ends_or_dies_holds_nothing(
    start: Start, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = await start(), await start(), await start()
    a.ask(100)
    b.ask(200)
    await look(a, b, c)
    assert c.counted() == (0, 300)
    a.sharing.start()
    await a.sharing.stop()
    a.use(0)
    await a.writer.flush()  # the last rows are written after it: they say nothing of holds any more
    await look(c)
    assert c.counted() == (0, 200)
    async with database.write() as connection:  # b was killed a while ago
        await connection.execute(
            update(replicas).values(seen_at=replicas.c.seen_at - sharing.LIVE_SECONDS - 1)
        )
    await look(c)
    assert c.counted() == (0, 0)
    assert c.sharing.peers == 0
    monkeypatch.setattr(sharing, "_FORGET_SECONDS", 5.0)
    monkeypatch.setattr(sharing, "_WIDE", 1)
    await look(c)
    async with database.read() as connection:
        assert list(await connection.scalars(select(replicas.c.boot))) == [c.journal.boot]


async def test_what_a_dead_process_left_counts_when_it_is_taken_in(
    start: Start, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whatever process or verb; one that is alone looks for it as well."""
    monkeypatch.setattr(sharing, "_ALONE", 1)
    a = await start()
    row = Row("req_dead", NOW, key=KEY, requested_model=MODEL, upstream_model="gpt-5.5", uid="dead-1")
    row.input_tokens, row.usage_source = 70, "measured"
    async with database.write() as connection:
        await rows.add(connection, [rows.columns(row)])
    await look(a)
    assert a.counted() == (70, 0)


async def test_what_a_process_that_says_nothing_used_counts_at_the_next_look(
    start: Start, database: Database
) -> None:
    """One that began alone shares nothing, also while another takes its place."""
    successor = await start(silent=True)
    for number in range(1, 4):
        row = Row(
            "req_old", NOW, key=KEY, requested_model=MODEL, upstream_model="gpt-5.5", uid=f"old-{number}"
        )
        row.input_tokens, row.usage_source = 70, "measured"
        async with database.write() as connection:
            await rows.add(connection, [rows.columns(row)])
        await look(successor)
        assert successor.counted() == (71 * number - 1, 0)
        successor.use(1)
        await successor.writer.flush()


async def test_a_commit_whose_answer_was_lost_is_not_taken_for_anothers_twice(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the lost answer and the next try the row looks like another's; afterwards it adds up again."""
    monkeypatch.setattr(sharing, "_ALONE", 1)
    a, b = await start(), await start()
    real = a.database.write

    @asynccontextmanager
    async def lost() -> AsyncIterator[Any]:
        async with real() as connection:
            yield connection
        raise StoreDown("the answer was lost")

    a.use(100)
    with monkeypatch.context() as broken:
        broken.setattr(a.database, "write", lost)
        with pytest.raises(StoreDown):
            await a.writer.flush()
    await look(a)
    assert a.counted()[0] in (100, 200)
    await a.writer.flush()
    a.use(100)
    b.use(100)
    for one in (a, b):
        await one.writer.flush()
    await look(a, b)
    assert b.counted() == (300, 0)
    assert a.counted()[0] == 300


async def test_nothing_is_said_or_read_without_limits(start: Start, database: Database) -> None:
    a = await start()
    async with database.write() as connection:
        await connection.execute(replicas.delete())
    a.limits = {}
    await look(a)
    a.now += 1
    async with database.read() as connection:
        assert (await connection.execute(select(replicas))).all() == []


async def test_it_goes_on_after_failures_and_then_believes_nothing_old(
    start: Start, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "LIVE_SECONDS", 0.05)
    a = await start()
    monkeypatch.setattr(sharing, "LIVE_SECONDS", 0.05)
    next(iter(a.limits[KEY])).elsewhere = 100

    @asynccontextmanager
    async def down() -> AsyncIterator[Any]:
        raise StoreDown("no answer in time")
        yield

    with monkeypatch.context() as broken:
        broken.setattr(a.database, "write", down)
        a.sharing.start()
        async with asyncio.timeout(60):
            while a.counted() != (0, 0):
                await asyncio.sleep(0.01)
        assert set(a.failures) == {"no answer in time"}
    monkeypatch.setattr(sharing, "LIVE_SECONDS", 3600.0)
    async with database.write() as connection:
        await connection.execute(
            insert(replicas).values(boot="x", holds=f'[["{KEY}","tokens","day",null,7]]', seen_at=4e9)
        )
    async with asyncio.timeout(60):
        while a.counted() != (0, 7):
            await asyncio.sleep(0.01)


async def test_many_at_once_come_to_the_same_sum(start: Start) -> None:
    """Requests, writes and looks of three processes in any order: at the end all have counted all."""
    processes = [await start(Limit("tokens", "day", 10**6)) for _ in range(3)]

    async def work(process: Process) -> None:
        for number in range(40):
            held = process.ask(10)
            await asyncio.sleep(0)
            process.end(held, 5)
            if number % 3 == 0:
                await process.writer.flush()
            if number % 4 == 0:
                await process.sharing.look()

    await asyncio.gather(*(work(process) for process in processes))
    for process in processes:
        await process.writer.flush()
    await look(*processes, *processes)
    assert [one.counted() for one in processes] == [(600, 0)] * 3
