"""Old rows go, in small batches and behind everybody else; the sums stay."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, select

from dragoman.store import retention
from dragoman.store.engine import Database, StoreDown
from dragoman.store.reading import Filter, latest
from dragoman.store.retention import BATCH, DAY, Retention
from dragoman.store.series import totals
from dragoman.store.tables import requests
from tests.support.ledger import NOON, put, row, statements

WAIT = 60.0


async def kept(database: Database) -> list[str]:
    return [one["request_id"] for one in await latest(database, Filter(), 10_000)]


async def test_what_is_too_old_goes_and_its_sums_stay(database: Database) -> None:
    """B100: kept for as many days as were asked for."""
    await put(database, [row(number, time=NOON + number * DAY) for number in range(6)])
    job = Retention(database, 2, now=lambda: NOON + 5 * DAY)
    assert await job.sweep() == 3
    assert await kept(database) == ["req_5", "req_4", "req_3"]
    assert await job.sweep() == 0
    assert (await totals(database))[0]["requests"] == 6


async def test_a_sweep_takes_small_bites(database: Database) -> None:
    """No transaction removes more than one batch, so nobody waits for a whole sweep."""
    for start in range(0, 2 * BATCH + 20, 510):
        await put(database, [row(number) for number in range(start, start + 510)])
    job = Retention(database, 1, now=lambda: NOON + 9 * DAY, pause_seconds=0)
    with statements(database) as sent:
        assert await job.sweep() == 2 * BATCH + 20
    removed = [len(parameters) for statement, parameters in sent if statement.startswith("DELETE")]
    assert removed == [BATCH, BATCH, 20]
    assert await kept(database) == []


async def test_others_write_between_the_bites(database: Database) -> None:
    for start in range(0, 2 * BATCH, 500):
        await put(database, [row(number) for number in range(start, start + 500)])
    job = Retention(database, 1, now=lambda: NOON + 9 * DAY, pause_seconds=0.01)
    sweep = asyncio.ensure_future(job.sweep())
    for number in range(5):
        async with asyncio.timeout(WAIT):
            await put(database, [row(5000 + number, time=NOON + 8.5 * DAY)])
    assert await sweep == 2 * BATCH
    async with database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(requests)) == 5


async def test_nothing_goes_where_everything_is_kept(database: Database) -> None:
    await put(database, [row(1)])
    job = Retention(database, 0, now=lambda: NOON + 999 * DAY, first_seconds=0)
    job.start()
    await asyncio.sleep(0)
    assert await job.sweep() == 0
    await job.stop()
    assert await kept(database) == ["req_1"]


async def test_the_job_goes_on_after_a_store_that_did_not_answer(database: Database) -> None:
    """Reliability S2: the reason is told once a sweep, and the next sweep does the work."""
    await put(database, [row(1)])
    removed: list[int] = []
    failed: list[str] = []
    told = asyncio.Event()

    class Broken(Retention):
        async def sweep(self) -> int:
            if not failed:
                raise StoreDown("locked")
            if len(failed) == 1:
                raise ValueError("a secret text")
            return await super().sweep()

    def done(count: int) -> None:
        removed.append(count)
        told.set()

    job = Broken(
        database,
        1,
        now=lambda: NOON + 9 * DAY,
        removed=done,
        failed=failed.append,
        first_seconds=0,
        every_seconds=0.001,
    )
    job.start()
    async with asyncio.timeout(WAIT):
        await told.wait()
    await job.stop()
    await job.stop()
    assert removed == [1]
    assert failed == ["locked", "ValueError"]
    assert await kept(database) == []


def test_the_job_is_patient_by_itself() -> None:
    assert retention.EVERY_SECONDS == 3600
    assert retention.PAUSE_SECONDS >= 0.1
