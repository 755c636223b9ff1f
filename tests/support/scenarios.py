"""Requests with a marker in every field, and upstreams with markers in all that they say: the known endings.

Each scenario is one request, what the upstream does, and which markers the answer may repeat by design.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dragoman.wire import jsonio
from tests.support.markers import planted
from tests.support.upstream import Script, Talk, completed, created, delta, failed, frame

KEY = planted("client key")
NARROW_KEY = "sk-drg-narrow-key"
TOOL = planted("tool name")

# What every request of the list carries beside its body.
HEADERS = {
    "x-api-key": KEY,
    "cookie": planted("cookie"),
    "x-request-id": planted("request id"),
    "user-agent": planted("user agent"),
    "anthropic-version": "2023-06-01",
    "anthropic-beta": planted("beta header"),
    "x-claude-code-session-id": planted("session header"),
    "traceparent": planted("traceparent"),
    "tracestate": planted("tracestate"),
    "baggage": planted("baggage"),
    "x-custom": planted("custom header"),
    "proxy-authorization": planted("proxy credentials"),
}


def everything(**more: Any) -> dict[str, Any]:
    """A request with all that a client may say."""
    image = base64.b64encode(b"\x89PNG\r\n\x1a\n" + planted("image data").encode()).decode()
    call = {"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": {"a": planted("tool arguments")}}
    result = [{"type": "text", "text": planted("tool result")}]
    return {
        "model": "claude-test",
        "max_tokens": 1000,
        "stream": True,
        "system": [{"type": "text", "text": planted("system prompt")}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": planted("user text")},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": image},
                    },
                    {"type": "image", "source": {"type": "url", "url": planted("image url")}},
                    {
                        "type": "document",
                        "title": planted("document title"),
                        "source": {"type": "text", "media_type": "text/plain", "data": planted("document")},
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {
                        "type": "thinking",
                        "thinking": planted("thinking"),
                        "signature": planted("signature"),
                    },
                    {"type": "text", "text": planted("assistant text")},
                    call,
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": result}],
            },
        ],
        "tools": [
            {
                "name": TOOL,
                "description": planted("tool description"),
                "input_schema": {
                    "type": "object",
                    "properties": {planted("tool schema"): {"type": "string"}},
                },
            }
        ],
        "metadata": {"user_id": planted("user id")},
        "stop_sequences": [planted("stop sequence")],
        "prompt_cache_key": planted("cache key"),
        "diagnostics": {"previous_message_id": planted("previous message")},
        "mcp_servers": [],
        planted("unknown field"): planted("value of an unknown field"),
        **more,
    }


# -- what the upstream says --------------------------------------------------------------------------------

_HEAD = (
    "HTTP/1.1 {} Status\r\ncontent-type: {}\r\ntransfer-encoding: chunked\r\nx-request-id: {hdr}\r\n"
    "set-cookie: {hdr}\r\nwww-authenticate: {hdr}\r\nlocation: {at}\r\n\r\n"
)


async def head(talk: Talk, status: int = 200, kind: str = "text/event-stream") -> None:
    fields = {"hdr": planted("upstream header"), "at": planted("upstream address")}
    await talk.say(_HEAD.format(status, kind, **fields).encode())


def refusing(status: int, body: str | dict[str, Any], kind: str = "application/json") -> Script:
    """An HTTP answer that is no 200."""

    async def script(talk: Talk) -> None:
        await head(talk, status, kind)
        await talk.chunk(body.encode() if isinstance(body, str) else jsonio.dump(body))
        await talk.end()

    return script


def error(marker: str, code: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "error": {"message": planted(marker), "code": code, "param": planted("upstream parameter"), **more}
    }


def born() -> dict[str, Any]:
    event = created()
    event["response"] |= {"id": planted("upstream response id"), "model": "gpt-5.5"}
    return event


def items() -> list[dict[str, Any]]:
    """Reasoning, text and a call, each with a marker, and an event of a type that is not known."""
    reasoning = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": planted("reasoning summary")}],
        "encrypted_content": planted("sealed reasoning"),
    }
    text = {"type": "output_text", "text": planted("answer"), "annotations": []}
    message = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [text],
    }
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": TOOL,
        "arguments": planted("arguments of the model"),
        "status": "completed",
    }
    whole = [reasoning, message, call]
    events: list[dict[str, Any]] = [{"type": planted("upstream event"), "detail": planted("malformed event")}]
    for index, item in enumerate(whole):
        events += [
            {"type": "response.output_item.added", "output_index": index, "item": item},
            {"type": "response.output_item.done", "output_index": index, "item": item},
        ]
    return events


def streaming(*events: dict[str, Any], tail: bytes = b"", reset: bool = False) -> Script:
    """A 200 with these events; `tail` comes raw behind them, and a reset instead of an end."""

    async def script(talk: Talk) -> None:
        await head(talk)
        for event in events:
            await talk.chunk(frame(event))
        if tail:
            await talk.chunk(tail)
        if reset:
            await talk.reset()
        else:
            await talk.end()

    return script


async def hang_up(talk: Talk) -> None:
    talk.writer.close()


async def endless(talk: Talk) -> None:
    await head(talk)
    await talk.events(born(), delta(planted("answer")))
    await talk.until_gone()


GOOD = streaming(born(), *items(), completed())


# -- the requests ------------------------------------------------------------------------------------------


@dataclass
class Scenario:
    """One request and what is expected of it.

    `own_words` are markers of this request that its own answer repeats by design; nobody else may see them.
    """

    name: str
    status: int
    body: Callable[[], Any] = everything
    script: Script = GOOD
    path: str = "/v1/messages"
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    own_words: tuple[str, ...] = ()
    fault: bool = False


def asking(**more: Any) -> Callable[[], Any]:
    return lambda: everything(**more)


def upstream_says(name: str, status: int, script: Script, own_words: tuple[str, ...] = ()) -> Scenario:
    return Scenario(f"upstream: {name}", status, script=script, own_words=own_words)


# The model's answer and calls are for the client, and so is the name it asked for.
ANSWER = ("answer", "reasoning summary", "sealed reasoning", "arguments of the model", "tool name")
LEAKY = "key in an upstream error"

SCENARIOS = [
    Scenario("a stream", 200, own_words=ANSWER),
    Scenario("a whole answer", 200, asking(stream=False), own_words=ANSWER),
    Scenario("query", 200, path=f"/v1/messages?beta={planted('query')}", own_words=ANSWER),
    Scenario("no generation", 200, asking(max_tokens=0)),
    Scenario("counting", 200, path="/v1/messages/count_tokens"),
    Scenario("counting a mistake", 400, lambda: {"model": 7}, path="/v1/messages/count_tokens"),
    Scenario("model list", 200, lambda: b"", path="/v1/models", method="GET"),
    Scenario("model passed on", 200, asking(model=planted("model")), own_words=(*ANSWER, "model")),
    Scenario(
        "model of a family",
        200,
        asking(model=planted("model of a family")),
        own_words=(*ANSWER, "model of a family"),
    ),
    Scenario("no key", 401, headers={"x-api-key": ""}),
    Scenario("unknown key", 401, headers={"x-api-key": planted("unknown key")}),
    Scenario(
        "unknown bearer",
        401,
        headers={"x-api-key": "", "authorization": f"Bearer {planted('unknown bearer')}"},
    ),
    Scenario(
        "model not allowed",
        403,
        asking(model=planted("model")),
        headers={"x-api-key": NARROW_KEY},
        own_words=("model",),
    ),
    Scenario("no JSON", 400, lambda: b'{"messages": "' + planted("malformed body").encode()),
    Scenario("no object", 400, lambda: jsonio.dump([planted("malformed body")])),
    Scenario("wrong shape", 400, asking(messages=planted("wrong value"))),
    Scenario(
        "wrong role",
        400,
        asking(messages=[{"role": planted("wrong role"), "content": "Hi"}]),
    ),
    Scenario(
        "wrong block",
        400,
        asking(messages=[{"role": "user", "content": [{"type": planted("wrong type")}]}]),
        own_words=("wrong type",),
    ),
    Scenario(
        "wrong tool",
        400,
        asking(tool_choice={"type": "tool", "name": planted("wrong value")}),
        own_words=("wrong value",),
    ),
    Scenario("wrong number", 400, asking(max_tokens=planted("wrong value"))),
    Scenario("wrong effort", 400, asking(output_config={"effort": planted("wrong value")})),
    Scenario("wrong server", 400, asking(mcp_servers=[{"authorization_token": planted("server token")}])),
    Scenario("wrong encoding", 400, headers={"content-encoding": "gzip"}),
    Scenario("no such encoding", 400, headers={"content-encoding": planted("wrong value").replace(" ", "")}),
    Scenario("too large", 413, asking(system=planted("system prompt") * 20_000)),
    Scenario("no such path", 404, path=f"/v1/{planted('path')}", own_words=("path",)),
    Scenario(
        "no such model",
        404,
        lambda: b"",
        path=f"/v1/models/{planted('path')}",
        method="GET",
        own_words=("path",),
    ),
    Scenario("no such method", 405, method="PUT"),
    Scenario("metrics from afar", 401, lambda: b"", path="/metrics", method="GET", headers={"via": "x"}),
    Scenario("a fault of ours", 500, fault=True),
    upstream_says("wrong key", 502, refusing(401, error(LEAKY, "invalid_api_key"))),
    upstream_says("code shaped like a key", 502, refusing(500, error(LEAKY, planted("upstream code")))),
    upstream_says("rate limit", 429, refusing(429, error("organisation in an upstream error"))),
    upstream_says("bad request", 400, refusing(400, error(LEAKY, "invalid_request_error"))),
    upstream_says("parameter", 400, refusing(400, error(LEAKY, "unsupported_parameter"))),
    upstream_says("too long", 400, refusing(400, error(LEAKY, "context_length_exceeded"))),
    upstream_says("policy", 400, refusing(400, error(LEAKY, "content_policy_violation"))),
    upstream_says("no model", 404, refusing(404, error(LEAKY, "model_not_found"))),
    upstream_says("overloaded", 529, refusing(503, error(LEAKY, "server_is_overloaded"))),
    upstream_says("a page", 502, refusing(502, planted("page of an upstream"), "text/html")),
    upstream_says("a page that forbids", 502, refusing(403, planted("page of an upstream"), "text/html")),
    upstream_says(
        "a detail",
        502,
        refusing(500, {"detail": [{"msg": planted(LEAKY), "loc": ["body", planted("upstream parameter")]}]}),
    ),
    upstream_says("a redirect", 502, refusing(302, {})),
    upstream_says("hang up", 502, hang_up),
    upstream_says("cut before content", 502, streaming(born(), reset=True)),
    upstream_says("nothing", 502, streaming(born())),
    upstream_says("failed before content", 502, streaming(born(), failed("server_error", planted(LEAKY)))),
    upstream_says(
        "error event", 429, streaming(born(), {"type": "error", **error(LEAKY, "rate_limit_exceeded")})
    ),
    upstream_says(
        "malformed before content",
        502,
        streaming(born(), tail=f"data: {planted('malformed event')}\n\n".encode()),
    ),
    upstream_says(
        "failed after content",
        200,
        streaming(born(), *items(), failed("server_error", planted(LEAKY))),
        ANSWER,
    ),
    upstream_says("cut after content", 200, streaming(born(), *items(), reset=True), ANSWER),
    upstream_says(
        "malformed after content",
        200,
        streaming(born(), *items(), tail=f"data: {planted('malformed event')}\n\n".encode()),
        ANSWER,
    ),
]
