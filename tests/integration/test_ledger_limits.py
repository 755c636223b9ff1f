"""Limits and settlement, through the whole house: what is counted, what is given back, what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dragoman.serving.store import opened
from dragoman.settings import Settings
from tests.support.inprocess import Gateway, Reply, gateway
from tests.support.upstream import Talk, completed, created, delta, failed, status, upstream

KEY = {"x-api-key": "sk-drg-laptop-key"}


def table(url: str, *limits: dict[str, Any], **more: Any) -> dict[str, Any]:
    key = {"name": "laptop", "key": KEY["x-api-key"], "limits": list(limits), **more}
    account = {"name": "a", "kind": "openai", "base_url": url, "api_key": "sk-upstream"}
    return {"accounts": [account], "keys": [key]}


def limit(measure: str, most: float, per: str = "day", **more: Any) -> dict[str, Any]:
    return {"measure": measure, "per": per, "max": most, **more}


def using(total: int, output: int, cached: int = 0) -> Any:
    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), delta("Hello"), completed(output=output, total=total, cached=cached))
        await talk.end()

    return script


async def ask(house: Gateway, model: str = "claude-test", **more: Any) -> Reply:
    request = {
        "model": model,
        "max_tokens": 100,
        "stream": True,
        "messages": [{"role": "user", "content": "Hi"}],
        **more,
    }
    return await house.post("/v1/messages", request, KEY)


def used(house: Gateway, index: int = 0) -> tuple[int, int]:
    """What the index-th limit of the key has counted, and what open requests hold of it."""
    line = house.assembly.house.admission.keys["laptop"].lines(house.assembly.house.clock.now())[index]
    return line.used, line.held


@pytest.mark.parametrize("stream", [True, False])
async def test_streamed_and_whole_answers_count_what_they_used(tmp_path: Path, stream: bool) -> None:
    """B93, D1: 1,050 tokens used are 1,050 counted, streamed or not."""
    async with (
        upstream(using(1000, 50)) as up,
        gateway(tmp_path, table(up.url, limit("tokens", 5000)), stored=True) as house,
    ):
        assert (await ask(house, stream=stream)).status == 200
        assert used(house) == (1050, 0)
        row = await house.row()
    assert (row.input_tokens, row.output_tokens, row.outcome) == (1000, 50, "ok")


async def test_it_is_counted_before_the_client_sees_the_end(tmp_path: Path) -> None:
    """D1: whoever has read message_stop may ask again at once and is judged by the new count."""
    async with (
        upstream(using(1000, 50)) as up,
        gateway(tmp_path, table(up.url, limit("tokens", 1050)), stored=True) as house,
    ):
        request = {"model": "claude-test", "max_tokens": 9, "stream": True, "messages": _hi()}
        async with house.session.post(house.url + "/v1/messages", json=request, headers=KEY) as reply:
            async for line in reply.content:
                if line.startswith(b"event: message_stop"):
                    assert used(house) == (1050, 0)
                    break
        assert (await ask(house)).status == 429


def _hi() -> list[dict[str, Any]]:
    return [{"role": "user", "content": "Hi"}]


async def test_an_incomplete_answer_is_billed(tmp_path: Path) -> None:
    """B95, D45"""

    async def cut(talk: Talk) -> None:
        end = completed(output=30, total=500)
        response = {**end["response"], "status": "incomplete"}
        response["incomplete_details"] = {"reason": "max_output_tokens"}
        await talk.head()
        await talk.events(created(), delta("Hel"), {"type": "response.incomplete", "response": response})
        await talk.end()

    async with (
        upstream(cut) as up,
        gateway(tmp_path, table(up.url, limit("tokens", 5000)), stored=True) as house,
    ):
        assert (await ask(house)).status == 200
        row = await house.row()
        assert used(house) == (530, 0)
    assert (row.outcome, row.stop_reason) == ("ok", "max_tokens")


async def test_a_failed_request_gives_everything_back(tmp_path: Path) -> None:
    """B96: the counter is as it was, for requests too."""
    async with upstream(status(500, {"error": {"message": "no", "type": "server_error"}})) as up:
        limits = [limit("tokens", 5000), limit("requests", 3)]
        async with gateway(tmp_path, table(up.url, *limits), stored=True) as house:
            for _ in range(4):
                assert (await ask(house)).status == 502
            assert used(house, 0) == used(house, 1) == (0, 0)
            assert (await house.row(4)).outcome == "upstream_error"


async def test_a_client_that_leaves_is_charged_for_what_came(tmp_path: Path) -> None:
    """B94: the upstream is cancelled, the estimate is settled, nothing stays held."""

    async def endless(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), *[delta("word ") for _ in range(40)])
        await talk.until_gone()
        talk.seen.hung_up.set()

    async with (
        upstream(endless) as up,
        gateway(tmp_path, table(up.url, limit("tokens", 50_000)), stored=True) as house,
    ):
        request = {"model": "claude-test", "max_tokens": 900, "stream": True, "messages": _hi()}
        async with house.session.post(house.url + "/v1/messages", json=request, headers=KEY) as reply:
            await reply.content.readuntil(b"word")
            assert used(house)[1] > 0
        row = await house.row()
        async with asyncio.timeout(30):
            await up.seen[0].hung_up.wait()
        counted, held = used(house)
    assert (row.status, row.outcome, row.usage_source) == (499, "client_gone", "estimated")
    assert held == 0
    assert counted == row.input_tokens + row.output_tokens > 20


async def test_a_fault_of_our_own_after_reserving_gives_back(tmp_path: Path) -> None:
    """B97, D33"""
    async with (
        upstream(using(10, 5)) as up,
        gateway(tmp_path, table(up.url, limit("tokens", 5000)), stored=True) as house,
    ):

        def broken(demand: Any, now: float) -> Any:
            raise LookupError("no such thing")

        house.assembly.house.pool.select = broken  # type: ignore[method-assign]
        assert (await ask(house)).status == 500
        assert used(house) == (0, 0)


@pytest.mark.parametrize(("measure", "most"), [("requests", 10), ("tokens", 200)])
async def test_fifty_at_once_never_overrun(tmp_path: Path, measure: str, most: int) -> None:
    """B98: ten may pass, the rest is told when to come back; each overruns by its own true size at most."""
    gate = asyncio.Event()

    async def held(talk: Talk) -> None:
        await talk.head()
        await gate.wait()
        await talk.events(created(), delta("Hello"), completed(output=10, total=10))
        await talk.end()

    async with (
        upstream(held) as up,
        gateway(tmp_path, table(up.url, limit(measure, most)), stored=True) as house,
    ):
        asked = [asyncio.ensure_future(ask(house)) for _ in range(50)]
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            while len(house.rows) + len(up.seen) < 50:
                await asyncio.sleep(0.01)
        gate.set()
        replies = await asyncio.gather(*asked)
        counted, left = used(house)
    passed = [reply for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status == 429]
    assert len(passed) + len(refused) == 50
    assert left == 0
    if measure == "requests":
        assert len(passed) == counted == 10
    else:
        assert 1 <= len(passed) <= 10
        assert counted == 20 * len(passed)
    for reply in refused:
        assert reply.json["error"]["type"] == "rate_limit_error"
        assert "resets at 20" in reply.json["error"]["message"]
        assert int(reply.headers["retry-after"]) >= 1


async def test_money_is_priced_by_the_upstream_model_and_spent_money_is_402(tmp_path: Path) -> None:
    """B99, D32: the alias costs what the model behind it costs; both prices are in the row."""
    async with upstream(using(15_603, 900, cached=15_104)) as up:
        spend = limit("cost_usd", 0.03, per="month", models="claude-*")
        async with gateway(tmp_path, table(up.url, spend), stored=True) as house:
            assert (await ask(house, "claude-opus-4-5")).status == 200
            row = await house.row()
            again = await ask(house, "claude-opus-4-5")
            refused = await house.row(2)
    assert row.cost_nano == 37_047_000
    assert row.anthropic_cost_nano == 499 * 5_000 + 15_104 * 500 + 900 * 25_000
    assert (again.status, again.json["error"]["type"]) == (402, "billing_error")
    assert again.headers["x-should-retry"] == "false"
    assert (refused.status, refused.outcome, refused.requested_model) == (402, "refused", "claude-opus-4-5")
    assert len(up.seen) == 1


async def test_an_unknown_price_is_not_zero(tmp_path: Path) -> None:
    """Under a money limit such a model is refused until a price is set; without one its cost is unknown."""
    async with upstream(using(10, 5)) as up:
        house_table = table(up.url, limit("cost_usd", 1, models="house-*"))
        async with gateway(tmp_path, {**house_table, "models": {}}, stored=True) as house:
            refused = await ask(house, "house-model")
            assert (refused.status, refused.json["error"]["type"]) == (403, "permission_error")
            assert "price" in refused.json["error"]["message"]
            assert (await ask(house, "other-model")).status == 200
            assert (await house.row(2)).cost_nano is None
        priced = {**house_table, "models": {}, "prices": {"house-model": {"input": 1, "output": 2}}}
        async with gateway(tmp_path, priced, stored=True) as house:
            assert (await ask(house, "house-model")).status == 200
            assert (await house.row()).cost_nano == 10 * 1000 + 5 * 2000


async def test_limits_bear_on_the_requested_name(tmp_path: Path) -> None:
    """B92: an alias has its own allowance, whatever upstream model it means."""
    async with upstream(using(60, 40)) as up:
        opus = limit("tokens", 100, models="claude-opus-*")
        async with gateway(tmp_path, table(up.url, opus), stored=True) as house:
            assert (await ask(house, "claude-opus-5")).status == 200
            assert (await ask(house, "claude-opus-5")).status == 429
            assert (await ask(house, "claude-sonnet-5")).status == 200


async def test_the_answer_tells_what_is_left(tmp_path: Path) -> None:
    async with upstream(using(60, 40)) as up:
        limits = [limit("tokens", 1000), limit("requests", 5, per="total")]
        async with gateway(tmp_path, table(up.url, *limits), stored=True) as house:
            first = await ask(house, stream=False)
            second = await ask(house, stream=False)
    assert first.headers["anthropic-ratelimit-tokens-limit"] == "1000"
    assert second.headers["anthropic-ratelimit-requests-remaining"] == "3"
    assert second.headers["anthropic-ratelimit-tokens-reset"].endswith("T00:00:00Z")
    assert "anthropic-ratelimit-requests-reset" not in second.headers


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/responses"])
async def test_a_stream_tells_it_too(tmp_path: Path, path: str) -> None:
    """What it holds itself is not free any more."""
    body = {"input": "Hi"} if path == "/v1/responses" else {"max_tokens": 100, "messages": _hi()}
    async with upstream(using(60, 40)) as up:
        limits = [limit("tokens", 100_000), limit("requests", 5, per="total")]
        async with gateway(tmp_path, table(up.url, *limits), stored=True) as house:
            reply = await house.post(path, {"model": "claude-test", "stream": True, **body}, KEY)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["anthropic-ratelimit-tokens-limit"] == "100000"
    assert reply.headers["anthropic-ratelimit-requests-remaining"] == "4"


async def test_requests_in_flight_are_bounded_by_key(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def held(talk: Talk) -> None:
        await gate.wait()
        await using(10, 5)(talk)

    async with (
        upstream(held) as up,
        gateway(tmp_path, table(up.url, concurrency=2), stored=True) as house,
    ):
        asked = [asyncio.ensure_future(ask(house)) for _ in range(2)]
        async with asyncio.timeout(30):
            while len(up.seen) < 2:
                await asyncio.sleep(0.01)
        third = await ask(house)
        gate.set()
        assert [reply.status for reply in await asyncio.gather(*asked)] == [200, 200]
        assert (await ask(house)).status == 200
    assert (third.status, third.json["error"]["type"]) == (429, "rate_limit_error")
    assert third.headers["retry-after"] == "1"


@pytest.mark.parametrize(("asked", "sent"), [("low", "low"), ("max", "medium"), (None, "medium")])
async def test_a_key_bounds_the_effort(tmp_path: Path, asked: str | None, sent: str) -> None:
    async with (
        upstream(using(10, 5)) as up,
        gateway(tmp_path, table(up.url, max_effort="medium"), stored=True) as house,
    ):
        more: dict[str, Any] = {} if asked is None else {"output_config": {"effort": asked}}
        assert (await ask(house, max_tokens=9000, **more)).status == 200
    assert up.seen[0].body["reasoning"]["effort"] == sent


async def test_a_key_enforces_the_effort(tmp_path: Path) -> None:
    async with (
        upstream(using(10, 5)) as up,
        gateway(tmp_path, table(up.url, enforced_effort="low"), stored=True) as house,
    ):
        assert (await ask(house, max_tokens=9000, output_config={"effort": "high"})).status == 200
    assert up.seen[0].body["reasoning"]["effort"] == "low"


async def test_counters_survive_a_restart(tmp_path: Path, database_url: str) -> None:
    """What was used before is known after: sliding windows from the rows, the calendar from the sums."""
    limits = [limit("tokens", 10_000, per=per) for per in ("minute", "hour", "5h", "day", "total")]
    async with upstream(using(1000, 50)) as up:
        settings = {**table(up.url, *limits), "database": {"url": database_url}}
        async with gateway(tmp_path, settings, stored=True) as house:
            for _ in range(3):
                assert (await ask(house)).status == 200
        async with gateway(tmp_path, settings, stored=True) as house:
            assert [used(house, index)[0] for index in range(5)] == [3150] * 5
            assert (await ask(house)).status == 200
            assert used(house, 3) == (4200, 0)


async def test_a_failure_inside_the_stream_settles_what_was_said(tmp_path: Path) -> None:
    async def broken(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), delta("Hello"), failed("server_error"))
        await talk.end()

    async with (
        upstream(broken) as up,
        gateway(tmp_path, table(up.url, limit("tokens", 5000)), stored=True) as house,
    ):
        assert (await ask(house)).types[-1] == "error"
        row = await house.row()
        assert used(house) == (row.input_tokens + row.output_tokens, 0)
    assert row.outcome == "upstream_error"


async def test_rows_reach_the_database_once_with_their_sums(tmp_path: Path, database_url: str) -> None:
    """B100: also for refused requests; a salted session hash, cached tokens, stop reason and timings."""
    from sqlalchemy import func, select

    from dragoman.store.tables import requests, usage_hours

    async with upstream(using(1000, 50, cached=640)) as up:
        settings = {**table(up.url), "database": {"url": database_url}}
        async with gateway(tmp_path, settings, stored=True) as house:
            session = {"x-claude-code-session-id": "5d0e7a52-session"}
            request = {"model": "claude-test", "max_tokens": 9000, "messages": _hi()}
            assert (await house.post("/v1/messages", request, {**KEY, **session})).status == 200
            assert (await house.post("/v1/messages", request, {"x-api-key": "wrong"})).status == 401
            assert (await house.post("/v1/messages", {"model": "claude-test"}, KEY)).status == 400
    async with (
        opened(Settings.model_validate(settings), tmp_path, monotonic=lambda: 0.0) as store,
        store.database.read() as connection,
    ):
        rows = (await connection.execute(select(requests).order_by(requests.c.id))).all()
        total = await connection.scalar(select(func.sum(usage_hours.c.requests)))
    assert [(row.status, row.outcome, row.key) for row in rows] == [
        (200, "ok", "laptop"),
        (401, "refused", ""),
        (400, "refused", "laptop"),
    ]
    assert total == 3
    row = rows[0]
    assert (row.requested_model, row.upstream_model, row.effort) == ("claude-test", "gpt-5.5", "medium")
    assert (row.input_tokens, row.cached_tokens, row.output_tokens) == (1000, 640, 50)
    assert row.stop_reason == "end_turn"
    assert row.session_hash != "5d0e7a52-session" and len(row.session_hash) == 32
    assert row.conversation_hash not in (None, row.session_hash)
    assert 0 < row.first_token_ms <= row.duration_ms
