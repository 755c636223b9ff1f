"""`dragoman key`: every verb, what it refuses and with which exit code."""

from __future__ import annotations

import re
import stat
from typing import Any

import pytest

from tests.support.verbs import Verbs

CONFIG = """
[models]
"claude-opus-*" = "gpt-5.5@high"
"claude-local" = "local-model"

[[accounts]]
name = "main"
api_key = "sk-upstream-secret"
group = "red"

[[keys]]
name = "fixed"
key = "sk-fixed-secret"
models = ["claude-*"]
limits = [{ measure = "tokens", per = "day", max = 500 }]
"""
TEXT = re.compile(r"sk-drg-[A-Za-z0-9_-]{43}")


@pytest.fixture
def configured(verbs: Verbs) -> Verbs:
    verbs.configure(CONFIG)
    return verbs


def names(listed: Any) -> list[str]:
    return [key["name"] for key in listed]


def test_a_key_is_shown_once_in_clear(configured: Verbs) -> None:
    said = configured("key", "create", "laptop")
    (text,) = TEXT.findall(said.out)
    assert "never again" in said.out
    for verb in (("list",), ("show", "laptop"), ("list", "--json"), ("limits", "laptop")):
        assert text not in configured("key", *verb).out
    for file in configured.data.rglob("*"):
        assert not file.is_file() or text.encode() not in file.read_bytes()


def test_everything_that_is_given_is_kept(configured: Verbs) -> None:
    given = [
        "--models",
        "claude-opus-*",
        "--models",
        "claude-local",
        "--tag",
        "ci",
        "--limit",
        "tokens/day=1000",
    ]
    given += ["--limit", '{"measure": "cost_usd", "per": "month", "max": 20, "models": "claude-opus-*"}']
    given += ["--default-effort", "low", "--enforced-effort", "medium", "--max-effort", "high"]
    given += ["--concurrency", "2", "--account-group", "red", "--expires", "2100-01-31", "--json"]
    made = configured("key", "create", "laptop", *given).json()
    assert TEXT.fullmatch(made.pop("key"))
    assert made == configured("key", "show", "laptop", "--json").json()
    assert made == {
        "name": "laptop",
        "id": made["id"],
        "source": "store",
        "read_only": False,
        "hint": made["hint"],
        "state": "active",
        "tags": ["ci"],
        "models": ["claude-opus-*", "claude-local"],
        "default_effort": "low",
        "enforced_effort": "medium",
        "max_effort": "high",
        "concurrency": 2,
        "account_groups": ["red"],
        "limits": [
            {"measure": "tokens", "per": "day", "max": 1000},
            {"measure": "cost_usd", "per": "month", "max": 20.0, "models": "claude-opus-*"},
        ],
        "expires_at": "2100-02-01T00:00:00Z",
        "created_at": made["created_at"],
        "revoked_at": None,
        "last_used_at": None,
        "previous_until": None,
    }
    human = configured("key", "show", "laptop").out
    assert "1,000 tokens a day; $20.00 a month for claude-opus-*" in human
    assert "default low, enforced medium, max high" in human


