"""The writer: nothing lost, nothing twice, whatever the database does. On both databases."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from dragoman.gateway.ports import Row
from dragoman.store import claims, migrate, rows, tables, writer
from dragoman.store.clientkeys import ClientKeys, KeySpec
from dragoman.store.engine import Database, StoreDown, locate
from dragoman.store.health import Health
from dragoman.store.journal import Journal
from dragoman.store.tables import requests, usage_hours
from dragoman.store.writer import Writer


def row(number: int = 0, **more: Any) -> Row:
    told = {"key": "laptop", "requested_model": "claude-x", "upstream_model": "gpt-5.5", "account": "a"}
    used = {"input_tokens": 100, "output_tokens": 10, "usage_source": "measured", "duration_ms": 50.0}
    base = {"status": 200, "outcome": "ok", "cost_nano": 7}
    return Row(f"req_{number}", 7200.0 + number, **{**told, **used, **base, **more})


class Stage:
    """A writer over a database and a journal of its own."""

    def __init__(self, database: Database, place: Path, boot: str = "boot") -> None:
        self.database = database
        self.health = Health()
        self.journal = Journal(place / "journal", boot)
        self.journal.open()
        self.keys = ClientKeys(database, b"pepper")
        self.writer = Writer(database, self.journal, self.health, monotonic=lambda: 0.0, keys=self.keys)

    async def stored(self) -> list[Any]:
        async with self.database.read() as connection:
            return list((await connection.execute(select(requests).order_by(requests.c.id))).all())

    async def until(self, count: int) -> list[Any]:
        async with asyncio.timeout(60):
            while len(found := await self.stored()) < count:
                await asyncio.sleep(0.02)
        return found


@pytest.fixture
def stage(database: Database, tmp_path: Path) -> Stage:
    return Stage(database, tmp_path)


async def test_rows_arrive_with_their_sums(stage: Stage) -> None:
    stage.writer.start()
    for number in range(1200):
        one = row(number)
        stage.writer.begin(one)
        stage.writer.record(one)
    await stage.until(1200)
    await stage.writer.stop()
    assert stage.writer.waiting == 0
    assert stage.writer.written == 1200
    async with stage.database.read() as connection:
        sums = (await connection.execute(select(usage_hours))).all()
    assert sum(one.requests for one in sums) == sum(one.counted for one in sums) == 1200
    assert sum(one.input_tokens for one in sums) == 120_000
    assert sum(one.cost_nano for one in sums) == 8400
    assert {one.hour for one in sums} == {7200}
    assert list((stage.journal.directory).iterdir()) == []


async def test_a_row_waits_for_others_where_others_went_just_before(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One alone is written soon; those of a steady trickle share a transaction, as many at once do."""
    now, waited, sleep = [0.0], [], asyncio.sleep

    async def slept(seconds: float) -> None:
        if seconds >= writer.PAUSE_SECONDS:
            waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", slept)
    monkeypatch.setattr(stage.writer, "_monotonic", lambda: now[0])
    short, long = [writer.PAUSE_SECONDS], [writer.PAUSE_SECONDS, writer.PAUSE_SECONDS * 3]
    stage.writer.start()
    for number, (later, expected) in enumerate([(0.0, short), (0.2, long), (0.2, long), (1.0, short)]):
        now[0] += later
        waited.clear()
        stage.writer.record(row(number))
        await stage.until(number + 1)
        assert waited == expected, number
        # The next one comes when the writer rests: while it writes it would take it along at once.
        while stage.writer._flushing is None or not stage.writer._flushing.done():
            await sleep(0.001)
        await sleep(0.01)
    now[0] += 1.0
    waited.clear()
    for number in range(writer.FEW + 1):
        stage.writer.record(row(10 + number))
    await stage.until(5 + writer.FEW)
    assert waited == long
    await stage.writer.stop()


async def test_what_is_written_twice_is_kept_once(stage: Stage) -> None:
    """reliability S1: a settlement has one name for ever."""
    values = [rows.columns(row(number, uid=f"x-{number}")) for number in range(3)]
    for batch in (values, values[:2], values):
        async with stage.database.write() as connection:
            await rows.add(connection, batch)
    assert len(await stage.stored()) == 3
    async with stage.database.read() as connection:
        assert await connection.scalar(select(func.sum(usage_hours.c.requests))) == 3
    stage.journal.close()


async def test_the_same_client_chosen_id_twice_is_two_rows(stage: Stage) -> None:
    for _ in range(2):
        one = row(1)
        stage.writer.begin(one)
        stage.writer.record(one)
    await stage.writer.flush()
    assert [one.request_id for one in await stage.stored()] == ["req_1", "req_1"]
    stage.journal.close()


