"""Bad weather on the Responses door: what is tried again, what the client is told, what the ledger says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.integration.test_responses_door import AUTH, KEY, ask, events, table
from tests.support.inprocess import gateway
from tests.support.upstream import (
    Script,
    Talk,
    answer,
    completed,
    created,
    delta,
    failed,
    frame,
    status,
    upstream,
)

ADDED = {
    "type": "response.output_item.added",
    "output_index": 0,
    "item": {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []},
}
FIELDS = {"account", "cause", "status", "code"}
ERROR = {"type": "error", "code": "server_is_overloaded", "message": "Busy."}


def told(*said: dict[str, Any], cut: bool = False, raw: bytes = b"") -> Script:
    """A stream of these events, and of these bytes."""

    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.events(*said)
        if raw:
            await talk.chunk(raw)
        if cut:
            await talk.reset()
        else:
            await talk.end()

    return script


FAILURES: dict[str, Script] = {
    "500": status(500),
    "503": status(503, {"error": {"code": "server_is_overloaded", "message": "Busy."}}),
    "401": status(401, {"error": {"code": "invalid_api_key", "message": "Incorrect API key."}}),
    "403": status(403, {"error": {"code": "unsupported_country_region_territory", "message": "Not here."}}),
    "429": status(429, {"error": {"code": "rate_limit_exceeded", "message": "Slow down."}}),
    "quota": status(429, {"error": {"type": "usage_limit_reached", "message": "Plus is used up."}}),
    "markup": status(502, b"<html><body>Bad gateway</body></html>"),
    "overload inside a 200": told(created(), failed("server_is_overloaded")),
    "error event": told(ERROR),
    "wrapped error": told(created(), {"type": "error", "error": {"code": "server_error", "message": "No."}}),
    "nothing": told(created()),
    "reset": told(created(), cut=True),
    "a place for an item": told(created(), ADDED, cut=True),
    "done": told(created(), raw=b"data: [DONE]\n\n"),
    "garbage": told({"type": "response.completed", "response": 7}),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", FAILURES)
async def test_before_the_first_content_another_account_takes_over(
    tmp_path: Path, name: str, stream: bool
) -> None:
    """behaviours S16: the client sees one clean answer and nothing of the attempt that failed."""
    async with upstream() as up:
        up.play(FAILURES[name], answer)
        async with gateway(tmp_path, table(up, "openai", "openai")) as house:
            reply = await ask(house, stream=stream)
            row = await house.row()
    assert reply.status == 200
    assert len(row.attempts) == 1 and row.outcome == "ok"
    if stream:
        assert reply.body.startswith(events(created(), delta("Hello"), delta(" there")))
        assert reply.types[-1] == "response.completed"
    else:
        assert reply.json["id"] == "resp_1"


TOLD: dict[str, tuple[Script, int, str]] = {
    "500": (status(500, {"error": {"message": "It broke.", "code": None}}), 502, "upstream_error"),
    "503": (FAILURES["503"], 529, "overloaded"),
    "401": (FAILURES["401"], 502, "upstream_error"),
    "403": (FAILURES["403"], 502, "upstream_error"),
    "quota": (FAILURES["quota"], 429, "rate_limit_exceeded"),
    "context": (
        status(400, {"error": {"code": "context_length_exceeded", "message": "Too long."}}),
        400,
        "context_length_exceeded",
    ),
    "context inside a 200": (
        told(created(), failed("context_length_exceeded")),
        400,
        "context_length_exceeded",
    ),
    "model": (
        status(404, {"error": {"code": "model_not_found", "message": "No model."}}),
        404,
        "model_not_found",
    ),
    "policy": (status(400, {"error": {"code": "cyber_policy", "message": "Not this."}}), 400, "cyber_policy"),
    "parameter": (
        status(
            400,
            {"error": {"code": "unknown_parameter", "message": "Unknown parameter: 'zap'.", "param": "zap"}},
        ),
        400,
        "unknown_parameter",
    ),
    "prompt": (
        status(400, {"error": {"code": "invalid_prompt", "message": "Not this."}}),
        400,
        "invalid_prompt",
    ),
    "value": (
        status(400, {"error": {"code": "invalid_value", "message": "Bad.", "param": "input[0].image_url"}}),
        400,
        "invalid_value",
    ),
    "image": (
        told(created(), failed("invalid_image", "No image.")),
        400,
        "invalid_image",
    ),
}


@pytest.mark.parametrize("name", TOLD)
async def test_a_failure_that_stays_is_told_as_a_status(tmp_path: Path, name: str) -> None:
    """In OpenAI's envelope, in words that say nothing of the pool's accounts."""
    script, code, word = TOLD[name]
    async with upstream() as up:
        up.play(script)
        async with gateway(tmp_path, table(up)) as house:
            reply = await ask(house, stream=True)
            row = await house.row()
    error = reply.json["error"]
    assert (reply.status, row.status, row.outcome) == (code, code, "upstream_error")
    assert error["code"] == word
    for secret in ("Plus", "API key", "Not here"):
        assert secret not in reply.body.decode()
    if name == "parameter":
        assert error["param"] == "zap"
    if name == "model":
        assert error["param"] == "model"
    if name == "quota":
        assert error["type"] == "usage_limit_reached"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("last", "word"),
    [
        (failed("server_error", "It broke."), "server_error"),
        (failed("usage_limit_reached", "Plus is used up."), "rate_limit_exceeded"),
        ({"type": "error", "code": "invalid_api_key", "message": "Incorrect API key."}, "server_error"),
        (None, "server_error"),
    ],
)
async def test_after_content_the_failure_ends_the_stream(
    tmp_path: Path, last: dict[str, Any] | None, word: str, stream: bool
) -> None:
    """Nothing that the client has is repeated; the upstream's own event where it is fit to be seen, else a
    clean one."""
    said = [created(), delta("Hi")]
    async with upstream() as up:
        up.play(told(*said, *([last] if last else []), cut=last is None))
        async with gateway(tmp_path, table(up, "openai", "openai")) as house:
            reply = await ask(house, stream=stream)
            row = await house.row()
    assert row.outcome == "upstream_error" and row.usage_source == "estimated"
    assert [attempt.keys() for attempt in row.attempts] == [FIELDS] * len(up.seen)
    if not stream:
        assert len(up.seen) > 1  # none of it went out
        assert reply.status in (429, 502) and "Plus" not in reply.body.decode()
        return
    assert len(up.seen) == 1
    assert reply.status == 200 and reply.body.startswith(events(*said))
    final = reply.events[-1]
    assert final["type"] == "response.failed" and final["response"]["error"]["code"] == word
    assert final["response"]["id"] == "resp_1"
    if last is not None and last.get("response", {}).get("error", {}).get("code") == "server_error":
        assert reply.body.endswith(frame(last))
    for secret in ("Plus", "API key"):
        assert secret not in reply.body.decode()


async def test_a_quota_that_ends_inside_an_answer_is_final_where_it_was_the_last(tmp_path: Path) -> None:
    """The next request goes to the other account; when its quota ends too, the client is told to stop."""
    spent = failed("usage_limit_reached", "Plus is used up.")
    async with upstream() as up:
        up.play(told(created(), delta("Hi"), spent), told(created(), delta("Hi"), spent))
        async with gateway(tmp_path, table(up, "openai", "openai")) as house:
            replies = [await ask(house, stream=True, headers={"session-id": "one"}) for _ in range(2)]
    words = [reply.events[-1]["response"]["error"]["code"] for reply in replies]
    assert words == ["rate_limit_exceeded", "insufficient_quota"]
    assert len({seen.headers["authorization"] for seen in up.seen}) == 2


async def test_sealed_reasoning_that_nobody_can_read_is_left_out(tmp_path: Path) -> None:
    """Once more without it, and from then on at once."""
    refused = {"error": {"code": "invalid_encrypted_content", "message": "The encrypted content failed."}}
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA-foreign"}
    items = [{"role": "user", "content": "Hi"}, sealed, {"role": "user", "content": "More"}]
    async with upstream() as up:
        up.play(status(400, refused), answer)
        async with gateway(tmp_path, table(up)) as house:
            assert (await ask(house, input=items)).status == 200
            assert (await ask(house, input=items)).status == 200
            rows = [await house.row(1), await house.row(2)]
    assert [sealed in seen.body["input"] for seen in up.seen] == [True, False, False]
    assert [row.dropped_reasoning for row in rows] == [1, 1]


async def test_a_compaction_that_cannot_be_read_goes_with_the_reasoning(tmp_path: Path) -> None:
    """It holds what was said, so it goes only where it was refused."""
    refused = {"error": {"code": "invalid_encrypted_content", "message": "The encrypted content failed."}}
    compacted = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA-foreign"}
    items = [compacted, {"role": "user", "content": "More"}]
    async with upstream() as up:
        up.play(status(400, refused), answer)
        async with gateway(tmp_path, table(up)) as house:
            assert (await ask(house, input=items)).status == 200
            row = await house.row()
    assert [compacted in seen.body["input"] for seen in up.seen] == [True, False]
    assert row.dropped_reasoning == 1


async def test_a_compaction_that_was_refused_alone_is_not_tried_there_again(tmp_path: Path) -> None:
    """Every turn on a stand-in paid for a refusal. The account that sealed it gets it, and a new one goes."""
    refused = {"error": {"code": "invalid_encrypted_content", "message": "The encrypted content failed."}}
    spent = status(429, {"error": {"type": "usage_limit_reached", "message": "Used up."}})
    one, other = ({"type": "compaction", "encrypted_content": f"gAAAA-{number}"} for number in (1, 2))
    session, more = {"session-id": "one-session"}, {"role": "user", "content": "More"}
    async with upstream() as up:
        up.play(answer, spent, status(400, refused), answer)
        async with gateway(tmp_path, table(up, "openai", "openai")) as house:
            for items in ([one], [one], [one], [one, other], [other]):
                assert (await ask(house, input=[*items, more], headers=session)).status == 200
            rows = [await house.row(number) for number in range(1, 6)]
    sent = [[item["encrypted_content"][-1] for item in seen.body["input"][:-1]] for seen in up.seen]
    assert sent == [["1"], ["1"], ["1"], [], [], ["2"], ["2"]]
    assert [row.dropped_reasoning for row in rows] == [0, 1, 1, 1, 0]
    assert len({seen.headers["authorization"] for seen in up.seen[2:]}) == 1


async def test_a_compaction_beside_other_seals_is_tried_once_alone(tmp_path: Path) -> None:
    """What was refused may have been the reasoning. What is no text is nothing to remember."""
    refused = {"error": {"code": "invalid_encrypted_content", "message": "The encrypted content failed."}}
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA-r"}
    odd = {"type": "compaction", "encrypted_content": ["gAAAA"]}
    items = [{"type": "compaction", "encrypted_content": "gAAAA-c"}, odd, sealed]
    items.append({"role": "user", "content": "More"})
    async with upstream() as up:
        up.play(status(400, refused), answer)
        async with gateway(tmp_path, table(up)) as house:
            for _ in range(2):
                assert (await ask(house, input=items, headers={"session-id": "one"})).status == 200
    assert [len(seen.body["input"]) for seen in up.seen] == [4, 1, 3]


async def test_what_another_account_has_sealed_is_not_even_tried(tmp_path: Path) -> None:
    """prompt-cache: on a switch sealed reasoning goes; what is left of it stays in the history."""
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA-of-the-first"}
    items = [{"role": "user", "content": "Hi"}, sealed, {"role": "user", "content": "More"}]
    spent = status(429, {"error": {"type": "usage_limit_reached", "message": "Used up."}})
    session = {"session-id": "one-session"}
    async with upstream() as up:
        up.play(answer, spent, answer, answer)
        async with gateway(tmp_path, table(up, "openai", "openai")) as house:
            for _ in range(3):
                assert (await ask(house, input=items, headers=session)).status == 200
            rows = [await house.row(number) for number in (1, 2, 3)]
    assert [sealed in seen.body["input"] for seen in up.seen] == [True, True, False, False]
    assert len({seen.headers["authorization"] for seen in up.seen[2:]}) == 1
    assert [row.dropped_reasoning for row in rows] == [0, 1, 1]


@pytest.mark.parametrize("rests", [True, False])
async def test_a_stand_in_is_not_tried_with_seals_of_turns_that_are_forgotten(
    tmp_path: Path, rests: bool
) -> None:
    """A restart forgets turns; the pin survives and says whose seals they are: of who cannot be asked now."""
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA-of-the-first"}
    items = [{"role": "user", "content": "Hi"}, sealed, {"role": "user", "content": "More"}]
    spent = status(429, {"error": {"type": "usage_limit_reached", "message": "Used up."}})
    session = {"session-id": "one-session"}
    agent = {**session, "thread-id": "a-sub-agent"}  # its turns are no turns of the main loop
    async with upstream() as up:
        up.play(answer, spent, answer)
        async with gateway(tmp_path, table(up, "openai", "openai")) as house:
            for _ in range(2 if rests else 1):
                assert (await ask(house, headers=agent)).status == 200
            assert (await ask(house, input=items, headers=session)).status == 200
            row = await house.row(3 if rests else 2)
    first, *_, last = up.seen
    assert first.headers["authorization"] != last.headers["authorization"]
    assert sealed not in last.body["input"] and row.dropped_reasoning == 1
    assert [attempt["cause"] for attempt in row.attempts] == ([] if rests else ["quota"])
    assert row.move == ("stand_in" if rests else "failover")


async def test_a_request_without_sealed_reasoning_is_not_repeated_for_it(tmp_path: Path) -> None:
    refused = {"error": {"code": "invalid_encrypted_content", "message": "The encrypted content failed."}}
    async with upstream() as up:
        up.play(status(400, refused))
        async with gateway(tmp_path, table(up)) as house:
            assert (await ask(house)).status == 400
    assert len(up.seen) == 1


async def test_what_no_account_can_do_was_asked_of_none(tmp_path: Path) -> None:
    async with upstream() as up, gateway(tmp_path, table(up, "responses")) as house:
        assert (await ask(house, "/v1/responses/compact")).status == 400
        row = await house.row()
    assert (row.outcome, row.status, up.seen) == ("refused", 400, [])
    assert [attempt["cause"] for attempt in row.attempts] == ["unfit"]


async def test_a_parameter_that_is_refused_is_learnt(tmp_path: Path) -> None:
    refused = {
        "error": {
            "code": "unsupported_parameter",
            "message": "Unsupported parameter",
            "param": "text.verbosity",
        }
    }
    async with upstream() as up:
        up.play(status(400, refused), answer)
        async with gateway(tmp_path, table(up, "responses")) as house:
            for _ in range(2):
                assert (await ask(house, text={"verbosity": "low"})).status == 200
    assert ["text" in seen.body for seen in up.seen] == [True, False, False]


async def test_what_one_kind_cannot_do_another_is_asked(tmp_path: Path) -> None:
    """A ChatGPT account keeps nothing and has no file search; an API account in the same pool has."""
    async with upstream() as up:
        settings = table(up, "responses", "openai")
        async with gateway(tmp_path, settings) as house:
            # Compaction is offered by the second account only; the first is not even asked.
            reply = await ask(house, "/v1/responses/compact")
            row = await house.row()
    assert reply.status in (200, 502)
    assert [seen.path for seen in up.seen][:1] == ["/v1/responses/compact"]
    assert row.attempts[0]["cause"] == "unfit"


async def test_a_slow_upstream_is_a_timeout(tmp_path: Path) -> None:
    async def silent(talk: Talk) -> None:
        await asyncio.sleep(60)

    async with upstream() as up:
        up.play(silent)
        settings = {**table(up), "upstream": {"first_event_seconds": 0.3}}
        async with gateway(tmp_path, settings) as house:
            reply = await ask(house, stream=True)
    assert (reply.status, reply.json["error"]["code"]) == (504, "upstream_timeout")


async def test_done_in_the_middle_of_an_answer_is_a_failure(tmp_path: Path) -> None:
    """B69: SDKs stop at it: half an answer would pass for a whole one."""
    said = [created(), delta("Hi")]
    async with upstream() as up:
        up.play(told(*said, raw=b": alive\n\ndata: [DONE]\n\n"))
        async with gateway(tmp_path, table(up)) as house:
            reply = await ask(house, stream=True)
            row = await house.row()
    assert reply.body.startswith(events(*said)) and b"[DONE]" not in reply.body
    assert reply.types[-1] == "response.failed" and row.outcome == "upstream_error"


async def test_what_is_no_utf8_never_reaches_a_client(tmp_path: Path) -> None:
    """Reliability I8: the stream ends there in an error, as on every other door."""
    said = [created(), delta("Hi")]
    broken = frame(delta("?!")).replace(b"?!", b"\xff\xfe")
    async with upstream() as up:
        up.play(told(*said, raw=broken + frame(completed())))
        async with gateway(tmp_path, table(up)) as house:
            reply = await ask(house, stream=True)
            row = await house.row()
        assert reply.body.startswith(events(*said)) and b"\xff" not in reply.body
        assert reply.types[-1] == "response.failed" and row.attempts[0]["cause"] == "protocol"


async def test_what_is_no_utf8_before_content_is_asked_for_elsewhere(tmp_path: Path) -> None:
    """Reliability E1."""
    async with upstream() as up, gateway(tmp_path, table(up)) as house:
        up.play(told(created(), raw=b"event: response.output_text.delta\ndata: \xff\n\n"), answer)
        assert (await ask(house, stream=True)).types[-1] == "response.completed"
    assert len(up.seen) == 2


async def test_a_line_separator_in_an_answer_splits_no_event(tmp_path: Path) -> None:
    """Reliability I9: many clients split at more than an event stream knows."""
    odd = "a\u2028b\u2029c\u0085d"
    async with (
        upstream(told(created(), delta(odd), completed())) as up,
        gateway(tmp_path, table(up)) as house,
    ):
        reply = await ask(house, stream=True)
    assert [event["delta"] for event in reply.events if "delta" in event] == [odd]
    lines = reply.body.decode().splitlines()
    assert all(line.startswith(("event: ", "data: ")) or not line for line in lines)


HELD: dict[str, tuple[dict[str, Any] | None, str]] = {
    "overflow": (failed("context_length_exceeded", "Too long."), "context_length_exceeded"),
    "quota": (failed("usage_limit_reached", "Plus is used up."), "insufficient_quota"),
    "policy": (failed("cyber_policy", "Not this."), "cyber_policy"),
    "cut": (None, "server_error"),
}


@pytest.mark.parametrize("name", HELD)
async def test_a_failure_behind_a_head_that_is_out_is_one_that_clients_understand(
    tmp_path: Path, name: str
) -> None:
    """Codex passes an `error` event over and connects again; the SDK's helper wants a beginning first."""
    last, word = HELD[name]
    release = asyncio.Event()

    async def slow(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), ADDED)
        await release.wait()
        await talk.events(*([last] if last else []))
        await talk.end()

    async with upstream() as up:
        up.play(slow, slow)
        settings = {**table(up), "server": {"hold_seconds": 0.1, "ping_seconds": 0.1}}
        async with gateway(tmp_path, settings) as house:
            body = {"model": "gpt-5.5", "input": "Hi", "stream": True}
            async with house.session.post(house.url + "/v1/responses", json=body, headers=AUTH) as response:
                stream = await response.content.readany()
                release.set()
                stream += await response.content.read()
            row = await house.row()
    begun, told = heard(stream)
    assert (begun.type, told.type) == ("response.created", "response.failed")
    assert begun.sequence_number == 0 and told.sequence_number == 1
    assert begun.response.id == told.response.id == f"resp_{row.request_id.removeprefix('req_')}"
    assert told.response.status == "failed" and told.response.error.code == word
    assert "Plus" not in told.response.error.message
    assert (row.outcome, row.usage_source) == ("upstream_error", "none")


