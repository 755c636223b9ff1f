"""Deltas read together are the same answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from dragoman.translate.messages.fold import Fold
from dragoman.translate.messages.runs import joined
from tests.support.streams import Answer, Event, answers, context, garbage, run
from tests.unit.translate.messages.test_laws import PLANS, SPOILT

TEXT = "response.output_text.delta"


def delta(text: Any, item: str = "m", kind: Any = TEXT, **fields: Any) -> Event:
    return {"type": kind, "item_id": item, "output_index": 0, "content_index": 0, "delta": text, **fields}


def texts(events: list[Event]) -> list[Any]:
    return [event.get("delta", event["type"]) for event in joined(events)]


def test_a_run_of_one_text_is_one_event() -> None:
    one, two = delta("a", sequence_number=1), delta("b", sequence_number=2)
    assert joined([one, two, delta("é")]) == [{**one, "delta": "abé"}]
    assert one["delta"] == "a", "what came is left as it was"
    assert joined([]) == []


@pytest.mark.parametrize(
    "other",
    [
        delta("b", item="n"),
        delta("b", content_index=1),
        delta("b", kind="response.function_call_arguments.delta"),
        delta("b", logprobs=[{"token": "b", "logprob": -0.1}]),
        delta("\ud83d"),
        delta(7),
        delta("b", kind=["response.output_text.delta"]),
        {"type": "response.output_text.done", "delta": "b"},
        {"type": "response.output_text.delta", "delta": "b"},
        {"type": "response.in_progress"},
    ],
)
def test_what_belongs_elsewhere_or_says_more_ends_the_run(other: Event) -> None:
    assert texts([delta("a"), delta("a"), other, delta("c"), delta("c")]) == [
        "aa",
        other.get("delta", other["type"]),
        "cc",
    ]


def test_the_pieces_of_arguments_and_reasoning_are_runs_too() -> None:
    call = "response.function_call_arguments.delta"
    thought = "response.reasoning_summary_text.delta"
    events = [delta("{", kind=call), delta("}", kind=call)]
    events += [delta("x", kind=thought, summary_index=0), delta("y", kind=thought, summary_index=1)]
    assert texts(events) == ["{}", "x", "y"]


def message(answer: Answer) -> dict[str, Any]:
    fold = Fold()
    for event in answer.events:
        fold.add(event)
    return (
        fold.message()
        if answer.events and answer.kinds[-1] == "message_stop"
        else {"kinds": answer.kinds[-1:]}
    )


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(answers() | garbage() | SPOILT, PLANS)
def test_a_folded_answer_is_the_same(events: list[Event], plan: dict[str, Any]) -> None:
    """Whole answers, whatever the client asked for: text, calls, reasoning, usage, stop reason."""
    apart, together = run(events, context(plan=plan)), run(joined(events), context(plan=plan))
    ours, theirs = together.automaton.outcome, apart.automaton.outcome
    one, other = message(together), message(apart)
    if together.automaton.wants_cancel or ours.usage.source == "estimated":
        # Of an answer that is ended here more of what was made by then has been seen: so much is estimated.
        assert ours.usage.output >= theirs.usage.output
        one["usage"] = other["usage"] = None
    else:
        assert ours.usage == theirs.usage
    assert one == other
    assert together.automaton.failure == apart.automaton.failure
    assert (ours.stop_reason, ours.arguments) == (theirs.stop_reason, theirs.arguments)


def test_strategies_reach_runs() -> None:
    """A test of the law would say nothing if no example held two deltas in a row."""

    @settings(max_examples=200, deadline=None, database=None)
    @given(answers())
    def shortened(events: list[Event]) -> None:
        seen.append(len(joined(events)) < len(events))

    seen: list[bool] = []
    shortened()
    assert any(seen)
