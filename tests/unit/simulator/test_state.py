"""The whole state: loading scenarios, resetting parts, reporting."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator import state as module
from dragoman.simulator.state import PARTS, State
from dragoman.simulator.steps import InvalidScenario
from tests.support.simulated import answered, request, text_of_tokens, user


def test_a_scenario_brings_rules_switches_and_accounts() -> None:
    state = State(
        rules={"rules": [{"name": "r"}], "switches": {"speed": 0}, "accounts": [{"id": "x", "key": "k"}]}
    )
    assert [rule.name for rule in state.scenario.rules] == ["r"]
    assert state.switches.speed == 0
    assert state.accounts.get("x") is not None
    state.load([])
    assert state.scenario.rules == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x", "a list of rules or an object"),
        ({"rule": []}, "no key 'rule'"),
        ({"switches": {"sped": 1}}, "no switch named 'sped'"),
        ({"accounts": [{"id": "x", "size": 1}]}, "no field 'size'"),
        ([{"mach": 1}], "rules[0]"),
    ],
)
def test_wrong_scenarios_are_refused(source: Any, words: str) -> None:
    state = State(rules=[{"name": "old"}])
    with pytest.raises(InvalidScenario) as caught:
        state.load(source)
    assert words in str(caught.value)
    assert [rule.name for rule in state.scenario.rules] == ["old"]


def used(state: State) -> None:
    answered(state, request(user(text_of_tokens(2000)), prompt_cache_key="k", store=True))


def test_a_reset_forgets_everything_but_switches_and_time() -> None:
    state = State({"speed": 0}, rules=[{"name": "r"}], start=5.0, frozen=True)
    used(state)
    state.clock.advance(3)
    state.reset()
    report = state.report()
    assert (report["received"], report["answered"], report["conversations"], report["rules"]) == (
        0,
        0,
        [],
        [],
    )
    assert state.cache.census() == {}
    assert len(list(state.accounts)) == 1
    assert (state.switches.speed, state.clock.now()) == (0, 8.0)


def test_parts_can_be_reset_alone() -> None:
    state = State(rules=[{"name": "r"}])
    used(state)
    state.reset(["log"])
    assert state.log.total == 0
    assert state.cache.census()
    state.reset(["cache"])
    assert not state.cache.census()
    assert state.scenario.rules
    with pytest.raises(ValueError, match="nothing named 'everything'"):
        state.reset(["everything"])
    assert set(PARTS) == {"accounts", "cache", "log", "scenario", "responses"}


def test_a_report_sums_up() -> None:
    state = State(rules=[{"name": "r", "match": {"user": "zzz"}}])
    used(state)
    used(state)
    report = state.report()
    assert (report["received"], report["answered"], report["warm_turns"]) == (2, 2, 1)
    assert report["hit_ratio"] == round(1920 / 4008, 4)
    assert report["rules"] == [{"name": "r", "seen": 0, "used": 0}]
    assert State().report()["hit_ratio"] is None


def test_lineages_are_counted_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_LINEAGES", 2)
    state = State()
    assert [state.next_turn("a"), state.next_turn("a")] == [1, 2]
    state.next_turn("b")
    state.next_turn("c")
    assert state.next_turn("a") == 1


def test_without_a_server_there_is_nothing_to_refuse() -> None:
    state = State()
    state.refuse(1.0)
    assert state.log.total == 0
