"""Checks a whole chat request: every field that is read later, with the path as `param`.

What passes here is translated without another look. Unknown fields pass; what would change the meaning of
the answer and cannot be honoured by any upstream is refused by name. Follows OpenAI's description of
`/chat/completions` (limits and ranges).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dragoman.translate.chat.valid_messages import check_message
from dragoman.translate.effort_fields import check_asked_effort
from dragoman.translate.flaw import (
    Flaw,
    check_between,
    check_list,
    check_object,
    check_optional,
    check_string,
    check_strings,
    check_text,
    check_whole,
    check_word,
)
from dragoman.wire.errors import invalid

Request = Mapping[str, Any]

MOST_MESSAGES = 100_000
MOST_STOPS = 4
MOST_ALTERNATIVES = 20
_WORDS = ("none", "auto", "required")
_FORMATS = ("text", "json_object", "json_schema")
_TEXTS = ("service_tier", "user", "safety_identifier", "prompt_cache_key", "promptCacheKey")
_RETENTIONS = ("prompt_cache_retention", "promptCacheRetention")


def validate(request: Any) -> None:
    """Raises Refused (400, with the field's path) for the first thing wrong."""
    try:
        if not check_text(check_object(request), "model").strip():
            raise Flaw("model", "must not be blank")
        for check in _FIELDS:
            check(request)
    except Flaw as flaw:
        raise invalid(flaw.path, flaw.problem) from None


def _check_messages(request: Request) -> None:
    messages = check_list(request.get("messages"), "messages")
    if not messages:
        raise Flaw("messages", "must have at least one message")
    if len(messages) > MOST_MESSAGES:
        raise Flaw("messages", f"must have at most {MOST_MESSAGES} messages")
    for number, message in enumerate(messages):
        try:
            check_message(message)
        except Flaw as flaw:
            raise flaw.under(number).under("messages") from None


def _check_tools(request: Request) -> None:
    names: set[str] = set()
    for place, tool in enumerate(_list(request, "tools")):
        try:
            kind = check_object(tool).get("type")
            if kind != "function":
                raise Flaw("type", f"a tool of type {kind!r} is not supported; it must be function")
            _check_function(check_object(tool.get("function"), "function"), names, "function.")
        except Flaw as flaw:
            raise flaw.under(place).under("tools") from None
    for place, function in enumerate(_list(request, "functions")):
        try:
            _check_function(check_object(function), names, "")
        except Flaw as flaw:
            raise flaw.under(place).under("functions") from None
    if request.get("tools") and request.get("functions"):
        raise Flaw("functions", "cannot be used together with tools")
    check_optional(request, "parallel_tool_calls", bool, "a boolean")
    _check_choice(request, names)


def _list(holder: Request, name: str) -> list[Any]:
    return [] if holder.get(name) is None else check_list(holder[name], name)


def _check_function(function: Mapping[str, Any], names: set[str], under: str) -> None:
    try:
        name = check_text(function, "name")
        if any(character.isspace() or not character.isprintable() for character in name):
            raise Flaw("name", "must not have whitespace or control characters")
        if name in names:
            raise Flaw("name", "must differ from the names of all other functions")
        names.add(name)
        check_optional(function, "description", str, "a string")
        check_optional(function, "strict", bool, "a boolean")
        schema = check_optional(function, "parameters", dict, "an object") or {}
        if isinstance(schema.get("type"), str) and schema["type"] != "object":
            raise Flaw("parameters.type", "must be object")
    except Flaw as flaw:
        raise Flaw(f"{under}{flaw.path}", flaw.problem) from None


def _check_choice(request: Request, names: set[str]) -> None:
    choice = request.get("tool_choice")
    if choice is not None:
        try:
            _check_tool_choice(choice, names)
        except Flaw as flaw:
            raise flaw.under("tool_choice") from None
    old = request.get("function_call")
    if isinstance(old, dict):
        _check_known(old, names, "function_call.name")
    else:
        check_word(request, "function_call", ("none", "auto"))


def _check_tool_choice(choice: Any, names: set[str]) -> None:
    if isinstance(choice, str):
        if choice not in _WORDS:
            raise Flaw("", f"must be one of {', '.join(_WORDS)}, or an object")
        return
    kind = check_object(choice).get("type")
    if kind == "function":
        _check_known(check_object(choice.get("function"), "function"), names, "function.name")
    elif kind == "allowed_tools":
        allowed = check_object(choice.get("allowed_tools"), "allowed_tools")
        if allowed.get("mode") not in ("auto", "required"):
            raise Flaw("allowed_tools.mode", "must be one of auto, required")
        for place, tool in enumerate(check_list(allowed.get("tools"), "allowed_tools.tools")):
            path = f"allowed_tools.tools.{place}"
            function = check_object(check_object(tool, path).get("function"), f"{path}.function")
            _check_known(function, names, f"{path}.function.name")
    else:
        raise Flaw("type", "must be one of function, allowed_tools")


def _check_known(function: Mapping[str, Any], names: set[str], path: str) -> None:
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise Flaw(path, "must be a string that is not empty")
    if names and name not in names:
        raise Flaw(path, f"no tool is named {name!r}")


def _check_count(request: Request) -> None:
    if (check_whole(request, "n", 1) or 1) != 1:
        raise Flaw("n", "only one choice is available; it must be 1")
    check_whole(request, "max_completion_tokens", 1)
    check_whole(request, "max_tokens", 1)


def _check_stream(request: Request) -> None:
    check_optional(request, "stream", bool, "a boolean")
    options = check_optional(request, "stream_options", dict, "an object") or {}
    try:
        check_optional(options, "include_usage", bool, "a boolean")
    except Flaw as flaw:
        raise flaw.under("stream_options") from None


def _check_sampling(request: Request) -> None:
    check_between(request, "temperature", 0, 2)
    check_between(request, "top_p", 0, 1)
    check_between(request, "frequency_penalty", -2, 2)
    check_between(request, "presence_penalty", -2, 2)
    check_optional(request, "seed", int, "an integer")
    check_optional(request, "logit_bias", dict, "an object")
    check_optional(request, "logprobs", bool, "a boolean")
    alternatives = check_whole(request, "top_logprobs", 0)
    if alternatives is not None:
        if alternatives > MOST_ALTERNATIVES:
            raise Flaw("top_logprobs", f"must be at most {MOST_ALTERNATIVES}")
        if not request.get("logprobs"):
            raise Flaw("top_logprobs", "needs logprobs to be true")


def _check_stop(request: Request) -> None:
    stop = request.get("stop")
    if isinstance(stop, str):
        return  # an empty one stops nothing
    if stop is not None and not isinstance(stop, list):
        raise Flaw("stop", "must be a string or an array of strings")
    stops = check_strings(request, "stop")
    if len(stops) > MOST_STOPS:
        raise Flaw("stop", f"must have at most {MOST_STOPS} strings")
    for place, text in enumerate(stops):
        if not text:
            raise Flaw(f"stop.{place}", "must not be empty")


def _check_format(request: Request) -> None:
    wanted = check_optional(request, "response_format", dict, "an object")
    if wanted is None:
        return
    try:
        if wanted.get("type") not in _FORMATS:
            raise Flaw("type", f"must be one of {', '.join(_FORMATS)}")
        if wanted["type"] == "json_schema":
            described = check_object(wanted.get("json_schema"), "json_schema")
            _check_schema(described)
    except Flaw as flaw:
        raise flaw.under("response_format") from None


def _check_schema(described: Mapping[str, Any]) -> None:
    try:
        check_optional(described, "name", str, "a string")
        check_optional(described, "description", str, "a string")
        check_optional(described, "strict", bool, "a boolean")
        check_object(described.get("schema"), "schema")
    except Flaw as flaw:
        raise flaw.under("json_schema") from None


def _check_effort(request: Request) -> None:
    check_asked_effort(request)
    check_optional(request, "include_reasoning", bool, "a boolean")
    check_word(request, "verbosity", ("low", "medium", "high"))


def _check_elsewhere(request: Request) -> None:
    """What no upstream of this gateway can do."""
    if request.get("audio") is not None:
        raise Flaw("audio", "spoken answers are not available")
    for place, name in enumerate(check_strings(request, "modalities")):
        if name != "text":
            raise Flaw(f"modalities.{place}", f"answers of kind {name!r} are not available; only text is")


def _check_search(request: Request) -> None:
    options = check_optional(request, "web_search_options", dict, "an object") or {}
    try:
        check_word(options, "search_context_size", ("low", "medium", "high"))
        location = check_optional(options, "user_location", dict, "an object") or {}
        place = check_optional(location, "approximate", dict, "an object") or {}
        for name in ("city", "country", "region", "timezone"):
            if place.get(name) is not None:
                check_string(place, name)
    except Flaw as flaw:
        raise flaw.under("web_search_options") from None


def _check_rest(request: Request) -> None:
    for name in (*_TEXTS, *_RETENTIONS):
        check_optional(request, name, str, "a string")
    check_optional(request, "metadata", dict, "an object")
    check_optional(request, "store", bool, "a boolean")


_FIELDS: tuple[Callable[[Request], None], ...] = (
    _check_count,
    _check_messages,
    _check_tools,
    _check_stream,
    _check_sampling,
    _check_stop,
    _check_format,
    _check_effort,
    _check_elsewhere,
    _check_search,
    _check_rest,
)
