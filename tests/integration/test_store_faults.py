"""Real processes and a store that fails: killed, locked, full, gone. Proxying goes on and no row is lost.

One short round of each runs in `make test`; `make soak` runs twenty.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import signal
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dragoman.serving.store import opened
from dragoman.settings import Settings
from dragoman.store import backup
from dragoman.store.tables import requests
from tests.support.crowd import KEY, Crowd, agree, brisk, crowd
from tests.support.databases import Cluster
from tests.support.gateway import Gateway, bare_environment, gateway
from tests.support.house import fetch
from tests.support.upstream import Upstream, upstream
from tests.support.zygote import COMMAND, run

ROUNDS = [pytest.param(1, id="once"), pytest.param(20, id="twenty", marks=pytest.mark.soak)]
LIMITS = (
    '[{ measure = "tokens", per = "day", max = 100000000 }, '
    '{ measure = "requests", per = "minute", max = 1000000 }]'
)


def config(up: Upstream, url: str = "sqlite:///dragoman.db", **more: str) -> str:
    return f"""
[models]
"claude-*" = "gpt-5.5"
[database]
url = "{url}"
[[accounts]]
name = "a"
base_url = "{up.url}"
api_key = "sk-upstream"
[[keys]]
name = "crowd"
key = "{KEY}"
limits = {LIMITS}
"""


async def rows_of(place: Path, url: str = "sqlite:///dragoman.db") -> list[dict[str, Any]]:
    """Every row, as an export has it, with what dead processes left taken in."""
    settings = Settings.model_validate({"database": {"url": url}})
    async with (
        opened(settings, place / "data", monotonic=lambda: 0.0) as store,
        store.database.read() as connection,
    ):
        return [dict(row) for row in (await connection.execute(select(requests))).mappings()]


async def until(what: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(what):
            await asyncio.sleep(0.05)


def _seen(up: Upstream, count: int) -> bool:
    return len(up.seen) >= count


def ready(house: Gateway) -> dict[str, Any]:
    found: dict[str, Any] = fetch(f"{house.url}/readyz")
    return found


async def _interrupted(
    house: Gateway, up: Upstream, before: Crowd | None, *, after: int, by: signal.Signals
) -> Crowd:
    """Eight people ask until, some requests on, the gateway gets a signal; `before` asked an earlier one."""
    async with crowd(house.url) as people:
        if before is not None:
            people.told, people._ids = before.told, before._ids
        asking = [asyncio.ensure_future(people.keep_asking()) for _ in range(8)]
        await until(partial(_seen, up, len(up.seen) + after))
        await asyncio.sleep(random.random() * 0.3)
        house.run.process.send_signal(by)
        people.stop()
        await asyncio.gather(*asking)
    return people


@contextlib.contextmanager
def file_size_limit(pid: int, size: int) -> Iterator[None]:
    """A disk that is full for one process: files of it that would grow beyond `size` do not."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.timeout(1800)
