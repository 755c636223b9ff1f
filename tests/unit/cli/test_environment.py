"""The table of variables: what is set for a plan, what is taken away, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from dragoman.cli.environment import (
    CONFLICTS,
    TABLE,
    Plan,
    applied,
    conflicting,
    unset,
    variables,
)

ROOT = Path(__file__).resolve().parents[3]
ALIASED = Plan(
    "http://127.0.0.1:8787",
    "sk-drg-key",
    tiers={"opus": "claude-opus-5-5", "sonnet": "claude-sonnet-5-5", "haiku": "claude-haiku-5-5"},
    window=272_000,
)
NAMED = Plan(
    "https://gateway.example",
    "sk-drg-key",
    "gpt-5.5",
    dict.fromkeys(("opus", "sonnet", "haiku", "fable"), "gpt-5.5"),
    "gpt-5.5",
    128_000,
)


def test_the_variables_of_a_gateway_with_aliases() -> None:
    assert variables(ALIASED) == {
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:8787",
        "ANTHROPIC_AUTH_TOKEN": "sk-drg-key",
        "ANTHROPIC_API_KEY": "",
        "ANTHROPIC_DEFAULT_OPUS_MODEL": "claude-opus-5-5",
        "ANTHROPIC_DEFAULT_SONNET_MODEL": "claude-sonnet-5-5",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "claude-haiku-5-5",
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "272000",
        "CLAUDE_CODE_AUTO_COMPACT_WINDOW": "272000",
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
        "ENABLE_TOOL_SEARCH": "true",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def test_upstream_names_are_said_for_every_tier_and_for_sub_agents() -> None:
    told = variables(NAMED)
    names = [
        "ANTHROPIC_MODEL",
        "ANTHROPIC_DEFAULT_OPUS_MODEL",
        "ANTHROPIC_DEFAULT_SONNET_MODEL",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL",
        "ANTHROPIC_DEFAULT_FABLE_MODEL",
        "CLAUDE_CODE_SUBAGENT_MODEL",
    ]
    assert {told[name] for name in names} == {"gpt-5.5"}
    assert told["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "128000"


def test_every_variable_has_one_row_and_a_reason() -> None:
    names = [row.name for row in TABLE]
    assert len(set(names)) == len(names)
    assert all(row.why for row in TABLE)
    assert all(CONFLICTS.values())
    assert not set(names) & set(CONFLICTS)


def test_the_guide_names_what_is_set_and_what_is_taken_away() -> None:
    page = (ROOT / "docs" / "claude-code.md").read_text(encoding="utf-8")
    tier = re.compile(r"(?<=ANTHROPIC_DEFAULT_)(OPUS|SONNET|HAIKU|FABLE)(?=_MODEL)")
    for row in TABLE:
        assert f"`{tier.sub('{OPUS,SONNET,HAIKU,FABLE}', row.name)}`" in page, row.name
    implied = ("CLAUDE_CODE_USE_", "ANTHROPIC_SERVICE", "ANTHROPIC_WORKSPACE", "ANTHROPIC_IDENTITY")
    for name in CONFLICTS:
        assert name.startswith((*implied, "ANTHROPIC_ORGANIZATION")) or f"`{name}`" in page, name


def test_what_would_lead_elsewhere_is_taken_away() -> None:
    """The known names, and switches of providers that do not exist yet."""
    found = conflicting({"PATH", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_SOMETHING_NEW", *CONFLICTS})
    assert set(found) == {*CONFLICTS, "CLAUDE_CODE_USE_SOMETHING_NEW"}
    assert found == sorted(found)


def test_the_environment_of_the_process() -> None:
    """Foreign variables stay, conflicts and stale choices go, a stray key is emptied."""
    before = {
        "PATH": "/bin",
        "LANG": "C",
        "ANTHROPIC_API_KEY": "sk-ant-stray",
        "ANTHROPIC_AUTH_TOKEN": "other",
        "ANTHROPIC_BASE_URL": "https://elsewhere/v1",
        "ANTHROPIC_MODEL": "stale",
        "CLAUDE_CODE_SUBAGENT_MODEL": "stale",
        "CLAUDE_CODE_USE_VERTEX": "1",
        "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat",
        "CLAUDE_CONFIG_DIR": "/somewhere",
    }
    after = applied(before, ALIASED)
    assert after == {"PATH": "/bin", "LANG": "C", "CLAUDE_CONFIG_DIR": "/somewhere"} | variables(ALIASED)
    assert before["ANTHROPIC_MODEL"] == "stale"


def test_what_a_shell_is_told_to_unset() -> None:
    """All known conflicts, whether set now or not: the lines may be kept in a file."""
    told = unset(ALIASED, {"CLAUDE_CODE_USE_SOMETHING_NEW", "HOME"})
    assert set(CONFLICTS) | {"CLAUDE_CODE_USE_SOMETHING_NEW", "ANTHROPIC_MODEL"} <= set(told)
    assert not {"HOME", "ANTHROPIC_BASE_URL"} & set(told)
    assert "ANTHROPIC_MODEL" not in unset(NAMED, ())


def test_a_plan_does_not_show_its_token() -> None:
    assert "sk-drg-key" not in repr(ALIASED)
