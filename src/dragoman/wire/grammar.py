"""The grammar of an Anthropic Messages stream, as a strict validator.

It says whether a sequence of events is one that every client reads alike: `message_start` first, blocks
numbered without gaps and one open at a time, deltas that fit their block, tool input that parses, one
signature a thinking block, one `message_delta` with a stop reason that the content bears out, then
`message_stop`, or `error` at any point. It never repairs and never looks at the meaning of texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from dragoman.wire import jsonio

STOP_REASONS = frozenset(
    {
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
    }
)
# With these a tool call may have been cut in the middle; the client does not run it.
CUT_REASONS = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})
ERROR_TYPES = frozenset(
    {
        "invalid_request_error",
        "authentication_error",
        "billing_error",
        "permission_error",
        "not_found_error",
        "conflict_error",
        "request_too_large",
        "rate_limit_error",
        "api_error",
        "not_supported",
        "timeout_error",
        "overloaded_error",
    }
)

DELTAS: dict[str, dict[str, str]] = {
    "text": {"text_delta": "text", "citations_delta": "citation"},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "tool_use": {"input_json_delta": "partial_json"},
    "server_tool_use": {"input_json_delta": "partial_json"},
    "mcp_tool_use": {"input_json_delta": "partial_json"},
    "redacted_thinking": {},
    "web_search_tool_result": {},
    "mcp_tool_result": {},
}
# What a block holds when it starts: the rest comes as deltas.
_BLANK: dict[str, dict[str, Any]] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
    "server_tool_use": {"input": {}},
    "mcp_tool_use": {"input": {}},
    "redacted_thinking": {},
    "web_search_tool_result": {},
    "mcp_tool_result": {},
}
_NAMED = {"tool_use", "server_tool_use", "mcp_tool_use"}
# Calls that are run elsewhere, and the block that must bring each one's result.
_ELSEWHERE = {"server_tool_use": "web_search_tool_result", "mcp_tool_use": "mcp_tool_result"}
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class GrammarError(ValueError):
    """An event that may not stand here, or has not the shape it must have; the message says which."""


class Grammar:
    """Checks one stream. `ended` names the event that ended it, `message_stop` or `error`."""

    def __init__(self) -> None:
        self.started = False
        self.ended: str | None = None
        self._next = 0
        self._open: str | None = None
        self._json: list[str] = []
        self._signed = False
        self._cut: list[str] = []  # tool calls whose input does not parse
        self._calls: set[str] = set()
        self._tools = 0  # tool_use blocks, which the client runs
        self._unanswered: dict[str, str] = {}
        self._stopped = False

    @property
    def complete(self) -> bool:
        """Whether the stream has its end: nothing may follow."""
        return self.ended is not None

    def check(self, event: dict[str, Any]) -> None:
        """Takes the next event. Raises GrammarError where it may not stand or is malformed."""
        kind = event.get("type")
        if self.ended is not None:
            raise GrammarError(f"{kind} after {self.ended}")
        rule = _RULES.get(kind) if isinstance(kind, str) else None
        if rule is None:
            raise GrammarError(f"unknown event {kind!r}")
        if not self.started and kind not in _ANYWHERE and kind != "message_start":
            raise GrammarError(f"{kind} before message_start")
        if self._stopped and kind not in _ANYWHERE and kind != "message_stop":
            raise GrammarError(f"{kind} after message_delta")
        rule(self, event)

    # -- events --------------------------------------------------------------------------------------

    def _message_start(self, event: dict[str, Any]) -> None:
        _need(not self.started, "a second message_start")
        message = _object(event, "message")
        _need(isinstance(message.get("id"), str) and bool(message["id"]), "message.id is missing")
        for key, value in {"type": "message", "role": "assistant", "content": []}.items():
            _need(message.get(key) == value, f"message.{key} must be {value!r}")
        _need(isinstance(message.get("model"), str), "message.model is missing")
        for key in ("stop_reason", "stop_sequence"):
            _need(key in message and message[key] is None, f"message.{key} must be null")
        usage = _object(message, "usage")
        _counts(usage, ("input_tokens", "output_tokens"))
        self.started = True

    def _block_start(self, event: dict[str, Any]) -> None:
        _need(self._open is None, "a block starts while another is open")
        _need(event.get("index") == self._next, f"block index {event.get('index')}, expected {self._next}")
        block = _object(event, "content_block")
        kind = block.get("type")
        if not isinstance(kind, str) or kind not in DELTAS:
            raise GrammarError(f"unknown block {kind!r}")
        for key, value in _BLANK[kind].items():
            _need(block.get(key) == value, f"{kind}.{key} must start as {value!r}")
        if kind in _NAMED:
            self._call(kind, block)
        elif kind == "redacted_thinking":
            _need(isinstance(block.get("data"), str), "redacted_thinking.data is missing")
        elif kind == "web_search_tool_result":
            self._answered(kind, block)
            self._search_result(block)
        elif kind == "mcp_tool_result":
            self._answered(kind, block)
            _need(isinstance(block.get("is_error"), bool), "mcp_tool_result.is_error is missing")
            _need(isinstance(block.get("content"), list), "mcp_tool_result.content is missing")
        self._open = kind
        self._json = []
        self._signed = False

    def _call(self, kind: str, block: dict[str, Any]) -> None:
        call_id, name = block.get("id"), block.get("name")
        _need(isinstance(name, str) and bool(name), f"{kind}.name is missing")
        if not isinstance(call_id, str) or not _CALL_ID.fullmatch(call_id):
            raise GrammarError(f"{kind}.id {call_id!r} is not an id")
        _need(call_id not in self._calls, f"{kind}.id {call_id} is used twice")
        self._calls.add(call_id)
        if kind in _ELSEWHERE:
            self._unanswered[call_id] = _ELSEWHERE[kind]
        else:
            self._tools += 1

    def _answered(self, kind: str, block: dict[str, Any]) -> None:
        call_id = block.get("tool_use_id")
        waits = isinstance(call_id, str) and self._unanswered.pop(call_id, None) == kind
        _need(waits, f"no call {call_id!r} waits for a result such as {kind}")

    def _search_result(self, block: dict[str, Any]) -> None:
        content = block.get("content")
        if isinstance(content, dict):
            _need(content.get("type") == "web_search_tool_result_error", "a result that is no error or list")
            _need(isinstance(content.get("error_code"), str), "error_code is missing")
            return
        _need(isinstance(content, list), "web_search_tool_result.content is missing")
        for item in content or ():
            _need(isinstance(item, dict) and item.get("type") == "web_search_result", "not a search result")
            for key in ("url", "title", "encrypted_content"):
                _need(isinstance(item.get(key), str), f"web_search_result.{key} is missing")

    def _block_delta(self, event: dict[str, Any]) -> None:
        kind = self._here(event)
        delta = _object(event, "delta")
        key = DELTAS[kind].get(str(delta.get("type")))
        if key is None:
            raise GrammarError(f"{delta.get('type')} in a {kind} block")
        value = delta.get(key)
        if key == "citation":
            _need(isinstance(value, dict) and "type" in value, "citations_delta.citation is missing")
            return
        if not isinstance(value, str):
            raise GrammarError(f"{delta['type']}.{key} must be a string")
        if key == "partial_json":
            self._json.append(value)
        elif kind == "thinking":
            _need(not self._signed, "a delta after the signature")
            self._signed = key == "signature"
            _need(not self._signed or bool(value), "an empty signature")

    def _block_stop(self, event: dict[str, Any]) -> None:
        kind = self._here(event)
        if kind == "thinking":
            _need(self._signed, "a thinking block without signature")
        elif kind in _NAMED and (text := "".join(self._json)):
            try:
                whole = isinstance(jsonio.parse(text.encode()), dict)
            except (jsonio.InvalidJson, UnicodeEncodeError):
                whole = False
            if not whole:
                self._cut.append(kind)
        self._open = None
        self._next += 1

    def _message_delta(self, event: dict[str, Any]) -> None:
        _need(self._open is None, "message_delta while a block is open")
        delta = _object(event, "delta")
        reason, sequence = delta.get("stop_reason"), delta.get("stop_sequence")
        _need(reason in STOP_REASONS, f"stop_reason {reason!r}")
        _need(
            (reason == "stop_sequence") == isinstance(sequence, str), "stop_sequence does not fit stop_reason"
        )
        _need("stop_sequence" in delta, "delta.stop_sequence is missing")
        _need(reason != "tool_use" or self._tools > 0, "stop_reason tool_use without a tool_use block")
        _need(reason != "end_turn" or self._tools == 0, "stop_reason end_turn with a tool_use block")
        _need(not self._unanswered, "a call without result")
        _need(
            not self._cut or reason in CUT_REASONS, f"a {' and '.join(self._cut)} whose input does not parse"
        )
        details = delta.get("stop_details")
        _need(details is None or _object(delta, "stop_details").get("type") == "refusal", "stop_details")
        _counts(_object(event, "usage"), ("output_tokens",))
        self._stopped = True

    def _message_stop(self, event: dict[str, Any]) -> None:
        _need(self._stopped, "message_stop without message_delta")
        self.ended = "message_stop"

    def _error(self, event: dict[str, Any]) -> None:
        error = _object(event, "error")
        _need(error.get("type") in ERROR_TYPES, f"error type {error.get('type')!r}")
        _need(isinstance(error.get("message"), str) and bool(error["message"]), "an error without message")
        self.ended = "error"

    def _ping(self, event: dict[str, Any]) -> None:
        """Allowed anywhere before the end."""

    def _here(self, event: dict[str, Any]) -> str:
        if self._open is None:
            raise GrammarError(f"{event['type']} while no block is open")
        _need(event.get("index") == self._next, f"index {event.get('index')}, open is {self._next}")
        return self._open


_RULES: dict[str, Callable[[Grammar, dict[str, Any]], None]] = {
    "message_start": Grammar._message_start,
    "content_block_start": Grammar._block_start,
    "content_block_delta": Grammar._block_delta,
    "content_block_stop": Grammar._block_stop,
    "message_delta": Grammar._message_delta,
    "message_stop": Grammar._message_stop,
    "ping": Grammar._ping,
    "error": Grammar._error,
}
_ANYWHERE = frozenset({"ping", "error"})


def _need(holds: bool, problem: str) -> None:
    if not holds:
        raise GrammarError(problem)


def _object(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise GrammarError(f"{key} must be an object")
    return value


def _counts(usage: dict[str, Any], required: tuple[str, ...]) -> None:
    for key, value in usage.items():
        if not key.endswith("_tokens"):
            continue
        optional = value is None and key not in required
        _need(optional or (type(value) is int and value >= 0), f"usage.{key} must be a count")
    for key in required:
        _need(key in usage, f"usage.{key} is missing")
