"""The offer of tools while a request is read, and its order over turns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.translate.messages.plan import Target
from dragoman.translate.messages.tools import Offer, stable_order
from dragoman.wire.errors import Refused
from tests.support.requests import policy, target, tool

WEB = {"type": "web_search_20250305", "name": "web_search"}


def offer(*tools: Any, on: Target | None = None, lenient: bool = False, **request: Any) -> Offer:
    made = Offer(on or target(), policy(lenient=lenient))
    made.read({"tools": list(tools), **request})
    return made


def names(tools: list[dict[str, Any]]) -> list[str]:
    return [one.get("name") or one["type"] for one in tools]


def test_a_schema_is_passed_on_itself_not_copied() -> None:
    """Users' schemas are never re-modelled. B49"""
    given_schema = {"type": "object", "properties": {}}
    made = offer({"name": "a", "input_schema": given_schema}).head[0]
    assert made["parameters"] is given_schema
    assert list(made) == ["type", "name", "parameters", "strict"] and made["strict"] is False


def test_a_deferred_tool_is_outside_the_list_until_it_is_referenced() -> None:
    """Where tools can be added in the input the list never changes. behaviours C3, C4"""
    made = offer(tool("a"), tool("late", defer_loading=True), tool("b"))
    assert names(made.finish(())) == ["a", "b"]
    loaded = made.load("late")
    assert loaded is not None and loaded["name"] == "late"
    assert made.load("late") is None and made.load("unknown") is None
    assert names(made.finish(())) == ["a", "b"]


def test_where_nothing_can_be_added_loaded_tools_come_last() -> None:
    """In the order of first reference. behaviours C4"""
    tools = (tool("x", defer_loading=True), tool("a"), tool("y", defer_loading=True))
    made = offer(*tools, on=target("chatgpt"))
    assert made.load("y") is None
    assert names(made.finish(())) == ["a", "y"]
    made.load("x")
    assert names(made.finish(())) == ["a", "y", "x"]


def test_a_second_web_search_is_passed_over() -> None:
    made = offer(WEB, {**WEB, "name": "again"})
    assert names(made.finish(())) == ["web_search"]
    assert made.ignored == ["tools.1"]


def test_hosted_tools_that_an_upstream_refused_are_refused_here() -> None:
    """behaviours C7"""
    without = target("responses", "llama-9", learnt=frozenset({"tools[0].type"}))
    with pytest.raises(Refused, match=r"^tools\.0: web search is not available on this upstream$"):
        offer(WEB, on=without)
    made = offer(WEB, on=without, lenient=True)
    assert made.head == [] and made.ignored == ["tools.0"]


def test_mcp_servers_by_their_toolsets() -> None:
    """B47"""
    server = {"type": "url", "name": "s", "url": "https://s.example"}
    every = {"type": "mcp_toolset", "mcp_server_name": "s", "configs": {"a": {"enabled": True}, "b": {}}}
    made = offer(every, mcp_servers=[server])
    assert "allowed_tools" not in made.head[0] and made.ignored == []
    only = {**every, "default_config": {"enabled": False}}
    assert offer(only, mcp_servers=[server]).head[0]["allowed_tools"] == ["a"]
    none = {**only, "configs": {}}
    assert offer(none, mcp_servers=[server]).head == []


def test_only_root_unions_go_where_the_schema_was_refused() -> None:
    refused = target(learnt=frozenset({"tools[3].parameters"}))
    inner = {"type": "object", "properties": {"a": {"anyOf": [{}]}}}
    made = offer({"name": "a", "input_schema": {**inner, "oneOf": [{}]}}, tool("b"), on=refused)
    assert made.head[0]["parameters"] == inner
    assert made.head[1]["parameters"] == {"type": "object", "properties": {"a": {}}}


def test_a_definition_inside_the_conversation_is_taken_once() -> None:
    """behaviours C6"""
    made = offer(tool("a"))
    assert made.define(tool("a"), "p") is None
    first = made.define(tool("new"), "p")
    assert first is not None and first["name"] == "new"
    assert made.define(tool("new"), "p") is None
    assert made.define({"type": "later_2030", "name": "z"}, "p") is None
    assert made.ignored == ["p"]


LISTS = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(LISTS, LISTS)
def test_the_order_of_a_former_turn_is_restored(now: list[str], before: list[str]) -> None:
    """What was there keeps its place, what is new follows in its own order. B108, behaviours C5"""
    tools = [{"type": "function", "name": name} for name in now]
    ordered = names(stable_order(tools, before))
    kept = [name for name in before if name in now]
    assert ordered == kept + [name for name in now if name not in before]
    assert stable_order(stable_order(tools, before), before) == stable_order(tools, before)


def test_hosted_tools_are_ordered_by_their_type() -> None:
    """B108"""
    made = offer(tool("a"), WEB, tool("b"))
    assert names(made.finish(["b", "web_search"])) == ["b", "web_search", "a"]
