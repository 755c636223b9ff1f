"""The lag sampler: tells how late its timer came, and stops when told."""

from __future__ import annotations

import asyncio
import time

from dragoman.telemetry.lag import LagSampler


async def test_a_loop_that_was_held_up_is_told() -> None:
    told: list[float] = []
    sampler = LagSampler(asyncio.get_running_loop(), told.append, period=0.01)
    sampler.start()
    sampler.start()
    await asyncio.sleep(0)
    time.sleep(0.1)  # noqa: ASYNC251 - this is what is measured
    async with asyncio.timeout(30):
        while not told:
            await asyncio.sleep(0.005)
    sampler.stop()
    assert max(told) >= 0.05
    assert min(told) >= 0


async def test_after_stop_nothing_is_told() -> None:
    told: list[float] = []
    sampler = LagSampler(asyncio.get_running_loop(), told.append, period=0.001)
    sampler.start()
    sampler.stop()
    sampler.stop()
    await asyncio.sleep(0.05)
    assert told == []
