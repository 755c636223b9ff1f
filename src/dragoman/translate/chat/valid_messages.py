"""Checks the messages of a chat request and their parts, as far as they are read later.

Extra members are no error: clients add them often. A kind of part that nobody here can pass on is one,
because what it means would be lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from dragoman.translate.flaw import (
    Flaw,
    check_list,
    check_object,
    check_optional,
    check_string,
    check_text,
    check_url,
    check_word,
    is_base64,
)

Part = Mapping[str, Any]

ROLES = ("developer", "system", "user", "assistant", "tool", "function")
DETAILS = ("auto", "low", "high", "original")
_DATA_URL = re.compile(r"data:image/(?:png|jpe?g|gif|webp);base64,", re.IGNORECASE)


def check_message(message: Any) -> None:
    """One message of any role."""
    role = check_object(message).get("role")
    if role not in ROLES:
        raise Flaw("role", f"must be one of {', '.join(ROLES)}")
    check_optional(message, "name", str, "a string")
    content = message.get("content")
    if content is None:
        if role in ("developer", "system", "user"):
            raise Flaw("content", "is required")
    elif not isinstance(content, str):
        _check_parts(content, role)
    if role == "assistant":
        _check_answer(message)
    elif role == "tool":
        check_text(message, "tool_call_id")
    elif role == "function":
        check_text(message, "name")


def _check_parts(content: Any, role: str) -> None:
    if not isinstance(content, list):
        raise Flaw("content", "must be a string or an array of parts")
    allowed = _BY_ROLE[role]
    for place, part in enumerate(content):
        try:
            kind = check_text(check_object(part), "type")
            if kind not in allowed:
                told = "cannot stand here" if kind in _CHECKS else "is not supported"
                raise Flaw("type", f"a part of type {kind!r} {told} ({role})")
            _CHECKS[kind](part)
        except Flaw as flaw:
            raise flaw.under(place).under("content") from None


def _check_answer(message: Mapping[str, Any]) -> None:
    check_optional(message, "refusal", str, "a string")
    if message.get("audio") is not None:
        raise Flaw("audio", "spoken answers are not available")
    calls = message.get("tool_calls")
    for place, call in enumerate([] if calls is None else check_list(calls, "tool_calls")):
        try:
            kind = check_object(call).get("type")
            if kind not in (None, "function"):
                raise Flaw("type", f"a call of type {kind!r} is not supported; it must be function")
            check_text(call, "id")
            _check_called(check_object(call.get("function"), "function"), "function")
        except Flaw as flaw:
            raise flaw.under(place).under("tool_calls") from None
    old = check_optional(message, "function_call", dict, "an object")
    if old is not None:
        _check_called(old, "function_call")


def _check_called(function: Mapping[str, Any], under: str) -> None:
    try:
        check_text(function, "name")
        check_string(function, "arguments")
    except Flaw as flaw:
        raise flaw.under(under) from None


def _check_text(part: Part) -> None:
    check_string(part, "text")


def _check_refusal(part: Part) -> None:
    check_string(part, "refusal")


def _check_image(part: Part) -> None:
    image = check_object(part.get("image_url"), "image_url")
    try:
        url = check_text(image, "url")
        check_word(image, "detail", DETAILS)
        found = _DATA_URL.match(url)
        if found is None and url[:5].lower() == "data:":
            raise Flaw("url", "must be a PNG, JPEG, GIF or WebP image in base64")
        if found is None:
            check_url(image, "url")
        elif not is_base64(url[found.end() :]):
            raise Flaw("url", "must have base64 after the comma")
    except Flaw as flaw:
        raise flaw.under("image_url") from None


def _check_file(part: Part) -> None:
    file = check_object(part.get("file"), "file")
    try:
        if file.get("file_id") is not None:
            raise Flaw("file_id", "uploaded files are not available; send file_data")
        check_text(file, "file_data")
        check_optional(file, "filename", str, "a string")
    except Flaw as flaw:
        raise flaw.under("file") from None


def _check_audio(part: Part) -> None:
    raise Flaw("type", "a part of type 'input_audio' is not available: no upstream here listens")


_CHECKS: dict[str, Callable[[Part], None]] = {
    "text": _check_text,
    "refusal": _check_refusal,
    "image_url": _check_image,
    "file": _check_file,
    "input_audio": _check_audio,
}
_INPUT = frozenset({"text", "image_url", "file"})
_BY_ROLE: dict[str, frozenset[str]] = {
    "developer": frozenset({"text"}),
    "system": frozenset({"text"}),
    "user": _INPUT | {"input_audio"},
    "assistant": frozenset({"text", "refusal"}),
    "tool": _INPUT,
    "function": _INPUT,
}
