"""Where explicit cache breakpoints are set."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings

from dragoman.translate.messages.breakpoints import MARK, MOST, set_breakpoints
from dragoman.translate.messages.plan import Identity
from dragoman.translate.messages.request import translate
from dragoman.wire import jsonio
from tests.support.requests import policy, requests, target


def item(role: str, *texts: str) -> dict[str, Any]:
    return {
        "type": "message",
        "role": role,
        "content": [{"type": "input_text", "text": text} for text in texts],
    }


def marked(items: list[dict[str, Any]]) -> list[str]:
    return [
        part["text"]
        for one in items
        for part in (one.get("content") or one.get("output") or ())
        if isinstance(part, dict) and MARK in part
    ]


CALL = {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}


def test_system_end_and_the_item_before_the_last() -> None:
    """behaviours C20"""
    items = [item("developer", "a", "b"), item("user", "c"), CALL, item("user", "d")]
    set_breakpoints(items, [])
    assert marked(items) == ["b", "c"]


def test_strings_and_calls_carry_no_mark() -> None:
    """Only input parts can. behaviours C20"""
    items = [{"type": "message", "role": "assistant", "content": "x"}, CALL, item("user", "d")]
    set_breakpoints(items, [])
    assert marked(items) == []
    set_breakpoints([], [])


def test_the_clients_deepest_mark_goes_before_the_item_before_the_last() -> None:
    items = [
        item("developer", "s"),
        item("user", "c"),
        item("developer", "i"),
        item("user", "d"),
        item("user", "e"),
    ]
    set_breakpoints(items, [items[1]["content"][0]])
    assert marked(items) == ["s", "c", "i"]


def test_a_mark_at_the_very_end_is_implicit_for_what_is_a_boundary_itself() -> None:
    ending = [item("user", "a"), item("user", "b")]
    set_breakpoints(ending, [ending[1]["content"][0]])
    assert marked(ending) == ["a"]
    output = [
        item("user", "a"),
        {"type": "function_call_output", "call_id": "c", "output": item("user", "o")["content"]},
    ]
    set_breakpoints(output, [output[1]["output"][0]])
    assert marked(output) == ["a"]
    instruction = [item("user", "a"), item("developer", "b")]
    set_breakpoints(instruction, [instruction[1]["content"][0]])
    assert marked(instruction) == ["a", "b"]


@given(requests("gpt-5.6"))
@settings(max_examples=50, deadline=None)
def test_never_more_than_the_budget_and_never_in_the_wrong_mode(body: dict[str, Any]) -> None:
    """Explicit mode stands for no caching at all, so it has no mark. behaviours C20"""
    sent = translate(copy.deepcopy(body), target(model="gpt-5.6"), policy(), Identity(), {}).body
    count = jsonio.dump(sent).count(MARK.encode())
    assert count <= MOST
    if sent["prompt_cache_options"] == {"mode": "explicit"}:
        assert count == 0 and "tools" not in sent
