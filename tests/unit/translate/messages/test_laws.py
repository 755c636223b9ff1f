"""The laws of an answer, over arbitrary sequences of events and arbitrary cuts of their bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dragoman.translate.messages.arguments import trimmed
from dragoman.translate.messages.fold import Fold
from dragoman.translate.messages.reasoning import seal_item
from dragoman.translate.messages.welljson import WellJson
from dragoman.wire import jsonio, sse
from dragoman.wire.grammar import Grammar
from tests.support.spoilt import texts
from tests.support.streams import SEAL, Answer, Event, answers, context, garbage, run, run_bytes

TERMINAL = {"response.completed", "response.incomplete", "response.failed", "error"}
EXAMPLES = 120
relaxed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
patient = settings(relaxed, max_examples=5000)

PLANS = st.sampled_from(
    [
        {"thinking": "shown"},
        {"thinking": "omitted"},
        {"thinking": "off"},
        {"stop_sequences": ["END", "b"]},
        {"stop_sequences": ["aEND", "NDab", "\n"], "visible_cap": 5},
        {"visible_cap": 2},
        {"prefill": "ab"},
        {"web_search_max": 1, "blocked_domains": ["example.com"]},
    ]
)


SPOILT = answers(texts())  # calls whose arguments are nearly JSON


def assert_ends_once(answer: Answer, events: list[Event]) -> None:
    """Exactly one message_start, first; exactly one end; a good end only behind a terminal event or a cut
    of our own; a failure is told or, before content, left to the gateway."""
    answer.checked()
    automaton, kinds = answer.automaton, answer.kinds
    assert automaton.finished
    assert kinds.count("message_start") == (1 if kinds else 0)
    assert kinds.count("message_stop") + kinds.count("error") == (1 if kinds else 0)
    if not kinds:
        assert automaton.failure is not None
    if "error" in kinds:
        assert automaton.failure is not None
        assert automaton.told is not None
    if "message_stop" in kinds:
        own = automaton.outcome.stop_reason in ("stop_sequence", "max_tokens")
        assert own or any(event.get("type") in TERMINAL for event in events)
        assert automaton.failure is None
        message = answer.message
        assert message["stop_reason"] == automaton.outcome.stop_reason
        for block in message["content"]:
            assert block["type"] != "tool_use" or isinstance(block["input"], dict)


def law_well_behaved(events: list[Event], plan: dict[str, Any], started: bool) -> None:
    answer = run(events, context(plan=plan), started=started)
    if started:
        assert answer.kinds.count("message_start") == 0
        # The start was written by an earlier attempt, or before there was anything to show.
        answer.events = [*run([], context(plan=plan), close=False).automaton.begin(), *answer.events]
        if len(answer.events) == 1:
            return
    assert_ends_once(answer, events)
    pieces: dict[int, str] = {}
    for event in answer.events:
        if event["type"] == "content_block_delta" and event["delta"]["type"] == "input_json_delta":
            pieces[event["index"]] = pieces.get(event["index"], "") + event["delta"]["partial_json"]
    if answer.automaton.outcome.stop_reason == "tool_use":
        for text in pieces.values():
            assert isinstance(jsonio.parse(text.encode()), dict)
    assert not answer.automaton.outcome.mismatched


def law_nothing_lost(events: list[Event]) -> None:
    """Of a whole answer the client has every text, call and thought, once, in its own order."""
    answer = run(events)
    if answer.automaton.outcome.stop_reason not in ("end_turn", "tool_use"):
        return
    items = {event["output_index"]: event["item"] for event in events if event["type"].endswith("item.done")}
    texts = [item["content"][0]["text"] for item in items.values() if item["type"] == "message"]
    calls = [item for item in items.values() if item["type"] == "function_call"]
    thoughts = [item for item in items.values() if item["type"] == "reasoning"]
    blocks = answer.message["content"]
    shown = sorted(block["text"] for block in blocks if block["type"] == "text")
    assert shown == sorted(text for text in texts if text)
    inputs = {block["id"]: block["input"] for block in blocks if block["type"] == "tool_use"}
    assert inputs == {
        item["call_id"]: jsonio.parse(trimmed(item["name"], item["arguments"]).encode()) for item in calls
    }
    assert answer.automaton.outcome.arguments == {item["call_id"]: item["arguments"] for item in calls}
    assert sorted(block["thinking"] for block in blocks if block["type"] == "thinking") == sorted(
        "\n\n".join(part["text"] for part in item["summary"] if part["text"]) for item in thoughts
    )
    for item in thoughts:
        assert seal_item(item, SEAL) in {block.get("signature") for block in blocks}


def law_no_half_call(events: list[Event]) -> None:
    """What is called complete and ends in the middle of a call is a fault; all other calls are objects."""
    answer = run(events)
    assert_ends_once(answer, events)
    calls = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    broken = [item for item in calls if item["type"] == "function_call" and ends_in_the_middle(item)]
    if answer.automaton.outcome.stop_reason in ("end_turn", "tool_use"):
        assert not broken


def ends_in_the_middle(item: Event) -> bool:
    guard = WellJson({})
    guard.feed(item["arguments"])
    return guard.finish() is None


def law_garbage(events: list[Event], plan: dict[str, Any]) -> None:
    answer = Answer(run([], context(plan=plan), close=False).automaton)
    grammar = Grammar()
    for event in events:
        for out in answer.automaton.feed(event):
            grammar.check(out)
            answer.events.append(out)
    for out in answer.automaton.close():
        grammar.check(out)
        answer.events.append(out)
    assert answer.automaton.finished
    assert grammar.complete == bool(answer.events)
    if not answer.events:
        assert answer.automaton.failure is not None
    assert answer.automaton.feed({"type": "response.completed", "response": {}}) == []
    assert answer.automaton.close() == []


def law_chunks(events: list[Event], plan: dict[str, Any], cuts: list[int]) -> None:
    data = sse.encode_all(events)
    whole = run_bytes([data], context(plan=plan))
    at, chunks = 0, []
    for size in cuts:
        chunks.append(data[at : at + size])
        at += size
    cut = run_bytes([*chunks, data[at:]], context(plan=plan))
    assert cut.events == whole.events
    assert whole.events == run(events, context(plan=plan)).events
    if "message_stop" in whole.kinds:
        decoder, fold = sse.Decoder(), Fold()
        for event in decoder.feed(whole.sse):
            fold.add(jsonio.parse(event.data))
        assert fold.message() == cut.message


@relaxed
@given(answers(), PLANS, st.booleans())
def test_an_answer_has_one_start_serial_blocks_and_one_true_end(
    events: list[Event], plan: dict[str, Any], started: bool
) -> None:
    """B51, B53, behaviours S1, behaviours S2, behaviours S3, behaviours S9, behaviours S20."""
    law_well_behaved(events, plan, started)


@relaxed
@given(answers())
def test_nothing_is_lost_and_nothing_is_told_twice(events: list[Event]) -> None:
    """B53, B55, B57, D2, D18, behaviours S7."""
    law_nothing_lost(events)


@relaxed
@given(SPOILT, PLANS, st.booleans())
def test_an_answer_with_spoilt_arguments_keeps_the_laws(
    events: list[Event], plan: dict[str, Any], started: bool
) -> None:
    """B57, D18: whatever a model writes, its client can parse it."""
    law_well_behaved(events, plan, started)


@relaxed
@given(SPOILT)
def test_half_a_call_is_never_a_whole_one(events: list[Event]) -> None:
    """D20, B57; reliability E3."""
    law_no_half_call(events)


@relaxed
@given(garbage(), PLANS)
def test_disorder_is_survived_and_ends_once(events: list[Event], plan: dict[str, Any]) -> None:
    """behaviours S4, behaviours S7: events in any order, lost, doubled or bent, never break the grammar."""
    law_garbage(events, plan)


@relaxed
@given(answers(), PLANS, st.lists(st.integers(1, 90), max_size=60))
def test_the_cut_of_the_bytes_changes_nothing_and_the_fold_is_the_plain_answer(
    events: list[Event], plan: dict[str, Any], cuts: list[int]
) -> None:
    """B70, B57, D18."""
    law_chunks(events, plan, cuts)


@pytest.mark.soak
@patient
@given(answers(), PLANS, st.booleans())
def test_soak_answers(events: list[Event], plan: dict[str, Any], started: bool) -> None:
    law_well_behaved(events, plan, started)


@pytest.mark.soak
@patient
@given(SPOILT, PLANS, st.booleans())
def test_soak_spoilt(events: list[Event], plan: dict[str, Any], started: bool) -> None:
    law_well_behaved(events, plan, started)
    law_no_half_call(events)


@pytest.mark.soak
@patient
@given(answers())
def test_soak_nothing_lost(events: list[Event]) -> None:
    law_nothing_lost(events)


@pytest.mark.soak
@patient
@given(garbage(), PLANS)
def test_soak_disorder(events: list[Event], plan: dict[str, Any]) -> None:
    law_garbage(events, plan)


@pytest.mark.soak
@patient
@given(answers(), PLANS, st.lists(st.integers(1, 90), max_size=60))
def test_soak_chunks(events: list[Event], plan: dict[str, Any], cuts: list[int]) -> None:
    law_chunks(events, plan, cuts)
