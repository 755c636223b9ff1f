"""Accounts of the store under several processes: one refresh for all, and what a killed one leaves."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dragoman.simulator import server
from dragoman.simulator.server import Running
from dragoman.simulator.state import State
from tests.support import logins
from tests.support.databases import Cluster
from tests.support.gateway import Gateway, gateway
from tests.support.verbs import Verbs

SECRET = {"REPLICAS_SECRET": "one secret for all of them"}
CLIENT = "sk-drg-of-this-test"


@pytest.fixture(autouse=True)
def one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRET.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        yield made


@asynccontextmanager
async def simulated() -> Any:
    running = await server.start("127.0.0.1", 0, state=State({"strict_keys": True, "rate_per_key": 0}))
    try:
        yield running
    finally:
        await running.close()


def config(up: Running, url: str) -> str:
    return f"""
[models]
"claude-*" = "gpt-5.5"
[chatgpt]
issuer = "{up.url}"
base_url = "{up.url}/backend-api"
[database]
url = "{url}"
[secrets]
key_env = "REPLICAS_SECRET"
[[keys]]
name = "laptop"
key = "{CLIENT}"
"""


def imported(place: Path, text: str, up: Running, name: str, *, exp: float) -> None:
    """A login put into the store by the verb."""
    verbs = Verbs(place, SECRET)
    place.mkdir(parents=True, exist_ok=True)
    verbs.configure(text)
    logins.account(up, place, name, exp=exp)
    verbs("account", "import", name, str(place / f"{name}.json"))


async def ask(session: aiohttp.ClientSession, url: str, text: str) -> int:
    body = {"model": "claude-test", "max_tokens": 100, "messages": [{"role": "user", "content": text}]}
    async with session.post(f"{url}/v1/messages", json=body, headers={"x-api-key": CLIENT}) as reply:
        await reply.read()
        return reply.status


async def test_two_processes_on_one_postgresql_refresh_once(tmp_path: Path, cluster: Cluster) -> None:
    """B86, reliability S8: 200 requests on an expired token, half of them at each process."""
    async with simulated() as up:
        text, calls = config(up, cluster.url), logins.counted(up)
        await asyncio.to_thread(imported, tmp_path / "desk", text, up, "one", exp=1_000_000_000)
        with ExitStack() as stack:
            gates: list[Gateway] = []
            for number in range(2):
                entering = gateway(tmp_path / f"host-{number}", text, SECRET)
                gates.append(await asyncio.to_thread(stack.enter_context, entering))
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector) as session:
                asked = (ask(session, gates[n % 2].url, f"Number {n}") for n in range(200))
                statuses = await asyncio.gather(*asked)
            assert [fault for gate in gates for fault in gate.faults()] == []
            await asyncio.to_thread(stack.close)
        assert statuses == [200] * 200
        assert len(calls) == 1


async def test_a_process_killed_between_answer_and_write_ends_in_one_sentence(tmp_path: Path) -> None:
    """reliability S8: the new token is lost with the process. Whoever comes next asks once, is refused, and
    says that a new login is needed; nothing is asked again and again, and a new login brings it back."""
    async with simulated() as up:
        place = tmp_path / "host"
        text = config(up, "sqlite:///dragoman.db")
        await asyncio.to_thread(imported, place, text, up, "one", exp=1_000_000_000)
        database = place / "data" / "dragoman.db"
        grants: Any = up.state.grants
        calls = logins.counted(up)
        answer, locked = grants.token, sqlite3.connect(database, isolation_level=None, timeout=30)
        answered = asyncio.Event()

        def lock_then_answer(*arguments: Any) -> Any:
            # From here on nobody can write: the answer is heard and cannot be kept.
            locked.execute("BEGIN IMMEDIATE")
            answered.set()
            return answer(*arguments)

        grants.token = lock_then_answer
        async with aiohttp.ClientSession() as session:
            with ExitStack() as stack:
                gate = await asyncio.to_thread(stack.enter_context, gateway(place, text, SECRET))
                asking = asyncio.ensure_future(ask(session, gate.url, "Hi"))
                await asyncio.wait_for(answered.wait(), 30)
                await asyncio.sleep(0.3)  # the answer arrives; to be written it waits for the lock
                gate.run.process.kill()
                gate.run.process.wait(30)
                await asyncio.wait([asking])
            locked.execute("COMMIT")
            # The claim of the dead process ends by time; nobody waits for it here.
            locked.execute("UPDATE claims SET until = 0")
            locked.close()
            grants.token = answer
            with ExitStack() as stack:
                gate = await asyncio.to_thread(stack.enter_context, gateway(place, text, SECRET))
                # The background may have found it out already: then nobody is left to ask.
                statuses = [await ask(session, gate.url, f"Number {n}") for n in range(5)]
                assert set(statuses) <= {502, 529}, statuses
                said = await asyncio.to_thread(Verbs(place, SECRET), "account", "list")
                assert "needs login" in said.out
                assert "dragoman account login one" in said.err
                assert len(calls) == 2
                await asyncio.to_thread(stack.close)
