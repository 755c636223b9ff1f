"""What a turn leaves for the next: sealed reasoning, raw arguments, tool order, the cache diagnosis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dragoman.wire import jsonio
from tests.support.inprocess import Gateway, gateway
from tests.support.upstream import Talk, Upstream, completed, created, delta, status, upstream

SESSION = {"x-claude-code-session-id": "6a0f5a52-92a7-4b4c-8f7c-2f0f0a3a9f10"}


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Gateway, Upstream]]:
    async with upstream() as up:
        account = {"name": "a", "kind": "openai", "base_url": up.url, "api_key": "sk-upstream"}
        async with gateway(tmp_path, {"accounts": [account]}) as house:
            yield house, up


def reasoning_then(*events: dict[str, Any]) -> Any:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Thinking"}],
        "encrypted_content": "gAAAAsealed",
    }

    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.events(
            created(),
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {**item, "encrypted_content": ""},
            },
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            *events,
            completed(total=5000, cached=2048),
        )
        await talk.end()

    return script


def call(arguments: str) -> list[dict[str, Any]]:
    item = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "Read",
        "arguments": arguments,
    }
    return [
        {"type": "response.output_item.added", "output_index": 1, "item": {**item, "arguments": ""}},
        {"type": "response.output_item.done", "output_index": 1, "item": item},
    ]


TOOL = {"name": "Read", "description": "Reads.", "input_schema": {"type": "object", "properties": {}}}


def question(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "model": "claude-x",
        "max_tokens": 4000,
        "thinking": {"type": "adaptive"},
        "tools": [TOOL],
        "messages": list(messages),
        **more,
    }


async def tool_turn(house: Gateway, up: Upstream, arguments: str = '{"n": 1.0}') -> list[dict[str, Any]]:
    """The messages after one tool call."""
    up.play(reasoning_then(*call(arguments)))
    first = {"role": "user", "content": "Read it"}
    answer = (await house.post("/v1/messages", question(first), SESSION)).json
    use = next(block for block in answer["content"] if block["type"] == "tool_use")
    result = {"type": "tool_result", "tool_use_id": use["id"], "content": "text"}
    return [first, {"role": "assistant", "content": answer["content"]}, {"role": "user", "content": [result]}]


async def test_reasoning_and_raw_arguments_come_back_letter_for_letter(
    pair: tuple[Gateway, Upstream],
) -> None:
    """B9, B26: the sealed item and the model's own spelling of the arguments are replayed."""
    house, up = pair
    messages = await tool_turn(house, up)
    up.play(reasoning_then(delta("Done", "msg_2")))
    assert (await house.post("/v1/messages", question(*messages), SESSION)).status == 200
    kinds = [item.get("type", "message") for item in up.seen[1].body["input"]]
    assert kinds == ["message", "reasoning", "function_call", "function_call_output"]
    reasoning, function_call = up.seen[1].body["input"][1:3]
    assert reasoning["encrypted_content"] == "gAAAAsealed"
    assert reasoning["id"] == "rs_1"
    assert function_call["arguments"] == '{"n": 1.0}'


async def test_a_turns_body_extends_the_one_before(pair: tuple[Gateway, Upstream]) -> None:
    """B103: byte for byte, whatever the client's spelling."""
    house, up = pair
    messages = await tool_turn(house, up)
    up.play(reasoning_then(delta("Done", "msg_2")))
    await house.post("/v1/messages", question(*messages), SESSION)
    before, now = (jsonio.dump(seen.body["input"])[:-1] for seen in up.seen)
    assert now.startswith(before)
    assert up.seen[0].body["tools"] == up.seen[1].body["tools"]
    assert up.seen[0].body["prompt_cache_key"] == up.seen[1].body["prompt_cache_key"]


def said(text: str, phase: str) -> Any:
    """An answer of one message, in a phase."""
    item = {"type": "message", "id": "msg_1", "role": "assistant", "content": [], "phase": phase}
    whole = {**item, "content": [{"type": "output_text", "text": text, "annotations": []}]}

    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.events(
            created(),
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            delta(text),
            {"type": "response.output_item.done", "output_index": 0, "item": whole},
            completed(total=5000, cached=2048),
        )
        await talk.end()

    return script


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("door", ["messages", "chat"])
async def test_a_text_comes_back_in_the_phase_it_was_said_in(
    pair: tuple[Gateway, Upstream], door: str, stream: bool
) -> None:
    """B103: in both dialects, which have no word for it."""
    house, up = pair
    up.play(said("On my way.", "commentary"), said("Done.", "final_answer"))
    first, more = {"role": "user", "content": "Go"}, {"role": "user", "content": "Well?"}
    answer = {"role": "assistant", "content": "On my way."}
    for messages in ([first], [first, answer, more]):
        if door == "messages":
            reply = await house.post("/v1/messages", question(*messages, stream=stream), SESSION)
        else:
            asked = {"model": "claude-x", "messages": messages, "stream": stream}
            reply = await house.post("/v1/chat/completions", asked, SESSION)
        assert reply.status == 200
    before, now = (seen.body["input"] for seen in up.seen)
    assert now[: len(before)] == before
    assert now[len(before)] == {
        "type": "message",
        "role": "assistant",
        "content": "On my way.",
        "phase": "commentary",
    }