def test_a_saved_key_is_private_and_never_overwritten(configured: Verbs) -> None:
    said = configured("key", "create", "laptop", "--save")
    file = configured.data / "client-key"
    assert file.read_text().strip() == TEXT.findall(said.out)[0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    refused = configured("key", "create", "other", "--save", code=1)
    assert "client-key exists already" in refused.err
    assert names(configured("key", "list", "--json").json()) == ["fixed", "laptop"], "and no key was made"
    rotated = configured("key", "rotate", "laptop")
    assert "client-key holds the old key" in rotated.err


def test_keys_of_the_file_are_shown_and_never_changed(configured: Verbs) -> None:
    refused = configured("key", "create", "fixed", code=1)
    assert refused.err == "dragoman: 'fixed' is a key of the configuration file: choose another name\n"
    for verb in (["revoke"], ["rotate"], ["change", "--tag", "x"], ["limits", "--clear"]):
        assert "it is changed there" in configured("key", verb[0], "fixed", *verb[1:], code=1).err
    (shown,) = configured("key", "list", "--json").json()
    assert (shown["source"], shown["read_only"], shown["models"]) == ("config", True, ["claude-*"])
    assert "config (read-only)" in configured("key", "list").out
    (limit,) = configured("key", "limits", "fixed", "--json").json()
    assert (limit["max"], limit["used"], limit["remaining"]) == (500, 0, 500)
    assert "sk-fixed" not in configured("key", "show", "fixed").out


def test_the_demo_has_a_key_of_its_own(verbs: Verbs) -> None:
    assert "'demo' is the demo's own key" in verbs("key", "create", "demo", code=1).err
    assert [key["source"] for key in verbs("key", "list", "--json").json()] == ["demo"]


@pytest.mark.parametrize("name", ["", "two\nlines", "x" * 65])
def test_a_bad_name_is_refused(configured: Verbs, name: str) -> None:
    assert configured("key", "create", name, code=2).err.startswith("dragoman: NAME ")


def test_a_name_is_taken_once(configured: Verbs) -> None:
    configured("key", "create", "laptop")
    assert "there is a key named 'laptop' already" in configured("key", "create", "laptop", code=1).err
    configured("key", "revoke", "laptop")
    assert "was the name of a key that is revoked" in configured("key", "create", "laptop", code=1).err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--models", "cluade-opus-*"], "--models 'cluade-opus-*': matches no alias and no model here; the"),
        (["--limit", "tokens/day=5@cluade-*"], "--limit models 'cluade-*': matches no alias"),
        (["--limit", "tokens/day=-1"], "max: must be a whole number of tokens, 0 or more"),
        (["--limit", "tokens/day"], "must be measure/per=max"),
        (["--max-effort", "hard"], "--max-effort 'hard': must be one of none"),
        (["--concurrency", "0"], "--concurrency"),
        (["--expires", "yesterday"], "--expires 'yesterday'"),
        (["--limit", "cost_usd/day=1"], "'claude-local' leads to 'local-model', whose price is not known"),
        (["--limit", "cost_usd/day=1@claude-local"], "dragoman price set local-model"),
    ],
)
def test_wrong_options_are_refused_with_the_reason(configured: Verbs, options: list[str], why: str) -> None:
    """Issue: a limit on an unpriced model, a glob that matches nothing, a negative maximum."""
    said = configured("key", "create", "laptop", *options, code=2)
    assert why in said.err
    assert names(configured("key", "list", "--json").json()) == ["fixed"]


def test_a_glob_of_the_future_is_taken_anyway(configured: Verbs) -> None:
    configured("key", "create", "laptop", "--models", "cluade-*", "--limit", "requests/day=1@x", "--anyway")
    assert configured("key", "show", "laptop", "--json").json()["models"] == ["cluade-*"]


def test_money_is_judged_on_what_the_key_can_reach(configured: Verbs) -> None:
    configured("key", "create", "a", "--models", "claude-opus-*", "--limit", "cost_usd/day=1")
    configured("key", "create", "b", "--limit", "cost_usd/day=1@claude-opus-4-8")
    refused = configured("key", "change", "a", "--clear", "models", "--limit", "cost_usd/day=2", code=2)
    assert "local-model" in refused.err
    configured("price", "set", "local-model", "--input", "1", "--output", "2")
    configured("key", "change", "a", "--clear", "models", "--limit", "cost_usd/day=2")


def test_where_no_model_is_known_money_is_only_warned_of(verbs: Verbs) -> None:
    verbs.configure('[[accounts]]\nname = "a"\napi_key = "sk-x"\n')
    said = verbs("key", "create", "laptop", "--limit", "cost_usd/day=1", "--models", "anything-*")
    assert TEXT.search(said.out)
    assert "no model is known here" in said.err


def test_only_what_is_given_changes(configured: Verbs) -> None:
    before = configured("key", "create", "laptop", "--tag", "a", "--limit", "tokens/day=5", "--json").json()
    after = configured("key", "change", "laptop", "--concurrency", "3", "--json").json()
    assert after == {**{name: before[name] for name in after}, "concurrency": 3}
    cleared = ["--clear", "tags", "--clear", "concurrency"]
    last = configured("key", "change", "laptop", *cleared, "--json").json()
    assert last == {**after, "concurrency": None, "tags": []}
    assert "nothing to change" in configured("key", "change", "laptop", code=2).err
    assert "--clear 'x'" in configured("key", "change", "laptop", "--clear", "x", code=2).err