async def test_killed_at_any_moment(tmp_path: Path, database_url: str, rounds: int) -> None:
    """B97, reliability S1: every accepted request has exactly one final row and nothing stays open."""
    async with upstream(brisk) as up:
        people: Crowd | None = None
        for number in range(rounds):
            with gateway(tmp_path, config(up, database_url)) as house:
                people = await _interrupted(house, up, people, after=20, by=signal.SIGKILL)
                house.run.process.wait(30)
            # Every other time it is the next process that takes in what was left, else it is a verb.
            if number % 2:
                agree(people, await rows_of(tmp_path, database_url), up)
        assert people is not None
        with gateway(tmp_path, config(up, database_url)) as house:
            assert ready(house)["status"] == "ready"
        agree(people, await rows_of(tmp_path, database_url), up)
    if database_url.startswith("sqlite"):
        assert await backup.problems(tmp_path / "dragoman.db") == []
    assert list((tmp_path / "data" / "journal").iterdir()) == []


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.timeout(1800)
async def test_stopped_at_any_moment(tmp_path: Path, database_url: str, rounds: int) -> None:
    """reliability S6: a gateway that is told to end writes what it has itself, in the middle of whatever."""
    async with upstream(brisk) as up:
        people: Crowd | None = None
        for _ in range(rounds):
            with gateway(tmp_path, config(up, database_url)) as house:
                people = await _interrupted(house, up, people, after=100, by=signal.SIGTERM)
                assert await asyncio.to_thread(house.run.process.wait, 60) == 0
            assert list((tmp_path / "data" / "journal").iterdir()) == [], "nothing waits for the next start"
            assert "degraded" not in house.run.complained()
        assert people is not None
        assert {told.status for told in people.told} <= {0, 200, 503, 529}
        agree(people, await rows_of(tmp_path, database_url), up)


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.timeout(1800)
async def test_locked_by_somebody_else(tmp_path: Path, rounds: int) -> None:
    """reliability S2, S3: requests are served, readiness names the part, the rows come when it is free."""
    async with upstream(brisk) as up:
        with gateway(tmp_path, config(up)) as house:
            async with crowd(house.url) as people:
                await people.ask()
                for _ in range(rounds):
                    with contextlib.closing(
                        sqlite3.connect(tmp_path / "data" / "dragoman.db", check_same_thread=False)
                    ) as other:
                        other.isolation_level = None
                        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
                        asked = [asyncio.ensure_future(people.ask()) for _ in range(10)]
                        await until(lambda: ready(house).get("db_write") == "degraded")
                        await asyncio.gather(*asked)
                        stranger = await people.ask(key="sk-drg-unknown")
                        assert stranger.status == 503, "it may be a key that could not be stored"
                        people.told.remove(stranger)
                        other.execute("ROLLBACK")
                    await until(lambda: "db_write" not in ready(house))
            assert all(told.complete for told in people.told)
        rows = [row for row in await rows_of(tmp_path) if row["key"]]
        agree(people, rows, up)
        assert len(rows) == len(people.told)


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux to fill one process's disk")
async def test_a_full_disk(tmp_path: Path, rounds: int) -> None:
    """reliability S2: proxying goes on, `/readyz` names db_write, and what waited is written afterwards."""
    async with upstream(brisk) as up:
        with gateway(tmp_path, config(up)) as house:
            async with crowd(house.url) as people:
                await people.ask()
                for _ in range(rounds):
                    data = tmp_path / "data"
                    size = max(path.stat().st_size for path in (*data.glob("*.db*"), house.run.err))
                    with file_size_limit(house.run.process.pid, size):
                        while "db_write" not in await asyncio.to_thread(ready, house):
                            assert (await people.ask()).complete
                        for _ in range(5):
                            assert (await people.ask()).complete
                        assert ready(house)["db_write"] == "degraded"
                        assert ready(house)["status"] == "ready"
                    await until(lambda: "db_write" not in ready(house))
        agree(people, await rows_of(tmp_path), up)
    assert await backup.problems(tmp_path / "data" / "dragoman.db") == []


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.timeout(1800)
async def test_the_database_server_is_gone_for_a_while(tmp_path: Path, rounds: int) -> None:
    """reliability S2: known keys are served, unknown ones get 503 and never 401, and it heals by itself."""
    with Cluster() as cluster:
        async with upstream(brisk) as up:
            with gateway(tmp_path, config(up, cluster.url)) as house:
                async with crowd(house.url) as people:
                    await people.ask()
                    for _ in range(rounds):
                        await asyncio.to_thread(cluster.stop)
                        await until(lambda: "db_read" in ready(house))
                        for _ in range(10):
                            assert (await people.ask()).complete
                        status = 0
                        async with asyncio.timeout(60):
                            while status != 503:
                                stranger = await people.ask(key="sk-drg-unknown")
                                people.told.remove(stranger)
                                status = stranger.status
                                await asyncio.sleep(0.1)
                        assert ready(house)["status"] == "ready"
                        await asyncio.to_thread(cluster.start)
                        await until(lambda: not {"db_read", "db_write"} & set(ready(house)))
                        stranger = await people.ask(key="sk-drg-unknown")
                        people.told.remove(stranger)
                        assert stranger.status == 401
            rows = [row for row in await rows_of(tmp_path, cluster.url) if row["key"] == "crowd"]
            agree(people, rows, up)


def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "dragoman.db").write_bytes(b"SQLite format 3\0" + os.urandom(8192))
    argv: list[str | Path] = [COMMAND, "serve", "--port", "0", "--data-dir", data]
    done = run(argv, bare_environment(tmp_path / "home"), timeout=60)
    assert done.returncode == 3
    assert "damaged" in done.stderr
    assert "dragoman db restore" in done.stderr
    assert "Traceback" not in done.stderr
