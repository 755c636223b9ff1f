"""Steps: spelling, cost, and shortening to an output limit."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator.steps import Cost, InvalidScenario, Step, cost, fit, parse
from tests.support.simulated import text_of_tokens


def test_short_and_long_spellings() -> None:
    steps = parse(
        [
            {"message": "hi"},
            {"message": {"text": "ab", "repeat": 3}},
            "keepalive",
            {"sleep_ms": 5},
            {"raw_event": {"type": "odd"}},
            {"raw_event": "data: x\n\n"},
            {"comment": "c"},
            {"function_call": {"name": "f", "arguments": {"a": 1}}},
            {"interleave": [{"message": "x"}]},
        ],
        "steps",
    )
    assert [step.kind for step in steps][:4] == ["message", "message", "keepalive", "sleep_ms"]
    assert steps[1].text() == "ababab"
    assert steps[3].args == {"ms": 5}
    assert steps[4].args == {"event": {"type": "odd"}}
    assert steps[7].text() == '{"a":1}'
    assert steps[8].args["steps"] == (Step("message", {"text": "x"}),)


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ("no list", "steps: must be a list"),
        ([7], "steps[0]: a step is an object"),
        ([{"a": 1, "b": 2}], "steps[0]: a step is an object with one key"),
        ([{"massage": "x"}], "no step 'massage'"),
        ([{"message": {"txt": "x"}}], "steps[0].message: no key 'txt'"),
        ([{"keepalive": 3}], "steps[0].keepalive: takes nothing"),
        ([{"keepalive": {"a": 1}}], "there are: none"),
        ([{"message": {"text": 5}}], "steps[0].message.text: must be a string"),
        ([{"message": {"text": "a", "chunks": -1}}], "not negative"),
        ([{"message": {"text": "a", "chunks": True}}], "must be a number"),
        ([{"reasoning": {"summary": "x"}}], "steps[0].reasoning.summary: must be a list"),
        ([{"function_call": {"arguments": "{}"}}], "steps[0].function_call: needs a name"),
        ([{"interleave": [{"massage": 1}]}], "steps[0].interleave[0]: no step"),
    ],
)
def test_misspellings_are_named_with_their_place(raw: Any, place: str) -> None:
    with pytest.raises(InvalidScenario) as caught:
        parse(raw, "steps")
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Step("message", {"text": "two words"}), Cost(4, 0)),
        (Step("refusal", {"text": "no"}), Cost(1, 0)),
        (Step("reasoning", {"summary": ["a"]}), Cost(64, 64)),
        (Step("reasoning", {"summary": ["a"], "tokens": 120}), Cost(120, 120)),
        (Step("reasoning_text", {"text": text_of_tokens(100)}), Cost(100, 100)),
        (Step("function_call", {"name": "f", "arguments": "{}"}), Cost(3, 0)),
        (Step("custom_tool_call", {"name": "f", "input": "a b"}), Cost(4, 0)),
        (Step("web_search", {}), Cost(20, 0)),
        (Step("image_generation", {}), Cost(1000, 0)),
        (Step("compaction", {"tokens": 70}), Cost(70, 0)),
        (Step("sleep_ms", {"ms": 1}), Cost(0, 0)),
    ],
)
def test_costs(step: Step, expected: Cost) -> None:
    assert cost(step) == expected


def test_everything_fits_without_a_limit() -> None:
    fitted = fit([Step("message", {"text": "a b"}), Step("reasoning", {"tokens": 7})], None)
    assert (fitted.cost, fitted.full, len(fitted.steps)) == (Cost(10, 7), False, 2)


def test_a_text_is_cut_where_the_limit_falls() -> None:
    fitted = fit([Step("reasoning", {"tokens": 10}), Step("message", {"text": text_of_tokens(50)})], 30)
    assert (fitted.cost, fitted.full) == (Cost(30, 10), True)
    assert (fitted.steps[1].cut, fitted.steps[1].text()) == (True, text_of_tokens(20))


def test_reasoning_can_use_up_everything() -> None:
    fitted = fit([Step("reasoning", {"tokens": 100}), Step("message", {"text": "x"})], 16)
    assert (fitted.cost, fitted.full, len(fitted.steps)) == (Cost(16, 16), True, 1)
    assert (fitted.steps[0].cut, fitted.steps[0].args["tokens"]) == (True, 16)


def test_arguments_are_cut_to_a_prefix() -> None:
    fitted = fit([Step("function_call", {"name": "f", "arguments": {"text": "a b c d e"}, "split": [3]})], 6)
    assert fitted.full
    assert '{"text":"a b c d e"}'.startswith(fitted.steps[0].text())
    assert "split" not in fitted.steps[0].args


@pytest.mark.parametrize(
    "step",
    [Step("web_search", {}), Step("interleave", {"steps": (Step("message", {"text": text_of_tokens(50)}),)})],
)
def test_what_has_no_text_is_left_out_whole(step: Step) -> None:
    fitted = fit([step], 5)
    assert (fitted.steps, fitted.full) == ([], True)


def test_an_exhausted_limit_leaves_nothing_of_the_next_step() -> None:
    fitted = fit([Step("reasoning", {"tokens": 16}), Step("message", {"text": "x"})], 16)
    assert ([step.kind for step in fitted.steps], fitted.full) == (["reasoning"], True)


def test_interleaved_steps_add_up() -> None:
    group = (Step("message", {"text": "a"}), Step("message", {"text": "b"}))
    assert fit([Step("interleave", {"steps": group})], None).cost == Cost(2, 0)


def test_only_items_make_items() -> None:
    assert Step("message").item == "message"
    assert Step("refusal").item == "message"
    assert Step("web_search").item == "web_search_call"
    assert Step("comment").item == ""
