"""The scenario language."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator.faults import Fault
from dragoman.simulator.presets import Use
from dragoman.simulator.scenario import Pace, Terminal, View, parse
from dragoman.simulator.steps import InvalidScenario


def view(**more: Any) -> View:
    given = {
        "endpoint": "create",
        "flavour": "api",
        "account": "a1",
        "model": "gpt-5.5",
        "headers": {"session-id": "s1"},
        "lineage": "k1",
        "turn": 2,
        "user": "Please READ the file",
        "tools": frozenset({"Read", "Bash"}),
        "stream": True,
        "effort": "high",
        "instructions": "be brief",
    }
    return View(**{**given, **more})


def chosen(match: dict[str, Any], seen: View) -> bool:
    return parse([{"match": match}]).choose(seen) is not None


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, True),
        ({"account": "a*"}, True),
        ({"account": "b"}, False),
        ({"model": "gpt-5.*"}, True),
        ({"lineage": "k1"}, True),
        ({"turn": 2}, True),
        ({"turn": 1}, False),
        ({"user": "read the file"}, True),
        ({"user": "^write"}, False),
        ({"after_tool": False}, True),
        ({"after_tool": True}, False),
        ({"tool_output": "x"}, False),
        ({"tools": ["Read"]}, True),
        ({"tools": "Bash"}, True),
        ({"tools": ["Read", "Write"]}, False),
        ({"stream": True}, True),
        ({"effort": "low"}, False),
        ({"instructions": "brief"}, True),
        ({"headers": {"Session-Id": "^s"}}, True),
        ({"headers": {"x-other": "."}}, False),
        ({"flavour": "codex"}, False),
        ({"endpoint": "create"}, True),
        ({"websocket": True}, False),
        ({"user": "read", "model": "gpt-4*"}, False),
    ],
)
def test_matching(match: dict[str, Any], fits: bool) -> None:
    assert chosen(match, view()) is fits


def test_matching_a_tool_output() -> None:
    answered = view(after_tool=True, tool_output="line one\nENOENT")
    assert chosen({"tool_output": "enoent"}, answered)
    assert chosen({"after_tool": True}, answered)


def test_the_first_matching_rule_wins() -> None:
    scenario = parse([{"name": "one", "match": {"user": "zzz"}}, {"name": "two"}, {"name": "three"}])
    rule = scenario.choose(view())
    assert rule is not None and rule.name == "two"
    assert [entry.used for entry in scenario.rules] == [0, 1, 0]


@pytest.mark.parametrize(
    ("nth", "hits"),
    [
        (2, [2]),
        ([1, 4], [1, 4]),
        ({"every": 2}, [1, 3, 5]),
        ({"from": 3}, [3, 4, 5]),
        ({"from": 2, "to": 3}, [2, 3]),
    ],
)
def test_nth_counts_requests_that_fit_otherwise(nth: Any, hits: list[int]) -> None:
    scenario = parse([{"match": {"user": "read", "nth": nth}}])
    other = view(user="other")
    found = []
    for number in range(1, 6):
        assert scenario.choose(other) is None
        if scenario.choose(view()) is not None:
            found.append(number)
    assert found == hits


def test_times_limits_a_rule() -> None:
    scenario = parse([{"name": "twice", "times": 2}, {"name": "rest"}])
    names = [rule.name for _ in range(4) if (rule := scenario.choose(view())) is not None]
    assert names == ["twice", "twice", "rest", "rest"]


def test_rules_for_other_endpoints_must_name_them() -> None:
    scenario = parse([{"name": "answers"}, {"name": "counting", "match": {"endpoint": "input_tokens"}}])
    rule = scenario.choose(view(endpoint="input_tokens"))
    assert rule is not None and rule.name == "counting"
    assert scenario.choose(view(endpoint="models")) is None


def test_a_rule_is_read_whole() -> None:
    [rule] = parse(
        [
            {
                "steps": [{"message": "x"}],
                "terminal": {"incomplete": "max_output_tokens"},
                "fault": [{"kind": "crlf"}, "split_utf8"],
                "preset": {"name": "429_rate_limit", "retry_after": 3},
                "pace": {"first_token_ms": 4},
                "usage": {"cached_tokens": 5},
                "headers": {"x-a": "b"},
            }
        ]
    ).rules
    assert rule.name == "rule 0"
    assert rule.steps is not None and rule.steps[0].kind == "message"
    assert rule.terminal == Terminal("incomplete", {"reason": "max_output_tokens"})
    assert rule.faults == (Fault("crlf"), Fault("split_utf8"))
    assert rule.preset == Use("429_rate_limit", {"retry_after": 3})
    assert rule.pace == Pace(first_token_ms=4)


def test_terminals_have_short_forms() -> None:
    rules = parse([{"terminal": "none"}, {"terminal": {"failed": "server_error"}}, {"preset": "500"}]).rules
    assert rules[0].terminal == Terminal("none", {})
    assert rules[1].terminal == Terminal("failed", {"code": "server_error"})
    assert rules[2].preset == Use("500", {})
    assert rules[2].steps is None


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ("x", "rules[0]: must be an object"),
        ({"mach": {}}, "rules[0]: no key 'mach'"),
        ({"match": []}, ""),
        ({"match": "x"}, "rules[0].match: must be an object"),
        ({"match": {"usr": "x"}}, "rules[0].match: no key 'usr'"),
        ({"match": {"user": "("}}, "rules[0].match.user: no regular expression"),
        ({"match": {"user": 5}}, "rules[0].match.user: no regular expression"),
        ({"match": {"nth": "2"}}, "rules[0].match.nth"),
        ({"match": {"nth": {"each": 2}}}, "rules[0].match.nth: no key 'each'"),
        ({"match": {"nth": {"every": 0}}}, "positive"),
        ({"times": 0}, "rules[0].times"),
        ({"times": True}, "rules[0].times"),
        ({"steps": 1}, "rules[0].steps"),
        ({"terminal": "done"}, "rules[0].terminal: one of"),
        ({"terminal": {"failed": 5}}, "rules[0].terminal.failed: must be an object"),
        ({"terminal": {"failed": {"cod": 5}}}, "no key 'cod'"),
        ({"fault": "explode"}, "rules[0].fault: a fault's kind is one of"),
        ({"fault": [{"kind": "stall", "secnds": 1}]}, "rules[0].fault[0]: stall has no 'secnds'"),
        ({"fault": {"kind": "crlf", "x": 1}}, "there are: none"),
        ({"fault": {"kind": "stall", "seconds": "long"}}, "rules[0].fault.seconds: must be a number"),
        ({"preset": "999"}, "rules[0].preset: one of"),
        ({"pace": 5}, "rules[0].pace: must be an object"),
        ({"pace": {"ms": 5}}, "rules[0].pace: no key 'ms'"),
        ({"pace": {"first_token_ms": -5}}, "milliseconds"),
        ({"usage": 5}, "rules[0].usage: must be an object"),
        ({"usage": {"tokens": 5}}, "rules[0].usage: no key 'tokens'"),
        ({"headers": [1]}, "rules[0].headers: must be an object"),
    ],
)
def test_misspellings_are_named_with_their_place(rule: Any, place: str) -> None:
    if not place:
        assert parse([rule]).rules[0].match == {}
        return
    with pytest.raises(InvalidScenario) as caught:
        parse([rule])
    assert place in str(caught.value)


def test_a_fault_has_numbers_with_defaults() -> None:
    assert Fault("stall", {"seconds": 3}).number("seconds") == 3.0
    assert Fault("stall").number("seconds", 60.0) == 60.0
