from __future__ import annotations

from typing import Any

import pytest

from dragoman.translate.messages.failure import Cause
from dragoman.translate.messages.stream import KNOWN, ROWS, TRANSITIONS, ResponsesToMessages, State
from dragoman.translate.messages.welljson import COMMA
from dragoman.wire.errors import Failure, Kind
from scripts.diagram import mermaid
from tests.support.streams import (
    USAGE,
    Event,
    added,
    call,
    call_events,
    citation,
    completed,
    context,
    created,
    delta,
    done,
    failed,
    incomplete,
    message,
    reasoning,
    reasoning_events,
    run,
    search_events,
    text_events,
    words,
)

HELLO = text_events(0, "msg_0", "Hello.")
GIVEN_UP = Failure(Kind.TIMEOUT, "too slow")


def automaton(*events: Event, started: bool = False, **frame: Any) -> ResponsesToMessages:
    return run(events, context(**frame), started=started, close=False).automaton


# -- the table -------------------------------------------------------------------------------------------


def test_every_event_has_one_row_in_each_of_its_states() -> None:
    seen = [(row.event, state) for row in ROWS for state in row.states]
    assert len(seen) == len(set(seen))
    assert set(TRANSITIONS) == set(State)
    assert set(TRANSITIONS[State.ENDED]) == set()


def test_no_state_is_ever_left_backwards() -> None:
    order = list(State)
    for state, row in TRANSITIONS.items():
        for _, after in row.values():
            assert order.index(after) >= order.index(state)


def test_every_state_hears_of_the_end() -> None:
    for state in (State.WAITING, State.OPENED, State.ANSWERING, State.STOPPED):
        for event in ("response.completed", "response.incomplete", "response.failed"):
            assert TRANSITIONS[state][event][1] is State.ENDED


def test_the_diagram_is_drawn_from_the_table() -> None:
    text = mermaid()
    for state in State:
        assert str(state) in text
    for event in KNOWN:
        assert event.removeprefix("response.").rpartition(".")[2] in text
    assert "answering --> stopped" in text


# -- the doors -------------------------------------------------------------------------------------------


def test_nothing_is_written_before_there_is_content() -> None:
    """B81, behaviours S4, behaviours S16, behaviours E14: until then everything is still possible."""
    answer = automaton()
    for event in (
        {"type": "codex.rate_limits", "plan_type": "plus"},
        created(),
        {"type": "response.queued", "response": {}},
        {"type": "response.in_progress", "response": {}},
        added(0, reasoning("rs_0")),
        added(1, message("msg_1")),
        {"type": "response.content_part.added", "item_id": "msg_1", "output_index": 1},
        delta("output_text", "msg_1", 1, ""),
    ):
        assert answer.feed(event) == []
    assert not answer.started
    assert answer.outcome.usage.source == "none"
    answer = automaton(created())
    assert [event["type"] for event in answer.feed(delta("output_text", "msg_1", 1, "x"))] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
    ]
    assert answer.started


def test_the_first_argument_reaches_the_client_before_the_end() -> None:
    """B58, D17."""
    answer = automaton(created())
    assert answer.feed(added(0, call(1, "Bash")))[1]["content_block"]["name"] == "Bash"
    [event] = answer.feed(delta("function_call_arguments", "fc_1", 0, '{"a":"x'))
    assert event["delta"]["partial_json"] == '{"a":"x'


def test_the_end_of_a_thought_waits_for_what_follows_and_nothing_else_does() -> None:
    """B26, B68: a failure right behind it breaks the answer inside of the thought."""
    answer = automaton(created(), *reasoning_events(0, "rs_0", "Hm."))
    assert answer.feed(added(1, message("msg_1"))) == []
    shown = answer.feed(delta("output_text", "msg_1", 1, "x"))
    assert [event["type"] for event in shown] == [
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
    ]
    assert shown[0]["delta"]["type"] == "signature_delta"
    cut, given_up = (automaton(created(), *reasoning_events(0, "rs_0", "Hm.")) for _ in range(2))
    assert [event["type"] for event in cut.close() + given_up.fail(GIVEN_UP)] == ["error", "error"]


def test_begin_starts_the_message_once() -> None:
    answer = automaton(created())
    [start] = answer.begin()
    assert start["type"] == "message_start"
    assert answer.begin() == []
    assert [event["type"] for event in answer.feed(delta("output_text", "m", 0, "x"))] == [
        "content_block_start",
        "content_block_delta",
    ]


