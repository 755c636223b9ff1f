"""Checks a whole Messages request: every field that is read later, with the path in the message.

What passes here is translated without another look. Unknown fields pass; what would change the meaning of
the answer and cannot be honoured by any upstream is refused, unless the operator is lenient. Follows
Anthropic's Messages API (limits and ranges) as its own server applies them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dragoman.translate.effort_fields import check_asked_effort, check_effort
from dragoman.translate.flaw import (
    Flaw,
    check_between,
    check_list,
    check_object,
    check_optional,
    check_strings,
    check_text,
    check_whole,
    check_word,
)
from dragoman.translate.messages.effort import BUDGET_LEAST
from dragoman.translate.messages.valid_content import Content
from dragoman.translate.messages.valid_tools import check_choice, check_server, check_tool
from dragoman.wire.errors import invalid

MOST_MESSAGES = 100_000
Request = Mapping[str, Any]


def validate(request: Any, *, counting: bool = False, lenient: bool = False) -> None:
    """Raises Refused (400, with the field's path) for the first thing wrong.

    `counting` is for count_tokens, where `max_tokens` is not needed; `lenient` lets pass, to be ignored, what
    cannot be honoured.
    """
    try:
        _check(check_object(request), counting=counting, lenient=lenient)
    except Flaw as flaw:
        raise invalid(flaw.path, flaw.problem) from None


def _check(request: Request, *, counting: bool, lenient: bool) -> None:
    if not check_text(request, "model").strip():
        raise Flaw("model", "must not be blank")
    if check_whole(request, "max_tokens", 0) is None and not counting:
        raise Flaw("max_tokens", "is required")
    content = Content(lenient=lenient)
    content.mark(request, counted=False)
    _check_messages(request.get("messages"), content)
    _check_system(request.get("system"), content)
    _check_tools(request, content, lenient=lenient)
    for check in _FIELDS:
        check(request)


def _check_messages(messages: Any, content: Content) -> None:
    if not check_list(messages, "messages"):
        raise Flaw("messages", "must have at least one message")
    if len(messages) > MOST_MESSAGES:
        raise Flaw("messages", f"must have at most {MOST_MESSAGES} messages")
    for number, message in enumerate(messages):
        try:
            content.message(message)
        except Flaw as flaw:
            raise flaw.under(number).under("messages") from None


def _check_system(system: Any, content: Content) -> None:
    if system is None or isinstance(system, str):
        return
    for place, block in enumerate(check_list(system, "system")):
        try:
            if check_object(block).get("type") != "text":
                raise Flaw("type", "must be text")
            content.text(block)
            content.mark(block)
        except Flaw as flaw:
            raise flaw.under(place).under("system") from None


def _check_tools(request: Request, content: Content, *, lenient: bool) -> None:
    servers = _check_servers(request)
    tools = check_list(request.get("tools") or [], "tools")
    names: set[str] = set()
    for place, tool in enumerate(tools):
        try:
            check_tool(tool, lenient=lenient)
            content.mark(tool)
            name = tool.get("name")
            if name in names:
                raise Flaw("name", "must differ from the names of all other tools")
            names.update([name] if name else [])
            if tool.get("type") == "mcp_toolset" and tool["mcp_server_name"] not in servers and not lenient:
                raise Flaw("mcp_server_name", "names no server of mcp_servers")
        except Flaw as flaw:
            raise flaw.under(place).under("tools") from None
    if request.get("tool_choice") is not None:
        try:
            check_choice(request["tool_choice"], tools)
        except Flaw as flaw:
            raise flaw.under("tool_choice") from None


def _check_servers(request: Request) -> set[str]:
    names: set[str] = set()
    for place, server in enumerate(check_list(request.get("mcp_servers") or [], "mcp_servers")):
        try:
            check_server(server)
            if server["name"] in names:
                raise Flaw("name", "must differ from the names of all other servers")
        except Flaw as flaw:
            raise flaw.under(place).under("mcp_servers") from None
        names.add(server["name"])
    return names


def _check_sampling(request: Request) -> None:
    check_between(request, "temperature", 0, 1)
    check_between(request, "top_p", 0, 1)
    check_whole(request, "top_k", 0)
    check_optional(request, "stream", bool, "a boolean")
    for place, text in enumerate(check_strings(request, "stop_sequences")):
        if not text:
            raise Flaw(f"stop_sequences.{place}", "must not be empty")


def _check_thinking(request: Request) -> None:
    thinking = check_optional(request, "thinking", dict, "an object")
    if thinking is None:
        return
    try:
        check_word({"type": thinking.get("type") or ""}, "type", ("enabled", "adaptive", "disabled"))
        check_optional(thinking, "display", str, "a string")
        if thinking["type"] == "enabled" and check_whole(thinking, "budget_tokens", BUDGET_LEAST) is None:
            raise Flaw("budget_tokens", "is required")
    except Flaw as flaw:
        raise flaw.under("thinking") from None


def _check_output(request: Request) -> None:
    config = check_optional(request, "output_config", dict, "an object") or {}
    try:
        check_effort(config, "effort")
        _check_format(config, "format")
        check_optional(config, "task_budget", dict, "an object")
    except Flaw as flaw:
        raise flaw.under("output_config") from None
    _check_format(request, "output_format")


def _check_format(holder: Mapping[str, Any], name: str) -> None:
    wanted = check_optional(holder, name, dict, "an object")
    if wanted is None:
        return
    if wanted.get("type") != "json_schema":
        raise Flaw(f"{name}.type", "must be json_schema")
    if not isinstance(wanted.get("schema"), dict):
        raise Flaw(f"{name}.schema", "must be an object")


def _check_aliases(request: Request) -> None:
    check_asked_effort(request)
    check_optional(request, "prompt_cache_retention", str, "a string")
    check_optional(request, "promptCacheRetention", str, "a string")


def _check_rest(request: Request) -> None:
    metadata = check_optional(request, "metadata", dict, "an object") or {}
    try:
        check_optional(metadata, "user_id", str, "a string")
    except Flaw as flaw:
        raise flaw.under("metadata") from None
    check_word(request, "service_tier", ("auto", "standard_only"))
    check_optional(request, "speed", str, "a string")
    check_optional(request, "diagnostics", dict, "an object")


_FIELDS: tuple[Callable[[Request], None], ...] = (
    _check_sampling,
    _check_thinking,
    _check_output,
    _check_aliases,
    _check_rest,
)
