"""The pool through the door: who is asked, who waits, what the row says of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support import conversation
from tests.support.inprocess import Gateway, Reply, gateway
from tests.support.upstream import Script, Upstream, answer, created, failed, status, upstream


class House:
    """A gateway before several scripted upstreams, which are accounts of their own."""

    def __init__(self, gateway: Gateway, upstreams: list[Upstream]) -> None:
        self.gateway = gateway
        self.ups = upstreams

    async def turn(self, session: str = "11111111-1111-4111-8111-111111111111") -> Reply:
        """A turn of a session of Claude Code."""
        headers = {**conversation.headers(), "x-claude-code-session-id": session}
        return await self.gateway.post("/v1/messages", conversation.request(0), headers)

    @property
    def asked(self) -> list[int]:
        """How many requests each upstream saw."""
        return [len(up.seen) for up in self.ups]


@pytest.fixture
async def houses(tmp_path: Path) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:

        async def build(count: int, more: dict[int, dict[str, Any]] | None = None, **table: Any) -> House:
            ups = [await stack.enter_async_context(upstream()) for _ in range(count)]
            accounts = [
                {
                    "name": f"a{index}",
                    "kind": "openai",
                    "base_url": up.url,
                    "api_key": f"sk-secret-{index}",
                    **(more or {}).get(index, {}),
                }
                for index, up in enumerate(ups)
            ]
            stored = table.pop("stored", False)
            made = await stack.enter_async_context(
                gateway(tmp_path, {"accounts": accounts, **table}, stored=stored)
            )
            return House(made, ups)

        yield build


def session(number: int) -> str:
    return f"{number:08d}-1111-4111-8111-111111111111"


def limited(seconds: float) -> Script:
    return status(
        429,
        {"error": {"message": "slow down", "code": "rate_limit_exceeded"}},
        {"retry-after": str(seconds)},
    )


async def test_sessions_spread_and_stay(houses: Any) -> None:
    """A conversation stays on its account; new ones go where there is least to do."""
    house = await houses(3)
    for _ in range(3):
        for number in range(6):
            assert (await house.turn(session(number))).status == 200
    assert house.asked == [6, 6, 6]
    rows = house.gateway.rows
    homes = {row.session_hash: row.account for row in rows[:6]}
    assert all(row.account == homes[row.session_hash] for row in rows)
    assert [row.move for row in rows] == ["new"] * 6 + ["stayed"] * 12
    assert rows[0].choice == "new session: a0 by affinity, room 1.00"
    assert rows[6].choice == "stays on a0"


async def test_a_session_returns_after_a_short_absence(houses: Any) -> None:
    """B110: who stands in does not take the conversation over."""
    house = await houses(2)
    house.ups[0].play(answer, limited(2), answer)
    for pause in (0, 0, 0, 2.6):
        await asyncio.sleep(pause)
        assert (await house.turn()).status == 200
    rows = house.gateway.rows
    assert [row.account for row in rows] == ["a0", "a1", "a1", "a0"]
    assert [row.move for row in rows] == ["new", "failover", "stand_in", "returned"]
    assert rows[1].choice == "a1 after rate_limit on a0"
    assert [one["account"] for one in rows[1].attempts] == ["a0"]


async def test_all_spent_is_one_honest_429_with_the_soonest_return(houses: Any) -> None:
    """B82: the true wait is that of the account which is back first."""
    house = await houses(2)
    house.ups[0].play(limited(7200))
    house.ups[1].play(limited(3600))
    first, second = await house.turn(), await house.turn()
    for reply in (first, second):
        assert (reply.status, reply.json["error"]["type"]) == (429, "rate_limit_error")
        assert 3590 <= int(reply.headers["retry-after"]) <= 3601
        assert reply.headers["x-should-retry"] == "false"
    assert house.asked == [1, 1]
    asked, spared = house.gateway.rows
    assert [one["account"] for one in asked.attempts] == ["a0", "a1"]
    assert (spared.attempts, spared.outcome, spared.account) == ([], "refused", "")
    assert spared.choice == "nobody can serve: a0 rate limit, a1 rate limit"


async def test_a_short_rest_of_everybody_is_waited_for(houses: Any) -> None:
    """Who is told of a limit hears it; who comes a moment later waits that moment."""
    house = await houses(1)
    house.ups[0].play(limited(1), answer)
    told, held = await house.turn(), await house.turn()
    assert (told.status, told.headers["retry-after"]) == (429, "1")
    assert held.status == 200
    assert house.asked == [2]


async def test_a_lone_account_that_fails_is_still_asked(houses: Any) -> None:
    """Its client reads what is the matter each time, and the first good answer comes through."""
    house = await houses(1)
    house.ups[0].play(*[status(500)] * 8, answer)
    replies = [await house.turn() for _ in range(4)]
    assert [reply.status for reply in replies] == [502] * 4
    assert (await house.turn()).status == 200
    assert house.asked == [9]


async def test_a_refused_key_of_a_lone_account_works_as_soon_as_it_is_mended(houses: Any) -> None:
    house = await houses(1)
    house.ups[0].play(status(401, {"error": {"message": "bad", "code": "invalid_api_key"}}), answer)
    assert (await house.turn()).status == 502
    assert (await house.turn()).status == 200


async def test_priorities_groups_weights_and_bounds(houses: Any) -> None:
    house = await houses(3, {0: {"weight": 0}, 1: {"priority": -1}, 2: {"concurrency": 1}})
    for number in range(4):
        assert (await house.turn(session(number))).status == 200
    assert house.asked == [0, 0, 4]


async def test_a_key_bound_to_a_group_is_served_by_that_group(houses: Any) -> None:
    keys = [
        {"name": "red", "key": "sk-drg-red-red", "account_groups": ["red"]},
        {"name": "none", "key": "sk-drg-none-none", "account_groups": ["blue"]},
    ]
    house = await houses(2, {1: {"group": "red"}}, keys=keys)
    ask = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    for _ in range(3):
        reply = await house.gateway.post("/v1/messages", ask, {"x-api-key": "sk-drg-red-red"})
        assert reply.status == 200
    assert house.asked == [0, 3]
    reply = await house.gateway.post("/v1/messages", ask, {"x-api-key": "sk-drg-none-none"})
    assert (reply.status, reply.json["error"]["type"]) == (404, "not_found_error")


async def test_a_model_that_one_account_may_not_use_is_served_by_another(
    houses: Any,
) -> None:
    """behaviours E10: not entitled is no fault of the account."""
    refusal = status(404, {"error": {"message": "The model does not exist", "code": "model_not_found"}})
    house = await houses(2)
    house.ups[0].play(refusal, answer)
    assert (await house.turn()).status == 200
    (told,) = [one for one in house.gateway.assembly.house.pool.describe(0.0) if one["name"] == "a0"]
    assert told["state"] == "ok"
    assert house.asked == [1, 1]


async def test_no_lease_outlives_its_request(houses: Any) -> None:
    """reliability S9: whatever the ending."""
    house = await houses(2)
    house.ups[0].play(status(500), answer, status(429), answer)

    async def overloaded(talk: Any) -> None:
        await talk.head()
        await talk.events(created(), failed("server_is_overloaded", "busy"))
        await talk.end()

    house.ups[1].play(overloaded, answer)
    await asyncio.gather(*(house.turn(session(number)) for number in range(12)))
    pool = house.gateway.assembly.house.pool
    assert pool.in_flight() == {"a0": 0, "a1": 0}


async def test_sessions_limits_and_quotas_outlive_the_process(tmp_path: Path) -> None:
    """B111: after a restart a session is where its cache is, and nobody asks who is spent."""
    told = {"x-codex-primary-used-percent": "50", "x-codex-primary-window-minutes": "300"}
    async with upstream() as first, upstream() as second:
        table = {
            "accounts": [
                {"name": name, "kind": "openai", "base_url": up.url, "api_key": f"sk-{name}"}
                for name, up in (("a0", first), ("a1", second))
            ]
        }
        first.play(answer, limited(7200))
        for round_ in range(2):
            async with gateway(tmp_path, table, stored=True) as made:
                house = House(made, [first, second])
                if round_ == 0:
                    made.assembly.house.pool.told("a1", made.assembly.house.clock.steady(), headers=told)
                    for number in (0, 1, 0):
                        assert (await house.turn(session(number))).status == 200
                else:
                    assert (await house.turn(session(1))).status == 200
                    rows = {row["name"]: row for row in made.assembly.house.pool.describe(_now(made))}
                    assert (await house.turn(session(2))).status == 200
                moves = [row.move for row in made.rows]
        assert moves == ["stayed", "new"]
        assert (rows["a0"]["models_resting"]["gpt-5.5"]["why"], rows["a1"]["windows"][0]["used"]) == (
            "rate limit",
            0.5,
        )
    assert house.asked == [2, 4]


def _now(made: Gateway) -> float:
    return made.assembly.house.clock.steady()


async def test_a_crowd_moves_to_the_account_that_answers(houses: Any) -> None:
    """B83, reliability E1 and R7: everybody's budget is waited for where somebody else may be asked."""
    house = await houses(2)
    arrived = 0
    everybody = asyncio.Event()

    async def together(talk: Any) -> None:
        nonlocal arrived
        arrived += 1
        if arrived == 30:
            everybody.set()
        async with asyncio.timeout(60):
            await everybody.wait()
        talk.writer.close()

    house.ups[0].play(together)
    house.ups[1].play(answer)
    replies = await asyncio.gather(*(house.turn(session(number)) for number in range(60)))
    assert {reply.status for reply in replies} == {200}
    assert house.gateway.assembly.house.retries.under_way == 0
