"""Anthropic events to one Message: the answer for clients that do not stream.

What a client gets whole is by construction what another one gets as a stream. Nulls are kept. Tool input
that was cut is reduced to the members that are complete, as the official clients do with a cut stream;
the stop reason says that it was cut. It checks nothing: see wire/grammar for that.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from dragoman.wire import jsonio

Event = dict[str, Any]


class Fold:
    """Gathers the events of one stream; `message` is complete after `message_stop`."""

    def __init__(self) -> None:
        self._message: Event = {}
        self._blocks: list[Event] = []
        self._pieces: dict[str, list[str]] = {}
        self._over = False

    def add(self, event: Event) -> None:
        """Takes the next event. Pings, errors and unknown types add nothing to a message."""
        add = _ADD.get(event["type"])
        if add is not None:
            add(self, event)

    def message(self) -> Event:
        """The whole message. Raises ValueError before `message_stop`: half an answer is none."""
        if not self._over:
            raise ValueError("the stream has not ended with message_stop")
        return {**self._message, "content": self._blocks}

    def _start(self, event: Event) -> None:
        self._message = dict(event["message"])

    def _block_start(self, event: Event) -> None:
        self._blocks.append(dict(event["content_block"]))
        self._pieces = {}

    def _block_delta(self, event: Event) -> None:
        delta = event["delta"]
        kind = delta["type"]
        if kind == "citations_delta":
            self._blocks[-1].setdefault("citations", []).append(delta["citation"])
        elif kind in _FIELDS:
            self._pieces.setdefault(kind, []).append(delta[_FIELDS[kind]])

    def _block_stop(self, event: Event) -> None:
        block = self._blocks[-1]
        for kind, pieces in self._pieces.items():
            text = "".join(pieces)
            if kind == "input_json_delta":
                block["input"] = complete_members(text)
            else:
                block[_FIELDS[kind]] = text

    def _delta(self, event: Event) -> None:
        message, late = self._message, event["usage"]
        usage = message["usage"] | {key: value for key, value in late.items() if value is not None}
        usage["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.get("cache_creation_input_tokens") or 0,
            "ephemeral_1h_input_tokens": 0,
        }
        message |= event["delta"]
        message["usage"] = usage
        if "context_management" in event:
            message["context_management"] = event["context_management"]

    def _stop(self, event: Event) -> None:
        self._over = True


_FIELDS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}

_ADD: dict[str, Callable[[Fold, Event], None]] = {
    "message_start": Fold._start,
    "content_block_start": Fold._block_start,
    "content_block_delta": Fold._block_delta,
    "content_block_stop": Fold._block_stop,
    "message_delta": Fold._delta,
    "message_stop": Fold._stop,
}


# -- cut JSON --------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*")
    |(?P<scalar>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\d.eE])|true|false|null)
    |(?P<mark>[{}\[\],:]))""",
    re.X,
)
_CLOSER = {"{": "}", "[": "]"}


def complete_members(text: str) -> Event:
    """The object that a tool's input is: all of it, or of a cut one the members that came completely."""
    value = _parsed(text)
    if value is None:
        value = _parsed(_longest(text))
    return value if isinstance(value, dict) else {}


def _parsed(text: str) -> Any:
    try:
        return jsonio.parse(text.encode())
    except (jsonio.InvalidJson, UnicodeEncodeError):
        return None


def _longest(text: str) -> str:
    """The longest beginning that is JSON, once its brackets are closed."""
    last = deque(_resting_places(text), maxlen=1)
    return "".join((text[:end] + closers) for end, closers in last)


def _resting_places(text: str) -> Iterator[tuple[int, str]]:
    """Where the text could end, with the brackets it would need: after each complete value."""
    closers: list[str] = []
    expected, empty = "value", False
    for kind, found, end in _tokens(text):
        if found in _CLOSER and expected == "value":
            closers.append(_CLOSER[found])
            expected, empty = ("key" if found == "{" else "value"), True
        elif closers and found == closers[-1] and (expected == "," or empty):
            closers.pop()
            expected, empty = ",", False
        elif kind in ("string", "scalar") and expected == "value":
            expected, empty = ",", False
        elif (kind == "string" and expected == "key") or found == expected == ":":
            expected, empty = (":" if kind == "string" else "value"), False
            continue
        elif found == expected == "," and closers:
            expected = "key" if closers[-1] == "}" else "value"
            continue
        else:
            return
        yield end, "".join(reversed(closers))


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    at = 0
    while token := _TOKEN.match(text, at):
        at = token.end()
        yield str(token.lastgroup), token[str(token.lastgroup)], at
