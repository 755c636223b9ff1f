"""Chunks to one chat completion: the answer for clients that do not stream.

What a client gets whole is by construction what another one gets as a stream. It checks nothing.
"""

from __future__ import annotations

from typing import Any

Event = dict[str, Any]

# Texts of the message by the delta's member that brings them.
_TEXTS = ("content", "refusal", "reasoning_content")


class ChatFold:
    """Gathers the chunks of one stream; `completion` is complete after the finish reason."""

    def __init__(self) -> None:
        self._frame: Event = {}
        self._texts: dict[str, list[str]] = {}
        self._annotations: list[Event] = []
        self._calls: list[Event] = []
        self._function: Event | None = None
        self._odds: list[Event] = []
        self._finish: str | None = None
        self._usage: Event | None = None

    def add(self, chunk: Event) -> None:
        """Takes the next chunk. An error adds nothing to a completion."""
        if "error" in chunk:
            return
        self._frame = chunk
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk["choices"]:
            self._finish = choice["finish_reason"] or self._finish
            if choice["logprobs"] is not None:
                self._odds += choice["logprobs"]["content"]
            self._gather(choice["delta"])

    def completion(self) -> Event:
        """The whole completion. Raises ValueError before the finish reason: half an answer is none."""
        if self._finish is None:
            raise ValueError("the stream has not ended with a finish reason")
        frame = self._frame
        choice = {
            "index": 0,
            "message": self._message(),
            "logprobs": {"content": self._odds, "refusal": None} if self._odds else None,
            "finish_reason": self._finish,
        }
        whole = {name: frame[name] for name in ("id", "object", "created", "model")}
        whole |= {"object": "chat.completion", "choices": [choice], "usage": self._usage}
        if "service_tier" in frame:
            whole["service_tier"] = frame["service_tier"]
        return {**whole, "system_fingerprint": None}

    def _gather(self, delta: Event) -> None:
        for name in _TEXTS:
            if delta.get(name):
                self._texts.setdefault(name, []).append(delta[name])
        self._annotations += delta.get("annotations", ())
        for call in delta.get("tool_calls", ()):
            if call["index"] == len(self._calls):
                self._calls.append(
                    {"id": call["id"], "type": "function", "function": {"name": "", "arguments": ""}}
                )
            _extend(self._calls[call["index"]]["function"], call["function"])
        if "function_call" in delta:
            self._function = self._function or _nothing()
            _extend(self._function, delta["function_call"])

    def _message(self) -> Event:
        texts = {name: "".join(pieces) for name, pieces in self._texts.items()}
        other = self._calls or self._function or "refusal" in texts
        message: Event = {
            "role": "assistant",
            "content": texts.get("content", None if other else ""),
            "refusal": texts.get("refusal"),
            "annotations": self._annotations,
        }
        if "reasoning_content" in texts:
            message["reasoning_content"] = texts["reasoning_content"]
        if self._calls:
            message["tool_calls"] = self._calls
        if self._function is not None:
            message["function_call"] = self._function
        return message


def _nothing() -> Event:
    return {"name": "", "arguments": ""}


def _extend(function: Event, piece: Event) -> None:
    for name, text in piece.items():
        function[name] += text
