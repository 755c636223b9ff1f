"""Which names the client is told to ask for: option, then alias, then the shell's variable."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dragoman.cli.environment import Plan
from dragoman.cli.tiers import NoModel, Wish, model_argument, plan

STANDARD = {"opus": "claude-opus-5-5", "sonnet": "claude-sonnet-5-5", "haiku": "claude-haiku-5-5"}
GLOB = dict.fromkeys(STANDARD.values(), 272_000)


def decided(
    wish: Wish | None = None,
    served: Mapping[str, int] | None = None,
    published: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
) -> Plan:
    """A plan against a gateway that knows these names with these windows."""
    known = GLOB if served is None else served
    return plan("http://g", "k", wish or Wish(), known.get, published, environ or {})


def test_a_glob_covers_every_tier() -> None:
    """The client's own names do: nothing is named for the conversation or for sub-agents."""
    told = decided()
    assert (dict(told.tiers), told.main, told.subagent, told.window) == (STANDARD, None, None, 272_000)


def test_an_exact_alias_of_another_generation_is_found_by_its_tier() -> None:
    rows = ("claude-opus-4-8", "claude-sonnet-4-5", "gpt-5.5", "claude-gpt-5.5")
    told = decided(served={"claude-opus-4-8": 200_000, "claude-sonnet-4-5": 128_000}, published=rows)
    assert dict(told.tiers) == {
        "opus": "claude-opus-4-8",
        "sonnet": "claude-sonnet-4-5",
        "haiku": "claude-sonnet-4-5",
    }
    assert told.window == 128_000


def test_an_option_wins_over_the_alias() -> None:
    told = decided(Wish("gpt-5.4", {"haiku": "gpt-5-mini"}), environ={"ANTHROPIC_MODEL": "stale"})
    assert told.main == "gpt-5.4"
    assert dict(told.tiers) == {**STANDARD, "haiku": "gpt-5-mini"}
    assert told.subagent is None
    assert told.window == 272_000


def test_without_aliases_one_name_serves_everything() -> None:
    told = decided(Wish("gpt-4o"), served={})
    assert told.main == told.subagent == "gpt-4o"
    assert set(told.tiers) == {"opus", "sonnet", "haiku", "fable"}
    assert set(told.tiers.values()) == {"gpt-4o"}
    assert told.window == 128_000, "the table of models knows what the gateway does not publish"


def test_tier_options_alone_are_enough() -> None:
    told = decided(Wish(tiers={"opus": "gpt-5.5", "haiku": "gpt-5-mini"}), served={})
    assert told.main is None
    assert dict(told.tiers) == {
        "opus": "gpt-5.5",
        "haiku": "gpt-5-mini",
        "sonnet": "gpt-5.5",
        "fable": "gpt-5.5",
    }


def test_variables_of_the_shell_count_where_nothing_else_names_a_model() -> None:
    environ = {"ANTHROPIC_MODEL": "gpt-5.5", "ANTHROPIC_DEFAULT_HAIKU_MODEL": "gpt-5-mini"}
    told = decided(served={}, environ=environ)
    assert (told.main, told.tiers["haiku"], told.tiers["opus"]) == ("gpt-5.5", "gpt-5-mini", "gpt-5.5")
    assert dict(decided(environ=environ).tiers) == STANDARD


def test_without_any_name_it_says_what_to_do() -> None:
    with pytest.raises(NoModel, match=r"--model gpt-5\.5"):
        decided(served={})
    with pytest.raises(NoModel):
        decided(Wish(tiers={"haiku": "gpt-5-mini"}), served={})
    with pytest.raises(NoModel):
        decided(Wish(argument="opus"), served={})


def test_the_clients_own_argument_counts() -> None:
    told = decided(Wish(argument="gpt-4o"), served={})
    assert (told.main, told.tiers["sonnet"], told.window) == (None, "gpt-4o", 128_000)


@pytest.mark.parametrize(
    ("argument", "window"),
    [(None, 100), ("opus", 200), ("sonnet", 100), ("haiku", 50), ("default", 100), ("gpt-4.1", 1_047_576)],
)
def test_the_window_is_that_of_the_conversation(argument: str | None, window: int) -> None:
    """behaviours T13: the smaller of two that it may use; side calls of the haiku tier do not count."""
    served = {"claude-opus-5-5": 200, "claude-sonnet-5-5": 100, "claude-haiku-5-5": 50}
    assert decided(Wish(argument=argument), served=served).window == window


def test_a_suffix_of_the_name_is_not_looked_up() -> None:
    assert decided(Wish("gpt-4o[1m]"), served={}).window == 128_000


@pytest.mark.parametrize(
    ("arguments", "model"),
    [
        ([], None),
        (["-p", "hi"], None),
        (["--model", "x", "-p"], "x"),
        (["--model=x"], "x"),
        (["--model", "x", "--model", "y"], "y"),
        (["--model"], None),
        (["-p", "--", "--model", "x"], None),
    ],
)
def test_the_clients_model_argument(arguments: list[str], model: str | None) -> None:
    assert model_argument(arguments) == model
