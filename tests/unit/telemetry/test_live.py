"""Who watches gets rows in order, and nobody waits for who does not take them."""

from __future__ import annotations

import asyncio

import pytest

from dragoman.gateway.ports import Row
from dragoman.telemetry.live import WAITING, WATCHERS, Full, Live


def row(number: int) -> Row:
    return Row(f"req_{number}", float(number))


def ids(rows: list[Row]) -> list[str]:
    return [one.request_id for one in rows]


async def test_every_watcher_gets_every_row_in_order() -> None:
    live = Live()
    live.record(row(0))  # nobody watches yet
    with live.watching() as one, live.watching() as other:
        for number in (1, 2, 3):
            live.record(row(number))
        assert ids(await one.take(30)) == ids(await other.take(30)) == ["req_1", "req_2", "req_3"]
    assert live.watchers == 0


async def test_a_waiting_watcher_is_woken_by_a_row() -> None:
    live = Live()
    with live.watching() as watcher:
        waiting = asyncio.ensure_future(watcher.take(30))
        await asyncio.sleep(0)
        live.record(row(1))
        assert ids(await waiting) == ["req_1"]
        assert await watcher.take(0.001) == []


async def test_who_does_not_take_is_dropped_with_what_waits() -> None:
    live = Live()
    with live.watching() as slow, live.watching() as quick:
        for number in range(WAITING + 1):
            live.record(row(number))
            await quick.take(0)
        assert slow.dropped
        assert slow.closed
        assert await slow.take(30) == []
        assert not quick.closed
        assert live.watchers == 1


async def test_only_so_many_watch() -> None:
    live = Live()
    places = [live.watching() for _ in range(WATCHERS)]
    for place in places:
        place.__enter__()
    assert live.full
    with pytest.raises(Full), live.watching():
        pass
    for place in places:
        place.__exit__(None, None, None)
    with live.watching():
        assert not live.full


async def test_the_end_wakes_everybody() -> None:
    live = Live()
    with live.watching() as watcher:
        waiting = asyncio.ensure_future(watcher.take(30))
        await asyncio.sleep(0)
        live.close()
        assert await waiting == []
        assert watcher.closed
        assert not watcher.dropped