def test_begin_does_nothing_for_an_answer_that_goes_on_or_is_over() -> None:
    assert automaton(started=True).begin() == []
    told = automaton(created())
    told.fail(Failure(Kind.OVERLOADED, "x"))
    assert told.concluded and told.begin() == []


def test_begin_may_come_between_a_failed_attempt_and_the_next() -> None:
    """Nothing was told of the failure yet: the head of the answer may go out, and an error behind it."""
    broken = automaton(failed("server_error", "x"))
    assert broken.finished and not broken.concluded
    assert [event["type"] for event in broken.begin()] == ["message_start"]
    assert [event["type"] for event in broken.fail(Failure(Kind.UPSTREAM, "x"))] == ["error"]
    assert broken.concluded and broken.begin() == []


def test_a_failure_before_content_leaves_everything_to_the_gateway() -> None:
    """B83, B84, D12, D13: also behind an early message_start."""
    for started in (False, True):
        answer = automaton(created(), started=started)
        assert answer.feed(failed("server_is_overloaded", "busy")) == []
        assert answer.finished
        assert answer.failure is not None
        assert answer.failure.cause is Cause.OVERLOADED
        assert answer.told is None
        assert answer.close() == []
        [error] = answer.fail(GIVEN_UP)
        assert error == {"type": "error", "error": {"type": "timeout_error", "message": "too slow"}}
        assert answer.fail(GIVEN_UP) == []


def test_a_failure_after_content_is_told_once() -> None:
    """B89: never retried, never repeated."""
    answer = automaton(created(), *HELLO)
    [error] = answer.feed({"type": "error", "code": "server_error", "message": "broke"})
    assert error["error"] == {"type": "api_error", "message": "broke"}
    assert answer.told is not None
    assert answer.told.kind is Kind.UPSTREAM
    assert answer.fail(GIVEN_UP) == []
    assert answer.close() == []
    assert answer.feed(completed()) == []


def test_the_gateway_can_end_a_stream_at_any_time() -> None:
    answer = automaton(created(), *HELLO[:4])
    [error] = answer.fail(GIVEN_UP)
    assert error["type"] == "error"
    assert answer.finished
    assert answer.told == GIVEN_UP
    assert answer.feed(completed()) == []
    assert answer.close() == []


def test_a_good_end_cannot_be_taken_back() -> None:
    answer = automaton(created(), *HELLO, completed())
    assert answer.finished
    assert not answer.wants_cancel
    assert answer.fail(GIVEN_UP) == []
    assert answer.close() == []
    for event in (completed(), created(), {"type": "new"}, {"error": "x"}):
        assert answer.feed(event) == []
    assert answer.failure is None
    assert answer.outcome.ignored == {}


def test_no_answer_is_told_as_its_end_before_the_terminal_event() -> None:
    """reliability E2: message_delta waits for the upstream's last word."""
    answer = run([created(), *HELLO, *call_events(1, 1, "Bash", "{}")], close=False)
    assert "message_delta" not in answer.kinds
    assert not answer.automaton.finished


# -- calls that end in the middle ------------------------------------------------------------------------


HALF = '{"command":"rm -rf /tmp/x", "descr'


def test_half_a_call_is_told_no_further_and_fails_with_the_end() -> None:
    """D20; reliability E3."""
    answer = automaton(created(), *call_events(0, 1, "Bash", HALF))
    assert answer.feed(delta("output_text", "m", 1, "x")) == []
    [error] = answer.feed(completed())
    assert (error["type"], error["error"]["type"]) == ("error", "api_error")
    assert answer.failure is not None and answer.failure.cause is Cause.PROTOCOL
    assert answer.outcome.stop_reason is None


@pytest.mark.parametrize("end", [completed, lambda: completed([call(1, "Bash", HALF)])])
def test_half_a_call_without_an_end_of_its_own_fails_with_the_answer(end: Any) -> None:
    """A call that was never finished, and one that the upstream gave no id."""
    events = call_events(0, 1, "Bash", HALF)[:2]
    answer = run([created(), *events, end()]).checked()
    assert answer.kinds[-2:] == ["content_block_delta", "error"]
    nameless = done(0, {"type": "function_call", "id": "fc_1", "name": "Bash", "arguments": HALF})
    answer = run([created(), nameless, *text_events(1, "m", "x"), end()]).checked()
    assert answer.kinds[-1] == "error"


