"""The chat door through the whole house: who may ask, what is read of a chat, what its row tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dragoman.translate.messages.plan import UpstreamKind
from dragoman.upstream.accounts import StaticAccount
from tests.support.inprocess import Gateway, gateway
from tests.support.upstream import Talk, Upstream, answer, completed, created, delta, status, upstream

PATHS = ("/v1/chat/completions", "/chat/completions")
KEY = "sk-drg-laptop-key"
BEARER = {"authorization": f"Bearer {KEY}"}
QUESTION: dict[str, Any] = {"model": "claude-x", "messages": [{"role": "user", "content": "Hi"}]}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def table(url: str, **more: Any) -> dict[str, Any]:
    account = {"name": "a", "kind": "openai", "base_url": url, "api_key": "sk-upstream"}
    return {"accounts": [account], **more}


def keyed(url: str, **of_key: Any) -> dict[str, Any]:
    return table(url, keys=[{"name": "laptop", "key": KEY, **of_key}])


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Gateway, Upstream]]:
    async with upstream() as up, gateway(tmp_path, table(up.url)) as house:
        yield house, up


def using(total: int, output: int = 2, cached: int = 0) -> Any:
    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), delta("Hello"), completed(output=output, total=total, cached=cached))
        await talk.end()

    return script


def failure(reply: Any) -> tuple[int, str, str | None, str | None]:
    error = reply.json["error"]
    assert set(reply.json) == {"error"} and set(error) == {"message", "type", "param", "code"}
    return reply.status, error["type"], error["param"], error["code"]


# -- the door ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
async def test_both_paths_serve_chats(pair: tuple[Gateway, Upstream], path: str) -> None:
    house, _ = pair
    whole = await house.post(path, QUESTION)
    assert whole.json["choices"][0]["message"]["content"] == "Hello there"
    streamed = await house.post(path, {**QUESTION, "stream": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.headers["x-accel-buffering"] == "no"
    assert streamed.content == "Hello there"
    assert streamed.frames[-1] == b"[DONE]"
    for reply in (whole, streamed):
        assert reply.headers["x-request-id"] and reply.headers["x-dragoman-model"] == "gpt-5.5"


@pytest.mark.parametrize("path", PATHS)
async def test_what_cannot_be_read_wears_openais_envelope(pair: tuple[Gateway, Upstream], path: str) -> None:
    """B79, E13: whatever headers a client of the other family sends, the path decides."""
    house, up = pair
    for headers in ({}, {"x-api-key": "any"}, {"anthropic-version": "2023-06-01"}):
        broken = await house.post(path, b'{"model": ', headers)
        assert failure(broken) == (400, "invalid_request_error", None, "invalid_json")
        assert failure(await house.post(path, b"[]", headers))[0] == 400
        wrong = await house.get(path, headers)
        assert failure(wrong) == (405, "invalid_request_error", None, "method_not_allowed")
        assert wrong.headers["allow"] == "POST"
    missing = await house.post(f"{path}/nothing", {})
    assert failure(missing) == (404, "invalid_request_error", None, "not_found")
    assert up.seen == []
    assert {row.route for row in house.rows} == {"chat"}


async def test_the_key_is_checked_before_the_body(tmp_path: Path) -> None:
    """B90, B92: an unknown key is refused whatever it sends; access is judged on the requested name."""
    async with upstream() as up, gateway(tmp_path, keyed(up.url, models=["claude-*"])) as house:
        for headers in ({}, {"authorization": "Bearer sk-drg-wrong"}):
            refused = await house.post("/v1/chat/completions", b"{broken", headers)
            assert failure(refused) == (401, "invalid_request_error", None, "invalid_api_key")
        assert (await house.post("/v1/chat/completions", QUESTION, BEARER)).status == 200
        assert (await house.post("/v1/chat/completions", QUESTION, {"x-api-key": KEY})).status == 200
        direct = await house.post("/v1/chat/completions", {**QUESTION, "model": "gpt-5.5"}, BEARER)
        assert failure(direct) == (403, "invalid_request_error", "model", "model_not_allowed")
        assert len(up.seen) == 2
        rows = house.rows
        assert [(row.key, row.outcome) for row in rows[2:]] == [
            ("laptop", "ok"),
            ("laptop", "ok"),
            ("laptop", "refused"),
        ]
        assert KEY not in str([(seen.headers, seen.body) for seen in up.seen])


async def test_an_unknown_model_names_the_nearest(tmp_path: Path) -> None:
    """B88."""
    async with upstream() as up:
        made = table(up.url, models={"claude-sonnet": "gpt-5.5"})
        made["accounts"][0]["models"] = ["gpt-5.5"]
        async with gateway(tmp_path, made) as house:
            reply = await house.post("/v1/chat/completions", {**QUESTION, "model": "claude-sonet"})
            assert failure(reply) == (404, "invalid_request_error", "model", "model_not_found")
            assert "claude-sonnet" in reply.json["error"]["message"]


async def test_limits_count_chats_and_refuse_them_in_time(tmp_path: Path) -> None:
    """B93, B98, D1: requests, tokens and money are the same whatever door they came through."""
    limits = [
        {"measure": "tokens", "per": "day", "max": 1000, "models": "claude-*"},
        {"measure": "cost_usd", "per": "day", "max": 0.000001, "models": "gpt-*"},
    ]
    made = upstream(using(1000, 50))
    async with made as up, gateway(tmp_path, keyed(up.url, limits=limits), stored=True) as house:
        assert (await house.chat(headers=BEARER)).status == 200
        spent = await house.chat(headers=BEARER)
        error = spent.json["error"]
        assert (spent.status, error["type"], error["code"]) == (
            429,
            "usage_limit_reached",
            "rate_limit_exceeded",
        )
        assert spent.headers["x-should-retry"] == "false" and error["resets_in_seconds"] > 60
        assert (await house.chat(headers=BEARER, model="gpt-5.5")).status == 200
        money = await house.chat(headers=BEARER, model="gpt-5.5")
        assert failure(money) == (402, "insufficient_quota", None, "insufficient_quota")
        first, refused = house.rows[:2]
    assert (first.input_tokens, first.output_tokens, first.usage_source) == (1000, 50, "measured")
    assert first.cost_nano is not None and first.requested_model == "claude-test"
    assert (refused.outcome, refused.status, refused.usage_source) == ("refused", 429, "none")


async def test_a_key_has_so_many_chats_at_a_time(tmp_path: Path) -> None:
    async with upstream(status(500)) as up, gateway(tmp_path, keyed(up.url, concurrency=1)) as house:
        house.assembly.house.admission._busy["laptop"] = 1
        assert failure(await house.chat(headers=BEARER))[0] == 429
        del house.assembly.house.admission._busy["laptop"]
        assert failure(await house.chat(headers=BEARER))[0] == 502


async def test_an_alias_brings_its_effort_and_a_request_its_own(tmp_path: Path) -> None:
    """B33, B34: the request's effort counts before the alias's; the answer echoes the asked name."""
    async with upstream() as up:
        models = {"claude-*": "gpt-5.5@high", "quick": "gpt-5.5@low"}
        async with gateway(tmp_path, table(up.url, models=models)) as house:
            replies = [
                await house.chat(model="claude-x", stream=False),
                await house.chat(model="quick", stream=False),
                await house.chat(model="quick", stream=False, reasoning_effort="medium"),
            ]
            await house.row(3)
    assert [reply.json["model"] for reply in replies] == ["claude-x", "quick", "quick"]
    assert [seen.body["reasoning"]["effort"] for seen in up.seen] == ["high", "low", "medium"]
    assert [row.effort for row in house.rows] == ["high", "low", "medium"]
    assert {row.upstream_model for row in house.rows} == {"gpt-5.5"}


# -- what is read of a chat --------------------------------------------------------------------------


async def test_log_probabilities_come_where_the_model_gives_them(tmp_path: Path) -> None:
    """They are asked for, told beside their text, and named as ignored where a model has none."""
    odds = [{"token": "Hello", "logprob": -0.5, "bytes": [72], "top_logprobs": []}]

    async def weighed(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), {**delta("Hello"), "logprobs": odds}, completed())
        await talk.end()

    asked: dict[str, Any] = {"logprobs": True, "top_logprobs": 2}
    async with upstream(weighed) as up:
        models = {"talker": "gpt-4.1", "thinker": "gpt-5.5@medium"}
        async with gateway(tmp_path, table(up.url, models=models)) as house:
            reply = await house.chat(model="talker", stream=False, **asked)
            silent = await house.chat(model="thinker", stream=False, **asked)
            await house.row(2)
    assert reply.json["choices"][0]["logprobs"]["content"][0]["logprob"] == -0.5
    assert up.seen[0].body["top_logprobs"] == 2
    assert silent.json["choices"][0]["logprobs"] is None
    assert house.rows[1].ignored_fields == ["logprobs", "top_logprobs"]


async def test_a_stop_sequence_is_held_back_and_cancels_the_upstream(
    pair: tuple[Gateway, Upstream],
) -> None:
    """B36: nothing of it is shown, however it was cut; the upstream is not read on."""
    house, up = pair
    cancelled = asyncio.Event()

    async def endless(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), delta("abE"), delta("NDc"), delta("d"))
        await talk.until_gone()
        cancelled.set()

    up.play(endless)
    reply = await house.chat(stop="END", stream_options={"include_usage": True})
    assert (reply.content, reply.finish, reply.frames[-1]) == ("ab", ["stop"], b"[DONE]")
    assert reply.events[-1]["usage"]["completion_tokens"] > 0
    row = await house.row()
    assert (row.outcome, row.usage_source) == ("ok", "estimated")
    async with asyncio.timeout(30):
        await cancelled.wait()


@pytest.mark.parametrize("kind", ["openai", "responses", "chatgpt"])
async def test_every_kind_of_account_serves_chats(pair: tuple[Gateway, Upstream], kind: UpstreamKind) -> None:
    """D6: an output limit where it is taken; else visible output is cut here. No kind sees who asked."""
    house, up = pair
    ours = StaticAccount("a", kind, up.url, "sk-upstream-a")
    house.serve_by(ours)
    up.play(using(10, cached=0))
    reply = await house.chat(max_tokens=4000, user="ann", prompt_cache_key="raw", temperature=1)
    assert reply.finish == ["stop"]
    body, headers = up.seen[0].body, up.seen[0].headers
    assert body.get("max_output_tokens") == (None if kind == "chatgpt" else 4000)
    assert ("session-id" in headers) == (kind == "chatgpt")
    assert "raw" not in str(body) and "ann" not in str(body)
    row = await house.row()
    assert "user" in row.ignored_fields and "temperature" in row.ignored_fields


async def test_strict_history_refuses_what_is_mended_otherwise(tmp_path: Path) -> None:
    """B17, B18, D28: with the path; else the row says what was mended."""
    result = {"role": "tool", "tool_call_id": "gone", "content": "A sail."}
    messages = [*QUESTION["messages"], result]
    async with upstream() as up:
        async with gateway(tmp_path, table(up.url)) as house:
            assert (await house.chat(messages=messages)).status == 200
            assert (await house.row()).repaired
        async with gateway(tmp_path, table(up.url, anthropic={"strict_history": True})) as house:
            refused = await house.chat(messages=messages)
            assert failure(refused)[::2] == (400, "messages.1.tool_call_id")
    assert len(up.seen) == 1


# -- who is speaking ---------------------------------------------------------------------------------


def turns(*answers: str) -> list[dict[str, Any]]:
    """A chat's messages after so many answers."""
    said: list[dict[str, Any]] = [
        {"role": "system", "content": "You look out. " * 400},
        {"role": "user", "content": "What do you see?"},
    ]
    for text in answers:
        said += [{"role": "assistant", "content": text}, {"role": "user", "content": "And now?"}]
    return said


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({}, {}),
        ({"x-session-id": "s-1"}, {}),
        ({"x-session-affinity": "s-1"}, {}),
        ({"session-id": "s-1"}, {}),
        ({}, {"prompt_cache_key": "k-1"}),
    ],
    ids=["anchor", "x-session-id", "x-session-affinity", "codex", "prompt_cache_key"],
)
async def test_the_turns_of_a_chat_are_one_conversation(
    pair: tuple[Gateway, Upstream], headers: dict[str, str], fields: dict[str, Any]
) -> None:
    """B102, B103, B115: one key and one conversation; the verdict explains the second turn."""
    house, up = pair
    up.play(using(1400), using(1500, cached=1280))
    await house.chat(headers=headers, messages=turns(), **fields)
    await house.chat(headers=headers, messages=turns("A sail."), **fields)
    first, second = (await house.row(1), await house.row(2))
    assert up.seen[0].body["prompt_cache_key"] == up.seen[1].body["prompt_cache_key"]
    assert first.conversation_hash == second.conversation_hash is not None
    assert first.session_hash == second.session_hash is not None
    assert first.lineage == second.lineage != ""
    assert (first.cache_verdict, second.cache_verdict, second.cached_tokens) == ("first_turn", "hit", 1280)
    for secret in ("s-1", "k-1"):
        assert secret not in str(up.seen[0].body) and secret not in repr(second)


