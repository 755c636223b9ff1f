"""Checks a Responses request as far as this gateway reads it, with the path as `param`.

Nearly everything passes as it is: the upstream knows its own API best. What is checked is what is read
here, and what no account of a pool could honour is refused by name. Follows OpenAI's public description of
`POST /responses`; a conversation under `messages` is taken for `input`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dragoman.translate.effort_fields import check_effort
from dragoman.translate.flaw import (
    Flaw,
    check_list,
    check_object,
    check_optional,
    check_strings,
    check_text,
    check_whole,
)
from dragoman.wire.errors import Failure, Kind, Refused, invalid

Request = Mapping[str, Any]

MOST_ITEMS = 100_000
LEAST_OUTPUT = 16
# What would need a place where answers and conversations are kept, or somebody who asks for them later.
NOT_OFFERED: Mapping[str, str] = {
    "background": "is not offered by this gateway: it keeps no answers to be fetched later; leave it out",
    "conversation": "is not offered by this gateway: it keeps no conversations; send the items as input",
}
_TEXTS = ("instructions", "previous_response_id", "service_tier", "truncation", "user", "safety_identifier")
_KEYS = ("prompt_cache_key", "promptCacheKey", "prompt_cache_retention")
_FLAGS = ("stream", "store", "background", "parallel_tool_calls")
_OBJECTS = ("reasoning", "text", "metadata", "prompt", "prompt_cache_options", "client_metadata")
_URLS: Mapping[str, tuple[str, ...]] = {
    "image_url": ("https://", "http://", "data:"),
    "file_url": ("https://", "http://"),
}
_ROLES = ("user", "assistant", "system", "developer")


def read(request: dict[str, Any], *, needs_input: bool = True) -> dict[str, Any]:
    """The request with its input under `input`. Raises Refused (400, with the path) for what is wrong.

    `needs_input`: nothing can be generated from nothing, but it can be counted.
    """
    try:
        if not check_text(request, "model").strip():
            raise Flaw("model", "must not be blank")
        for check in _CHECKS:
            check(request)
        if "messages" in request and request.get("input") is None:
            request = _forgiven(request)
        _check_input(request, needed=needs_input)
    except Flaw as flaw:
        raise invalid(flaw.path, flaw.problem) from None
    return request


def _forgiven(request: Request) -> dict[str, Any]:
    """Messages in the place of input, at the place where they stood."""
    items: list[dict[str, Any]] = []
    for number, message in enumerate(check_list(request["messages"], "messages")):
        role = check_object(message, f"messages.{number}").get("role")
        if role not in _ROLES:
            raise Flaw(f"messages.{number}.role", f"must be one of {', '.join(_ROLES)}")
        content = message.get("content")
        if not isinstance(content, str | list):
            raise Flaw(f"messages.{number}.content", "must be a string or an array of parts")
        if isinstance(content, list):
            content = _said(content) if role == "assistant" else [_part(part) for part in content]
        items.append({**message, "content": content})
    return {
        ("input" if name == "messages" else name): (items if name == "messages" else value)
        for name, value in request.items()
        if name != "input"
    }


def _said(parts: list[Any]) -> Any:
    """An assistant's words as one text, which is the form that needs no id."""
    words = [part.get("text") if isinstance(part, dict) else None for part in parts]
    texts = [text for text in words if isinstance(text, str)]
    return "".join(texts) if len(texts) == len(parts) else parts


def _part(part: Any) -> Any:
    """A part of a chat message in the words of an item; others stay for the upstream to judge."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        return {"type": "input_text", "text": part.get("text")}
    if kind == "image_url" and isinstance(part.get("image_url"), dict):
        image = part["image_url"]
        return {"type": "input_image", "image_url": image.get("url"), "detail": image.get("detail", "auto")}
    return part


def _check_input(request: Request, *, needed: bool) -> None:
    value = request.get("input")
    if value is None:
        if needed and not request.get("previous_response_id") and not request.get("prompt"):
            raise Flaw("input", "is required: a string or an array of items")
        return
    if isinstance(value, str):
        return
    if not isinstance(value, list):
        raise Flaw("input", "must be a string or an array of items")
    if len(value) > MOST_ITEMS:
        raise Flaw("input", f"must have at most {MOST_ITEMS} items")
    for number, item in enumerate(value):
        try:
            _check_item(item)
        except Flaw as flaw:
            raise flaw.under(number).under("input") from None


def _check_item(item: Any) -> None:
    kind = check_object(item).get("type")
    if not isinstance(kind, str) and (kind is not None or "role" not in item):
        raise Flaw("type", "is required" if kind is None else "must be a string")
    for field in ("content", "output"):
        parts = item.get(field)
        if not isinstance(parts, list):
            continue
        for number, part in enumerate(parts):
            try:
                _check_part(part)
            except Flaw as flaw:
                raise flaw.under(number).under(field) from None


def _check_part(part: Any) -> None:
    """Nothing but http, https and data is passed on to be fetched, whoever fetches it."""
    for name, schemes in _URLS.items():
        url = check_object(part).get(name)
        if isinstance(url, str) and url and not url[:8].lower().startswith(schemes):
            raise Flaw(name, f"must begin with {' or '.join(schemes)}")


def _check_types(request: Request) -> None:
    for name in _TEXTS:
        check_optional(request, name, str, "a string")
    for name in _KEYS:
        check_optional(request, name, str, "a string")
    for name in _FLAGS:
        check_optional(request, name, bool, "a boolean")
    for name in _OBJECTS:
        check_optional(request, name, dict, "an object")


def _check_offered(request: Request) -> None:
    for name, why in NOT_OFFERED.items():
        if request.get(name):
            failure = Failure(Kind.INVALID_REQUEST, f"{name}: {why}.", param=name, error_code="not_supported")
            raise Refused(failure)


def _check_tools(request: Request) -> None:
    tools = check_optional(request, "tools", list, "an array")
    for number, tool in enumerate(tools or ()):
        try:
            check_text(check_object(tool), "type")
        except Flaw as flaw:
            raise flaw.under(number).under("tools") from None
    choice = request.get("tool_choice")
    if choice is not None and not isinstance(choice, str | dict):
        raise Flaw("tool_choice", "must be a string or an object")
    check_strings(request, "include")


def _check_effort(request: Request) -> None:
    try:
        check_effort(request.get("reasoning") or {}, "effort")
    except Flaw as flaw:
        raise flaw.under("reasoning") from None


def _check_limit(request: Request) -> None:
    check_whole(request, "max_output_tokens", LEAST_OUTPUT)


_CHECKS: tuple[Callable[[Request], None], ...] = (
    _check_types,
    _check_offered,
    _check_tools,
    _check_effort,
    _check_limit,
)