def test_before_content_half_a_call_is_a_failed_attempt() -> None:
    answer = run([created(), completed([message("m", "I clean up."), call(1, "Bash", HALF)])])
    assert (answer.events, answer.automaton.told) == ([], None)
    assert answer.automaton.failure is not None and answer.automaton.failure.cause is Cause.PROTOCOL
    begun = run([created(), completed([call(1, "Bash", HALF)])], started=True)
    assert begun.events == []


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_half_a_call_of_an_incomplete_response_is_a_cut_one(reason: str) -> None:
    """B63, D20: also behind its own end, with what comes after it."""
    events = [*call_events(0, 1, "Bash", HALF), *text_events(1, "m", "x"), incomplete(reason)]
    answer = run([created(), *events]).checked()
    expected = "refusal" if reason == "content_filter" else "max_tokens"
    assert answer.message["stop_reason"] == expected
    assert [block.get("input", block.get("text")) for block in answer.content] == [
        {"command": "rm -rf /tmp/x"},
        "x",
    ]


def test_a_stop_sequence_behind_half_a_call_is_no_good_end() -> None:
    """Clients would take the call for a whole one."""
    events = [*call_events(0, 1, "Bash", HALF), *text_events(1, "m", "xEND"), incomplete("max_output_tokens")]
    answer = run([created(), *events], context(plan={"stop_sequences": ["END"]})).checked()
    assert (answer.message["stop_reason"], answer.message["stop_sequence"]) == ("max_tokens", None)


def test_an_answer_that_ended_here_is_not_broken_by_half_a_call() -> None:
    output = [message("m", "a b c"), call(1, "Bash", HALF)]
    answer = run([created(), completed(output)], context(plan={"visible_cap": 2})).checked()
    assert answer.message["stop_reason"] == "max_tokens"


# -- what it came to -------------------------------------------------------------------------------------


def test_the_outcome_of_a_whole_answer() -> None:
    """B100."""
    events = [
        created(),
        *reasoning_events(0, "rs_0", "Hm."),
        *call_events(1, 1, "Bash", '{"a": 1}'),
        completed(),
    ]
    outcome = automaton(*events).outcome
    assert outcome.stop_reason == "tool_use"
    assert outcome.arguments == {"call_1": '{"a": 1}'}
    assert (outcome.response_id, outcome.response_model) == ("resp_1", "gpt-test")
    assert outcome.service_tier == "default"
    assert (outcome.usage.source, outcome.usage.total_input, outcome.usage.cached) == ("measured", 1200, 1000)


def test_arguments_are_remembered_as_the_model_wrote_them() -> None:
    """B9: also where the client got them shortened, and never half ones."""
    raw = '{"file_path": "/a", "pages": ""}'
    outcome = automaton(
        created(), *call_events(0, 1, "Read", raw), *call_events(1, 2, "Now"), completed()
    ).outcome
    assert outcome.arguments == {"call_1": raw}
    cut = automaton(created(), *call_events(0, 1, "Bash", '{"a')[:2], incomplete("max_output_tokens")).outcome
    assert (cut.arguments, cut.repaired) == ({}, {})
    mended = automaton(created(), *call_events(0, 1, "Bash", '{"a":1,}'), completed()).outcome
    assert (mended.arguments, list(mended.repaired)) == ({}, [COMMA])


def test_rate_limits_and_unknown_events_are_kept_for_the_gateway() -> None:
    """B71."""
    limits = {"type": "codex.rate_limits", "rate_limits": {"primary": {"used_percent": 3}}}
    answer = automaton(limits, created(), {"type": "x.y"}, {"type": "x.y"}, {"no": "type"}, {"type": ["odd"]})
    assert answer.outcome.rate_limits == limits
    assert answer.outcome.ignored == {"x.y": 2, "(no type)": 2}
    assert not answer.finished


def test_hidden_items_are_counted() -> None:
    """B67, D22."""
    item = {"type": "mcp_call", "id": "m", "name": "Bash", "arguments": "{}"}
    custom = {"type": "custom_tool_call", "id": "c", "call_id": "c", "name": "apply", "input": "x"}
    outcome = automaton(
        created(), added(0, item), done(0, item), *text_events(1, "m1", "x"), done(2, custom), completed()
    ).outcome
    assert outcome.hidden == {"mcp_call": 1, "custom_tool_call": 1}
    assert (outcome.tool_calls, outcome.dropped) == (0, 0)


