"""The same least translation for Chat Completions: text, tool calls, tool results and nothing else.

A yardstick like translation.py, and like it no example of how to translate.
"""

from __future__ import annotations

from typing import Any

import orjson

Json = dict[str, Any]


def to_responses(request: Json) -> Json:
    """A Responses request with the same conversation."""
    body: Json = {
        "model": "gpt-5.1",
        "stream": request.get("stream", False),
        "store": False,
        "parallel_tool_calls": True,
        "input": [item for message in request["messages"] for item in _items(message)],
    }
    if tools := request.get("tools"):
        body["tools"] = [{"type": "function", "strict": False, **tool["function"]} for tool in tools]
        body["tool_choice"] = "auto"
    return body


def _items(message: Json) -> list[Json]:
    role, content = message["role"], message.get("content")
    if role == "tool":
        return [{"type": "function_call_output", "call_id": message["tool_call_id"], "output": content}]
    kind = "output_text" if role == "assistant" else "input_text"
    items: list[Json] = []
    if content:
        part = {"type": kind, "text": content}
        items.append({"type": "message", "role": role, "content": [part]})
    for call in message.get("tool_calls", ()):
        items.append({"type": "function_call", "call_id": call["id"], **call["function"]})
    return items


def to_completion(response: Json) -> Json:
    """A completion from a whole Responses answer."""
    text = "".join(
        part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"]
    )
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "logprobs": None,
        "finish_reason": "stop",
    }
    return {
        "id": "chatcmpl-relay",
        "object": "chat.completion",
        "created": 0,
        "model": "relay",
        "choices": [choice],
        "usage": _usage(response["usage"]),
    }


def _usage(usage: Json) -> Json:
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
        "prompt_tokens_details": usage["input_tokens_details"],
    }


class ChatRelay:
    """Responses SSE in, chunks out: `feed` returns all chunks of a piece as one."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """Takes the next bytes of the upstream."""
        *frames, self._rest = (self._rest + chunk).split(b"\n\n")
        return b"".join([self._translate(frame) for frame in frames])

    def _translate(self, frame: bytes) -> bytes:
        event = orjson.loads(frame[frame.index(b"data: ") + 6 :])
        match event["type"]:
            case "response.output_text.delta":
                return _sse({"content": event["delta"]})
            case "response.created":
                return _sse({"role": "assistant", "content": ""})
            case "response.completed":
                return _sse({}, "stop") + b"data: [DONE]\n\n"
        return b""


def _sse(delta: Json, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    chunk = {
        "id": "chatcmpl-relay",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "relay",
        "choices": [choice],
    }
    return b"data: " + orjson.dumps(chunk) + b"\n\n"
