"""What limits have counted so far, read from the rows: the same figures as those of who counted along."""

from __future__ import annotations

import pytest

from dragoman.budget.limits import Limit, Meter, Period
from dragoman.store import usage
from dragoman.store.engine import Database
from tests.support.ledger import NOON, put, row

# Seconds between the requests: about a third of the window, off the edges of its parts.
STEPS: dict[Period, float] = {"minute": 20.05, "hour": 1243.05, "5h": 6187.05}


@pytest.mark.parametrize("per", STEPS)
async def test_a_sliding_window_frees_at_the_same_time_after_a_restart(
    database: Database, per: Period
) -> None:
    """B93: what was told to a refused client holds, whoever counts."""
    limit = Limit("tokens", per, 300)
    along = Meter(limit)
    times = [NOON + number * STEPS[per] for number in range(3)]
    await put(database, [row(number, time=at, duration_ms=400.0) for number, at in enumerate(times)])
    for at in times:
        along.add(110, at + 0.4)
    now = times[-1] + 1
    loaded = Meter(limit)
    async with database.read() as connection:
        loaded.load(await usage.settled(connection, "laptop", limit, now))
    assert along.line(now).used == 330
    while along.line(now).used:
        assert loaded.line(now) == along.line(now)
        freed = along.resets_at(now)
        assert freed is not None and freed >= now
        now = freed + 0.01
    assert loaded.line(now).used == 0