def test_a_client_that_leaves_is_settled_with_an_estimate() -> None:
    """B94, D34."""
    answer = automaton(created(), *HELLO[:4], input_estimate=77)
    usage = answer.outcome.usage
    assert (usage.source, usage.total_input, usage.output) == ("estimated", 77, 2)
    wide = automaton(created(), *text_events(0, "m", "漢字漢字")[:4])
    assert wide.outcome.usage.output == 3


def test_nothing_generated_costs_nothing() -> None:
    """B96."""
    assert automaton(created(), failed("server_error", "x")).outcome.usage.source == "none"
    answer = automaton(created())
    answer.begin()
    assert answer.outcome.usage.source == "none"


def test_a_failure_with_usage_is_measured() -> None:
    """B95, D45."""
    usage = {"input_tokens": 9, "output_tokens": 4}
    event = failed("server_error", "x")
    event["response"]["usage"] = usage
    outcome = automaton(created(), *HELLO, event).outcome
    assert (outcome.usage.source, outcome.usage.output, outcome.stop_reason) == ("measured", 4, None)


def test_why_the_upstream_stopped_early_is_kept() -> None:
    """D21, D45."""
    assert (
        automaton(created(), *HELLO, incomplete("content_filter")).outcome.incomplete_reason
        == "content_filter"
    )
    assert automaton(created(), *HELLO, incomplete(None)).outcome.incomplete_reason == "unknown"
    strange = incomplete(None)
    strange["response"]["incomplete_details"] = {"reason": 7}
    assert automaton(created(), *HELLO, strange).outcome.stop_reason == "max_tokens"


def test_a_refusal_that_is_cut_is_a_refusal() -> None:
    """B64."""
    events = [created(), delta("refusal", "m", 0, "I can"), incomplete("max_output_tokens")]
    assert run(events).message["stop_details"] == {
        "type": "refusal",
        "category": None,
        "explanation": "I can",
    }


# -- cut by the gateway itself ---------------------------------------------------------------------------


def test_a_stop_sequence_cancels_the_upstream() -> None:
    """B36, behaviours C21: usage is flagged as estimated until the terminal event happens to arrive."""
    answer = automaton(created(), *text_events(0, "m", "abENDc")[:3], plan={"stop_sequences": ["END"]})
    assert answer.finished
    assert answer.wants_cancel
    assert answer.state is State.STOPPED
    sources = [answer.outcome.usage.source]
    assert (answer.outcome.stop_reason, answer.outcome.stop_sequence) == ("stop_sequence", "END")
    assert answer.feed(delta("output_text", "m", 0, "more")) == []
    assert answer.feed({"type": "codex.rate_limits", "x": 1}) == []
    assert answer.feed(completed()) == []
    sources.append(answer.outcome.usage.source)
    assert sources == ["estimated", "measured"]
    assert answer.close() == []


@pytest.mark.parametrize(
    "plan", [{"stop_sequences": ["END"]}, {"visible_cap": 1}], ids=["stop sequence", "cap"]
)
@pytest.mark.parametrize("end", [completed(), incomplete("max_output_tokens"), failed("x", "y")])
def test_figures_that_came_in_the_same_read_are_told(plan: dict[str, Any], end: Event) -> None:
    """B36, B37: then there is nothing to cancel, and what stands between the cut and the end is heard."""
    end = {**end, "response": {**end["response"], "usage": USAGE}}
    batch = [delta("output_text", "m", 0, "ab END c"), {"type": "codex.rate_limits", "x": 1}, end]
    answer = automaton(created(), plan=plan)
    answer.foresee(batch)
    out = [told for event in batch for told in answer.feed(event)]
    assert out[-1]["type"] == "message_stop"
    assert out[-2]["usage"]["output_tokens"] == answer.outcome.usage.output == USAGE["output_tokens"]
    assert answer.outcome.usage.source == "measured"
    assert not answer.wants_cancel
    assert answer.outcome.rate_limits == batch[1]
    assert answer.state is State.ENDED
    assert answer.close() == []


def test_figures_of_an_earlier_read_are_nobodys() -> None:
    """What was foreseen counts for its own batch alone, and only where an answer may be ended here."""
    answer = automaton(created(), plan={"stop_sequences": ["END"]})
    answer.foresee([completed(), {"type": ["odd"]}, {}])
    answer.foresee([delta("output_text", "m", 0, "ab END c")])
    out = answer.feed(delta("output_text", "m", 0, "ab END c"))
    assert (out[-1]["type"], answer.wants_cancel) == ("message_stop", True)
    assert answer.outcome.usage.source == "estimated"
    plain = automaton(created())
    plain.foresee([completed()])
    assert plain._ahead is None


