"""The Responses door with a whole gateway behind it: what goes through, what is refused, what is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dragoman.wire import jsonio
from tests.support.inprocess import Gateway, Reply, gateway
from tests.support.upstream import (
    Script,
    Talk,
    Upstream,
    answer,
    completed,
    created,
    delta,
    frame,
    status,
    upstream,
)

KEY = "sk-drg-responses-door-tests"
AUTH = {"authorization": f"Bearer {KEY}"}
DONE = {"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "id": "msg_1"}}
PATHS = ("/v1/responses", "/responses", "/backend-api/codex/responses", "/backend-api/codex/v1/responses")


def table(up: Upstream, *kinds: str, **more: Any) -> dict[str, Any]:
    accounts = [
        {"name": f"{kind}-{number}", "kind": kind, "base_url": up.url, "api_key": f"sk-{kind}-{number}"}
        for number, kind in enumerate(kinds or ("openai",))
    ]
    return {"accounts": accounts, "keys": [{"name": "door", "key": KEY, **more}]}


async def ask(house: Gateway, path: str = "/v1/responses", **body: Any) -> Reply:
    headers = {**AUTH, **body.pop("headers", {})}
    return await house.post(path, {"model": "gpt-5.5", "input": "Hi", **body}, headers)


def events(*of: dict[str, Any]) -> bytes:
    return b"".join(map(frame, of))


# -- through ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
async def test_a_stream_is_what_the_upstream_sent(tmp_path: Path, path: str) -> None:
    """Byte for byte: spaces, unknown fields, unknown events, ids and comments included."""
    odd = (
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta",  "delta":"H\\u00e9",'
        b'"new": [1, 2.50]}\n\n'
        b'event: response.something.new\ndata: {"type":"response.something.new"}\nid: 3\n\n'
        b": a comment\n\n"
    )
    last = frame({**completed(), "response": {**completed()["response"], "output": [DONE["item"]]}})

    async def script(talk: Talk) -> None:
        await talk.head()
        sent = frame(created()) + odd + frame(DONE) + last
        for at in range(0, len(sent), 7):
            await talk.chunk(sent[at : at + 7])
        await talk.end()

    async with upstream() as up:
        up.play(script)
        async with gateway(tmp_path, table(up)) as house:
            reply = await ask(house, path, stream=True)
            row = await house.row()
    assert reply.status == 200 and reply.headers["content-type"].startswith("text/event-stream")
    assert reply.body == frame(created()) + odd + frame(DONE) + last
    assert reply.headers["x-request-id"] == row.request_id
    assert (row.route, row.status, row.outcome, row.stop_reason) == ("responses", 200, "ok", "completed")
    assert (row.input_tokens, row.output_tokens, row.usage_source) == (10, 2, "measured")
    assert row.cost_nano is not None and row.stream
    assert up.seen[0].headers["authorization"] == "Bearer sk-openai-0"


@pytest.mark.parametrize("stream", [True, False])
async def test_an_empty_last_event_gets_its_items(tmp_path: Path, stream: bool) -> None:
    """The ChatGPT backend leaves `output` empty: both forms of answer have it all the same."""

    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), delta("Hi"), DONE, completed())
        await talk.end()

    async with upstream() as up:
        up.play(script)
        async with gateway(tmp_path, table(up)) as house:
            reply = await ask(house, stream=stream)
    response = reply.events[-1]["response"] if stream else reply.json
    assert response["output"] == [DONE["item"]] and response["id"] == "resp_1"
    assert up.seen[0].body["stream"] is True
    if stream:
        assert reply.body.startswith(events(created(), delta("Hi"), DONE))


async def test_a_server_that_answers_with_one_document(tmp_path: Path) -> None:
    document = {**completed()["response"], "output": [DONE["item"]]}
    async with upstream() as up:
        up.play(status(200, document))
        async with gateway(tmp_path, table(up, "responses")) as house:
            plain = await ask(house)
            streamed = await ask(house, stream=True)
    assert plain.json == document
    assert streamed.types[0] == "response.created" and streamed.types[-1] == "response.completed"
    assert [event["item"] for event in streamed.events if "item" in event][-1] == DONE["item"]


async def test_who_speaks_is_derived_and_the_clients_own_words_stay(tmp_path: Path) -> None:
    """One session, one key; neither headers nor ids of the client go further."""
    mine = {
        "session-id": "01a2-mine",
        "thread-id": "01a2-mine",
        "x-codex-turn-metadata": "{}",
        "cookie": "a=b",
    }
    more: dict[str, Any] = {"client_metadata": {"x": "1"}, "prompt_cache_key": "01a2-mine", "headers": mine}
    async with upstream() as up, gateway(tmp_path, table(up)) as house:
        await ask(house, stream=True, **more)
        await ask(house, stream=True, **{**more, "headers": dict(mine)})
        rows = [await house.row(1), await house.row(2)]
    first, second = up.seen
    assert first.body["prompt_cache_key"] == second.body["prompt_cache_key"] != "01a2-mine"
    assert b"01a2" not in jsonio.dump([first.body, first.headers])
    assert not {"cookie", "x-codex-turn-metadata", "session-id"} & first.headers.keys()
    assert rows[0].conversation_hash == rows[1].conversation_hash and rows[0].lane == "main"
    assert rows[0].ignored_fields == ["client_metadata"]
    assert [row.cache_verdict for row in rows] == ["first_turn", "below_minimum"]


async def test_an_alias_brings_model_and_effort_and_limits_see_the_requested_name(tmp_path: Path) -> None:
    limits = [{"measure": "requests", "per": "day", "max": 1, "models": "claude-*"}]
    async with upstream() as up:
        settings = {**table(up, limits=limits), "models": {"claude-*": "gpt-5.5@high"}}
        async with gateway(tmp_path, settings, stored=True) as house:
            assert (await ask(house, model="claude-opus-9")).status == 200
            refused = await ask(house, model="claude-opus-9")
            assert (await ask(house)).status == 200
            rows = [await house.row(number) for number in (1, 2, 3)]
    assert up.seen[0].body["model"] == "gpt-5.5"
    assert up.seen[0].body["reasoning"]["effort"] == "high"
    assert "reasoning" not in up.seen[1].body
    assert refused.status == 429 and refused.headers["x-should-retry"] == "false"
    # Codex would sleep until the reset if a header told it when that is; by the type it stops.
    assert "retry-after" not in refused.headers
    error = refused.json["error"]
    assert error["type"] == "usage_limit_reached" and error["resets_at"] > 1_000_000
    assert (rows[0].requested_model, rows[0].upstream_model, rows[0].effort) == (
        "claude-opus-9",
        "gpt-5.5",
        "high",
    )
    assert (rows[1].outcome, rows[1].status) == ("refused", 429)


async def test_a_client_that_leaves_ends_its_upstream(tmp_path: Path) -> None:
    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), delta("Hi"))
        await talk.until_gone()
        raise ConnectionError

    async with upstream() as up:
        up.play(script)
        async with gateway(tmp_path, table(up)) as house:
            body = {"model": "gpt-5.5", "input": "Hi", "stream": True}
            async with house.session.post(house.url + "/v1/responses", json=body, headers=AUTH) as response:
                await response.content.readany()
            async with asyncio.timeout(30):
                await up.seen[0].hung_up.wait()
            row = await house.row()
    assert (row.status, row.outcome, row.usage_source) == (499, "client_gone", "estimated")


async def test_silence_is_filled_with_comments(tmp_path: Path) -> None:
    """The head is held, then silence is broken by what every parser passes over; failover stays possible."""
    release = asyncio.Event()

    async def slow(talk: Talk) -> None:
        await talk.head()
        await talk.events(created())
        await release.wait()
        await talk.reset()

    async with upstream() as up:
        up.play(slow, answer)
        settings = table(up, "openai", "openai")
        settings["server"] = {"hold_seconds": 0.2, "ping_seconds": 0.2}
        async with gateway(tmp_path, settings) as house:
            body = {"model": "gpt-5.5", "input": "Hi", "stream": True}
            async with house.session.post(house.url + "/v1/responses", json=body, headers=AUTH) as response:
                first = await response.content.readany()
                release.set()
                rest = await response.content.read()
    assert first.startswith(b": ping\n\n")
    told = (first + rest).replace(b": ping\n\n", b"")
    assert (
        told.startswith(events(created(), delta("Hello"))) and told.count(b"response.created") == 2
    )  # name, type


@pytest.mark.parametrize("kind", ["openai", "responses"])
async def test_marks_of_the_cache_that_are_refused_stay_here(tmp_path: Path, kind: str) -> None:
    """In items, parts and outputs; what is taken off stands in the log."""
    mark, point = {"cache_control": {"type": "ephemeral"}}, {"prompt_cache_breakpoint": {"mode": "explicit"}}
    said = {"type": "input_text", "text": "Hi"}
    items: list[dict[str, Any]] = [
        {"type": "message", "role": "user", "content": [{**said, **mark}, {**said, **point}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{**said, **point}], **mark},
    ]
    async with upstream() as up, gateway(tmp_path, table(up, kind)) as house:
        assert (await ask(house, input=items)).status == 200
        row = await house.row()
    sent = jsonio.dump(up.seen[0].body)
    assert b"cache_control" not in sent and b"prompt_cache_breakpoint" not in sent
    assert sent.count(b'"Hi"') == 3
    assert row.ignored_fields == [
        "input.cache_control",
        "input.content.cache_control",
        "input.content.prompt_cache_breakpoint",
        "input.output.prompt_cache_breakpoint",
    ]


# -- what is kept, and by whom ----------------------------------------------------------------------------


async def test_a_response_is_continued_by_who_keeps_it(tmp_path: Path) -> None:
    """On the account that made it, for the key that asked for it; everybody else gets a clear answer."""
    async with upstream() as up:
        settings = table(up, "openai", "openai", "openai")
        other = "sk-drg-responses-other-key"
        settings["keys"].append({"name": "other", "key": other})
        async with gateway(tmp_path, settings) as house:
            assert (await ask(house)).status == 200
            kept = await ask(house, previous_response_id="resp_1", headers={"session-id": "elsewhere"})
            unknown = await ask(house, previous_response_id="resp_2")
            foreign = await ask(
                house, previous_response_id="resp_1", headers={"authorization": f"Bearer {other}"}
            )
    assert kept.status == 200
    assert up.seen[0].headers["authorization"] == up.seen[1].headers["authorization"]
    assert up.seen[1].body["previous_response_id"] == "resp_1"
    for refused in (unknown, foreign):
        error = refused.json["error"]
        assert refused.status == 400
        assert (error["param"], error["code"]) == ("previous_response_id", "previous_response_not_found")
    assert len(up.seen) == 2


async def test_what_continues_a_response_is_the_same_conversation(tmp_path: Path) -> None:
    """D5: the cache key does not move from turn to turn, though each brings nothing but its own words."""

    async def script(talk: Talk) -> None:
        name = f"resp_{len(up.seen)}"
        last = completed()
        await talk.head()
        await talk.events(created(), delta("Hello"), {**last, "response": {**last["response"], "id": name}})
        await talk.end()

    async with upstream(script) as up, gateway(tmp_path, table(up)) as house:
        assert (await ask(house, input="One")).status == 200
        assert (await ask(house, input="Two", previous_response_id="resp_1")).status == 200
        assert (await ask(house, input="Three", previous_response_id="resp_2")).status == 200
        own = await ask(house, input="Four", previous_response_id="resp_3", headers={"session-id": "named"})
        assert own.status == 200
        rows = house.rows
    keys = [seen.body["prompt_cache_key"] for seen in up.seen]
    assert len(set(keys[:3])) == 1 and keys[3] != keys[0]
    assert len({row.conversation_hash for row in rows[:3]}) == 1
    # The prompt is what the upstream keeps and the new words: it grows, and nothing of it has changed.
    assert [row.cache_verdict for row in rows[:3]] == ["first_turn", "below_minimum", "below_minimum"]
    assert rows[3].session_hash != rows[0].session_hash


async def test_what_was_under_way_at_the_same_time_explains_no_miss(tmp_path: Path) -> None:
    """B115: of two at once neither could read what the other left; what came before both could be read."""
    arrived = asyncio.Event()

    def script(cached: int, *, wait: bool) -> Script:
        async def play(talk: Talk) -> None:
            if len(up.seen) == 3:
                arrived.set()
            if wait:
                await arrived.wait()
            await talk.head()
            await talk.events(created(), delta("Hello"), completed(cached=cached, total=5000))
            await talk.end()

        return play

    ask_calmly: dict[str, Any] = {"headers": {"session-id": "one"}, "input": "How is the sea? " * 400}
    async with upstream() as up:
        up.play(script(0, wait=False), script(0, wait=True), script(0, wait=True), script(4992, wait=False))
        async with gateway(tmp_path, table(up)) as house:
            first = await ask(house, headers={"session-id": "other"}, input="Hi")
            both = await asyncio.gather(ask(house, **ask_calmly), ask(house, **ask_calmly))
            later = await ask(house, **ask_calmly)
            assert {reply.status for reply in (first, *both, later)} == {200}
            rows = house.rows[1:]
    assert [row.cache_verdict for row in rows] == ["first_turn", "first_turn", "hit"]


async def test_what_was_not_to_be_stored_cannot_be_continued(tmp_path: Path) -> None:
    async with upstream() as up, gateway(tmp_path, table(up)) as house:
        assert (await ask(house, store=False)).status == 200
        assert (await ask(house, previous_response_id="resp_1")).status == 400


# -- side doors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
async def test_compaction_is_passed_on_and_counted(tmp_path: Path, path: str) -> None:
    compacted = {
        "id": "cmp_1",
        "object": "response.compaction",
        "created_at": 1,
        "output": [{"type": "compaction", "id": "c", "encrypted_content": "gAAAA"}],
        "usage": completed()["response"]["usage"],
    }
    async with upstream() as up:
        up.play(status(200, compacted))
        async with gateway(tmp_path, table(up)) as house:
            reply = await ask(house, f"{path}/compact", stream=True, tools=[], temperature=1)
            row = await house.row()
    assert (reply.status, reply.json) == (200, compacted)
    assert up.seen[0].path == "/v1/responses/compact"
    assert up.seen[0].body.keys() == {"model", "input", "prompt_cache_key"}
    assert (row.route, row.status, row.input_tokens, row.output_tokens) == ("compact", 200, 10, 2)


async def test_compaction_where_nobody_offers_it(tmp_path: Path) -> None:
    async with upstream() as up, gateway(tmp_path, table(up, "responses")) as house:
        reply = await ask(house, "/v1/responses/compact")
    assert reply.status == 400 and "compaction" in reply.json["error"]["message"]
    assert not up.seen


async def test_input_is_counted_by_the_upstream_or_here(tmp_path: Path) -> None:
    async with upstream() as up:
        up.play(status(200, {"object": "response.input_tokens", "input_tokens": 77}))
        async with gateway(tmp_path, table(up)) as house:
            exact = await ask(
                house, "/v1/responses/input_tokens", temperature=1, tools=[{"type": "function", "name": "f"}]
            )
            assert not house.rows
        async with gateway(tmp_path, table(up, "responses")) as house:
            near = await ask(house, "/v1/responses/input_tokens", input="one two three four")
            bare = await ask(house, "/v1/responses/input_tokens", input=None, instructions="one two three")
            bad = await ask(house, "/v1/responses/input_tokens", previous_response_id="resp_1")
    assert exact.json == {"object": "response.input_tokens", "input_tokens": 77}
    assert up.seen[0].path == "/v1/responses/input_tokens" and "stream" not in up.seen[0].body
    assert 4 <= near.json["input_tokens"] < 40
    assert 3 <= bare.json["input_tokens"] < 40
    assert bad.status == 400 and bad.json["error"]["param"] == "previous_response_id"


async def test_models_and_limits_are_told_in_each_clients_shape(tmp_path: Path) -> None:
    limits = [
        {"measure": "requests", "per": "5h", "max": 4},
        {"measure": "cost_usd", "per": "week", "max": 2.5},
    ]
    async with upstream() as up:
        settings = table(up, limits=limits)
        settings["accounts"][0]["models"] = ["gpt-5.5"]
        async with gateway(tmp_path, settings, stored=True) as house:
            await ask(house)
            await house.row()
            models = (await house.get("/v1/models", AUTH)).json
            one = (await house.get("/v1/models/gpt-5.5", AUTH)).json
            none = await house.get("/v1/models/nothing", AUTH)
            codex = (await house.get("/backend-api/codex/models?client_version=1", AUTH)).json
            usage = (await house.get("/v1/usage", AUTH)).json
            windows = [
                (await house.get(path, AUTH)).json["rate_limit"]
                for path in ("/api/codex/usage", "/backend-api/codex/usage", "/backend-api/wham/usage")
            ]
    assert models["object"] == "list" and one in models["data"]
    assert one["context_window"] > 100_000 and "high" in one["supported_reasoning_efforts"]
    assert none.status == 404 and none.json["error"]["code"] == "model_not_found"
    assert [model["slug"] for model in codex["models"]] == ["gpt-5.5"]
    assert usage["key"] == "door"
    assert [(limit["used"], limit["remaining"]) for limit in usage["limits"][:1]] == [(1, 3)]
    assert usage["limits"][1]["max"] == 2.5 and 0 < usage["limits"][1]["used"] < 1
    for told in windows:
        assert told["primary_window"]["used_percent"] == 25
        assert told["secondary_window"]["limit_window_seconds"] == 604_800
        assert told["allowed"] and not told["limit_reached"]


async def test_a_key_without_limits_is_told_of_none(tmp_path: Path) -> None:
    async with upstream() as up, gateway(tmp_path, table(up)) as house:
        assert (await house.get("/v1/usage", AUTH)).json["limits"] == []
        told = (await house.get("/api/codex/usage", AUTH)).json["rate_limit"]
        assert told["primary_window"] is None and told["allowed"]
        assert (await house.get("/v1/usage")).status == 401


# -- bad input -------------------------------------------------------------------------------------------

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": None}, "model"),
    "input": ({"input": 7}, "input"),
    "item": ({"input": ["x"]}, "input.0"),
    "deep part": (
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}, 1]}]},
        "input.0.content.1",
    ),
    "scheme": (
        {"input": [{"role": "user", "content": [{"image_url": "gopher://x"}]}]},
        "input.0.content.0.image_url",
    ),
    "effort": ({"reasoning": {"effort": "most"}}, "reasoning.effort"),
    "limit": ({"max_output_tokens": 1}, "max_output_tokens"),
    "tools": ({"tools": [{}]}, "tools.0.type"),
    "background": ({"background": True}, "background"),
    "conversation": ({"conversation": "conv_1"}, "conversation"),
    "stream": ({"stream": 1}, "stream"),
}


@pytest.mark.parametrize("suffix", ["", "/compact", "/input_tokens"])
@pytest.mark.parametrize("name", BAD)
async def test_bad_input_is_named_by_its_path(tmp_path: Path, name: str, suffix: str) -> None:
    more, path = BAD[name]
    async with upstream() as up, gateway(tmp_path, table(up)) as house:
        reply = await ask(house, f"/v1/responses{suffix}", **more)
    error = reply.json["error"]
    assert (reply.status, error["param"], error["type"]) == (400, path, "invalid_request_error")
    assert error["message"].startswith(path)
    assert not up.seen


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"a":NaN}', "invalid_json"),
        (b"[1]", None),
        (b"\xff", "invalid_json"),
    ],
)
async def test_what_is_no_json_object_wears_openais_envelope(
    tmp_path: Path, body: bytes, code: str | None
) -> None:
    async with upstream() as up, gateway(tmp_path, table(up)) as house:
        for path in ("/v1/responses", "/v1/responses/compact", "/backend-api/codex/responses"):
            reply = await house.post(path, body, AUTH)
            assert (reply.status, reply.json["error"]["code"]) == (400, code)


async def test_other_refusals_wear_it_too(tmp_path: Path) -> None:
    """behaviours E13: key, model, size, method, path and type of the body."""
    async with upstream() as up:
        settings = table(up, models=["gpt-5.5"])
        settings["server"] = {"max_body_bytes": 2000}
        async with gateway(tmp_path, settings) as house:
            answers = {
                "no key": await house.post("/v1/responses", {"model": "gpt-5.5", "input": "Hi"}),
                "wrong key": await ask(house, headers={"authorization": "Bearer sk-drg-wrong-wrong-wrong"}),
                "model": await ask(house, model="gpt-4.1"),
                "size": await ask(house, input="x" * 3000),
                "method": await house.get("/v1/responses", AUTH),
                "path": await house.get("/v1/responses/resp_1", AUTH),
                "type": await house.post("/v1/responses", b"x", {**AUTH, "content-type": "text/plain"}),
            }
    told = {name: (reply.status, reply.json["error"]["code"]) for name, reply in answers.items()}
    assert told == {
        "no key": (401, "invalid_api_key"),
        "wrong key": (401, "invalid_api_key"),
        "model": (403, "model_not_allowed"),
        "size": (413, "request_too_large"),
        "method": (405, "method_not_allowed"),
        "path": (404, "not_found"),
        "type": (400, None),
    }
    assert answers["model"].json["error"]["param"] == "model"
    assert answers["method"].headers["allow"] == "POST"
    assert "keeps no responses" in answers["path"].json["error"]["message"]
    assert not up.seen
