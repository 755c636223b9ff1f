"""`dragoman alias`: set, listed in the order that counts, removed, tried out."""

from __future__ import annotations

import pytest

from tests.support.verbs import Verbs

CONFIG = """
[models]
"claude-*" = "gpt-5.5@medium"
"fast" = "gpt-5.5-mini"

[[accounts]]
name = "main"
api_key = "sk-upstream-secret"
models = ["gpt-5.5", "gpt-5.5-mini", "gpt-4.1"]
"""


@pytest.fixture
def configured(verbs: Verbs) -> Verbs:
    verbs.configure(CONFIG)
    return verbs


def test_the_list_is_in_the_order_that_counts(configured: Verbs) -> None:
    """Exact names first, then globs; the store before the file; who goes before whom is told."""
    assert (
        configured("alias", "set", "claude-opus-*", "gpt-5.5@HIGH").out == "claude-opus-* -> gpt-5.5@high\n"
    )
    assert "goes before 'fast' of the configuration" in configured("alias", "set", "fast", "gpt-4.1").err
    listed = configured("alias", "list", "--json").json()
    assert [
        (row["name"], row["model"], row["effort"], row["source"], row["shadowed_by"]) for row in listed
    ] == [
        ("fast", "gpt-4.1", None, "store", None),
        ("fast", "gpt-5.5-mini", None, "config", "fast"),
        ("claude-opus-*", "gpt-5.5", "high", "store", None),
        ("claude-*", "gpt-5.5", "medium", "config", None),
    ]
    assert "no: fast goes before it" in configured("alias", "list").out
    assert configured("alias", "test", "fast", "--json").json()["model"] == "gpt-4.1"


def test_an_alias_that_is_never_reached_is_told(configured: Verbs) -> None:
    configured("alias", "set", "claude-*", "gpt-4.1")
    said = configured("alias", "set", "claude-opus-*", "gpt-5.5")
    assert "'claude-*' goes before it: this alias is never reached" in said.err


def test_a_target_that_no_account_lists_is_told(configured: Verbs) -> None:
    assert "no account lists the model 'gpt-9'" in configured("alias", "set", "x", "gpt-9").err


@pytest.mark.parametrize(
    ("name", "target", "why"),
    [
        ("x", "gpt-5.5@hard", "'hard' is no effort level"),
        ("x", "gpt-5.5@", "no effort level behind the @"),
        ("x", "", "an alias needs a name and a model"),
        ("", "gpt-5.5", "an alias needs a name and a model"),
        ("a\nb", "gpt-5.5", "NAME: must be at most 256 printable characters"),
        ("x", "y" * 257, "TARGET: must be at most 256 printable characters"),
    ],
)
def test_a_wrong_alias_is_refused(configured: Verbs, name: str, target: str, why: str) -> None:
    assert why in configured("alias", "set", name, target, code=2).err
    assert len(configured("alias", "list", "--json").json()) == 2


def test_only_the_stores_aliases_are_removed(configured: Verbs) -> None:
    configured("alias", "set", "fast", "gpt-4.1")
    configured("alias", "remove", "fast")
    assert (
        "alias of the configuration file: it is removed there"
        in configured("alias", "remove", "fast", code=1).err
    )
    assert "there is no alias 'slow' in the store" in configured("alias", "remove", "slow", code=1).err


@pytest.mark.parametrize(
    ("name", "model", "rule", "alias", "effort"),
    [
        ("claude-sonnet-5-5[1m]", "gpt-5.5", "glob", "claude-*", "medium"),
        ("fast", "gpt-5.5-mini", "alias", "fast", "medium"),
        ("claude-gpt-4.1", "gpt-4.1", "published", None, None),
        ("gpt-5.5", "gpt-5.5", "listed", None, "medium"),
    ],
)
def test_a_name_is_tried_out(
    configured: Verbs, name: str, model: str, rule: str, alias: str | None, effort: str | None
) -> None:
    found = configured("alias", "test", name, "--json").json()
    assert (found["model"], found["rule"], found["alias"], found["effort"]) == (model, rule, alias, effort)
    assert found["source"] == (None if alias is None else "config")
    assert found["accounts"] == ["main"]
    assert found["context_window"] > 0


def test_a_name_that_leads_nowhere_is_exit_code_1_with_the_nearest(configured: Verbs) -> None:
    said = configured("alias", "test", "fst", code=1)
    assert said.err == "dragoman: model: 'fst' is not served here; the nearest name is 'fast'\n"


def test_without_an_account_the_demos_alias_is_shown(verbs: Verbs) -> None:
    (row,) = verbs("alias", "list", "--json").json()
    assert (row["name"], row["source"]) == ("claude-*", "demo")
    assert "simulated" in verbs("alias", "test", "claude-opus-4-8").out


def test_nothing_known_says_how_to_begin(verbs: Verbs) -> None:
    verbs.configure('[[accounts]]\nname = "a"\napi_key = "sk-x"\n')
    assert verbs("alias", "list").out == "No alias: dragoman alias set NAME MODEL\n"
    assert verbs("alias", "test", "gpt-4.1", "--json").json()["rule"] == "pass-through"