async def test_a_restart_forgets_phases_and_guesses_them_from_then_on(tmp_path: Path) -> None:
    """B103: one step in the history, and none after it, although the model says the same once more."""
    history = [
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": "On my way."},
        {"role": "user", "content": "Well?"},
    ]
    async with upstream(said("On my way.", "commentary")) as up:
        table = {"accounts": [{"name": "a", "kind": "openai", "base_url": up.url, "api_key": "sk-one"}]}
        async with gateway(tmp_path, table) as house:
            await house.post("/v1/messages", question(history[0]), SESSION)
            await house.post("/v1/messages", question(*history), SESSION)
        async with gateway(tmp_path, table) as house:
            await house.post("/v1/messages", question(*history), SESSION)
            await house.post("/v1/messages", question(*history, *history[1:]), SESSION)
    sent = [seen.body["input"] for seen in up.seen]
    assert [item["phase"] for item in sent[1] if item["role"] == "assistant"] == ["commentary"]
    assert [item["phase"] for item in sent[2] if item["role"] == "assistant"] == ["final_answer"]
    assert sent[3][: len(sent[2])] == sent[2]


async def test_a_search_without_a_status_comes_back_with_one(pair: tuple[Gateway, Upstream]) -> None:
    """B30: the API requires what some servers leave out."""
    house, up = pair
    action = {"type": "search", "query": "q", "sources": [{"type": "url", "url": "https://example.com"}]}
    item = {"type": "web_search_call", "id": "ws_1", "action": action}
    found = {"type": "response.output_item.done", "output_index": 1, "item": item}
    up.play(reasoning_then(found), reasoning_then(delta("Done", "msg_2")))
    first = {"role": "user", "content": "Look it up"}
    search = {"type": "web_search_20250305", "name": "web_search"}
    answer = (await house.post("/v1/messages", question(first, tools=[search]), SESSION)).json
    again = [first, {"role": "assistant", "content": answer["content"]}, {"role": "user", "content": "And?"}]
    assert (await house.post("/v1/messages", question(*again, tools=[search]), SESSION)).status == 200
    [replayed] = [item for item in up.seen[1].body["input"] if item["type"] == "web_search_call"]
    assert list(replayed.items()) == [
        ("type", "web_search_call"),
        ("id", "ws_1"),
        ("status", "completed"),
        ("action", action),
    ]


async def test_refused_reasoning_is_left_out_once_and_for_all(pair: tuple[Gateway, Upstream]) -> None:
    """behaviours C19: one retry without it, and the conversation stays without it."""
    house, up = pair
    messages = await tool_turn(house, up)
    refusal = {
        "error": {
            "message": "The encrypted content could not be verified.",
            "code": "invalid_encrypted_content",
        }
    }
    up.play(status(400, refusal), reasoning_then(delta("Done", "msg_2")))
    assert (await house.post("/v1/messages", question(*messages), SESSION)).status == 200
    retried = up.seen[2].body["input"]
    assert "reasoning" not in [item.get("type") for item in retried]
    await house.post("/v1/messages", question(*messages), SESSION)
    assert len(up.seen) == 4
    assert up.seen[3].body["input"] == retried


async def test_reasoning_of_another_account_is_not_sent(tmp_path: Path) -> None:
    """behaviours C19: it would be refused there."""
    async with upstream() as up:
        one = {"name": "a", "kind": "openai", "base_url": up.url, "api_key": "sk-one"}
        two = {"name": "a", "kind": "openai", "base_url": up.url, "api_key": "sk-two"}
        async with gateway(tmp_path, {"accounts": [one]}) as house:
            messages = await tool_turn(house, up)
        async with gateway(tmp_path, {"accounts": [two]}) as house:
            up.play(reasoning_then(delta("Done", "msg_2")))
            assert (await house.post("/v1/messages", question(*messages), SESSION)).status == 200
        assert "reasoning" not in [item.get("type") for item in up.seen[1].body["input"]]


async def test_keys_survive_a_restart(tmp_path: Path) -> None:
    """The cache key depends on session and secret alone."""
    async with upstream() as up:
        one = {"name": "a", "kind": "openai", "base_url": up.url, "api_key": "sk-one"}
        for _ in range(2):
            async with gateway(tmp_path, {"accounts": [one]}) as house:
                up.play(reasoning_then(delta("Hi")))
                await house.post("/v1/messages", question({"role": "user", "content": "Hi"}), SESSION)
        keys = {seen.body["prompt_cache_key"] for seen in up.seen}
        assert len(keys) == 1
        assert len(keys.pop()) <= 64


