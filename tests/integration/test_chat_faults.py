"""Upstreams that fail, as a client of Chat Completions sees them: the status, or how the stream ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dragoman.wire import sse
from tests.support.failing import BEFORE, ENDINGS, fails, stream_then
from tests.support.upstream import Script, Talk, answer, created, delta, failed, status

# OpenAI has fewer words for what Anthropic tells apart.
TYPES = {429: "rate_limit_error", 502: "server_error", 504: "server_error", 529: "server_error"}


@pytest.mark.parametrize(
    ("script", "code", "kind"), [row[1:] for row in BEFORE], ids=[row[0] for row in BEFORE]
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_failure_before_content_is_a_true_status(
    houses: Any, script: Script, code: int, kind: str, stream: bool
) -> None:
    """B81, B84, D13, D15: no 200 for what failed before any output, and OpenAI's envelope."""
    house = await houses()
    house.first.play(script)
    reply = await house.gateway.chat(stream=stream)
    assert reply.status == code
    error = reply.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == (TYPES[code], None)
    assert reply.headers["x-request-id"]
    assert "sk-secret" not in reply.body.decode()
    assert "<html" not in reply.body.decode()
    row = await house.gateway.row()
    assert (row.status, row.outcome, row.error_type, row.route) == (code, "upstream_error", kind, "chat")


@pytest.mark.parametrize("script", [row[1] for row in BEFORE], ids=[row[0] for row in BEFORE])
async def test_a_second_account_takes_over_before_content(houses: Any, script: Script) -> None:
    """B83, D12: one client request, 200 from the second account. behaviours S16."""
    house = await houses(2)
    house.first.play(script)
    reply = await house.gateway.chat()
    assert (reply.status, reply.content, reply.finish) == (200, "Hello there", ["stop"])
    assert reply.frames[-1] == b"[DONE]"
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
    reply = await house.gateway.chat()
    assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error")
    assert len(house.first.seen) == 1
    assert house.second.seen == []


@pytest.mark.parametrize("stream", [True, False])
async def test_context_overflow_is_told_in_openais_words(houses: Any, stream: bool) -> None:
    """B85, D14: the code and the sentence by which OpenAI's clients shorten their messages."""
    house = await houses()
    text = "Your input exceeds the context window of this model: 300000 tokens, limit 272000."
    for script in (
        status(400, {"error": {"message": text, "code": "context_length_exceeded"}}),
        fails("context_length_exceeded", text),
    ):
        house.first.play(script)
        reply = await house.gateway.chat(stream=stream)
        error = reply.json["error"]
        assert (reply.status, error["code"], error["param"]) == (400, "context_length_exceeded", "messages")
        assert error["message"].startswith("This model's maximum context length is 272000 tokens.")


async def test_waits_are_told_in_the_fields_that_clients_obey(houses: Any) -> None:
    """B82, D15, behaviours E1: a spent quota is not worth another try, a short limit is."""
    house = await houses()
    spent = {"error": {"type": "usage_limit_reached", "message": "limit", "resets_in_seconds": 3600}}
    short = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
    house.first.play(status(429, spent))
    reply = await house.gateway.chat()
    assert (reply.status, reply.headers["x-should-retry"]) == (429, "false")
    assert 3500 < reply.json["error"]["resets_in_seconds"] <= 3600
    assert "retry-after" not in reply.headers  # clients that obey any wait would sit it out

    house = await houses()  # the first one's account rests
    house.first.play(status(429, short, {"retry-after": "2"}))
    reply = await house.gateway.chat()
    assert (reply.status, reply.headers["retry-after"]) == (429, "2")
    assert reply.headers.get("x-should-retry") != "false"


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_failure_after_content_ends_in_one_error_object(houses: Any, ending: str) -> None:
    """B68, B69, B89: no finish reason, never retried, never doubled; the stream has its end."""
    house = await houses(2)
    house.first.play(stream_then(ending))
    reply = await house.gateway.chat(stream_options={"include_usage": True})
    assert (reply.status, reply.content, reply.finish) == (200, "Hello", [])
    assert [("error" in event) for event in reply.events].count(True) == 1
    last = reply.events[-1]["error"]
    assert set(last) == {"message", "type", "param", "code"}
    assert last["type"] in ("server_error", "rate_limit_error")
    assert reply.frames[-1] == b"[DONE]"
    assert reply.frames.count(b"[DONE]") == 1
    assert not any(event.get("usage") for event in reply.events)
    assert house.second.seen == []
    assert (await house.gateway.row()).outcome == "upstream_error"


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_whole_answer_that_breaks_is_a_status(houses: Any, ending: str) -> None:
    house = await houses()
    house.first.play(stream_then(ending))
    reply = await house.gateway.chat(stream=False)
    assert reply.status in (429, 502)
    assert reply.json["error"]["type"] == TYPES[reply.status]


