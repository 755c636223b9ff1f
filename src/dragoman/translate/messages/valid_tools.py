"""Checks tools, the choice among them, and MCP servers.

A client's own tool needs a usable name and a schema object. A typed tool that only Anthropic's servers could
run is refused by its path, unless a lenient operator has it passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.translate.flaw import (
    Flaw,
    check_list,
    check_object,
    check_optional,
    check_strings,
    check_text,
    check_whole,
    check_word,
)
from dragoman.translate.messages.typed_tools import client_side

Tool = Mapping[str, Any]

CHOICES = ("auto", "any", "tool", "none")
# Whitespace and control characters, which no name may have: they would not survive the way back.
_UNUSABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")
_ELSEWHERE = ("web_fetch_", "code_execution_")
_LEFT_OUT = ("tool_search_tool_", "advisor_")


def check_tool(tool: Any, *, lenient: bool) -> None:
    """One entry of `tools`, without its cache mark and without what it shares with other entries."""
    kind = check_object(tool).get("type")
    if kind is not None and not isinstance(kind, str):
        raise Flaw("type", "must be a string")
    if kind == "mcp_toolset":
        _check_toolset(tool)
        return
    if kind is None or kind == "custom":
        _check_name(tool)
        _check_own(tool)
    elif kind.startswith("web_search_"):
        _check_name(tool)
        _check_web_search(tool)
    elif client_side(kind) or isinstance(tool.get("input_schema"), dict):
        _check_name(tool)
    elif not (lenient or kind.startswith(_LEFT_OUT)):
        told = (
            "cannot be run here; let the client run it" if kind.startswith(_ELSEWHERE) else "is not supported"
        )
        raise Flaw("type", f"a tool of type {kind!r} {told}")


def _check_name(tool: Tool) -> None:
    name = check_text(tool, "name")
    if _UNUSABLE.search(name):
        raise Flaw("name", "must not have whitespace or control characters")


def _check_own(tool: Tool) -> None:
    check_optional(tool, "description", str, "a string")
    check_optional(tool, "strict", bool, "a boolean")
    check_optional(tool, "defer_loading", bool, "a boolean")
    schema = check_optional(tool, "input_schema", dict, "an object")
    if schema is None:
        raise Flaw("input_schema", "is required")
    kind = schema.get("type")
    if isinstance(kind, str) and kind != "object":
        raise Flaw("input_schema.type", "must be object")
    if tool.get("input_examples") is not None:
        for place, example in enumerate(check_list(tool["input_examples"], "input_examples")):
            check_object(example, f"input_examples.{place}")


def _check_web_search(tool: Tool) -> None:
    allowed = check_strings(tool, "allowed_domains")
    blocked = check_strings(tool, "blocked_domains")
    if allowed and blocked:
        raise Flaw("blocked_domains", "cannot be used together with allowed_domains")
    check_whole(tool, "max_uses", 1)
    location = check_optional(tool, "user_location", dict, "an object")
    for name in ("city", "country", "region", "timezone"):
        try:
            check_optional(location or {}, name, str, "a string")
        except Flaw as flaw:
            raise flaw.under("user_location") from None


def _check_toolset(tool: Tool) -> None:
    check_text(tool, "mcp_server_name")
    check_optional(tool, "default_config", dict, "an object")
    configs = check_optional(tool, "configs", dict, "an object") or {}
    for name, config in configs.items():
        check_object(config, f"configs.{name}")


def check_server(server: Any) -> None:
    """One entry of `mcp_servers`."""
    check_text(check_object(server), "name")
    url = check_text(server, "url")
    if not url.startswith(("https://", "http://")):
        raise Flaw("url", "must be an http or https URL")
    check_optional(server, "authorization_token", str, "a string")
    old = check_optional(server, "tool_configuration", dict, "an object")
    try:
        check_strings(old or {}, "allowed_tools")
    except Flaw as flaw:
        raise flaw.under("tool_configuration") from None


def check_choice(choice: Any, tools: Sequence[Tool]) -> None:
    """`tool_choice`, which may name only a tool of the request; without tools it means nothing."""
    kind = check_object(choice).get("type")
    check_word({"type": kind or ""}, "type", CHOICES)
    check_optional(choice, "disable_parallel_tool_use", bool, "a boolean")
    if kind == "tool":
        name = check_text(choice, "name")
        if tools and all(tool.get("name") != name for tool in tools):
            raise Flaw("name", f"no tool is named {name!r}")