async def test_the_diagnosis_names_what_changed(pair: tuple[Gateway, Upstream]) -> None:
    """Anthropic's diagnostics, from hashes, before the upstream has answered."""
    house, up = pair
    up.play(reasoning_then(delta("Hi")))
    user = {"role": "user", "content": "Hi"}

    async def ask(previous: str | None, **more: Any) -> dict[str, Any]:
        request = question(user, diagnostics={"previous_message_id": previous}, **more)
        answer: dict[str, Any] = (await house.post("/v1/messages", request, SESSION)).json
        return answer

    plain = (await house.post("/v1/messages", question(user), SESSION)).json
    assert plain["diagnostics"] is None
    first = await ask(None, system="One")
    assert first["diagnostics"] is None
    same = await ask(first["id"], system="One")
    assert same["diagnostics"] is None
    changed = await ask(first["id"], system="Two")
    reason = changed["diagnostics"]["cache_miss_reason"]
    assert reason["type"] == "system_changed"
    assert reason["cache_missed_input_tokens"] >= 0
    unknown = await ask("msg_never_seen", system="One")
    assert unknown["diagnostics"] == {"cache_miss_reason": {"type": "previous_message_not_found"}}


async def test_the_row_explains_the_cache(pair: tuple[Gateway, Upstream]) -> None:
    """B115: a miss names the first difference."""
    house, up = pair
    up.play(reasoning_then(delta("Hi")))
    await house.post("/v1/messages", question({"role": "user", "content": "Hi"}, system="One"), SESSION)
    await house.post("/v1/messages", question({"role": "user", "content": "Hi"}, system="Two"), SESSION)
    assert house.rows[0].cache_verdict == "first_turn"
    assert house.rows[1].cache_verdict == "system_changed"
    assert house.rows[1].session_hash == house.rows[0].session_hash
    assert SESSION["x-claude-code-session-id"] not in house.log.getvalue()


async def test_tools_sent_in_another_order_keep_their_first_order(pair: tuple[Gateway, Upstream]) -> None:
    """B108, behaviours C7: the upstream's prefix does not move."""
    house, up = pair
    up.play(reasoning_then(delta("Hi")))
    tools = [{**TOOL, "name": name} for name in ("Bash", "Read", "Write")]
    user = {"role": "user", "content": "Hi"}
    await house.post("/v1/messages", question(user, tools=tools), SESSION)
    await house.post("/v1/messages", question(user, tools=tools[::-1]), SESSION)
    assert up.seen[0].body["tools"] == up.seen[1].body["tools"]


async def test_counting_never_generates(pair: tuple[Gateway, Upstream]) -> None:
    """B78, behaviours T4, T5: without an upstream counter the number is made offline."""
    house, up = pair
    up.play(status(404, {"error": {"message": "no such route"}}))
    request = question({"role": "user", "content": "Hello world"})
    del request["max_tokens"]
    reply = await house.post("/v1/messages/count_tokens", request)
    assert reply.status == 200
    assert 5 < reply.json["input_tokens"] < 200
    assert [seen.path for seen in up.seen] == ["/v1/responses/input_tokens"]
    assert house.rows == []


async def test_counting_asks_for_the_effort_of_the_request(pair: tuple[Gateway, Upstream]) -> None:
    """behaviours T2: without `max_tokens` no limit is supposed that would lower the effort."""
    house, up = pair
    up.play(status(200, {"object": "response.input_tokens", "input_tokens": 1234}))
    request = question({"role": "user", "content": "Hello world"}, output_config={"effort": "high"})
    del request["max_tokens"]
    assert (await house.post("/v1/messages/count_tokens", request)).json == {"input_tokens": 1234}
    assert up.seen[0].body["reasoning"]["effort"] == "high"


async def test_an_exact_count_is_asked_once(pair: tuple[Gateway, Upstream]) -> None:
    """behaviours T3: the same body is counted once."""
    house, up = pair
    up.play(status(200, {"object": "response.input_tokens", "input_tokens": 1234}))
    request = question({"role": "user", "content": "Hello world"})
    for _ in range(3):
        assert (await house.post("/v1/messages/count_tokens", request)).json == {"input_tokens": 1234}
    assert len(up.seen) == 1
    assert "prompt_cache_key" not in up.seen[0].body


async def test_counting_tells_what_stands_there_without_edits(pair: tuple[Gateway, Upstream]) -> None:
    """No edit is ever applied, so both figures are the same; who asks for none is told of none."""
    house, up = pair
    up.play(status(200, {"object": "response.input_tokens", "input_tokens": 1234}))
    request = question({"role": "user", "content": "Hello world"})
    del request["max_tokens"]
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    for asked, told in (
        (edits, {"input_tokens": 1234, "context_management": {"original_input_tokens": 1234}}),
        (None, {"input_tokens": 1234}),
    ):
        reply = await house.post("/v1/messages/count_tokens", {**request, "context_management": asked})
        assert reply.json == told
