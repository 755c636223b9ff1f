from __future__ import annotations

import pytest

from dragoman.translate.chat.items import KINDS
from dragoman.translate.chat.stream import TRANSITIONS, ResponsesToChat, State, finish_reason
from dragoman.translate.messages.outcome import Outcome
from dragoman.translate.messages.stream import TRANSITIONS as MESSAGES
from dragoman.wire.errors import Failure, Kind
from tests.support.chats import check, context, run
from tests.support.streams import (
    added,
    call_events,
    completed,
    created,
    delta,
    done,
    failed,
    message,
    reasoning,
    search_events,
    text_events,
)

HELLO = text_events(0, "msg_0", "Hello.")
GIVEN_UP = Failure(Kind.TIMEOUT, "too slow")


def test_both_dialects_walk_the_same_states() -> None:
    assert {state: set(rows) for state, rows in TRANSITIONS.items()} == {
        state: set(rows) for state, rows in MESSAGES.items()
    }
    for state, rows in TRANSITIONS.items():
        assert [after for _, after in rows.values()] == [after for _, after in MESSAGES[state].values()]


def test_a_start_can_be_asked_for_and_comes_once() -> None:
    automaton = ResponsesToChat(context())
    [first] = automaton.begin()
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert first["id"] == "chatcmpl-golden"
    assert first["created"] == 1_780_000_000
    assert automaton.begin() == []
    found = [chunk for event in [created(), *HELLO, completed()] for chunk in automaton.feed(event)]
    assert [choice["delta"].get("role") for chunk in found for choice in chunk["choices"]] == [None, None]


def test_giving_up_is_told_as_an_error_once() -> None:
    answer = run([created(), *HELLO], close=False)
    assert answer.automaton.fail(GIVEN_UP) == [GIVEN_UP.openai()]
    assert answer.automaton.fail(GIVEN_UP) == []
    assert answer.automaton.close() == []
    assert answer.automaton.told == GIVEN_UP


def test_giving_up_after_the_end_says_nothing() -> None:
    assert run([created(), *HELLO, completed()]).automaton.fail(GIVEN_UP) == []


def test_a_stop_sequence_cancels_the_upstream_and_late_figures_still_count() -> None:
    answer = run([created(), *HELLO], context(plan={"stop_sequences": ["lo"]}), close=False)
    automaton = answer.automaton
    assert automaton.wants_cancel
    assert automaton.state is State.STOPPED
    assert answer.text == "Hel"
    sources = [automaton.outcome.usage.source]
    assert automaton.feed(completed()) == []
    sources.append(automaton.outcome.usage.source)
    assert sources == ["estimated", "measured"]


def test_items_behind_a_stop_sequence_are_not_shown() -> None:
    """The terminal event brings more than the client wants to hear."""
    output = [
        message("msg_0", "one END two"),
        reasoning("rs_1", "Hm."),
        {**message("msg_2"), "content": [{"type": "refusal", "refusal": "No."}]},
        {"type": "function_call", "call_id": "call_1", "name": "bash", "arguments": '{"a":1}'},
    ]
    answer = run(
        [created(), completed(output)], context(plan={"stop_sequences": ["END"], "thinking": "shown"})
    )
    check(answer)
    assert answer.message == {"role": "assistant", "content": "one ", "refusal": None, "annotations": []}


def test_searches_are_counted_not_shown() -> None:
    visit = {"type": "open_page", "url": "https://example.com/a"}
    events = [
        created(),
        *search_events(0, "ws_0", "https://example.com/a"),
        done(1, {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": visit}),
        *text_events(2, "msg_2", "Hello."),
        completed(),
    ]
    answer = run(events)
    assert answer.text == "Hello."
    assert answer.automaton.outcome.web_searches == 1


def test_a_search_that_never_ends_is_not_counted() -> None:
    events = [
        created(),
        added(0, {"type": "web_search_call", "id": "ws_0"}),
        *text_events(2, "msg_2", "Hi."),
        completed(),
    ]
    assert run(events).automaton.outcome.web_searches == 0


def test_a_call_cut_before_its_arguments_gets_none() -> None:
    """reliability E3: nothing is finished by guess."""
    answer = run([created(), *call_events(0, 1, "bash")[:1], failed("server_error", "broken")])
    assert answer.deltas[-1]["tool_calls"][0]["function"] == {"name": "bash", "arguments": ""}
    assert answer.finish == []


def test_raw_reasoning_is_shown_like_a_summary() -> None:
    events = [
        created(),
        added(0, {"type": "reasoning", "id": "rs_0"}),
        delta("reasoning_text", "rs_0", 0, "Hm.", content_index=0),
        done(0, {"type": "reasoning", "id": "rs_0", "content": [{"type": "reasoning_text", "text": "Hm."}]}),
        *text_events(1, "msg_1", "Yes."),
        completed(),
    ]
    assert run(events, context(plan={"thinking": "shown"})).message["reasoning_content"] == "Hm."


@pytest.mark.parametrize(
    ("reason", "incomplete", "told"),
    [
        ("end_turn", None, "stop"),
        ("stop_sequence", None, "stop"),
        ("stop_sequence", "max_output_tokens", "stop"),
        ("tool_use", None, "tool_calls"),
        ("max_tokens", "max_output_tokens", "length"),
        ("max_tokens", None, "length"),
        ("refusal", None, "stop"),
        ("refusal", "content_filter", "content_filter"),
        ("refusal", "max_output_tokens", "length"),
    ],
)
def test_finish_reasons(reason: str, incomplete: str | None, told: str) -> None:
    outcome = Outcome(stop_reason=reason, incomplete_reason=incomplete)
    assert finish_reason(outcome, legacy=False) == told


def test_the_old_shape_has_its_own_finish_reason() -> None:
    assert finish_reason(Outcome(stop_reason="tool_use"), legacy=True) == "function_call"
    assert finish_reason(Outcome(stop_reason="end_turn"), legacy=True) == "stop"


def test_kinds_are_what_the_dialect_has_a_word_for() -> None:
    assert set(KINDS) == {"message", "function_call", "reasoning", "web_search_call"}


def test_what_a_refusal_cites_is_not_told() -> None:
    """B66: an annotation belongs to a text."""
    place = {"item_id": "msg_0", "output_index": 0, "content_index": 0}
    cited = {
        "type": "url_citation",
        "url": "https://example.com/a",
        "title": "A",
        "start_index": 0,
        "end_index": 2,
    }
    refused = {**message("msg_0"), "content": [{"type": "refusal", "refusal": "No."}]}
    answer = run(
        [
            created(),
            added(0, message("msg_0")),
            {"type": "response.refusal.delta", **place, "delta": "No."},
            {
                "type": "response.output_text.annotation.added",
                **place,
                "annotation_index": 0,
                "annotation": cited,
            },
            done(0, refused),
            completed([refused]),
        ]
    )
    check(answer)
    assert answer.message == {"role": "assistant", "content": None, "refusal": "No.", "annotations": []}
