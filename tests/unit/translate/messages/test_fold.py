from __future__ import annotations

from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jiter import from_json

from dragoman.translate.messages.fold import Fold, complete_members
from dragoman.wire import jsonio
from tests.support.spoilt import texts
from tests.support.streams import (
    Event,
    answers,
    call_events,
    completed,
    context,
    created,
    incomplete,
    run,
    text_events,
)

relaxed = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def test_half_an_answer_is_no_message() -> None:
    """B69: only message_stop makes a message."""
    fold = Fold()
    for event in run([created(), *text_events(0, "msg_0", "Hi.")], close=False).events:
        fold.add(event)
    with pytest.raises(ValueError, match="message_stop"):
        fold.message()


def test_nulls_are_kept() -> None:
    """D43."""
    message = run([created(), *text_events(0, "msg_0", "Hi."), completed(usage=None)]).message
    assert message["stop_reason"] == "end_turn"
    for key in ("stop_sequence", "stop_details", "container", "context_management", "diagnostics"):
        assert message[key] is None
    for key in ("cache_creation_input_tokens", "cache_read_input_tokens"):
        assert message["usage"][key] == 0
    assert message["usage"]["server_tool_use"] is None
    assert message["content"] == [{"type": "text", "text": "Hi."}]


def test_cache_writes_are_split_by_their_lifetime_in_the_plain_answer() -> None:
    usage = {"input_tokens": 10, "input_tokens_details": {"cache_write_tokens": 7}, "output_tokens": 1}
    message = run([created(), *text_events(0, "msg_0", "Hi."), completed(usage=usage)]).message
    assert message["usage"]["cache_creation"] == {
        "ephemeral_5m_input_tokens": 7,
        "ephemeral_1h_input_tokens": 0,
    }


def test_usage_of_a_stream_without_cache_figures() -> None:
    fold = Fold()
    usage: Event = {"input_tokens": 3, "output_tokens": 0}
    fold.add({"type": "message_start", "message": {"id": "msg_1", "usage": usage, "content": []}})
    fold.add({"type": "ping"})
    fold.add({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    fold.add({"type": "content_block_delta", "index": 0, "delta": {"type": "later_delta", "x": 1}})
    fold.add({"type": "content_block_stop", "index": 0})
    fold.add({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": usage})
    fold.add({"type": "message_stop"})
    message = fold.message()
    assert message["usage"]["cache_creation"]["ephemeral_5m_input_tokens"] == 0
    assert message["content"] == [{"type": "text", "text": ""}]


def test_context_edits_are_told() -> None:
    frame = context(edits_asked=True)
    message = run([created(), *text_events(0, "msg_0", "Hi."), completed()], frame).message
    assert message["context_management"] == {"applied_edits": []}


def test_a_call_cut_by_the_limit_keeps_what_is_complete() -> None:
    """B63, D20: no `raw`, no guess."""
    cut = call_events(0, 1, "Write", '{"path":"/a","lines":[1,2],"text":"ha')[:2]
    message = run([created(), *cut, incomplete("max_output_tokens")]).message
    assert message["stop_reason"] == "max_tokens"
    assert message["content"][0]["input"] == {"path": "/a", "lines": [1, 2]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        (" ", {}),
        ("{", {}),
        ("{}", {}),
        ('{"a":1}', {"a": 1}),
        ('{"a":1,}', {"a": 1}),
        ('{"a":1,,"b":2}', {"a": 1}),
        ('{"a":1}{"b":2}', {"a": 1}),
        ('{"a":1}}', {"a": 1}),
        ('{"a" 1}', {}),
        ('{"a":}', {}),
        ('{"a":[}', {"a": []}),
        ('{"a":{"b":[1,{"c":"d"', {"a": {"b": [1, {"c": "d"}]}}),
        ("[1,2]", {}),
        ("[1,", {}),
        ('"x"', {}),
        ("nul", {}),
        ('{"a":1e999,"b":1', {}),
        ('{"a":' * 300, {}),
        ("}", {}),
        ('{"a":01}', {}),
        ('{"a":"\ud83d","b":', {}),
    ],
)
def test_the_complete_members_of_cut_input(text: str, value: Event) -> None:
    assert complete_members(text) == value


_JSON = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-1e9, 1e9) | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@relaxed
@given(_JSON, st.integers(0, 80))
def test_cut_input_is_read_as_the_official_client_reads_a_cut_stream(value: Event, at: int) -> None:
    """B72: the SDK parses what it has with jiter's partial mode."""
    text = jsonio.dump_text(value)[:at]
    try:
        expected: Any = from_json(text.encode(), partial_mode=True)
    except ValueError:
        expected = {}
    assert complete_members(text) == expected


@relaxed
@given(st.one_of(answers(), answers(texts())))
def test_the_fold_equals_what_the_official_client_accumulates(events: list[Event]) -> None:
    """B72, B57: final message of a stream = plain answer: content, stop reason, usage."""
    answer = run(events)
    if "message_stop" not in answer.kinds:
        return
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in answer.events[:-1]:
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)  # type: ignore[arg-type]
    message = answer.message
    assert [block.to_dict() for block in snapshot.content] == message["content"]
    assert (snapshot.stop_reason, snapshot.stop_sequence) == (
        message["stop_reason"],
        message["stop_sequence"],
    )
    usage = snapshot.usage
    usage = usage if isinstance(usage, dict) else usage.to_dict()
    for key, value in message["usage"].items():
        assert usage.get(key) == value, key
