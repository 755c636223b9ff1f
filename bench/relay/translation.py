"""The least translation that makes a valid stream: text, tool calls, tool results and nothing else.

A yardstick for what server, client and JSON cost by themselves. It is no example of how to translate: it
drops everything it does not know, checks nothing and claims `end_turn` always.
"""

from __future__ import annotations

from typing import Any

import orjson

Json = dict[str, Any]


def to_responses(request: Json) -> Json:
    """A Responses request with the same conversation."""
    system = request.get("system") or ""
    body: Json = {
        "model": "gpt-5.1",
        "stream": request.get("stream", False),
        "store": False,
        "parallel_tool_calls": True,
        "instructions": system if isinstance(system, str) else "\n\n".join(block["text"] for block in system),
        "input": [item for message in request["messages"] for item in _items(message)],
    }
    if tools := request.get("tools"):
        body["tools"] = [_tool(tool) for tool in tools]
        body["tool_choice"] = "auto"
    return body


def _items(message: Json) -> list[Json]:
    role, content = message["role"], message["content"]
    kind = "output_text" if role == "assistant" else "input_text"
    items: list[Json] = []
    for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        match block["type"]:
            case "text":
                part = {"type": kind, "text": block["text"]}
                if items and items[-1]["type"] == "message":
                    items[-1]["content"].append(part)
                else:
                    items.append({"type": "message", "role": role, "content": [part]})
            case "tool_use":
                arguments = orjson.dumps(block["input"]).decode()
                call = {"type": "function_call", "call_id": block["id"], "name": block["name"]}
                items.append({**call, "arguments": arguments})
            case "tool_result":
                output = {"type": "function_call_output", "call_id": block["tool_use_id"]}
                items.append({**output, "output": _text(block.get("content", ""))})
    return items


def _text(content: str | list[Json]) -> str:
    return content if isinstance(content, str) else "\n".join(block.get("text", "") for block in content)


def _tool(tool: Json) -> Json:
    return {
        "type": "function",
        "name": tool["name"],
        "description": tool.get("description", ""),
        "parameters": tool["input_schema"],
        "strict": False,
    }


def to_message(response: Json) -> Json:
    """A Message from a whole Responses answer."""
    content = [
        {"type": "text", "text": part["text"]}
        for item in response["output"]
        if item["type"] == "message"
        for part in item["content"]
    ]
    return {**_message(content), "stop_reason": "end_turn", "usage": _usage(response["usage"])}


def _message(content: list[Json]) -> Json:
    return {
        "id": "msg_relay",
        "type": "message",
        "role": "assistant",
        "model": "relay",
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }


def _usage(usage: Json) -> Json:
    cached = usage["input_tokens_details"]["cached_tokens"]
    return {
        "input_tokens": usage["input_tokens"] - cached,
        "cache_read_input_tokens": cached,
        "output_tokens": usage["output_tokens"],
    }


class StreamRelay:
    """Responses SSE in, Messages SSE out: `feed` returns all events of a chunk as one piece."""

    def __init__(self) -> None:
        self._rest = b""
        self._index = -1

    def feed(self, chunk: bytes) -> bytes:
        """Takes the next bytes of the upstream."""
        *frames, self._rest = (self._rest + chunk).split(b"\n\n")
        return b"".join([self._translate(frame) for frame in frames])

    def _translate(self, frame: bytes) -> bytes:
        event = orjson.loads(frame[frame.index(b"data: ") + 6 :])
        match event["type"]:
            case "response.output_text.delta":
                delta = {"type": "text_delta", "text": event["delta"]}
                return _sse({"type": "content_block_delta", "index": self._index, "delta": delta})
            case "response.created":
                return _sse({"type": "message_start", "message": _message([])})
            case "response.content_part.added":
                self._index += 1
                block = {"type": "text", "text": ""}
                return _sse({"type": "content_block_start", "index": self._index, "content_block": block})
            case "response.content_part.done":
                return _sse({"type": "content_block_stop", "index": self._index})
            case "response.completed":
                delta = {"stop_reason": "end_turn", "stop_sequence": None}
                usage = _usage(event["response"]["usage"])
                end = _sse({"type": "message_delta", "delta": delta, "usage": usage})
                return end + _sse({"type": "message_stop"})
        return b""


def _sse(event: Json) -> bytes:
    name: str = event["type"]
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"