async def test_dead_processes_are_taken_in_once(database: Database, tmp_path: Path) -> None:
    """B97, reliability S1: what ended counts, what never ended is aborted and charged nothing."""
    dead = Stage(database, tmp_path, "dead")
    ended, never, flushed = row(1), row(2), row(3)
    for one in (ended, never, flushed):
        dead.writer.begin(one)
    dead.writer.record(flushed)
    await dead.writer.flush()
    dead.writer.record(ended)
    _die(dead.journal)
    heir = Stage(database, tmp_path, "heir")
    assert await heir.writer.recover() == (2, 1, 0)
    assert await heir.writer.recover() == (0, 0, 0)
    found = {one.request_id: one for one in await heir.stored()}
    assert {name: one.outcome for name, one in found.items()} == {
        "req_1": "ok",
        "req_2": "aborted",
        "req_3": "ok",
    }
    assert found["req_2"].usage_source == "none"
    assert (found["req_2"].status, found["req_2"].key) == (500, "laptop")
    async with database.read() as connection:
        assert await connection.scalar(select(func.sum(usage_hours.c.counted))) == 2
    heir.journal.close()


async def test_what_a_dead_process_had_claimed_is_free_again(database: Database, tmp_path: Path) -> None:
    """A gateway that was killed in the middle of a refresh blocks the account of none that comes after it."""
    dead, alive = Stage(database, tmp_path, "d_ad"), Stage(database, tmp_path, "alive")
    async with database.write() as connection:
        for number, holder in enumerate(("d_ad-1", "alive-1", "elsewhere-1", "dead-1")):
            values = {"name": f"refresh:{number}", "holder": holder, "until": 4e9}
            await connection.execute(insert(tables.claims).values(values))
    _die(dead.journal)
    heir = Stage(database, tmp_path, "heir")
    await heir.writer.recover()
    held = [await claims.held_by(database, f"refresh:{number}") for number in range(4)]
    assert held == [None, "alive-1", "elsewhere-1", "dead-1"]
    async with claims.claim(database, "refresh:0", "heir-1", 30.0) as got:
        assert got
    for stage in (alive, heir):
        stage.journal.close()


def _die(journal: Journal) -> None:
    import os

    for descriptor in (journal._file, journal._lock):
        if descriptor is not None:
            os.close(descriptor)


@asynccontextmanager
async def _down(*_: Any) -> AsyncIterator[None]:
    raise StoreDown("database is locked")
    yield


async def test_a_database_that_is_down_loses_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """reliability S2: rows wait, the part is named, and they are written when it is back."""
    monkeypatch.setattr(writer, "PAUSE_SECONDS", 0.0)
    write = stage.database.write
    stage.database.write = _down  # type: ignore[assignment, method-assign]
    stage.writer.start()
    for number in range(30):
        stage.writer.record(row(number))
    async with asyncio.timeout(30):
        while "db_write" not in stage.health.parts:
            await asyncio.sleep(0.01)
    assert stage.health.parts["db_write"] == "database is locked"
    assert stage.writer.waiting == 30
    stage.database.write = write  # type: ignore[method-assign]
    await stage.until(30)
    async with asyncio.timeout(30):
        while stage.health.parts:
            await asyncio.sleep(0.01)
    await stage.writer.stop()


def locked(stage: Stage) -> asyncio.Event:
    """The database lets nobody write until the event is set."""
    free = asyncio.Event()
    write = stage.database.write

    @asynccontextmanager
    async def waits() -> AsyncIterator[Any]:
        await free.wait()
        async with write() as connection:
            yield connection

    stage.database.write = waits  # type: ignore[assignment, method-assign]
    return free


