"""Effort from everything that names one, and what becomes of max_tokens."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.translate.messages.effort import (
    Limits,
    asked_effort,
    limits,
    reasoning_field,
    shown_thinking,
    wanted_effort,
)
from tests.support.requests import policy, target

# From the strongest to the weakest source inside a request.
SOURCES: list[dict[str, Any]] = [
    {"output_config": {"effort": "low"}},
    {"reasoning": {"effort": "minimal"}},
    {"reasoning_effort": "medium"},
    {"reasoningEffort": "high"},
    {"thinking": {"type": "enabled", "budget_tokens": 64_000}},
]
LEVELS = ["low", "minimal", "medium", "high", "xhigh"]


@pytest.mark.parametrize("first", range(len(SOURCES)))
def test_the_stronger_source_wins(first: int) -> None:
    """B33, B34"""
    merged: dict[str, Any] = {}
    for source in SOURCES[first:]:
        merged.update(source)
    assert asked_effort(merged) == LEVELS[first]


@pytest.mark.parametrize(
    ("budget", "level"),
    [
        (1, "low"),
        (4_096, "low"),
        (4_097, "medium"),
        (16_384, "medium"),
        (16_385, "high"),
        (31_999, "high"),
        (32_000, "high"),
        (32_001, "xhigh"),
    ],
)
def test_budgets_stand_for_efforts(budget: int, level: str) -> None:
    """B31, behaviours C17"""
    assert asked_effort({"thinking": {"type": "enabled", "budget_tokens": budget}}) == level


def test_adaptive_and_absent_thinking_name_no_effort() -> None:
    """B31"""
    assert asked_effort({"thinking": {"type": "adaptive"}}) is None
    assert asked_effort({"output_config": {"effort": " "}, "reasoning": {}, "reasoningEffort": ""}) is None


def test_defaults_in_order() -> None:
    """The alias, then the key, then the server, then the model itself. B34"""
    aliased = target(alias_effort="high")
    full = policy(key_effort="medium", default_effort="low")
    assert wanted_effort({}, aliased, full) == "high"
    assert wanted_effort({}, target(), full) == "medium"
    assert wanted_effort({}, target(), policy(default_effort="low")) == "low"
    assert wanted_effort({}, target(), policy()) is None
    assert wanted_effort({"reasoningEffort": "none"}, aliased, full) == "none"


@pytest.mark.parametrize(
    ("thinking", "shown"),
    [
        (None, "unasked"),
        ({"type": "disabled"}, "off"),
        ({"type": "adaptive"}, "shown"),
        ({"type": "adaptive", "display": "updates"}, "shown"),
        ({"type": "enabled", "budget_tokens": 1024, "display": "summarized"}, "shown"),
        ({"type": "adaptive", "display": "omitted"}, "omitted"),
    ],
)
def test_what_the_client_sees_of_thinking(thinking: dict[str, Any] | None, shown: str) -> None:
    assert shown_thinking({"thinking": thinking}) == shown


@pytest.mark.parametrize(
    ("asked", "effort", "model", "kind", "expected"),
    [
        (4_096, "high", "gpt-5.5", "openai", Limits("high", 4_096, None)),
        (2_047, "high", "gpt-5.5", "openai", Limits("low", 2_047, None)),
        (2_047, None, "gpt-5.5", "openai", Limits("low", 2_047, None)),
        (511, "low", "gpt-5.5", "openai", Limits("none", 511, None)),
        (1, None, "gpt-5.5", "openai", Limits("none", 16, 1)),
        (100, "high", "gpt-5", "openai", Limits("minimal", 228, 100)),
        (200, "high", "gpt-5", "openai", Limits("minimal", 200, None)),
        (100, "high", "gpt-5-pro", "openai", Limits("high", 2_148, 100)),
        (1, None, "gpt-4.1", "openai", Limits(None, 16, 1)),
        (1_000_000, None, "gpt-4.1", "openai", Limits(None, 32_768, None)),
        (50, None, "llama-9", "responses", Limits(None, 50, None)),
        (50, "high", "gpt-5.5", "chatgpt", Limits("high", None, 50)),
        (None, "high", "gpt-5.5", "openai", Limits("high", None, None)),
    ],
)
def test_limits(asked: int | None, effort: str | None, model: str, kind: Any, expected: Limits) -> None:
    """B37, D6, behaviours T14"""
    request = {} if asked is None else {"max_tokens": asked}
    assert limits(request, effort, target(kind, model)) == expected


def test_the_summary_is_asked_for_unless_thinking_is_disabled() -> None:
    """behaviours C18"""
    assert reasoning_field({}, None, target()) == {"summary": "auto"}
    assert reasoning_field({"reasoning": {"summary": "odd"}}, "low", target()) == {
        "effort": "low",
        "summary": "auto",
    }
    assert reasoning_field({"thinking": {"type": "disabled"}}, "none", target()) == {"effort": "none"}
    assert reasoning_field({}, None, target(model="gpt-oss-20b")) == {}
    assert reasoning_field({}, "high", target(model="gpt-4.1")) == {}


@pytest.mark.parametrize(
    ("asked", "sent"),
    [("low", "low"), ("high", "medium"), ("max", "medium"), (None, "medium")],
)
def test_a_keys_ceiling_bounds_whatever_was_chosen(asked: str | None, sent: str) -> None:
    """A request that names nothing leaves the choice to the model: that is bounded, too."""
    request = {} if asked is None else {"output_config": {"effort": asked}}
    assert wanted_effort(request, target(), policy(max_effort="medium")) == sent


def test_a_ceiling_below_the_models_own_choice_is_sent() -> None:
    assert wanted_effort({}, target(), policy(max_effort="low")) == "low"


def test_what_a_key_enforces_goes_before_everything() -> None:
    request = {"output_config": {"effort": "high"}}
    assert wanted_effort(request, target(), policy(enforced_effort="low")) == "low"
    assert wanted_effort(request, target(), policy(enforced_effort="high", max_effort="low")) == "low"