async def test_tools_keep_the_order_in_which_they_were_sent(pair: tuple[Gateway, Upstream]) -> None:
    """B108: a client that lists its tools in another order does not lose the cached prefix."""
    house, up = pair
    tools = [{"type": "function", "function": {"name": name}} for name in ("look", "steer", "anchor")]
    await house.chat(messages=turns(), tools=tools)
    await house.row(1)
    await house.chat(messages=turns("A sail."), tools=tools[::-1])
    assert [tool["name"] for tool in up.seen[1].body["tools"]] == ["look", "steer", "anchor"]


# -- what is told of it ------------------------------------------------------------------------------


async def test_the_row_and_the_figures_name_the_surface(pair: tuple[Gateway, Upstream]) -> None:
    """B100: the same fields as for Messages, under the name of this surface."""
    house, up = pair
    up.play(using(10, output=3))
    await house.chat(headers={"user-agent": "OpenAI/Python 3.54.0"}, tools=[LOOK])
    await house.chat(stream=False, n=3)
    row = await house.row()
    assert (row.route, row.status, row.outcome, row.stop_reason) == ("chat", 200, "ok", "stop")
    assert (row.input_tokens, row.output_tokens, row.usage_source, row.stream) == (10, 3, "measured", True)
    assert (row.requested_model, row.upstream_model, row.account) == ("claude-test", "gpt-5.5", "a")
    assert row.client.startswith("OpenAI")
    assert row.first_token_ms is not None and row.duration_ms is not None
    told = (await house.get("/metrics")).body.decode()
    assert "dragoman_requests_total{" in told
    assert 'route="chat"' in told
    assert "n: only one choice" not in house.log.getvalue()


async def test_nothing_of_a_chat_is_in_the_log(tmp_path: Path) -> None:
    """reliability X3, for this door's fields."""
    async with upstream(answer) as up, gateway(tmp_path, keyed(up.url)) as house:
        marked = {
            **QUESTION,
            "messages": [{"role": "user", "content": "PROMPT-MARKER"}],
            "user": "USER-MARKER",
            "prompt_cache_key": "CACHE-MARKER",
            "tools": [{"type": "function", "function": {"name": "look", "description": "TOOL-MARKER"}}],
        }
        assert (await house.post("/v1/chat/completions", marked, BEARER)).status == 200
        await house.post("/v1/chat/completions", b'{"PROMPT-MARKER', BEARER)
        await house.post("/v1/chat/completions", {**marked, "stop": [""]}, BEARER)
        log = house.log.getvalue() + repr(house.rows)
    for marker in ("PROMPT-MARKER", "USER-MARKER", "CACHE-MARKER", "TOOL-MARKER", KEY, "sk-upstream"):
        assert marker not in log
