"""Rolling restarts: one process takes another's place, and nobody who talks to them can tell."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.support.gateway import Gateway, Spawned, await_ready, bare_environment, spawned
from tests.support.longstreams import Scripted, question, whole_stream
from tests.support.upstream import Upstream, upstream
from tests.support.zygote import COMMAND

pytestmark = pytest.mark.installed  # takes over from processes that know nothing of it

WAIT = 120.0
STREAMS, RESTARTS = 50, 5
MOST = 1_000_000
KEY = "sk-drg-rolling-tests"
HEADERS = {"x-api-key": KEY, "content-type": "application/json"}
CONFIG = """
[server]
drain_seconds = 100
[models]
"claude-*" = "gpt-5.5"
[[accounts]]
name = "a"
kind = "openai"
base_url = "{url}"
api_key = "sk-upstream"
[[keys]]
name = "tests"
key = "{key}"
limits = [{{ measure = "requests", per = "day", max = {most} }}]
"""


class Line:
    """A gateway and those that take its place, one data directory, one address."""

    def __init__(self, place: Path, up: Upstream, stack: ExitStack) -> None:
        self._place = place
        self._stack = stack
        self._count = 0
        self._file = place / "dragoman.toml"
        place.mkdir(parents=True, exist_ok=True)
        self._file.write_text(CONFIG.format(url=up.url, key=KEY, most=MOST))
        self.now = self._start("--port", "0")
        self.port = self.now.url.rpartition(":")[2]

    @property
    def url(self) -> str:
        return self.now.url

    async def succeed(self) -> Gateway:
        """Starts a successor; returns the one whose place it took."""
        old = self.now
        self.now = await asyncio.to_thread(self._start, "--port", self.port, "--takeover")
        assert self.now.url == old.url
        async with asyncio.timeout(WAIT):
            while "handed_over" not in old.run.complained():  # until then it may accept, too
                await asyncio.sleep(0.01)
        return old

    async def fail(self, config: Path, *more: str) -> tuple[int, str]:
        """What a gateway that does not start says, and its exit code."""
        argv: list[str | Path] = [COMMAND, "serve", "--config", config, "--data-dir", self._place / "data"]
        home = bare_environment(self._place / "home")

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run([*argv, *more], env=home, capture_output=True, text=True, timeout=WAIT)

        done = await asyncio.to_thread(run)
        return done.returncode, done.stderr

    def _start(self, *more: str) -> Gateway:
        self._count += 1
        argv: list[str | Path] = [
            COMMAND,
            "serve",
            "--config",
            self._file,
            "--data-dir",
            self._place / "data",
        ]
        name = f"gateway{self._count}"
        home = bare_environment(self._place / "home")
        run = self._stack.enter_context(spawned(name, [*argv, *more], self._place, home))
        url = run.await_line(r"listening\s+(http://\S+)").group(1)
        await_ready(url, run)
        return Gateway(url, run)


@contextmanager
def line(place: Path, up: Upstream) -> Iterator[Line]:
    with ExitStack() as stack:
        yield Line(place, up, stack)


async def ended(run: Spawned) -> int:
    return await asyncio.to_thread(run.process.wait, WAIT)


async def test_restarts_under_load_refuse_no_connection_and_cut_no_stream(tmp_path: Path) -> None:
    """reliability S6: 50 streams and steady short requests during five restarts."""
    async with upstream() as up:
        with line(tmp_path, up) as gateways:
            played = Scripted(up)
            seen: Counter[str] = Counter()
            over = asyncio.Event()

            async def ask_on(session: aiohttp.ClientSession) -> None:
                while not over.is_set():
                    async with session.post(
                        f"{gateways.url}/v1/messages", json=question("short", stream=False)
                    ) as answer:
                        await answer.read()
                        seen[str(answer.status)] += 1
                    await asyncio.sleep(0.005)

            fresh = aiohttp.TCPConnector(force_close=True)
            async with (
                aiohttp.ClientSession(headers=HEADERS, connector=fresh) as hasty,
                aiohttp.ClientSession(headers=HEADERS) as steady,
                aiohttp.ClientSession(headers=HEADERS, connector=aiohttp.TCPConnector(limit=0)) as long,
            ):
                streams = [asyncio.ensure_future(whole_stream(long, gateways.url)) for _ in range(STREAMS)]
                await played.running(STREAMS)
                asking = [asyncio.ensure_future(ask_on(one)) for one in (hasty, hasty, steady, steady)]
                olds = []
                for _ in range(RESTARTS):
                    olds.append(await gateways.succeed())
                    before = seen["200"]
                    async with asyncio.timeout(WAIT):
                        while seen["200"] < before + 50:
                            await asyncio.sleep(0.01)
                assert olds[0].run.process.poll() is None  # it has the streams
                played.open.set()
                assert Counter(await asyncio.gather(*streams)) == {"whole": STREAMS}
                for old in olds:
                    assert await ended(old.run) == 0
                over.set()
                await asyncio.gather(*asking)
            assert set(seen) == {"200"}
            requests = seen["200"] + STREAMS
            assert gateways.now.run.stop() == 0
            for one in [*olds, gateways.now]:
                assert one.faults() == []
    with sqlite3.connect(tmp_path / "data" / "dragoman.db") as database:
        outcomes = dict(
            database.execute("SELECT outcome, count(*) FROM requests GROUP BY outcome").fetchall()
        )
    database.close()
    assert outcomes == {"ok": requests}


async def test_a_successor_that_never_gets_ready_changes_nothing(tmp_path: Path) -> None:
    async with upstream() as up:
        with line(tmp_path, up) as gateways:
            broken = tmp_path / "broken.toml"
            broken.write_text('[database]\nurl = "sqlite:////proc/nowhere/dragoman.db"\n')
            code, said = await gateways.fail(broken, "--takeover")
            assert code == 3
            assert "cannot be made" in said
            assert "Traceback" not in said
            async with (
                aiohttp.ClientSession(headers=HEADERS) as session,
                session.post(f"{gateways.url}/v1/messages", json=question("Hi", stream=False)) as answer,
            ):
                assert answer.status == 200
            await gateways.succeed()


async def test_without_a_gateway_to_take_over_it_simply_starts(tmp_path: Path) -> None:
    async with upstream() as up:
        with line(tmp_path, up) as gateways:
            assert gateways.now.run.stop() == 0
            again = gateways._start("--port", gateways.port, "--takeover")
            assert again.url == gateways.url
            assert again.run.stop() == 0


async def test_started_twice_by_accident_the_second_says_so(tmp_path: Path) -> None:
    async with upstream() as up:
        with line(tmp_path, up) as gateways:
            code, said = await gateways.fail(tmp_path / "dragoman.toml", "--port", gateways.port)
            assert code == 1
            assert "cannot be bound" in said
            old = await gateways.succeed()  # the accident took nothing away
            assert await ended(old.run) == 0


async def test_a_predecessor_that_is_killed_leaves_its_rows_to_its_successor(tmp_path: Path) -> None:
    """reliability S1: what it had open is told as aborted, once; what the new one has open is not touched."""
    async with upstream() as up:
        with line(tmp_path, up) as gateways:
            played = Scripted(up)
            async with aiohttp.ClientSession(headers=HEADERS) as session:
                first = asyncio.ensure_future(whole_stream(session, gateways.url))
                await played.running(1)
                old = await gateways.succeed()
                second = asyncio.ensure_future(whole_stream(session, gateways.url))
                await played.running(2)
                old.run.process.send_signal(signal.SIGKILL)
                with pytest.raises(aiohttp.ClientError):
                    await first
                async with asyncio.timeout(WAIT):
                    while not re.search(r'"aborted":\s*1', gateways.now.run.complained()):
                        await asyncio.sleep(0.05)
                played.open.set()
                assert await second == "whole"
            assert gateways.now.run.stop() == 0
            old.run.process.wait(WAIT)
    with sqlite3.connect(tmp_path / "data" / "dragoman.db") as database:
        outcomes = sorted(outcome for (outcome,) in database.execute("SELECT outcome FROM requests"))
    database.close()
    assert outcomes == ["aborted", "ok"]


async def test_a_signal_after_the_handover_begins_the_ordinary_drain(tmp_path: Path) -> None:
    async with upstream() as up:
        with line(tmp_path, up) as gateways:
            played = Scripted(up)
            async with aiohttp.ClientSession(headers=HEADERS) as session:
                stream = asyncio.ensure_future(whole_stream(session, gateways.url))
                await played.running(1)
                old = await gateways.succeed()
                old.run.process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.5)
                assert old.run.process.poll() is None
                old.run.process.send_signal(signal.SIGTERM)
                assert await ended(old.run) == 0
                assert await stream == "error"
                played.open.set()
                assert await whole_stream(session, gateways.url) == "whole"


async def test_what_the_old_one_still_uses_counts_against_the_keys_limits(tmp_path: Path) -> None:
    """Both processes write the same ledger; the successor hears of what it did not let in itself."""
    async with upstream() as up:
        with line(tmp_path, up) as gateways:
            played = Scripted(up)
            async with aiohttp.ClientSession(headers=HEADERS) as session:
                streams = [asyncio.ensure_future(whole_stream(session, gateways.url)) for _ in range(3)]
                await played.running(3)
                old = await gateways.succeed()
                played.open.set()
                assert await asyncio.gather(*streams) == ["whole"] * 3
                assert await ended(old.run) == 0
                asked, left = 0, MOST
                async with asyncio.timeout(WAIT):
                    while MOST - left < asked + 3:
                        body = question("short", stream=False)
                        async with session.post(f"{gateways.url}/v1/messages", json=body) as answer:
                            assert answer.status == 200
                            left = int(answer.headers["anthropic-ratelimit-requests-remaining"])
                        asked += 1
                        await asyncio.sleep(0.5)
                assert MOST - left == asked + 3


async def test_the_old_one_keeps_no_share_in_the_port(tmp_path: Path) -> None:
    """When the successor ends, a new connection is refused at once and does not wait for nobody."""
    async with upstream() as up:
        with line(tmp_path, up) as gateways:
            played = Scripted(up)
            async with aiohttp.ClientSession(headers=HEADERS) as session:
                stream = asyncio.ensure_future(whole_stream(session, gateways.url))
                await played.running(1)
                old = await gateways.succeed()
                assert gateways.now.run.stop() == 0
                assert old.run.process.poll() is None
                with pytest.raises(aiohttp.ClientConnectorError):
                    async with asyncio.timeout(WAIT):
                        await session.get(f"{gateways.url}/healthz")
                played.open.set()
                assert await stream == "whole"
                assert await ended(old.run) == 0
