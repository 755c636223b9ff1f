"""Rounds of mixed load and faults: every request ends once, every lease comes back, memory stays flat."""

from __future__ import annotations

import asyncio
import gc
import random
import resource
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.inprocess import Gateway, gateway
from tests.support.upstream import Script, Talk, Upstream, answer, created, delta, failed, status, upstream

pytestmark = pytest.mark.installed  # its memory is looked at


async def cut(talk: Talk) -> None:
    await talk.head()
    await talk.events(created(), delta("Hello"))
    talk.writer.close()


async def reset(talk: Talk) -> None:
    await talk.head()
    await talk.events(created(), delta("Hello"))
    await talk.reset()


async def endless(talk: Talk) -> None:
    await talk.head()
    await talk.events(created(), delta("Hello"))
    await talk.until_gone()


async def fails(talk: Talk) -> None:
    await talk.head()
    await talk.events(created(), failed("server_error"))
    await talk.end()


async def long(talk: Talk) -> None:
    await talk.head()
    await talk.events(created())
    for _ in range(50):
        await talk.events(delta("word "))
    await answer_rest(talk)


async def answer_rest(talk: Talk) -> None:
    from tests.support.upstream import completed

    await talk.events(completed())
    await talk.end()


SCRIPTS: list[Script] = [answer, answer, answer, long, cut, reset, fails, status(500), status(429), endless]


async def one(house: Gateway, dice: random.Random) -> str:
    """One request of a client with bad habits; how it ended."""
    stream = dice.random() < 0.7
    question = asyncio.ensure_future(house.ask("Hi " * dice.randrange(1, 200), stream=stream))
    done, _ = await asyncio.wait([question], timeout=dice.choice([0.05, 30.0, 30.0]))
    if not done:
        question.cancel()
        await asyncio.wait([question])
        return "left"
    try:
        reply = question.result()
    except aiohttp.ClientError:
        return "cut"
    if reply.status != 200 or not stream:
        return str(reply.status)
    endings = [kind for kind in reply.types if kind in ("message_stop", "error")]
    assert len(endings) == 1, reply.types
    assert reply.types[-1] == endings[0]
    return endings[0]


# "refused" where the only account rests by its upstream's word.
ENDINGS = ("ok", "upstream_error", "client_gone", "refused")


async def round_of(
    house: Gateway, up: Any, requests: int, parallel: int, dice: random.Random, faults: float = 1.0
) -> None:
    """`faults` is the part of the answers that are drawn from all scripts; the others are good."""
    up.scripts = [dice.choice(SCRIPTS) if dice.random() < faults else answer for _ in range(requests * 3)] + [
        answer
    ]
    seen: dict[str, int] = {}
    places = asyncio.Semaphore(parallel)

    async def guest() -> None:
        async with places:
            ending = await one(house, dice)
            seen[ending] = seen.get(ending, 0) + 1

    before = len(house.rows)
    await asyncio.gather(*(guest() for _ in range(requests)))
    async with asyncio.timeout(60):
        while house.assembly.house.gate.in_flight:
            await asyncio.sleep(0.01)
        while len(house.rows) < before + sum(seen.values()):
            await asyncio.sleep(0.01)
    assert "cut" not in seen  # a broken upstream is never a broken connection to the client
    assert all(row.outcome in ENDINGS for row in house.rows[before:])


def limits() -> dict[str, Any]:
    # `endless` streams end by the idle limit where their client is patient.
    return {"upstream": {"idle_seconds": 1.0, "first_event_seconds": 20.0}}


def some(up: Upstream, count: int) -> list[dict[str, Any]]:
    """An account that fails rests for a while: with enough of them few requests wait."""
    return [
        {"name": f"a{number}", "kind": "openai", "base_url": up.url, "api_key": f"sk-{number}"}
        for number in range(count)
    ]


async def test_a_short_round_leaves_nothing_behind(tmp_path: Path) -> None:
    """behaviours S16: every lease comes back whatever the upstream and the client do."""
    async with upstream() as up:
        async with gateway(tmp_path, {"accounts": some(up, 2), **limits()}) as house:
            await round_of(house, up, 20, 10, random.Random(1))
            tasks = len(asyncio.all_tasks())
            await round_of(house, up, 120, 20, random.Random(2))
            async with asyncio.timeout(60):
                # Kept connections have a task each: of twenty clients, and of the upstream for two accounts.
                while len(asyncio.all_tasks()) > tasks + 60:
                    await asyncio.sleep(0.05)
            assert len({row.request_id for row in house.rows}) == len(house.rows)
        up.faults.clear()


@pytest.mark.soak
async def test_a_long_round_keeps_memory_flat(tmp_path: Path) -> None:
    """About a hundred thousand requests with faults; resident memory may not grow by more than 16 MiB."""
    async with upstream() as up:
        async with gateway(tmp_path, {"accounts": some(up, 20), **limits()}) as house:
            dice = random.Random(3)
            peaks: list[int] = []
            for _ in range(100):
                await round_of(house, up, 1000, 30, dice, faults=0.1)
                house.rows.clear()
                house.log.seek(0)
                house.log.truncate()
                up.seen.clear()
                gc.collect()
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        up.faults.clear()
        assert peaks[-1] - peaks[10] < 16 * 1024, peaks