@pytest.mark.parametrize(
    "end", [incomplete("max_output_tokens"), failed("server_error", "x"), {"type": "response.failed"}]
)
def test_whatever_the_upstream_says_after_a_cut_of_ours_changes_no_ending(end: Event) -> None:
    answer = automaton(created(), delta("output_text", "m", 0, "a b"), plan={"visible_cap": 1})
    assert (answer.outcome.stop_reason, answer.wants_cancel) == ("max_tokens", True)
    assert answer.feed(end) == []
    assert (answer.outcome.stop_reason, answer.failure, answer.state) == ("max_tokens", None, State.ENDED)


@pytest.mark.parametrize(
    "end",
    [
        completed([message("m", "a END")]),
        incomplete("max_output_tokens", [message("m", "a END")]),
    ],
)
def test_a_stop_sequence_that_the_terminal_event_brings_needs_no_cancelling(end: Event) -> None:
    answer = run([created(), end], context(plan={"stop_sequences": ["END"]})).checked()
    assert answer.message["stop_reason"] == "stop_sequence"
    assert not answer.automaton.wants_cancel
    assert answer.automaton.outcome.usage.source == "measured"


def test_a_stop_sequence_released_by_an_overflow() -> None:
    frame = context(
        betas=["model-context-window-exceeded-2025-08-26"], plan={"visible_cap": 1, "prefill": "one tw"}
    )
    events = [
        created(),
        *call_events(0, 1, "Bash"),
        delta("output_text", "m", 1, "one t"),
        failed("context_length_exceeded", "x"),
    ]
    answer = run(events, frame).checked()
    assert answer.message["stop_reason"] == "max_tokens"


def test_the_cap_is_counted_with_the_given_tokenizer() -> None:
    """B37."""
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return words(text)

    run([created(), *HELLO, completed()], context(count=count))
    assert counted == []
    run([created(), *HELLO, completed()], context(count=count, plan={"visible_cap": 9}))
    assert counted == ["Hello."]


# -- items that behave oddly -----------------------------------------------------------------------------


def test_more_text_after_giving_way_becomes_a_block_of_its_own() -> None:
    events = [
        created(),
        delta("output_text", "m", 0, "one"),
        {"type": "response.output_text.done", "item_id": "m", "output_index": 0, "text": "one"},
        *call_events(1, 1, "Bash", "{}"),
        delta("output_text", "m", 0, "two", content_index=1),
        done(0, message("m", "one", "two!")),
        completed(),
    ]
    content = run(events).checked().content
    assert [block.get("text", block["type"]) for block in content] == ["one", "tool_use", "two!"]


def test_a_call_that_gave_way_is_closed_for_good() -> None:
    place = {"item_id": "fc_1", "output_index": 0}
    events = [
        created(),
        added(0, call(1, "Bash")),
        {"type": "response.function_call_arguments.done", "arguments": "{}"} | place,
        added(1, call(2, "Bash")),
        {"type": "response.function_call_arguments.done", "arguments": '{"late":1}'} | place,
        done(0, call(1, "Bash", '{"late":1}')),
        done(1, call(2, "Bash", "{}")),
        completed(),
    ]
    assert [block["input"] for block in run(events).checked().content] == [{}, {}]
    bad = [*events[:4], delta("function_call_arguments", "fc_1", 0, "x")]
    assert run(bad).kinds[-1] == "error"


def test_an_item_may_be_announced_or_finished_twice() -> None:
    events = [
        created(),
        added(0, call(1, "Bash")),
        *call_events(0, 1, "Bash", "{}"),
        done(0, call(1, "Bash", "{}")),
        completed(),
    ]
    assert len(run(events).checked().content) == 1


def test_a_second_item_under_the_same_number_is_another_one() -> None:
    events = [created(), done(0, message("a", "one")), done(0, message("b", "two")), completed()]
    assert run(events).text == "onetwo"
    again = [created(), done(0, message("a", "one")), done(0, message("", "one")), completed()]
    assert run(again).text == "one"