def test_a_rotated_key_overlaps_as_long_as_wanted(configured: Verbs) -> None:
    old = configured("key", "create", "laptop", "--json").json()
    new = configured("key", "rotate", "laptop", "--json").json()
    assert new["key"] != old["key"] and new["previous_until"] is not None
    assert configured("key", "show", "laptop", "--json").json()["previous_until"] == new["previous_until"]
    said = configured("key", "rotate", "laptop", "--overlap", "0")
    assert "The old one works no more." in said.out
    assert configured("key", "show", "laptop", "--json").json()["previous_until"] is None
    assert "--overlap 'long'" in configured("key", "rotate", "laptop", "--overlap", "long", code=2).err


def test_a_revoked_key_is_seen_only_when_asked_for(configured: Verbs) -> None:
    configured("key", "create", "laptop")
    assert "is revoked" in configured("key", "revoke", "laptop").out
    assert "was revoked before" in configured("key", "revoke", "laptop").out
    assert names(configured("key", "list", "--json").json()) == ["fixed"]
    every = configured("key", "list", "--all", "--json").json()
    assert [(key["name"], key["state"]) for key in every] == [("fixed", "active"), ("laptop", "revoked")]
    for verb in (["rotate"], ["change", "--tag", "x"], ["limits", "--clear"]):
        assert "the key 'laptop' is revoked" in configured("key", verb[0], "laptop", *verb[1:], code=1).err


@pytest.mark.parametrize("verb", [["show"], ["rotate"], ["revoke"], ["limits"], ["change", "--tag", "x"]])
def test_what_does_not_exist_is_exit_code_1(configured: Verbs, verb: list[str]) -> None:
    said = configured("key", verb[0], "nobody", *verb[1:], code=1)
    assert said.err == "dragoman: there is no key named 'nobody'\n"
    assert said.out == ""


def test_limits_are_set_shown_and_cleared(configured: Verbs) -> None:
    configured("key", "create", "laptop", "--limit", "tokens/day=5")
    wanted = ["--set", "requests/minute=10", "--set", "cost_usd/total=1.5@claude-opus-*"]
    found = configured("key", "limits", "laptop", *wanted, "--json").json()
    assert [(limit["measure"], limit["max"], limit["used"], limit["remaining"]) for limit in found] == [
        ("requests", 10, 0, 10),
        ("cost_usd", 1.5, 0.0, 1.5),
    ]
    assert found[1]["resets_at"] is None
    shown = configured("key", "limits", "laptop").out
    assert "10 requests a minute" in shown and "$1.50 in all for claude-opus-*" in shown
    assert "--set 'x'" in configured("key", "limits", "laptop", "--set", "x", code=2).err
    assert "one of the two" in configured("key", "limits", "laptop", "--set", "x", "--clear", code=2).err
    assert configured("key", "limits", "laptop", "--clear", "--json").json() == []
    assert "has no limits" in configured("key", "limits", "laptop").out


def test_without_a_key_the_list_says_how_to_make_one(verbs: Verbs) -> None:
    verbs.configure('[[accounts]]\nname = "a"\napi_key = "sk-x"\n')
    assert verbs("key", "list").out == "No key: dragoman key create NAME\n"
    assert verbs("key", "list", "--json").json() == []


def test_a_group_that_no_account_is_in_is_refused(configured: Verbs) -> None:
    told = configured("key", "create", "x", "--account-group", "nog", code=2).err
    assert "--account-group: no account is in the group 'nog'; there are 'red'" in told
    configured("key", "create", "x", "--account-group", "nog", "--anyway")
    configured("key", "change", "x", "--tag", "a")
    assert "'nog'" in configured("key", "change", "x", "--account-group", "nog", code=2).err
    configured.configure(CONFIG + 'account_groups = ["nope"]\n')
    checked = configured("config", "check", code=2)
    assert "keys.fixed.account_groups.0: no account is in the group 'nope'" in checked.out + checked.err
