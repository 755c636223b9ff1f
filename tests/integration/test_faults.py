"""Upstreams that fail, before and after the first content event: the exact status or ending each time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.failing import BEFORE, ENDINGS, fails, stream_then
from tests.support.inprocess import gateway
from tests.support.upstream import Script, Talk, answer, completed, created, delta, failed, status


@pytest.mark.parametrize(
    ("script", "code", "kind"), [row[1:] for row in BEFORE], ids=[row[0] for row in BEFORE]
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_failure_before_content_is_a_true_status(
    houses: Any, script: Script, code: int, kind: str, stream: bool
) -> None:
    """B81, B84, D13, D15: no 200 for what failed before any output. behaviours S12, E14."""
    house = await houses()
    house.first.play(script)
    reply = await house.gateway.ask(stream=stream)
    assert (reply.status, reply.json["error"]["type"]) == (code, kind)
    assert reply.headers["request-id"] == reply.json["request_id"]
    assert "sk-secret" not in reply.body.decode()
    assert "<html" not in reply.body.decode()
    row = await house.gateway.row()
    assert (row.status, row.outcome, row.error_type) == (code, "upstream_error", kind)


@pytest.mark.parametrize("script", [row[1] for row in BEFORE], ids=[row[0] for row in BEFORE])
async def test_a_second_account_takes_over_before_content(houses: Any, script: Script) -> None:
    """B83, D12: one client request, 200 from the second account. behaviours S16."""
    house = await houses(2)
    house.first.play(script)
    reply = await house.gateway.ask()
    assert reply.status == 200
    assert reply.text == "Hello there"
    assert reply.types[-1] == "message_stop"
    row = await house.gateway.row()
    assert row.account == "a1"
    assert row.attempts[0]["account"] == "a0"


async def test_a_request_shaped_error_is_not_repeated_elsewhere(houses: Any) -> None:
    """B87, D35: the upstream's 400 is the client's 400, nobody else is asked."""
    house = await houses(2)
    body = {
        "error": {"message": "Invalid value: 'x'.", "type": "invalid_request_error", "code": "invalid_value"}
    }
    house.first.play(status(400, body))
    reply = await house.gateway.ask()
    assert reply.status == 400
    assert reply.json["error"]["type"] == "invalid_request_error"
    assert len(house.first.seen) == 1
    assert house.second.seen == []


@pytest.mark.parametrize("stream", [True, False])
async def test_context_overflow_is_a_400_that_clients_understand(houses: Any, stream: bool) -> None:
    """B85, D14: the wording makes Claude Code compact and retry. behaviours T9, T10, T11."""
    house = await houses(2)
    text = "Your input exceeds the context window of this model: 300000 tokens, limit 272000."
    for script in (
        status(400, {"error": {"message": text, "code": "context_length_exceeded"}}),
        fails("context_length_exceeded", text),
    ):
        house.first.play(script)
        reply = await house.gateway.ask(stream=stream)
        assert reply.status == 400
        assert reply.json["error"]["type"] == "invalid_request_error"
        assert reply.json["error"]["message"].startswith("prompt is too long: 300000 tokens > 272000 maximum")
    assert house.second.seen == []


async def test_a_spent_quota_names_the_true_wait(houses: Any) -> None:
    """B82, D15: 429 with the reset and no storm. behaviours E1, E3."""
    house = await houses()
    body = {"error": {"type": "usage_limit_reached", "message": "limit", "resets_in_seconds": 3600}}
    house.first.play(status(429, body))
    reply = await house.gateway.ask()
    assert reply.status == 429
    assert reply.json["error"]["type"] == "rate_limit_error"
    assert reply.headers["retry-after"] == "3600"
    assert reply.headers["x-should-retry"] == "false"
    assert len(house.first.seen) == 1


async def test_a_short_429_passes_its_retry_after_on(houses: Any) -> None:
    house = await houses()
    house.first.play(
        status(429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, {"retry-after": "2"})
    )
    reply = await house.gateway.ask()
    assert reply.status == 429
    assert reply.headers["retry-after"] == "2"
    assert reply.headers.get("x-should-retry") != "false"


async def test_an_unsupported_parameter_is_learnt_and_left_out(houses: Any) -> None:
    """The 400 is retried once without the parameter; the next request does not send it at all."""
    house = await houses(models={"claude-*": "gpt-4.1"})
    refused = {
        "error": {
            "message": "Unsupported parameter: 'temperature'",
            "code": "unsupported_parameter",
            "param": "temperature",
        }
    }
    house.first.play(status(400, refused), answer)
    assert (await house.gateway.ask(temperature=0.5)).status == 200
    first, second = house.first.seen
    assert "temperature" in first.body
    assert "temperature" not in second.body
    assert (await house.gateway.ask(temperature=0.5)).status == 200
    assert "temperature" not in house.first.seen[2].body


async def test_a_failing_road_is_tried_three_times_at_most(houses: Any) -> None:
    """reliability R7."""
    house = await houses(2)
    house.first.play(status(500))
    house.second.play(status(500))
    assert (await house.gateway.ask()).status == 502
    assert len(house.first.seen) == 2
    assert len(house.second.seen) == 1


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_failure_after_content_ends_in_exactly_one_error_event(houses: Any, ending: str) -> None:
    """B68, B69, B89: never a silent end, never retried, never doubled. behaviours S10."""
    house = await houses(2)
    house.first.play(stream_then(ending))
    reply = await house.gateway.ask()
    assert reply.status == 200
    assert reply.text == "Hello"
    assert reply.types.count("error") == 1
    assert reply.types[-1] == "error"
    assert reply.events[-1]["request_id"] == reply.headers["request-id"]
    assert "message_stop" not in reply.types
    assert "message_delta" not in reply.types
    assert house.second.seen == []
    row = await house.gateway.row()
    assert row.outcome == "upstream_error"


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_whole_answer_that_breaks_is_a_status(houses: Any, ending: str) -> None:
    """Also half a call in a complete response (reliability E3): it never gets to be run."""
    house = await houses()
    house.first.play(stream_then(ending))
    reply = await house.gateway.ask(stream=False)
    assert reply.status in (429, 502)
    assert reply.json["type"] == "error"


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_whole_answer_that_breaks_is_asked_for_elsewhere(houses: Any, ending: str) -> None:
    """D12, reliability E1: nothing of it had reached the client."""
    house = await houses(2)
    house.first.play(stream_then(ending))
    reply = await house.gateway.ask(stream=False)
    assert (reply.status, reply.json["content"]) == (200, [{"type": "text", "text": "Hello there"}])
    assert reply.headers["x-dragoman-attempts"] == str(len(house.first.seen) + 1)
    assert len(house.second.seen) == 1
    row = await house.gateway.row()
    assert (row.outcome, row.usage_source) == ("ok", "measured")
    assert {attempt["account"] for attempt in row.attempts} == {"a0"}


async def test_silence_after_content_ends_at_the_idle_limit(houses: Any) -> None:
    house = await houses(upstream={"first_event_seconds": 20.0, "idle_seconds": 0.3})
    house.first.play(stream_then("silence"))
    reply = await house.gateway.ask()
    assert reply.types[-1] == "error"
    assert reply.events[-1]["error"]["type"] == "timeout_error"


async def test_silence_before_the_first_byte_moves_on_to_the_next_account(houses: Any) -> None:
    async def mute(talk: Talk) -> None:
        await talk.until_gone()

    house = await houses(2, upstream={"first_event_seconds": 0.3, "idle_seconds": 20.0})
    house.first.play(mute)
    assert (await house.gateway.ask()).text == "Hello there"
    house.second.play(mute)
    reply = await house.gateway.ask()
    assert (reply.status, reply.json["error"]["type"]) == (504, "timeout_error")


async def test_a_long_silence_commits_the_head_and_pings(houses: Any) -> None:
    """B61, D17: pings while the model thinks; failover stays possible, only the status is spent."""

    async def thinks_then_dies(talk: Talk) -> None:
        await talk.head()
        await talk.events(created())
        await asyncio.sleep(0.6)
        talk.writer.close()

    house = await houses(2, server={"hold_seconds": 0.1, "ping_seconds": 0.1})
    house.first.play(thinks_then_dies)
    reply = await house.gateway.ask()
    assert reply.status == 200
    assert reply.text == "Hello there"
    assert reply.types[0] == "message_start"
    assert reply.types.count("message_start") == 1
    assert [event["type"] for event in reply.events].count("ping") >= 2


async def test_after_the_commit_a_failure_is_an_error_event(houses: Any) -> None:
    async def thinks_then_fails(talk: Talk) -> None:
        await talk.head()
        await talk.events(created())
        await asyncio.sleep(0.4)
        await talk.events(failed("server_is_overloaded"))
        await talk.end()

    house = await houses(server={"hold_seconds": 0.1, "ping_seconds": 0.1})
    house.first.play(thinks_then_fails)
    reply = await house.gateway.ask()
    assert reply.types == ["message_start", "error"]
    assert reply.events[-1]["error"]["type"] == "overloaded_error"


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("phase", ["before content", "after content"])
async def test_a_client_that_leaves_cancels_the_upstream(houses: Any, stream: bool, phase: str) -> None:
    """B94, D34: the upstream request ends, the row says so, nobody else is asked."""
    left = asyncio.Event()

    async def endless(talk: Talk) -> None:
        await talk.head()
        await talk.events(created())
        if phase == "after content":
            await talk.events(delta("Hello"))
        await talk.until_gone()
        left.set()

    house = await houses(2)
    house.first.play(endless)
    question = asyncio.ensure_future(house.gateway.ask(stream=stream))
    async with asyncio.timeout(30):
        while not house.first.seen:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    question.cancel()
    async with asyncio.timeout(30):
        await left.wait()
    row = await house.gateway.row()
    assert (row.status, row.outcome, row.usage_source) == (499, "client_gone", "estimated")
    assert row.input_tokens > 0 and bool(row.output_tokens) is (phase == "after content")
    assert house.second.seen == []
    assert house.gateway.assembly.house.gate.in_flight == 0


async def test_a_kept_connection_is_used_again(houses: Any) -> None:
    house = await houses()
    for _ in range(3):
        assert (await house.gateway.ask()).text == "Hello there"
    assert len(house.first.seen) == 3


async def test_a_json_answer_to_a_stream_request_is_converted(houses: Any) -> None:
    """behaviours S18."""
    response = completed()["response"] | {
        "output": [
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "whole", "annotations": []}],
            }
        ]
    }
    house = await houses()
    house.first.play(status(200, response))
    reply = await house.gateway.ask()
    assert reply.text == "whole"
    assert reply.types[-1] == "message_stop"


async def test_an_upstream_that_refuses_connections_is_502(tmp_path: Path) -> None:
    account = {"name": "dead", "kind": "openai", "base_url": "http://127.0.0.1:1/v1", "api_key": "sk-x"}
    async with gateway(tmp_path, {"accounts": [account]}) as house:
        reply = await house.ask()
        assert (reply.status, reply.json["error"]["type"]) == (502, "api_error")


async def test_nothing_of_the_client_goes_upstream_but_the_fixed_list(houses: Any) -> None:
    """B90, B91, D31: no key, cookie or client header leaks."""
    house = await houses(keys=[{"name": "laptop", "key": "sk-drg-client-key"}])
    headers = {
        "x-api-key": "sk-drg-client-key",
        "cookie": "session=1",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "some-beta",
        "x-stainless-lang": "js",
        "x-claude-code-session-id": "0b0c2f2e-7d7c-4c39-9a46-3a0d3d8b6a11",
        "x-forwarded-for": "10.0.0.1",
        "user-agent": "claude-cli/2.1.330 (external, sdk-cli)",
    }
    request = {"model": "claude-x", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
    assert (await house.gateway.post("/v1/messages", request, headers)).status == 200
    seen = house.first.seen[0]
    allowed = {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "authorization",
    }
    assert set(seen.headers) <= allowed
    assert seen.headers["authorization"] == "Bearer sk-secret-0"
    assert seen.headers["user-agent"].startswith("dragoman/")
    assert "sk-drg-client-key" not in str(seen.body)
    assert "sk-drg-client-key" not in house.gateway.log.getvalue()
    row = await house.gateway.row()
    assert row.client == "claude-cli/2.1.330"
