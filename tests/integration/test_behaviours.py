"""Behaviours that only the whole house shows: identity in the log, credentials, plain answers, shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dragoman.simulator.contract import Flavour
from dragoman.simulator.state import State
from dragoman.translate.messages.plan import UpstreamKind
from dragoman.translate.models import profile
from dragoman.upstream.accounts import StaticAccount
from tests.support import conversation
from tests.support.inprocess import gateway
from tests.support.simulated import answered
from tests.support.upstream import Seen, Talk, answer, completed, created, delta, frame, status, upstream

TURNS = 10


def account(url: str, name: str = "a", **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "openai", "base_url": url, "api_key": f"sk-upstream-{name}", **more}


async def test_a_stream_is_neither_compressed_nor_held_by_proxies(tmp_path: Path) -> None:
    """behaviours S13: a client that offers compression gets plain bytes, and proxies pass them on."""
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        request = {**conversation.request(0), "stream": True}
        reply = await house.post("/v1/messages", request, {"accept-encoding": "gzip, deflate, br, zstd"})
    assert reply.status == 200
    assert "content-encoding" not in reply.headers
    assert reply.headers["x-accel-buffering"] == "no"
    assert "no-cache" in reply.headers["cache-control"]
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert up.seen[0].headers["accept-encoding"] == "identity"


async def test_windows_are_published_with_the_models(tmp_path: Path) -> None:
    """behaviours T12, E7. D32: a listed model stays reachable under its claude name, with its window."""
    async with upstream() as up:
        table = {"accounts": [account(up.url, models=["gpt-5.5", "gpt-4.1"])], "models": {}}
        async with gateway(tmp_path, table) as house:
            listed = (await house.get("/v1/models", {"anthropic-version": "2023-06-01"})).json["data"]
            windows = {row["id"]: row["max_input_tokens"] for row in listed}
            for model in ("gpt-5.5", "gpt-4.1"):
                assert windows[model] == windows[f"claude-{model}"] == profile(model).context_window
            assert (await house.ask(model="claude-gpt-4.1")).status == 200
    assert up.seen[0].body["model"] == "gpt-4.1"


async def test_a_plain_answer_and_a_window_suffix_go_the_same_way_as_a_stream(tmp_path: Path) -> None:
    """behaviours C22: one translator for both forms; `[1m]` is no part of the model's name."""
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        streamed = await house.ask(model="claude-test[1m]")
        plain = await house.ask(model="claude-test[1m]", stream=False)
    assert plain.json["content"] == [{"type": "text", "text": streamed.text}]
    assert plain.json["stop_reason"] == streamed.events[-2]["delta"]["stop_reason"] == "end_turn"
    assert [seen.body["model"] for seen in up.seen] == ["gpt-5.5", "gpt-5.5"]
    assert up.seen[0].body == up.seen[1].body


async def test_a_sub_agent_is_a_conversation_of_its_own_in_the_log(tmp_path: Path) -> None:
    """behaviours E4, E5: the session is shared, the conversation is the agent's."""
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        for agent in (None, "a1", "a2", "a1"):
            await house.post("/v1/messages", conversation.request(0), conversation.headers(agent=agent))
        await house.row(4)
    main, first, second, again = house.rows
    assert len({row.session_hash for row in house.rows}) == 1
    assert [row.lane for row in house.rows] == ["main", "agent", "agent", "agent"]
    assert len({main.conversation_hash, first.conversation_hash, second.conversation_hash}) == 3
    assert again.conversation_hash == first.conversation_hash
    assert conversation.SESSION not in house.log.getvalue()


async def test_two_accounts_of_one_server_never_mix_their_credentials(tmp_path: Path) -> None:
    """behaviours E6: a kept connection carries the key of the account that is asked, whoever opened it."""
    async with upstream() as up:
        table = {"accounts": [account(up.url, "one"), account(up.url, "two", organization="org-2")]}
        up.play(answer, status(429, {"error": {"message": "slow", "code": "rate_limit_exceeded"}}), answer)
        async with gateway(tmp_path, table) as house:
            for _ in range(3):
                assert (await house.ask()).status == 200
            await house.row(3)
    keys = [seen.headers["authorization"] for seen in up.seen]
    assert keys == [f"Bearer sk-upstream-{name}" for name in ("one", "one", "two", "two")]
    assert [seen.headers.get("openai-organization") for seen in up.seen] == [None, None, "org-2", "org-2"]
    assert [row.account for row in house.rows] == ["one", "two", "two"]
    assert [row.move for row in house.rows] == ["new", "failover", "stand_in"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"messages": []}, "messages"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"temperature": -0.5}, "temperature"),
        ({"stop_sequences": "END"}, "stop_sequences"),
    ],
)
async def test_impossible_values_are_refused_by_path_and_never_sent(
    tmp_path: Path, fields: dict[str, Any], path: str
) -> None:
    """B38, D26, D27."""
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        reply = await house.ask(**fields)
    assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error")
    assert reply.json["error"]["message"].startswith(f"{path}:")
    assert up.seen == []


