"""On both databases: windows are kept by meter and length, and the later word stays."""

from __future__ import annotations

from dragoman.store.engine import Database
from dragoman.store.quotas import Quota, Quotas


async def test_windows_are_kept_by_meter_and_length(database: Database) -> None:
    quotas = Quotas(database)
    await quotas.save([])
    week = Quota("acc", "main", 604_800, 0.25, 900.0, 50.0)
    short = Quota("acc", "main", 18_000, 0.5, None, 60.0)
    other = Quota("acc", "spark", 18_000, 1.0, 800.0, 70.0)
    balance = Quota("config:file", "credits", 0, 12.5, None, 40.0)
    await quotas.save([other, week, short, balance])
    assert await quotas.load() == [short, week, other, balance]
    assert await quotas.load(since=60.0) == [short, other]


async def test_what_was_heard_later_stays(database: Database) -> None:
    quotas = Quotas(database)
    early, late = (Quota("acc", "main", 18_000, used, 9.0, seen) for used, seen in ((0.9, 50.0), (0.1, 60.0)))
    await quotas.save([late, early])
    await quotas.save([early])
    assert await quotas.load() == [late]
