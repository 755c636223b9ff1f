"""What is refused, by the path of the field, and what is let pass."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.translate.messages.validate import MOST_MESSAGES, validate
from dragoman.wire.errors import Kind, Refused
from tests.support.requests import MARK, PDF, PNG, request, tool

USE = {"type": "tool_use", "id": "c", "name": "n", "input": {}}


def user(*blocks: Any) -> dict[str, Any]:
    return request([{"role": "user", "content": list(blocks)}])


def assistant(*blocks: Any) -> dict[str, Any]:
    return request([{"role": "user", "content": "x"}, {"role": "assistant", "content": list(blocks)}])


def image(**source: Any) -> dict[str, Any]:
    return user({"type": "image", "source": source})


def document(**source: Any) -> dict[str, Any]:
    return user({"type": "document", "source": source})


def tools(*entries: Any, **fields: Any) -> dict[str, Any]:
    return request(tools=list(entries), **fields)


def change(tool: Any) -> dict[str, Any]:
    return user({"type": "tool_addition", "tool": tool})


B = "messages.0.content.0"
A = "messages.1.content.0"
SERVER = {"type": "url", "name": "s", "url": "https://s.example"}

REFUSED: list[tuple[Any, str]] = [
    # The request itself.
    ([], "must be an object"),
    ({}, "model: is required"),
    (request(model=""), "model: must not be empty"),
    (request(model=" \n"), "model: must not be blank"),
    (request(model=5), "model: must be a string"),
    (request(max_tokens=-1), "max_tokens: must be at least 0"),
    (request(max_tokens="5"), "max_tokens: must be an integer"),
    (request(max_tokens=True), "max_tokens: must be an integer"),
    (request(max_tokens=1.0), "max_tokens: must be an integer"),
    (request(max_tokens=None), "max_tokens: is required"),
    (request([]), "messages: must have at least one message"),
    (request({}), "messages: must be an array"),
    (request(None), "messages: must be an array"),
    (request([None] * (MOST_MESSAGES + 1)), "messages: must have at most 100000 messages"),
    (request([5]), "messages.0: must be an object"),
    (
        request([{"role": "developer", "content": "x"}]),
        "messages.0.role: must be one of user, assistant, system",
    ),
    (request([{"content": "x"}]), "messages.0.role: must be one of user, assistant, system"),
    (request([{"role": "user"}]), "messages.0.content: must be a string or an array of content blocks"),
    (request([{"role": "system"}]), "messages.0.content: must be a string or an array of content blocks"),
    (request(stream="yes"), "stream: must be a boolean"),
    (request(temperature=1.1), "temperature: must be between 0 and 1"),
    (request(temperature=-0.1), "temperature: must be between 0 and 1"),
    (request(temperature=True), "temperature: must be a number"),
    (request(top_p="1"), "top_p: must be a number"),
    (request(top_k=-1), "top_k: must be at least 0"),
    (request(stop_sequences="END"), "stop_sequences: must be an array"),
    (request(stop_sequences=["END", 5]), "stop_sequences.1: must be a string"),
    (request(stop_sequences=["END", ""]), "stop_sequences.1: must not be empty"),
    (request(metadata="x"), "metadata: must be an object"),
    (request(metadata={"user_id": 5}), "metadata.user_id: must be a string"),
    (request(service_tier="gold"), "service_tier: must be one of auto, standard_only"),
    (request(speed=1), "speed: must be a string"),
    (request(diagnostics="x"), "diagnostics: must be an object"),
    # System, cache marks.
    (request(system=5), "system: must be an array"),
    (request(system=["x"]), "system.0: must be an object"),
    (request(system=[{"type": "image"}]), "system.0.type: must be text"),
    (request(system=[{"type": "text"}]), "system.0.text: is required"),
    (request(system=[{"type": "text", "text": 5}]), "system.0.text: must be a string"),
    (request(cache_control="x"), "cache_control: must be an object"),
    (request(cache_control={"type": "other"}), "cache_control.type: must be ephemeral"),
    (
        request(system=[{"type": "text", "text": "x", "cache_control": {**MARK, "ttl": "2h"}}]),
        "system.0.cache_control.ttl: must be one of 5m, 1h",
    ),
    (
        user(*[{"type": "text", "text": "x", "cache_control": MARK}] * 5),
        "messages.0.content.4.cache_control: at most 4 blocks may be marked",
    ),
    # Thinking, effort, output.
    (request(thinking="on"), "thinking: must be an object"),
    (request(thinking={}), "thinking.type: must be one of enabled, adaptive, disabled"),
    (request(thinking={"type": "on"}), "thinking.type: must be one of enabled, adaptive, disabled"),
    (request(thinking={"type": "enabled"}), "thinking.budget_tokens: is required"),
    (
        request(thinking={"type": "enabled", "budget_tokens": 1023}),
        "thinking.budget_tokens: must be at least 1024",
    ),
    (request(thinking={"type": "adaptive", "display": 1}), "thinking.display: must be a string"),
    (request(output_config=5), "output_config: must be an object"),
    (
        request(output_config={"effort": "hgih"}),
        "output_config.effort: must be one of none, minimal, low, medium, high, xhigh, max",
    ),
    (request(output_config={"effort": 5}), "output_config.effort: must be a string"),
    (request(output_config={"task_budget": 5}), "output_config.task_budget: must be an object"),
    (request(output_config={"format": {"type": "xml"}}), "output_config.format.type: must be json_schema"),
    (request(output_format={"type": "json_schema"}), "output_format.schema: must be an object"),
    (request(reasoning=5), "reasoning: must be an object"),
    (request(reasoning={"effort": 5}), "reasoning.effort: must be a string"),
    (request(reasoningEffort=5), "reasoningEffort: must be a string"),
    (request(reasoning_effort=[]), "reasoning_effort: must be a string"),
    (request(prompt_cache_retention=5), "prompt_cache_retention: must be a string"),
    (request(promptCacheRetention={}), "promptCacheRetention: must be a string"),
    # Blocks.
    (user(5), f"{B}: must be an object"),
    (user({}), f"{B}.type: is required"),
    (user({"type": ["text"]}), f"{B}.type: is required"),
    (user({"type": "hologram"}), f"{B}.type: a block of type 'hologram' is not supported (user)"),
    (user(USE), f"{B}.type: a block of type 'tool_use' cannot stand here (user)"),
    (user({"type": "thinking"}), f"{B}.type: a block of type 'thinking' cannot stand here (user)"),
    (
        assistant({"type": "tool_result"}),
        f"{A}.type: a block of type 'tool_result' cannot stand here (assistant)",
    ),
    (assistant({"type": "image"}), f"{A}.type: a block of type 'image' cannot stand here (assistant)"),
    (user({"type": "text", "text": None}), f"{B}.text: must be a string"),
    (user({"type": "text", "text": "x", "cache_control": 5}), f"{B}.cache_control: must be an object"),
    (user({"type": "image"}), f"{B}.source: must be an object"),
    (
        image(type="base64", media_type="image/tiff", data="QQ=="),
        f"{B}.source.media_type: must be one of image/jpeg, image/png, image/gif, image/webp",
    ),
    (image(type="base64", data="QQ=="), f"{B}.source.media_type: is required"),
    (image(type="base64", media_type="image/png"), f"{B}.source.data: is required"),
    (image(type="base64", media_type="image/png", data=""), f"{B}.source.data: must not be empty"),
    (
        image(type="base64", media_type="image/png", data="data:image/png;base64,QQ=="),
        f"{B}.source.data: must be base64",
    ),
    (image(type="base64", media_type="image/png", data="Q" * 400 + "é"), f"{B}.source.data: must be base64"),
    (image(type="base64", media_type="image/png", data="Q" * 400 + "\n"), f"{B}.source.data: must be base64"),
    (image(type="url", url="file:///etc/passwd"), f"{B}.source.url: must be an http or https URL"),
    (image(type="url", url="http://"), f"{B}.source.url: must be an http or https URL"),
    (image(type="url", url="https://a b"), f"{B}.source.url: must be an http or https URL"),
    (image(type="url"), f"{B}.source.url: must be an http or https URL"),
    (
        image(type="file", file_id="f"),
        f"{B}.source: uploaded files are not available; send the data or a URL",
    ),
    (image(type="ftp"), f"{B}.source.type: must be one of base64, url, text, content"),
    (
        document(type="base64", media_type="text/csv", data="QQ=="),
        f"{B}.source.media_type: must be application/pdf",
    ),
    (document(type="url", url="javascript:x"), f"{B}.source.url: must be an http or https URL"),
    (document(type="text"), f"{B}.source.data: is required"),
    (document(type="content"), f"{B}.source.content: must be an array"),
    (
        document(type="content", content=[{"type": "document"}]),
        f"{B}.source.content.0.type: a block of type 'document' cannot stand here (document)",
    ),
    (document(type="file"), f"{B}.source: uploaded files are not available; send the data or a URL"),
    (user({"type": "document", "title": 5, "source": {}}), f"{B}.title: must be a string"),
    (user({"type": "search_result", "source": "s", "title": "t"}), f"{B}.content: must be an array"),
    (
        user({"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text"}]}),
        f"{B}.content.0.text: is required",
    ),
    (user({"type": "tool_result"}), f"{B}.tool_use_id: is required"),
    (user({"type": "tool_result", "tool_use_id": "c", "is_error": 1}), f"{B}.is_error: must be a boolean"),
    (user({"type": "tool_result", "tool_use_id": "c", "content": 5}), f"{B}.content: must be an array"),
    (
        user({"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": 5}]}),
        f"{B}.content.0.text: must be a string",
    ),
    (
        user({"type": "tool_result", "tool_use_id": "c", "content": [{"type": "tool_reference"}]}),
        f"{B}.content.0.tool_name: is required",
    ),
    (assistant({**USE, "id": ""}), f"{A}.id: must not be empty"),
    (assistant({**USE, "name": None}), f"{A}.name: must be a string"),
    (assistant({**USE, "input": "{}"}), f"{A}.input: must be an object"),
    (assistant({"type": "thinking", "signature": 5}), f"{A}.signature: must be a string"),
    (assistant({"type": "redacted_thinking", "data": 5}), f"{A}.data: must be a string"),
    (
        assistant({"type": "web_search_tool_result", "tool_use_id": "s", "content": [5]}),
        f"{A}.content.0: must be an object",
    ),
    (assistant({"type": "web_search_tool_result", "tool_use_id": "s"}), f"{A}.content: must be an array"),
    (assistant({"type": "compaction", "content": 5}), f"{A}.content: must be a string"),
    (
        assistant({"type": "compaction", "tool_changes": [{"type": "text"}]}),
        f"{A}.tool_changes.0.type: a block of type 'text' cannot stand here (compaction)",
    ),
    (
        user({"type": "mid_conv_system", "content": [{"type": "image"}]}),
        f"{B}.content.0.type: a block of type 'image' cannot stand here (mid_conv_system)",
    ),
    (change(None), f"{B}.tool: must be an object"),
    (change({}), f"{B}.tool.type: is required"),
    (change({"type": "tool_reference"}), f"{B}.tool.name: is required"),
    (change({"type": "tool_definition"}), f"{B}.tool.definition: must be an object"),
    (
        change({"type": "tool_definition", "definition": {"name": "x"}}),
        f"{B}.tool.definition.input_schema: is required",
    ),
    (
        change({"type": "tool_definition", "definition": {"type": "later_2030"}}),
        f"{B}.tool.definition.name: is required",
    ),
    # Tools.
    (request(tools={"a": 1}), "tools: must be an array"),
    (tools(5), "tools.0: must be an object"),
    (tools({"type": 5}), "tools.0.type: must be a string"),
    (tools({}), "tools.0.name: is required"),
    (tools(tool("a\tb")), "tools.0.name: must not have whitespace or control characters"),
    (tools(tool("a\x7f")), "tools.0.name: must not have whitespace or control characters"),
    (tools({"name": "a"}), "tools.0.input_schema: is required"),
    (tools({"name": "a", "input_schema": True}), "tools.0.input_schema: must be an object"),
    (tools({"name": "a", "input_schema": {"type": "string"}}), "tools.0.input_schema.type: must be object"),
    (tools(tool("a", description=5)), "tools.0.description: must be a string"),
    (tools(tool("a", strict="yes")), "tools.0.strict: must be a boolean"),
    (tools(tool("a", defer_loading=1)), "tools.0.defer_loading: must be a boolean"),
    (tools(tool("a", input_examples=[5])), "tools.0.input_examples.0: must be an object"),
    (tools(tool("a"), tool("a")), "tools.1.name: must differ from the names of all other tools"),
    (tools(tool("a", cache_control={"type": "x"})), "tools.0.cache_control.type: must be ephemeral"),
    (tools({"type": "bash_20250124"}), "tools.0.name: is required"),
    (tools({"type": "web_search_20250305"}), "tools.0.name: is required"),
    (
        tools({"type": "web_search_20250305", "name": "w", "max_uses": 0}),
        "tools.0.max_uses: must be at least 1",
    ),
    (
        tools({"type": "web_search_20250305", "name": "w", "allowed_domains": [5]}),
        "tools.0.allowed_domains.0: must be a string",
    ),
    (
        tools(
            {"type": "web_search_20250305", "name": "w", "allowed_domains": ["a"], "blocked_domains": ["b"]}
        ),
        "tools.0.blocked_domains: cannot be used together with allowed_domains",
    ),
    (
        tools({"type": "web_search_20250305", "name": "w", "user_location": {"city": 5}}),
        "tools.0.user_location.city: must be a string",
    ),
    (
        tools({"type": "code_execution_20250522", "name": "c"}),
        "tools.0.type: a tool of type 'code_execution_20250522' cannot be run here; let the client run it",
    ),
    (
        tools({"type": "later_2030", "name": "c"}),
        "tools.0.type: a tool of type 'later_2030' is not supported",
    ),
    (tools({"type": "mcp_toolset"}), "tools.0.mcp_server_name: is required"),
    (
        tools({"type": "mcp_toolset", "mcp_server_name": "s", "configs": {"a": 5}}, mcp_servers=[SERVER]),
        "tools.0.configs.a: must be an object",
    ),
    (
        tools({"type": "mcp_toolset", "mcp_server_name": "x"}, mcp_servers=[SERVER]),
        "tools.0.mcp_server_name: names no server of mcp_servers",
    ),
    (request(mcp_servers=5), "mcp_servers: must be an array"),
    (request(mcp_servers=[5]), "mcp_servers.0: must be an object"),
    (request(mcp_servers=[{**SERVER, "url": "ssh://x"}]), "mcp_servers.0.url: must be an http or https URL"),
    (
        request(mcp_servers=[{**SERVER, "authorization_token": 5}]),
        "mcp_servers.0.authorization_token: must be a string",
    ),
    (
        request(mcp_servers=[{**SERVER, "tool_configuration": {"allowed_tools": [5]}}]),
        "mcp_servers.0.tool_configuration.allowed_tools.0: must be a string",
    ),
    (
        request(mcp_servers=[SERVER, SERVER]),
        "mcp_servers.1.name: must differ from the names of all other servers",
    ),
    (request(tool_choice="auto"), "tool_choice: must be an object"),
    (request(tool_choice={}), "tool_choice.type: must be one of auto, any, tool, none"),
    (
        request(tool_choice={"type": "auto", "disable_parallel_tool_use": 1}),
        "tool_choice.disable_parallel_tool_use: must be a boolean",
    ),
    (tools(tool("a"), tool_choice={"type": "tool"}), "tool_choice.name: is required"),
    (tools(tool("a"), tool_choice={"type": "tool", "name": "b"}), "tool_choice.name: no tool is named 'b'"),
]


@pytest.mark.parametrize(("body", "message"), REFUSED, ids=[message[:60] for _, message in REFUSED])
def test_a_wrong_field_is_refused_by_its_path(body: Any, message: str) -> None:
    """B21, B25, B38, B45, B47, B80, D26, D27, D28"""
    with pytest.raises(Refused) as refusal:
        validate(body)
    assert refusal.value.failure.kind is Kind.INVALID_REQUEST
    assert refusal.value.failure.message == message


LENIENT: list[Any] = [
    user({"type": "hologram"}),
    assistant({"type": "hologram"}),
    image(type="file", file_id="f"),
    document(type="file", file_id="f"),
    tools({"type": "web_fetch_20250910", "name": "w"}),
    tools({"type": "later_2030"}),
    tools({"type": "mcp_toolset", "mcp_server_name": "x"}),
]


@pytest.mark.parametrize("body", LENIENT)
def test_what_cannot_be_honoured_passes_only_when_lenient(body: Any) -> None:
    """A setting of the operator. B25, B47"""
    validate(body, lenient=True)
    with pytest.raises(Refused):
        validate(body)


ACCEPTED: list[Any] = [
    request(max_tokens=0),
    request(stream=None, temperature=None, thinking=None, tools=None, tool_choice=None, system=None),
    request(output_config={"effort": None, "format": None, "later": 1}, output_format=None),
    request(temperature=1, top_p=0.0, top_k=5, stop_sequences=[" "]),
    request(thinking={"type": "enabled", "budget_tokens": 1024, "display": "updates"}),
    request(reasoningEffort="  ", reasoning={"effort": "Ultra", "summary": "auto"}),
    request(brand_new_field={"a": 1}, metadata={"user_id": None, "other": 1}),
    request(
        system=[{"type": "text", "text": "x", "cache_control": {**MARK, "ttl": "1h", "scope": "global"}}]
    ),
    request(cache_control=MARK, system=[{"type": "text", "text": "x", "cache_control": MARK}] * 4),
    request([{"role": "system", "content": "x"}, {"role": "assistant", "content": []}]),
    request([{"role": "system", "output_config": {}}]),
    user({"type": "text", "text": "x", "citations": None, "later": 1}, {"type": "fallback"}),
    image(type="base64", media_type="image/webp", data=PNG),
    image(type="base64", media_type="image/png", data="Q" * 5000 + "=="),
    image(type="url", url="HTTPS://example.com/a?b=c#d"),
    document(type="base64", media_type="application/pdf", data=PDF),
    document(type="content", content="x"),
    user({"type": "tool_result", "tool_use_id": "c", "content": None, "is_error": None}),
    user({"type": "tool_result", "tool_use_id": "c", "content": [{"type": "browser_state", "tabs": []}]}),
    assistant({"type": "thinking", "thinking": "x"}, {"type": "redacted_thinking"}),
    assistant(
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": {"error_code": "unavailable"}}
    ),
    assistant({"type": "code_execution_tool_result"}, {"type": "mcp_tool_use", "id": 5}),
    change({"type": "mcp_toolset_reference", "server_name": "s"}),
    tools({"type": "custom", "name": "größe", "input_schema": {"type": ["object"]}, "later": 1}),
    tools({"type": "bash_20990101", "name": "bash"}, {"type": "advisor_20260301"}),
    tools(tool_choice={"type": "tool", "name": "x"}),
    tools({"type": "mcp_toolset", "mcp_server_name": "s"}, mcp_servers=[SERVER]),
]


@pytest.mark.parametrize("body", ACCEPTED)
def test_what_clients_send_is_accepted(body: Any) -> None:
    """Unknown members, nulls, later fields: extra is never an error. B1, B19, B22"""
    validate(body)
    validate(body, lenient=True)