def test_items_without_any_number_belong_to_the_newest_of_their_kind() -> None:
    bare: Event = {"type": "response.output_item.done", "item": message("", "Hello.")}
    events = [
        created(),
        {"type": "response.output_text.delta", "delta": "Hel"},
        {"type": "response.output_text.done", "text": "Hello."},
        bare,
        {"type": "response.function_call_arguments.delta", "delta": "{}"},
        {"type": "response.output_item.done", "item": call(1, "Bash", "{}") | {"id": None}},
        completed(),
    ]
    content = run(events).checked().content
    assert [block.get("text", block.get("id")) for block in content] == ["Hello.", "call_1"]


def test_ids_without_numbers_are_enough() -> None:
    events = [
        created(),
        {"type": "response.output_text.delta", "item_id": "a", "delta": "one"},
        {"type": "response.output_item.done", "item": message("a", "one")},
        {"type": "response.output_text.delta", "item_id": "b", "delta": "two"},
        completed(),
    ]
    assert [block["text"] for block in run(events).checked().content] == ["one", "two"]


def test_a_read_call_cut_where_its_pages_are_doubtful() -> None:
    """behaviours C9."""
    events = [created(), *call_events(0, 1, "Read", '{"file_path":"/a","pages":"')[:2]]
    answer = run([*events, incomplete("max_output_tokens")]).checked()
    assert answer.content[0]["input"] == {"file_path": "/a"}
    assert answer.events[-4]["delta"]["partial_json"] == ',"pages":"'


def test_another_kind_under_a_known_number_is_another_item() -> None:
    events = [
        created(),
        delta("output_text", "m", 0, "x"),
        added(0, call(1, "Bash")),
        done(0, call(1, "Bash", "{}")),
        completed(),
    ]
    content = run(events).checked().content
    assert [block["type"] for block in content] == ["text", "tool_use"]


def test_snapshots_of_items_that_are_over_are_ignored() -> None:
    place = {"item_id": "msg_0", "output_index": 0, "content_index": 0}
    late = [
        {"type": "response.output_text.done", "text": "more"} | place,
        {"type": "response.refusal.done", "refusal": "more"} | place,
        {"type": "response.content_part.done", "part": {"type": "output_text", "text": "more"}} | place,
        {"type": "response.content_part.done", "part": {"type": "later", "text": "more"}} | place,
        {"type": "response.content_part.done", "part": None} | place,
        {"type": "response.output_text.annotation.added", "annotation": citation("https://a", 0, 1)} | place,
    ]
    assert run([created(), *HELLO, *late, completed()]).text == "Hello."
    fc = {"item_id": "fc_1", "output_index": 1}
    events = [
        *call_events(1, 1, "Bash", "{}"),
        {"type": "response.function_call_arguments.done", "arguments": '{"x":1}'} | fc,
        done(2, {"type": "custom_tool_call", "id": "ct", "call_id": "c", "name": "apply", "input": "x"}),
        {"type": "response.custom_tool_call_input.done", "item_id": "ct", "output_index": 2, "input": "y"},
        *reasoning_events(3, "rs", "Hm."),
        {"type": "response.reasoning_summary_text.done", "item_id": "rs", "output_index": 3, "text": "y"},
        {"type": "response.reasoning_summary_part.done", "item_id": "rs", "output_index": 3, "part": 7},
        {"type": "response.reasoning_text.done", "item_id": "rs", "output_index": 3, "text": "y"},
    ]
    content = (
        run([created(), *events, completed()], context(plan={"custom_tools": ["apply"]})).checked().content
    )
    assert [block.get("input", block.get("thinking")) for block in content] == [{}, {"input": "x"}, "Hm."]


def test_deltas_of_other_items_that_are_over_make_no_sense() -> None:
    for kind, events, item_id in (
        ("function_call_arguments", call_events(0, 1, "Bash", "{}"), "fc_1"),
        ("reasoning_summary_text", reasoning_events(0, "rs", "Hm."), "rs"),
        ("reasoning_text", reasoning_events(0, "rs", "Hm."), "rs"),
        ("refusal", HELLO, "msg_0"),
    ):
        answer = run([created(), *events, delta(kind, item_id, 0, "x")])
        assert answer.automaton.failure is not None
        assert answer.automaton.failure.cause is Cause.PROTOCOL


