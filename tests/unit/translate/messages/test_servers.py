"""Calls of MCP servers that the upstream made."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.wire.grammar import Grammar, GrammarError
from tests.support.streams import completed, context, created, done, run

SERVERS = {"plan": {"mcp_servers": {"docs": "Docs server"}}}


def call(**fields: Any) -> dict[str, Any]:
    base = {"type": "mcp_call", "id": "mcp_1", "server_label": "docs", "name": "lookup", "arguments": "{}"}
    return base | {"output": "found", "error": None, "status": "completed"} | fields


def result(item: dict[str, Any]) -> dict[str, Any]:
    answer = run([created(), done(0, item), completed()], context(**SERVERS))
    blocks: list[dict[str, Any]] = answer.message["content"]
    assert [block["type"] for block in blocks] == ["mcp_tool_use", "mcp_tool_result"]
    assert blocks[0]["server_name"] == "Docs server"
    assert blocks[1]["tool_use_id"] == blocks[0]["id"]
    assert answer.message["stop_reason"] == "end_turn"
    return {**blocks[1], "input": blocks[0]["input"]}


@pytest.mark.parametrize(
    ("fields", "is_error", "text"),
    [
        ({}, False, "found"),
        ({"output": None}, False, None),
        ({"error": "it broke", "output": None}, True, "it broke"),
        ({"error": {"message": "no"}}, True, "no"),
        ({"error": {"content": "no content"}}, True, "no content"),
        ({"error": {"code": 7}}, True, '{"code":7}'),
        ({"status": "failed", "output": None}, True, "The call failed."),
        ({"status": "incomplete", "output": None}, True, "The call failed."),
    ],
)
def test_the_result_says_what_became_of_the_call(
    fields: dict[str, Any], is_error: bool, text: str | None
) -> None:
    found = result(call(**fields))
    assert found["is_error"] is is_error
    assert found["content"] == ([] if text is None else [{"type": "text", "text": text}])


@pytest.mark.parametrize(
    ("arguments", "expected"), [('{"a": 1}', {"a": 1}), ("{", {}), ("[1]", {}), (None, {}), ("", {})]
)
def test_arguments_that_are_no_object_become_an_empty_one(arguments: Any, expected: dict[str, Any]) -> None:
    assert result(call(arguments=arguments))["input"] == expected


@pytest.mark.parametrize("fields", [{"server_label": "other"}, {"server_label": None}, {"name": 3}])
def test_what_the_client_did_not_offer_stays_hidden(fields: dict[str, Any]) -> None:
    """D22: counted, never shown, and no turn by itself."""
    answer = run([created(), done(0, call(**fields)), completed()], context(**SERVERS))
    assert answer.automaton.outcome.hidden == {"mcp_call": 1}
    assert answer.automaton.failure is not None


def test_an_unfinished_call_is_not_shown() -> None:
    added = {"type": "response.output_item.added", "output_index": 0, "item": call(output=None)}
    answer = run([created(), added, completed()], context(**SERVERS))
    assert "content_block_start" not in answer.kinds


def start(block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": 0, "content_block": block}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "mcp_tool_result", "tool_use_id": "none", "is_error": False, "content": []},
        {"type": "mcp_tool_use", "id": "a", "name": "n", "server_name": "s", "input": {"x": 1}},
    ],
)
def test_the_grammar_knows_the_blocks(block: dict[str, Any]) -> None:
    answer = run([created(), done(0, call()), completed()], context(**SERVERS))
    grammar = Grammar()
    grammar.check(answer.events[0])
    with pytest.raises(GrammarError):
        grammar.check(start(block))
