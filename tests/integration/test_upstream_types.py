"""Upstreams that call what they send something else: the first byte says what a body is, not its name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dragoman.wire import jsonio
from tests.support.inprocess import gateway
from tests.support.upstream import Script, Talk, completed, created, delta, frame, upstream

EVENTS = b"".join(frame(event) for event in (created(), delta("Hello"), delta(" there"), completed()))
BUSY = jsonio.dump({"error": {"message": "Busy.", "type": "server_error", "code": "server_is_overloaded"}})
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello there", "annotations": []}],
}
WHOLE = jsonio.dump(completed()["response"] | {"output": [MESSAGE]})
LIMITS = {"upstream": {"first_event_seconds": 1.0, "idle_seconds": 1.0}}


def called(name: str, *parts: bytes, pause: float = 0.0) -> Script:
    """A 200 with this content type, in parts."""

    async def script(talk: Talk) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {name}\r\ntransfer-encoding: chunked\r\n\r\n"
        await talk.say(head.encode())
        for part in parts:
            await talk.chunk(part)
            await asyncio.sleep(pause)
        await talk.end()

    return script


def account(url: str, **more: Any) -> dict[str, Any]:
    return {"accounts": [{"name": "a", "kind": "openai", "base_url": url, "api_key": "sk-upstream"}], **more}


@pytest.mark.parametrize("name", ["application/json", "text/html", "application/octet-stream"])
async def test_a_stream_is_a_stream_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    """behaviours S18."""
    async with (
        upstream(called(name, EVENTS[:9], EVENTS[9:])) as up,
        gateway(tmp_path, account(up.url)) as one,
    ):
        reply = await one.ask()
        assert (reply.text, reply.types[-1]) == ("Hello there", "message_stop")
        reply = await one.post("/v1/responses", {"model": "gpt-5.5", "input": "Hi", "stream": True})
        assert b'"delta":" there"' in reply.body and b"event: response.completed" in reply.body
    assert len(up.seen) == 2


@pytest.mark.parametrize("name", ["application/json", "text/event-stream", "text/plain"])
async def test_a_document_is_a_document_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    """behaviours S18: an answer is one, and an error is judged by what it says."""
    async with upstream(called(name, b" \n", WHOLE)) as up, gateway(tmp_path, account(up.url)) as one:
        if name == "application/json":  # blanks alone are no beginning of a document elsewhere
            assert (await one.ask()).text == "Hello there"
        up.play(called(name, WHOLE[:40], WHOLE[40:]))
        assert (await one.ask()).text == "Hello there"
        assert (await one.ask(stream=False)).json["content"][0]["text"] == "Hello there"
        reply = await one.post("/v1/responses", {"model": "gpt-5.5", "input": "Hi"})
        assert reply.json["output"][0]["content"][0]["text"] == "Hello there"
        up.play(called(name, BUSY))
        reply = await one.ask()
        assert (reply.status, reply.json["error"]["type"]) == (529, "overloaded_error")


async def test_a_document_that_comes_slowly_is_no_silence(tmp_path: Path) -> None:
    """Reliability R6: a part of a document is a sign of life as well."""
    step = len(WHOLE) // 5
    parts = [WHOLE[at : at + step] for at in range(0, len(WHOLE), step)]
    script = called("application/json", *parts, pause=0.4)
    async with upstream(script) as up, gateway(tmp_path, account(up.url, **LIMITS)) as one:
        assert (await one.ask()).text == "Hello there"
    assert len(up.seen) == 1


async def test_a_document_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is not kept, and nobody is told half of it."""
    monkeypatch.setattr("dragoman.upstream.client.WHOLE_BODY_BYTES", 100)
    script = called("application/json", WHOLE[:90], WHOLE[90:])
    async with upstream(script) as up, gateway(tmp_path, account(up.url)) as one:
        reply = await one.ask()
        row = await one.row()
    assert (reply.status, reply.json["error"]["type"]) == (502, "api_error")
    assert row.attempts[0]["cause"] == "protocol"


@pytest.mark.parametrize("status", ["cancelled", "queued", "failed", []])
async def test_a_document_that_is_no_answer_fails_on_every_door(tmp_path: Path, status: Any) -> None:
    """Law 6: what was not generated is not told as if it were, nor counted."""
    script = called(
        "application/json", jsonio.dump(completed()["response"] | {"status": status, "usage": None})
    )
    request = {"model": "gpt-5.5", "input": "Hi"}
    async with upstream(script) as up, gateway(tmp_path, account(up.url)) as one:
        replies = [await one.ask(), await one.post("/v1/responses", request), await one.chat(stream=False)]
        row = await one.row(2)
    assert [reply.status for reply in replies] == [502] * 3
    assert (row.outcome, row.usage_source) == ("upstream_error", "none")