async def test_a_database_that_does_not_answer_is_named_before_it_gives_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """reliability S3: a lock may take ten seconds to become an error; one that works is named by nobody."""
    monkeypatch.setattr(writer, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(writer, "SLOW_SECONDS", 0.01)
    free = locked(stage)
    stage.writer.start()
    stage.writer.record(row())
    async with asyncio.timeout(30):
        while "db_write" not in stage.health.parts:
            await asyncio.sleep(0.01)
    assert stage.writer.waiting == 1
    free.set()
    async with asyncio.timeout(30):
        while stage.health.parts:
            await asyncio.sleep(0.01)
    assert (stage.writer.waiting, stage.writer.written) == (0, 1)
    await stage.writer.stop()


async def test_a_journal_that_can_be_written_again_gets_well_without_a_request(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """reliability S3: readiness does not go on naming what is well again."""
    monkeypatch.setattr(writer, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(writer, "PROBE_SECONDS", 0.01)
    monkeypatch.setattr(writer, "SYNC_SECONDS", 0.0)
    full = True

    async def probe(probe: Any = stage.journal.probe) -> None:
        if not full:
            await probe()

    monkeypatch.setattr(stage.journal, "probe", probe)
    stage.writer.start()
    await asyncio.sleep(0.01)  # it waits for news
    stage.journal.fault = "No space left on device"
    monkeypatch.setattr(stage.journal, "_write", lambda *_: None)
    stage.writer.begin(row())  # a long request: nothing ends
    async with asyncio.timeout(30):
        while "journal" not in stage.health.parts:
            await asyncio.sleep(0.01)
    full = False
    async with asyncio.timeout(30):
        while stage.health.parts:
            await asyncio.sleep(0.01)
    assert stage.journal.fault is None
    await stage.writer.stop()


async def test_a_batch_that_gets_no_answer_is_told_before_it_fails(stage: Stage) -> None:
    """reliability S2: a locked database is known as such after a second, its own bound is five."""
    clock = [0.0]
    stage.writer._monotonic = lambda: clock[0]
    free = locked(stage)
    assert not stage.writer.stuck(1.0)
    stage.writer.record(row())
    stage.writer.start()
    async with asyncio.timeout(30):
        while not stage.writer.stuck(-1.0):
            await asyncio.sleep(0.01)
    assert not stage.writer.stuck(1.0)
    clock[0] = 1.5
    assert stage.writer.stuck(1.0)
    free.set()
    await stage.until(1)
    async with asyncio.timeout(30):
        while stage.writer.stuck(1.0):
            await asyncio.sleep(0.01)
    await stage.writer.stop()


async def test_a_file_that_is_locked_is_noticed_without_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """reliability S2: the first unknown key that comes is not judged, and readiness knows."""
    monkeypatch.setattr(writer, "PROBE_SECONDS", 0.01)
    database = Database(locate("sqlite:///some.db", tmp_path), busy_seconds=0.05)
    await migrate.prepare(database, automatic=True)
    stage = Stage(database, tmp_path)
    stage.writer.start()
    with contextlib.closing(sqlite3.connect(tmp_path / "some.db", check_same_thread=False)) as other:
        other.isolation_level = None
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
        async with asyncio.timeout(30):
            while "db_write" not in stage.health.parts:
                await asyncio.sleep(0.01)
        other.execute("ROLLBACK")
    async with asyncio.timeout(30):
        while stage.health.parts:
            await asyncio.sleep(0.01)
    await stage.writer.stop()
    await database.close()


async def test_beyond_the_bound_only_words_are_dropped(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "BOUND_ROWS", 2)
    for number in range(4):
        stage.writer.record(row(number, attempts=[{"account": "b"}], cache_story="because"))
    await stage.writer.flush()
    found = await stage.stored()
    assert [one.cache_story for one in found] == ["because", "because", None, None]
    assert [one.attempts == "[]" for one in found] == [False, False, True, True]
    assert [one.input_tokens for one in found] == [100] * 4
    assert stage.writer.dropped_texts == 2
    stage.journal.close()


async def test_stopping_while_the_database_is_down_leaves_the_rows_to_the_next(
    stage: Stage, database: Database, tmp_path: Path
) -> None:
    write = stage.database.write
    stage.database.write = _down  # type: ignore[assignment, method-assign]
    stage.writer.record(row(1))
    await stage.writer.stop()
    stage.database.write = write  # type: ignore[method-assign]
    heir = Stage(database, tmp_path, "heir")
    assert await heir.writer.recover() == (1, 0, 0)
    assert len(await heir.stored()) == 1
    heir.journal.close()


async def test_a_row_that_the_database_refuses_keeps_no_other_out(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = rows.add

    async def picky(connection: Any, batch: Any) -> int:
        if any(values["request_id"] == "req_1" for values in batch):
            raise ValueError("cannot be encoded")
        return await add(connection, batch)

    monkeypatch.setattr(rows, "add", picky)
    for number in range(3):
        stage.writer.record(row(number))
    await stage.writer.flush()
    assert [one.request_id for one in await stage.stored()] == ["req_0", "req_2"]
    assert stage.writer.refused == 1
    assert "ValueError" in stage.health.parts["row"]
    stage.journal.close()


async def test_when_a_key_was_used_last_is_kept(stage: Stage) -> None:
    await stage.keys.create(KeySpec("laptop"), 0.0)
    stage.writer.start()
    stage.writer.record(row(5))
    await stage.until(1)
    async with asyncio.timeout(30):
        while (await stage.keys.get("laptop")).last_used_at is None:
            await asyncio.sleep(0.02)
    assert (await stage.keys.get("laptop")).last_used_at == 7205.0
    await stage.writer.stop()


async def test_client_text_is_cut_to_what_a_column_holds(stage: Stage) -> None:
    """A NUL or an endless name of a client's is no reason to lose the row."""
    stage.writer.record(row(1, requested_model="m" * 1000, client="c\0d" + "x" * 500))
    await stage.writer.flush()
    (one,) = await stage.stored()
    assert one.requested_model == "m" * 256
    assert one.client.startswith("c\N{REPLACEMENT CHARACTER}d")
    stage.journal.close()


async def test_names_that_led_nowhere_get_no_line_in_the_sums(stage: Stage) -> None:
    for number in range(5):
        refused = {"upstream_model": "", "account": "", "outcome": "refused", "usage_source": "none"}
        stage.writer.record(row(number, requested_model=f"made-up-{number}", **refused))
    await stage.writer.flush()
    async with stage.database.read() as connection:
        (one,) = (await connection.execute(select(usage_hours))).all()
    assert (one.requested_model, one.requests, one.counted) == ("", 5, 0)
    stage.journal.close()


async def test_nothing_is_written_while_sums_are_read(stage: Stage) -> None:
    stage.writer.start()
    async with stage.writer.still() as waiting:
        stage.writer.record(row(1))
        await asyncio.sleep(0.3)
        assert [values["request_id"] for values in waiting] == ["req_1"]
        assert await stage.stored() == []
    await stage.until(1)
    await stage.writer.stop()
