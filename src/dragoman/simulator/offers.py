"""Tools and tool choice: names, duplicates, schemas, and whether a choice names something on offer.

It follows OpenAI's function calling guide. Shapes were checked by schema before; here are the rules that the
description does not state.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from dragoman.simulator.contract import Terms
from dragoman.simulator.parameters import strict_problem
from dragoman.simulator.refusal import Refused, breach, detail
from dragoman.wire import jsonio

NAME_PATTERN = "^[a-zA-Z0-9_-]+$"
_NAME = re.compile(NAME_PATTERN)
# Hosted tools that a Codex account cannot use.
_NOT_ON_CODEX = frozenset(
    {"file_search", "code_interpreter", "computer", "computer_use_preview", "image_generation"}
)
_NAMED = ("function", "custom", "namespace")


def check_choice(body: Mapping[str, Any], terms: Terms) -> None:
    """Raises Refused where the tool choice names nothing on offer; tools and items must be good already."""
    choice = body.get("tool_choice")
    if choice is not None:
        _check_choice(choice, [*(body.get("tools") or ()), *_added(body)], terms)


def check_tools(tools: Sequence[Mapping[str, Any]], path: str, terms: Terms) -> None:
    """The rules for one list of tools; names must differ within the list."""
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        where = f"{path}[{index}]"
        if terms.codex and tool["type"] in _NOT_ON_CODEX:
            raise detail("tools", f"Unsupported tool type: {tool['type']}")
        if tool["type"] not in _NAMED:
            continue
        _check_name(tool["name"], f"{where}.name", terms)
        if tool["name"] in seen:
            message = f"Invalid '{where}.name': duplicate tool name '{tool['name']}'."
            raise breach("duplicate_tool", message, param=f"{where}.name", code="invalid_value")
        seen.add(tool["name"])
        if tool["type"] == "namespace":
            check_tools(tool["tools"], f"{where}.tools", terms)
        elif tool["type"] == "function":
            _check_function(tool, where)


def names(tools: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Names of the client's own tools, also those inside namespaces."""
    for tool in tools:
        if tool["type"] in ("function", "custom"):
            yield str(tool["name"])
        elif tool["type"] == "namespace":
            yield from names(tool["tools"])


def check_name(name: str, path: str, terms: Terms) -> None:
    """A tool's name, in an offer or in a replayed call."""
    _check_name(name, path, terms)


def _check_name(name: str, path: str, terms: Terms) -> None:
    if not _NAME.match(name):
        message = (
            f"Invalid '{path}': string does not match pattern. "
            f"Expected a string that matches the pattern '{NAME_PATTERN}'."
        )
        raise breach("tool_name", message, param=path, code="invalid_value")
    limit = terms.switches.max_tool_name
    if len(name) > limit:
        message = (
            f"Invalid '{path}': string too long. Expected a string with maximum length {limit}, "
            f"but got a string with length {len(name)} instead."
        )
        raise breach("tool_name", message, param=path, code="string_above_max_length")


def _check_function(tool: Mapping[str, Any], where: str) -> None:
    schema = tool.get("parameters")
    problem = _schema_problem(jsonio.dump(schema)) if schema else None
    if problem is None and tool.get("strict"):
        problem = strict_problem(schema)
    if problem:
        message = f"Invalid schema for function '{tool['name']}': {problem}"
        raise breach("tool_schema", message, param=f"{where}.parameters", code="invalid_function_parameters")


@lru_cache(maxsize=1024)
def _schema_problem(raw: bytes) -> str | None:
    """Why a function's parameters are no JSON Schema of an object, or None."""
    # Imported here: only a server that checks tools needs it, and it is slow to import.
    from jsonschema import Draft202012Validator, SchemaError

    schema = jsonio.parse(raw)
    if schema.get("type") != "object":
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'."
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        path = ".".join(str(step) for step in error.absolute_path)
        return f"In context=({path}), {error.message[:200]}"
    return None


def _added(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Tools that arrived in the middle of the conversation."""
    items = body.get("input")
    if not isinstance(items, list):
        return []
    return [
        tool
        for item in items
        if item.get("type") in ("additional_tools", "tool_search_output")
        for tool in item.get("tools") or ()
    ]


def _check_choice(choice: Any, tools: Sequence[Mapping[str, Any]], terms: Terms) -> None:
    if choice in ("auto", "none"):
        return
    if not tools:
        message = "Tool choice is only allowed when 'tools' are specified."
        raise breach("tool_choice", message, param="tool_choice", code="invalid_value")
    if choice == "required":
        return
    if choice["type"] == "allowed_tools":
        for allowed in choice["tools"]:
            _find(allowed, tools)
    else:
        _find(choice, tools)


def _find(choice: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> None:
    kind = choice.get("type")
    if kind in ("function", "custom"):
        if choice.get("name") not in list(names(tools)):
            raise _absent(f"{choice.get('name')}")
    elif not any(_same_kind(str(kind), tool) for tool in tools):
        raise _absent(f"{kind}")


def _same_kind(kind: str, tool: Mapping[str, Any]) -> bool:
    offered = str(tool["type"])
    return offered == kind or (kind.startswith("web_search") and offered.startswith("web_search"))


def _absent(name: str) -> Refused:
    message = f"Tool choice '{name}' not found in 'tools' parameter."
    return breach("tool_choice", message, param="tool_choice", code="invalid_value")
