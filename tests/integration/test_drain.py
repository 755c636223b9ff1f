"""SIGTERM with fifty streams in flight: new work is refused, the old may finish, nothing ends in silence."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.support.gateway import Gateway, gateway
from tests.support.longstreams import Scripted, question, whole_stream
from tests.support.upstream import upstream

WAIT = 120.0
STREAMS = 50
CONFIG = """
[server]
drain_seconds = {drain}
[models]
"claude-*" = "gpt-5.5"
[[accounts]]
name = "a"
kind = "openai"
base_url = "{url}"
api_key = "sk-upstream"
"""


@asynccontextmanager
async def busy(
    place: Path, drain: float
) -> AsyncIterator[tuple[Gateway, Scripted, list[asyncio.Task[str]], aiohttp.ClientSession]]:
    """A gateway with all these streams under way, and a session for whoever comes later."""
    async with upstream() as up:
        with gateway(place, CONFIG.format(drain=drain, url=up.url)) as house:
            played = Scripted(up)
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector) as long, aiohttp.ClientSession() as later:
                streams = [asyncio.ensure_future(whole_stream(long, house.url)) for _ in range(STREAMS)]
                await played.running(STREAMS)
                # Their first words have reached the gateway when the next ones are under way.
                await asyncio.sleep(0.5)
                yield house, played, streams, later
                played.open.set()


async def draining(session: aiohttp.ClientSession, url: str) -> None:
    """Waits until the gateway says that it drains."""
    async with asyncio.timeout(WAIT):
        while True:
            async with session.get(f"{url}/readyz") as answer:
                if answer.status == 503:
                    assert (await answer.json())["status"] == "draining"
                    return


async def ended(house: Gateway) -> int:
    return await asyncio.to_thread(house.run.process.wait, WAIT)


async def test_inside_the_drains_time_no_stream_is_cut(tmp_path: Path) -> None:
    """reliability S5: readiness is gone at once, new work is refused in words, fifty streams finish."""
    async with busy(tmp_path, drain=WAIT) as (house, played, streams, later):
        house.run.process.send_signal(signal.SIGTERM)
        await draining(later, house.url)
        async with later.get(f"{house.url}/livez") as answer:
            assert answer.status == 200
        async with later.post(f"{house.url}/v1/messages", json=question("short", stream=True)) as answer:
            assert answer.status == 529
            assert (await answer.json())["error"]["type"] == "overloaded_error"
            assert 1 <= int(answer.headers["retry-after"]) <= 10
            assert answer.headers["connection"] == "close"
        assert not any(stream.done() for stream in streams)
        played.open.set()
        assert Counter(await asyncio.gather(*streams)) == {"whole": STREAMS}
        assert await ended(house) == 0
        assert house.faults() == []


async def test_after_the_drains_time_every_stream_ends_in_an_error_event(tmp_path: Path) -> None:
    """reliability S5."""
    async with busy(tmp_path, drain=1) as (house, _, streams, _later):
        house.run.process.send_signal(signal.SIGTERM)
        assert Counter(await asyncio.gather(*streams)) == {"error": STREAMS}
        assert await ended(house) == 0
        assert house.faults() == []


async def test_a_second_signal_is_the_end_of_the_drain(tmp_path: Path) -> None:
    """reliability S5: the deadline is now, and still nothing ends in silence."""
    async with busy(tmp_path, drain=10 * WAIT) as (house, _, streams, later):
        house.run.process.send_signal(signal.SIGTERM)
        await draining(later, house.url)
        assert not any(stream.done() for stream in streams)
        house.run.process.send_signal(signal.SIGTERM)
        assert Counter(await asyncio.gather(*streams)) == {"error": STREAMS}
        assert await ended(house) == 0
        assert house.faults() == []
