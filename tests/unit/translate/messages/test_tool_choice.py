"""The choice among tools, where the list itself must not change."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.translate.messages.plan import Target
from dragoman.translate.messages.tool_choice import Choice, choose
from dragoman.translate.messages.tools import Offer
from dragoman.wire.errors import Refused
from tests.support.requests import policy, target, tool

WEB = {"type": "web_search_20250305", "name": "web_search"}
SERVER = {"type": "url", "name": "srv", "url": "https://s.example"}


def choice(
    wanted: dict[str, Any] | None,
    *tools: Any,
    on: Target | None = None,
    removed: tuple[str, ...] = (),
    load: str = "",
    lenient: bool = False,
    **request: Any,
) -> Choice:
    on = on or target()
    offer = Offer(on, policy(lenient=lenient))
    offer.read({"tools": list(tools), **request})
    offer.load(load)
    offer.removed.update(removed)
    return choose(wanted, offer.finish(()), offer, on.capability, policy(lenient=lenient))


@pytest.mark.parametrize(
    ("wanted", "value"),
    [(None, "auto"), ({"type": "auto"}, "auto"), ({"type": "any"}, "required"), ({"type": "none"}, "none")],
)
def test_words(wanted: dict[str, Any] | None, value: str) -> None:
    """B44"""
    assert choice(wanted, tool("a")) == Choice(value)


def test_without_tools_there_is_no_choice() -> None:
    """behaviours C12"""
    assert choice({"type": "any"}) == Choice()


def test_a_removed_tool_is_kept_from_being_called() -> None:
    """The list stays, the others are allowed. behaviours C6"""
    tools = (tool("a"), WEB, tool("late", defer_loading=True), tool("b"))
    left = [
        {"type": "function", "name": "a"},
        {"type": "web_search"},
        {"type": "mcp", "server_label": "srv"},
        {"type": "function", "name": "late"},
    ]
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": left}
    made = choice(None, *tools, removed=("b",), load="late", mcp_servers=[SERVER])
    assert made == Choice(allowed)
    required = choice({"type": "any"}, *tools, removed=("b",), load="late", mcp_servers=[SERVER])
    assert required == Choice({**allowed, "mode": "required"})
    assert choice({"type": "none"}, *tools, removed=("b",)) == Choice("none")
    assert choice(None, tool("a"), tool("b"), removed=("b",), on=target("responses", "llama-9")) == Choice(
        "auto"
    )


def test_a_tool_is_chosen_by_its_upstream_name() -> None:
    """B44, B42"""
    made = choice({"type": "tool", "name": "a.b"}, tool("a.b"))
    assert isinstance(made.value, dict) and made.value["name"].startswith("a_b_")


def test_where_only_auto_is_taken_a_sentence_says_the_rest() -> None:
    bare = target("chatgpt", learnt=frozenset({"tool_choice"}))
    assert choice({"type": "auto"}, tool("a"), on=bare) == Choice("auto")
    assert choice({"type": "none"}, tool("a"), on=bare).hint == "Answer without calling any tool."
    assert (
        choice({"type": "tool", "name": "a"}, tool("a"), on=bare).hint == "Answer with a call of the tool a."
    )
    searching = choice({"type": "tool", "name": "web_search"}, WEB, tool("a"), on=bare)
    assert searching == Choice("auto", "Search the web before you answer.")


def test_a_tool_that_nobody_runs_cannot_be_forced() -> None:
    """B45"""
    advisor = {"type": "advisor_20260301", "name": "advisor"}
    with pytest.raises(Refused, match=r"^tool_choice\.name: "):
        choice({"type": "tool", "name": "advisor"}, advisor, tool("a"))
    assert choice({"type": "tool", "name": "advisor"}, advisor, tool("a"), lenient=True) == Choice("auto")