async def test_silence_after_content_ends_at_the_idle_limit(houses: Any) -> None:
    house = await houses(upstream={"first_event_seconds": 20.0, "idle_seconds": 0.3})
    house.first.play(stream_then("silence"))
    reply = await house.gateway.chat()
    assert reply.events[-1]["error"]["code"] == "upstream_timeout"
    assert reply.frames[-1] == b"[DONE]"


async def test_a_long_silence_commits_the_head_and_comments(houses: Any) -> None:
    """B61, D17: comments while the model thinks; failover stays possible, only the status is spent."""

    async def thinks_then_dies(talk: Talk) -> None:
        await talk.head()
        await talk.events(created())
        await asyncio.sleep(0.6)
        talk.writer.close()

    house = await houses(2, server={"hold_seconds": 0.1, "ping_seconds": 0.1})
    house.first.play(thinks_then_dies)
    reply = await house.gateway.chat()
    assert (reply.status, reply.content, reply.finish) == (200, "Hello there", ["stop"])
    assert [("role" in delta) for delta in reply.deltas].count(True) == 1
    assert reply.deltas[0]["role"] == "assistant"
    assert reply.body.count(sse.COMMENT) >= 2
    assert b"event:" not in reply.body


async def test_a_head_that_goes_out_between_two_attempts_begins_the_answer(houses: Any) -> None:
    """The hold ends while the gateway waits to try again: the role comes once, and the answer behind it."""
    house = await houses(server={"hold_seconds": 0.2, "ping_seconds": 20.0})
    house.first.play(status(500), answer)  # the second try comes after a quarter of a second or more
    for ask in (house.gateway.chat, house.gateway.ask):
        house.first.play(status(500), answer)
        reply = await ask()
        assert reply.status == 200
        began = [event for event in reply.events if event.get("type") == "message_start"]
        assert [("role" in delta) for delta in reply.deltas].count(True) + len(began) == 1
        assert reply.content + reply.text == "Hello there"
        assert reply.frames.count(b"[DONE]") == (1 if ask == house.gateway.chat else 0)


@pytest.mark.parametrize("usage", [True, False])
async def test_after_the_commit_a_failure_is_an_error_object(houses: Any, usage: bool) -> None:
    async def thinks_then_fails(talk: Talk) -> None:
        await talk.head()
        await talk.events(created())
        await asyncio.sleep(0.4)
        await talk.events(failed("server_is_overloaded"))
        await talk.end()

    house = await houses(server={"hold_seconds": 0.1, "ping_seconds": 0.1})
    house.first.play(thinks_then_fails)
    reply = await house.gateway.chat(stream_options={"include_usage": usage})
    assert reply.status == 200
    first, last = reply.events
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert last["error"]["code"] == "overloaded"
    assert reply.frames[-1] == b"[DONE]"


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
    question = asyncio.ensure_future(house.gateway.chat(stream=stream))
    async with asyncio.timeout(30):
        while not house.first.seen:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    question.cancel()
    async with asyncio.timeout(30):
        await left.wait()
    row = await house.gateway.row()
    assert (row.status, row.outcome, row.route) == (499, "client_gone", "chat")
    assert house.second.seen == []
    assert house.gateway.assembly.house.gate.in_flight == 0


async def test_the_drain_ends_open_chats_with_an_error_object(houses: Any) -> None:
    """Beyond the drain's time an open stream ends in words, and with the mark that ends every stream."""
    house = await houses()
    house.first.play(stream_then("silence"))
    question = asyncio.ensure_future(house.gateway.chat())
    async with asyncio.timeout(30):
        while not house.first.seen:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    house.gateway.stop()
    reply = await question
    assert reply.status == 200
    assert reply.events[-1]["error"]["code"] == "overloaded"
    assert reply.frames[-1] == b"[DONE]"


async def test_an_unsupported_parameter_is_learnt_and_left_out(houses: Any) -> None:
    """The 400 is answered once without the parameter; the next chat does not send it at all."""
    house = await houses(models={"claude-*": "gpt-4.1"})
    refused = {
        "error": {
            "message": "Unsupported parameter: 'temperature'",
            "code": "unsupported_parameter",
            "param": "temperature",
        }
    }
    house.first.play(status(400, refused), answer)
    assert (await house.gateway.chat(temperature=0.5)).status == 200
    assert (await house.gateway.chat(temperature=0.5)).status == 200
    assert ["temperature" in seen.body for seen in house.first.seen] == [True, False, False]
    assert (await house.gateway.row(2)).ignored_fields == ["temperature"]
