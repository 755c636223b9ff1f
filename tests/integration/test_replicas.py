"""Three real processes on one real PostgreSQL, each with a data directory of its own, as on three hosts."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from dragoman.serving.store import opened
from dragoman.settings import Settings
from dragoman.store.tables import replicas, requests, usage_hours
from tests.support.crowd import Crowd, Told, agree, brisk, crowd
from tests.support.databases import Cluster
from tests.support.gateway import Gateway, gateway
from tests.support.upstream import Talk, Upstream, completed, created, delta, upstream
from tests.support.verbs import Verbs

pytestmark = pytest.mark.installed  # each with a hash seed of its own, as everywhere

SECRET = {"REPLICAS_SECRET": "one secret for all of them"}
PROCESSES = 3
USED = 107  # tokens of each answer


def config(up: Upstream, url: str) -> str:
    return f"""
[models]
"claude-*" = "gpt-5.5"
[database]
url = "{url}"
[secrets]
key_env = "REPLICAS_SECRET"
[[accounts]]
name = "a"
base_url = "{up.url}"
api_key = "sk-upstream"
[[keys]]  # without any key, everybody on the machine would be served
name = "fixed"
key = "sk-drg-fixed"
"""


@dataclass
class Fleet:
    """The processes, and the places they live in."""

    place: Path
    text: str
    url: str
    gates: list[Gateway]
    stacks: list[ExitStack]

    def verbs(self, number: int) -> Verbs:
        """Verbs beside one of the processes."""
        return Verbs(self.place / f"host-{number}", SECRET)

    def start(self, number: int) -> None:
        self.stacks[number].close()
        self.gates[number] = self.stacks[number].enter_context(
            gateway(self.place / f"host-{number}", self.text, SECRET)
        )

    def kill(self, number: int) -> None:
        self.gates[number].run.process.send_signal(signal.SIGKILL)
        self.gates[number].run.process.wait(30)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    for name, value in SECRET.items():
        monkeypatch.setenv(name, value)
    with Cluster() as made:
        yield made


@asynccontextmanager
async def fleet(place: Path, up: Upstream, cluster: Cluster) -> AsyncIterator[Fleet]:
    """Starts them all, one after the other."""
    stacks = [ExitStack() for _ in range(PROCESSES)]
    made = Fleet(place, config(up, cluster.url), cluster.url, [None] * PROCESSES, stacks)  # type: ignore[list-item]
    try:
        for number in range(PROCESSES):
            await asyncio.to_thread(made.start, number)
        yield made
    finally:
        for stack in stacks:
            await asyncio.to_thread(stack.close)


@asynccontextmanager
async def crowds(house: Fleet) -> AsyncIterator[list[Crowd]]:
    """One crowd before each process; request ids are unique over all, and each has its own memory."""
    async with crowd("") as first:
        people = [Crowd(gate.url, first.session, _ids=first._ids) for gate in house.gates]
        yield people


async def create(house: Fleet, name: str, *options: str) -> str:
    """A key, made by a verb beside the first process."""
    said = await asyncio.to_thread(house.verbs(0), "key", "create", name, "--json", *options)
    return str(said.json()["key"])


async def asked_until(people: Crowd, key: str, status: int) -> Told:
    """Asks until it is answered like that; what was asked before is forgotten."""
    async with asyncio.timeout(60):
        while True:
            told = await people.ask(key)
            if told.status == status:
                return told
            await asyncio.sleep(0.05)


async def rows_of(house: Fleet) -> list[dict[str, Any]]:
    """Every row that was of a key, with what dead processes left on the first host taken in."""
    settings = Settings.model_validate(
        {"database": {"url": house.url}, "secrets": {"key_env": "REPLICAS_SECRET"}}
    )
    async with (
        opened(settings, house.place / "host-0" / "data", monotonic=lambda: 0.0) as store,
        store.database.read() as connection,
    ):
        query = select(requests).where(requests.c.key != "")
        found = [dict(row) for row in (await connection.execute(query)).mappings()]
        total = await connection.scalar(
            select(func.sum(usage_hours.c.requests)).where(usage_hours.c.key != "")
        )
        assert total == len(found), "the sums have every row once"
        assert (await connection.execute(select(replicas))).all() == [], "who has ended holds nothing"
    return found


@pytest.mark.timeout(600)
async def test_one_of_three_is_killed_and_nothing_is_lost(tmp_path: Path, cluster: Cluster) -> None:
    """Issue 5, 8: rows of all land once; the others go on; keys are the same everywhere at once."""
    async with upstream(brisk) as up, fleet(tmp_path, up, cluster) as house, crowds(house) as people:
        key = await create(house, "crowd", "--limit", "tokens/day=100000000")
        for one in people:
            await asked_until(one, key, 200)
            one.told[:] = [told for told in one.told if told.status == 200]
        seen = len(up.seen)
        asking = [asyncio.ensure_future(_keep_asking(one, key)) for one in people for _ in range(4)]
        async with asyncio.timeout(60):
            while len(up.seen) < seen + 60:
                await asyncio.sleep(0.02)
        await asyncio.sleep(random.random() * 0.3)
        await asyncio.to_thread(house.kill, 0)
        after = len(up.seen)
        async with asyncio.timeout(60):
            while len(up.seen) < after + 40:
                await asyncio.sleep(0.02)
        for one in people:
            one.stop()
        await asyncio.gather(*asking)
        for one in people[1:]:
            assert all(told.complete for told in one.told), "the others did not notice"
        await asyncio.to_thread(house.start, 0)
        assert people[0].told
        everyone = Crowd("", people[0].session, [told for one in people for told in one.told])
        for gate in house.gates[1:]:
            assert gate.faults() == []
        for stack in house.stacks:
            await asyncio.to_thread(stack.close)
        await asyncio.to_thread(_forgotten, house)
        agree(everyone, await rows_of(house), up)


async def _keep_asking(people: Crowd, key: str) -> None:
    while not people._stop:
        if not (await people.ask(key)).status:
            await asyncio.sleep(0.02)


def _forgotten(house: Fleet) -> None:
    """What the killed one had published goes by itself after a day; here it is removed at once."""

    async def run() -> None:
        settings = Settings.model_validate(
            {"database": {"url": house.url}, "secrets": {"key_env": "REPLICAS_SECRET"}}
        )
        async with (
            opened(settings, house.place / "host-1" / "data", monotonic=lambda: 0.0) as store,
            store.database.write() as connection,
        ):
            left = (await connection.execute(select(replicas.c.boot))).all()
            # The killed one may have ended before it published anything.
            assert len(left) <= 1, "those that ended in order told so"
            await connection.execute(replicas.delete())

    asyncio.run(run())


@pytest.mark.timeout(600)
async def test_a_key_revoked_through_one_is_refused_by_all(tmp_path: Path, cluster: Cluster) -> None:
    async with upstream(brisk) as up, fleet(tmp_path, up, cluster) as house, crowds(house) as people:
        key = await create(house, "laptop")
        for one in people:
            await asked_until(one, key, 200)
        await asyncio.to_thread(house.verbs(1), "key", "revoke", "laptop")
        for one in people:
            await asked_until(one, key, 401)
            assert (await one.ask(key)).status == 401


async def slow(talk: Talk) -> None:
    """Longer than processes need to hear of each other, several times over."""
    await talk.head()
    await talk.events(created(), delta("Hello"))
    await asyncio.sleep(3.0)
    await talk.events(delta(" there"), completed(output=7, total=100))
    await talk.end()


@pytest.mark.timeout(600)
async def test_a_shared_limit_is_overrun_by_no_more_than_what_is_in_flight(
    tmp_path: Path, cluster: Cluster
) -> None:
    """Each process lets in at most what it has not heard that others hold, and hears of it within a second.

    Requests here take three, so what one process does not know of the others is still in flight: the
    bound is the limit and one request more for each that may be open. When all is quiet, all agree.
    """
    most, each = 20, 3
    async with upstream(slow) as up, fleet(tmp_path, up, cluster) as house, crowds(house) as people:
        key = await create(house, "crowd", "--limit", f"tokens/day={most * USED}")
        for one in people:
            await asked_until(one, key, 200)

        async def work(one: Crowd) -> None:
            while (await one.ask(key)).status == 200:
                pass

        await asyncio.gather(*(work(one) for one in people for _ in range(each)))
        for one in people:  # quiet now: each of them refuses when, and only when, all is used
            await asked_until(one, key, 429)
        served = sum(told.status == 200 for one in people for told in one.told)
        assert most <= served <= most + PROCESSES * each
        for stack in house.stacks:
            await asyncio.to_thread(stack.close)
        rows = await rows_of(house)
        assert sum(row["input_tokens"] + row["output_tokens"] for row in rows) == served * USED
