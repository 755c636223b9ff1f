"""What each kind and family takes, and what is left after a 400."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dragoman.translate.capability import canonical, capability, learnable
from dragoman.translate.models import profile


def test_the_kinds_differ_where_their_servers_do() -> None:
    """D6, behaviours C20, C24"""
    api, chatgpt, other = (
        capability(kind, profile("gpt-5.5")) for kind in ("openai", "chatgpt", "responses")
    )
    assert api.max_output_tokens and other.max_output_tokens and not chatgpt.max_output_tokens
    assert api.item_ids and other.item_ids and not chatgpt.item_ids
    assert api.retention == ("24h",) and not chatgpt.retention and not other.retention
    assert chatgpt.instructions and not api.instructions
    assert not chatgpt.sampling_unthinking
    assert chatgpt.system == "instructions"


def test_breakpoints_are_for_the_public_api_and_newer_models_alone() -> None:
    """There the system prompt is a developer message, elsewhere instructions. behaviours C20"""
    for kind, model, able in (
        ("openai", "gpt-5.6", True),
        ("openai", "gpt-5.5", False),
        ("chatgpt", "gpt-5.6", False),
        ("responses", "gpt-5.6", False),
    ):
        known = capability(kind, profile(model))
        assert known.breakpoints is able
        assert known.system == ("developer" if able else "instructions")


def test_the_chatgpt_backend_has_no_minimal_effort() -> None:
    assert capability("chatgpt", profile("gpt-5")).efforts == ("low", "medium", "high")
    assert capability("openai", profile("gpt-5")).efforts == ("minimal", "low", "medium", "high")


def test_retention_by_family() -> None:
    """B113"""
    assert capability("openai", profile("gpt-5.1")).retention == ("in_memory", "24h")
    assert capability("openai", profile("unheard-of")).retention == ()


@pytest.mark.parametrize(
    ("param", "name"),
    [
        ("temperature", "temperature"),
        ("input[3].content[0].prompt_cache_breakpoint", "prompt_cache_breakpoint"),
        ("input[3].output[1].prompt_cache_breakpoint", "prompt_cache_breakpoint"),
        ("input.3.output", "input.output"),
        ("tools[0].parameters", "tools.parameters"),
        ("include[0]", "include"),
        (" reasoning_effort ", "reasoning.effort"),
        ("input[4].type", "additional_tools"),
    ],
)
def test_a_parameter_is_known_by_its_name_without_places(param: str, name: str) -> None:
    """B87"""
    assert canonical(param) == name
    assert learnable(param)


def test_what_cannot_be_left_out_is_not_learnt() -> None:
    for param in ("input", "model", "input[0].content", "stream", ""):
        assert not learnable(param)


def test_each_refusal_takes_away_what_it_named_and_nothing_else() -> None:
    """B87, D6"""
    known = capability("openai", profile("gpt-5.6"))
    changes: dict[str, dict[str, Any]] = {
        "temperature": {"sampling": False, "sampling_unthinking": False},
        "prompt_cache_options.mode": {"breakpoints": False},
        "tool_choice": {"tool_choice": False, "allowed_tools": False},
        "reasoning.summary": {"summary": False},
        "unheard_of": {},
    }
    for param, change in changes.items():
        assert capability("openai", profile("gpt-5.6"), frozenset({param})) == replace(known, **change)


def test_a_refused_effort_leaves_the_plain_levels_of_a_known_model() -> None:
    """The value was refused; a model nobody knows may not have the parameter at all."""
    learnt = frozenset({"reasoning.effort"})
    assert capability("chatgpt", profile("gpt-5.5"), learnt).efforts == ("low", "medium", "high")
    assert capability("responses", profile("llama-9"), learnt).efforts == ()