def test_snapshots_without_text_say_nothing() -> None:
    place = {"item_id": "x", "output_index": 0}
    for event in (
        {"type": "response.output_text.done", "text": None},
        {"type": "response.refusal.done"},
        {"type": "response.function_call_arguments.done", "arguments": 7},
        {"type": "response.custom_tool_call_input.done"},
        {"type": "response.reasoning_summary_text.done"},
        {"type": "response.reasoning_text.done", "text": []},
    ):
        answer = run([created(), event | place], close=False)
        assert answer.events == []
        assert not answer.automaton.finished


def test_finished_items_with_odd_contents_say_nothing() -> None:
    events = [
        created(),
        done(0, {"type": "message", "id": "m0", "content": "text"}),
        done(
            1,
            {
                "type": "message",
                "id": "m1",
                "content": ["x", {"type": "image"}, {"type": "text", "text": "ok"}],
            },
        ),
        done(2, {"type": "reasoning", "id": "r", "summary": "x", "content": [7, {"text": None}]}),
        done(3, {"type": "function_call", "id": "f", "call_id": "c", "name": "n", "arguments": None}),
        completed(),
    ]
    content = run(events).checked().content
    assert [block.get("text", block.get("input", block.get("thinking"))) for block in content] == [
        "ok",
        "",
        {},
    ]


def test_half_a_character_at_the_end_of_arguments_and_of_a_gap() -> None:
    """B50."""
    events = [
        created(),
        *call_events(0, 1, "Bash")[:1],
        delta("function_call_arguments", "fc_1", 0, '{"a":"\ud83d'),
        incomplete("max_output_tokens"),
    ]
    answer = run(events).checked()
    assert answer.events[-4]["delta"]["partial_json"] == "\ufffd"
    assert answer.automaton.outcome.arguments == {}
    lone = run(
        [
            created(),
            delta("output_text", "m", 0, "\ud83d"),
            delta("reasoning_text", "r", 1, "\ud83d"),
            completed(),
        ]
    )
    assert lone.text == "\ufffd"


def test_a_contradicted_summary_is_counted() -> None:
    events = [
        created(),
        *reasoning_events(0, "rs", "Hm.")[:-1],
        done(0, reasoning("rs", "Other.")),
        *text_events(1, "m", "x"),
        completed(),
    ]
    assert automaton(*events).outcome.mismatched == 1


def test_a_contradicted_call_that_was_shown_stays() -> None:
    events = [
        created(),
        *call_events(0, 1, "Bash", '{"a":1}')[:2],
        done(0, call(1, "Bash", '{"b":2}')),
        completed(),
    ]
    answer = run(events).checked()
    assert (answer.content[0]["input"], answer.automaton.outcome.mismatched) == ({"a": 1}, 1)


def test_gaps_of_the_terminal_output_are_matched_to_what_came_before() -> None:
    """B65, D19: nothing twice, nothing lost, whatever the ids."""
    output: list[Any] = [
        message("a", "first"),
        {"type": "unknown_item"},
        "x",
        call(1, "Bash", '{"n":1}') | {"id": "other"},
        message("b", "second"),
        call(2, "Bash", '{"n":2}'),
    ]
    events = [
        created(),
        done(4, message("b", "second")),
        *call_events(3, 1, "Bash", '{"n":1}'),
        completed(output),
    ]
    content = run(events).checked().content
    assert [block.get("text", block.get("id")) for block in content] == [
        "second",
        "call_1",
        "first",
        "call_2",
    ]
    assert (
        run([created(), *HELLO, completed() | {"response": completed()["response"] | {"output": "x"}}]).text
        == "Hello."
    )


def test_twenty_interleaved_calls_and_searches_keep_their_places() -> None:
    """B53."""
    items = [
        call_events(n, n, "Bash", f'{{"n":{n}}}') if n % 2 else search_events(n, f"ws_{n}") for n in range(20)
    ]
    events = [created()]
    for step in range(max(map(len, items))):
        events += [item[step] for item in items if step < len(item)]
    content = run([*events, completed()]).checked().content
    assert [block["input"]["n"] for block in content if block["type"] == "tool_use"] == list(range(1, 20, 2))


def test_an_item_that_the_dialect_has_no_word_for_is_counted_and_hidden() -> None:
    """D22: nothing of it is taken for a tool of the client."""
    item = {"type": "code_interpreter_call", "id": "ci_1", "name": "python", "arguments": "{}"}
    answer = run([created(), added(0, item), done(0, item), *text_events(1, "msg_1", "Hi"), completed()])
    assert answer.automaton.outcome.hidden == {"code_interpreter_call": 1}
    assert [block["type"] for block in answer.message["content"]] == ["text"]