async def test_the_backends_last_event_is_a_whole_response_to_a_client(tmp_path: Path) -> None:
    """B72: nothing but id, usage and `end_turn` came; the SDK's final response has a status and its items."""
    item = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
    }
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    whole = completed()["response"]
    begun = {
        **created(),
        "response": {**whole, "status": "in_progress", "usage": None, "metadata": {"a": "b"}},
    }
    bare = {"id": "resp_1", "usage": whole["usage"], "end_turn": True}
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    said = [begun, ADDED, {"type": "response.content_part.added", **place, "part": part}, delta("Hi"), done]
    script = told(*said, {"type": "response.completed", "sequence_number": 7, "response": bare})
    async with upstream() as up:
        up.play(script, script)
        async with gateway(tmp_path, table(up)) as house:
            plain = await ask(house)
            streamed = await ask(house, stream=True)
            rows = [await house.row(1), await house.row(2)]
    expected = {**whole, "metadata": {"a": "b"}, "output": [item], "end_turn": True}
    assert {**plain.json, "completed_at": 0} == {**expected, "completed_at": 0}
    assert streamed.body.startswith(events(*said))
    with sdk(streamed.body).responses.stream(model="gpt-5.5", input="Hi") as stream:
        final = stream.get_final_response()
    assert (final.status, final.output_text, final.metadata) == ("completed", "Hi", {"a": "b"})
    assert final.completed_at is not None and final.usage is not None
    assert [row.stop_reason for row in rows] == ["completed", "completed"]


def sdk(stream: bytes) -> openai.OpenAI:
    """The official client, which hears this stream."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    heard = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(base_url="http://gateway/v1", api_key=KEY, http_client=heard, max_retries=0)


def heard(stream: bytes) -> list[Any]:
    """The events of a stream as the SDK's helper hands them out."""
    with sdk(stream).responses.stream(model="gpt-5.5", input="Hi") as told:
        return list(told)