async def test_an_answer_cut_by_its_limit_is_logged_as_an_answer(tmp_path: Path) -> None:
    """D45: the row is no error, and its tokens are those of the upstream."""

    async def incomplete(talk: Talk) -> None:
        last = completed(output=7, total=30)
        details = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        last = {"type": "response.incomplete", "response": {**last["response"], **details}}
        await talk.head()
        await talk.events(created(), delta("Half of"), last)
        await talk.end()

    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        up.play(incomplete)
        await house.ask()
        row = await house.row()
    assert (row.status, row.outcome, row.stop_reason) == (200, "ok", "max_tokens")
    assert (row.input_tokens, row.output_tokens, row.usage_source) == (30, 7, "measured")
    assert '"level":"info"' in house.log.getvalue()


@pytest.mark.parametrize("cut", [{"stop_sequences": ["END"]}, {"max_tokens": 5}], ids=["stop", "limit"])
async def test_an_answer_that_is_cut_here_tells_the_figures_that_have_come(
    tmp_path: Path, cut: dict[str, Any]
) -> None:
    """B36, B37: client and row say the same, and the connection serves the next request."""
    connections: set[Any] = set()

    async def at_once(talk: Talk) -> None:
        connections.add(talk.writer)
        await talk.head()
        text = delta("Of all the ships at sea this one END is the one that we saw last.")
        await talk.chunk(frame(created()) + frame(text) + frame(completed(output=21, total=30)))
        await talk.end()

    async with upstream(at_once) as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        for stream in (True, False):
            reply = await house.ask(stream=stream, **cut)
            told = reply.events[-2]["usage"] if stream else reply.json["usage"]
            row = await house.row(2 - stream)
            assert (told["input_tokens"], told["output_tokens"]) == (30, 21)
            assert (row.input_tokens, row.output_tokens, row.usage_source) == (30, 21, "measured")
            assert row.stop_reason == ("max_tokens" if "max_tokens" in cut else "stop_sequence")
    assert len(connections) == 1


SCHEMAS: list[dict[str, Any]] = [
    {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {}},
    {"type": "object", "properties": {"url": {"type": "string", "format": "uri"}}, "required": ["url"]},
    {"type": "object"},
    {"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}},
    {},
]


@pytest.mark.parametrize(("kind", "flavour"), [("openai", "api"), ("responses", "api"), ("chatgpt", "codex")])
async def test_a_strict_upstream_takes_every_tool(
    tmp_path: Path, kind: UpstreamKind, flavour: Flavour
) -> None:
    """B41, B49, D7, D36: whatever a schema leaves out, the tool is one that the description allows."""
    tools = [{"name": f"tool_{place}", "input_schema": schema} for place, schema in enumerate(SCHEMAS)]
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        ours = StaticAccount("a", kind, up.url, "sk-upstream-a")
        house.serve_by(ours)
        assert (await house.ask(tools=tools)).status == 200
    body = up.seen[0].body
    assert [tool["strict"] for tool in body["tools"]] == [False] * len(SCHEMAS)
    assert not any("description" in tool for tool in body["tools"])
    assert None not in body.values() and [] not in body.values()
    assert answered(State(), body, flavour, up.seen[0].headers)["status"] == "completed"


# -- a cache that is spread over many machines -------------------------------------------------------------


async def session_of(tmp_path: Path, kind: UpstreamKind, model: str) -> list[Seen]:
    """What the gateway sends to an account of a kind in ten turns of one session."""
    async with upstream() as up:
        table = {"accounts": [account(up.url)], "models": {"claude-*": model}}
        async with gateway(tmp_path, table) as house:
            ours = StaticAccount("a", kind, up.url, "sk-upstream-a")
            house.serve_by(ours)
            for turn in range(TURNS):
                reply = await house.post("/v1/messages", conversation.request(turn), conversation.headers())
                assert reply.status == 200
        return up.seen


def share_read(seen: list[Seen], flavour: Flavour, seed: int, without: str = "") -> float:
    """Of all warm turns' earlier prompts, the share that a cache of eight machines still held.

    `without` is a field or header that is taken out of every request.
    """
    state = State({"rate_per_key": 0, "seed": seed})
    read = total = before = 0
    for request in seen:
        body = {name: value for name, value in request.body.items() if name != without}
        headers = {name: value for name, value in request.headers.items() if name != without}
        usage = answered(state, body, flavour, headers)["usage"]
        read += usage["input_tokens_details"]["cached_tokens"]
        total, before = total + before, usage["input_tokens"]
    return read / total


SHARDED: list[tuple[UpstreamKind, str, Flavour, str]] = [
    ("openai", "gpt-5.6-sol", "api", "prompt_cache_key"),
    ("chatgpt", "gpt-5.5", "codex", "session-id"),
]


@pytest.mark.parametrize(("kind", "model", "flavour", "identity"), SHARDED, ids=["openai", "chatgpt"])
async def test_a_stable_identity_finds_its_machine_in_a_sharded_cache(
    tmp_path: Path, kind: UpstreamKind, model: str, flavour: Flavour, identity: str
) -> None:
    """B114, D5: with it warm turns read their prefix; without it they meet one machine of eight by chance."""
    seen = await session_of(tmp_path, kind, model)
    values = {request.body.get(identity) or request.headers.get(identity) for request in seen}
    assert len(values) == 1 and None not in values
    seeds = range(8)
    assert min(share_read(seen, flavour, seed) for seed in seeds) >= 0.95
    assert sum(share_read(seen, flavour, seed, identity) for seed in seeds) / len(seeds) < 0.5
