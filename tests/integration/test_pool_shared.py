"""Two gateways on one PostgreSQL: whose conversation is where, and who is spent, is known to both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support import conversation
from tests.support.databases import fresh_postgres
from tests.support.inprocess import Gateway, Reply, gateway
from tests.support.upstream import Upstream, answer, status, upstream


@asynccontextmanager
async def pair(place: Path, ups: list[Upstream]) -> AsyncIterator[list[Gateway]]:
    table = {
        "accounts": [
            {"name": f"a{index}", "kind": "openai", "base_url": up.url, "api_key": f"sk-{index}"}
            for index, up in enumerate(ups)
        ],
        "database": {"url": await fresh_postgres()},
        "secrets": {"key_env": "SHARED_SECRET"},
    }
    async with (
        gateway(place / "left", table, stored=True) as left,
        gateway(place / "right", table, stored=True) as right,
    ):
        yield [left, right]


SECRET = "one secret for both of them"


async def turn(house: Gateway, number: int) -> Reply:
    named = {"x-claude-code-session-id": f"{number:08d}-1111-4111-8111-111111111111"}
    return await house.post("/v1/messages", conversation.request(0), {**conversation.headers(), **named})


async def knows(house: Gateway, pins: int) -> None:
    async with asyncio.timeout(60):
        while len(house.assembly.house.pool.pins) < pins:
            await asyncio.sleep(0.02)


@pytest.mark.timeout(300)
async def test_a_session_stays_on_its_account_whichever_process_it_meets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B111: affinity is shared."""
    monkeypatch.setenv("SHARED_SECRET", SECRET)
    async with upstream() as one, upstream() as two, pair(tmp_path, [one, two]) as (left, right):
        for number in range(6):
            assert (await turn(left, number)).status == 200
        await knows(right, 6)
        for number in range(6):
            assert (await turn(right, number)).status == 200
        homes = {row.session_hash: row.account for row in left.rows}
        assert {row.session_hash: row.account for row in right.rows} == homes
        assert {row.move for row in right.rows} == {"stayed"}
        assert set(homes.values()) == {"a0", "a1"}


@pytest.mark.timeout(300)
async def test_what_one_process_was_told_of_a_limit_spares_the_other_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARED_SECRET", SECRET)
    limit = {"error": {"message": "slow", "code": "rate_limit_exceeded"}}
    async with upstream() as one, upstream() as two, pair(tmp_path, [one, two]) as (left, right):
        one.play(status(429, limit, {"retry-after": "600"}), answer)
        assert (await turn(left, 0)).status == 200
        pool = right.assembly.house.pool
        async with asyncio.timeout(60):
            while not pool.describe(right.assembly.house.clock.steady())[0]["models_resting"]:
                await asyncio.sleep(0.02)
        for number in range(1, 4):
            assert (await turn(right, number)).status == 200
        assert {row.account for row in right.rows} == {"a1"}
        assert len(one.seen) == 1
