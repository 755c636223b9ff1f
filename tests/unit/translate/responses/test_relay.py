"""The stream on its way through: byte for byte, nothing before the first content, failures in their place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.translate.messages.failure import Cause
from dragoman.translate.responses import relay as relays
from dragoman.translate.responses.relay import Relay
from dragoman.wire.errors import Failure, Kind
from tests.support.openapi import described

CREATED = (
    b'event: response.created\ndata: {"type":"response.created","sequence_number":0,'
    b'"response":{"id":"resp_1","created_at":7}}'
)
# What the description requires of a response, as an upstream that keeps to it says it.
WHOLE: dict[str, Any] = {
    "object": "response",
    "created_at": 7,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "model": "gpt-5.5-dated",
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
}
PROGRESS = b'event: response.in_progress\ndata: {"type":"response.in_progress","sequence_number":1}'
DELTA = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta",  "sequence_number":2,'
    b'"delta":"Hi","obfuscation":"xyz","new":1}'
)
UNKNOWN = b'event: response.something.new\ndata: {"type":"response.something.new"}\nid: 7'
LIMITS = b'event: codex.rate_limits\ndata: {"type":"codex.rate_limits","plan_type":"plus"}'
ITEM = (
    b'event: response.output_item.done\ndata: {"type":"response.output_item.done","output_index":0,'
    b'"item":{"type":"message","id":"msg_1"}}'
)


def frame(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}".encode()


def end(output: list[Any] | None = None, status: str = "completed", **more: Any) -> bytes:
    usage = {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 5},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 1},
    }
    response = {
        "id": "resp_1",
        **WHOLE,
        "status": status,
        "output": output or [],
        "usage": usage,
        **more,
    }
    return frame(f"response.{status}", sequence_number=9, response=response)


def failed(code: str, message: str) -> bytes:
    error = {"code": code, "message": message}
    return frame("response.failed", response={"id": "resp_1", "status": "failed", "error": error})


def relay() -> Relay:
    return Relay("gpt-5.5", identity="resp_ours", tokens=100, window=1000, now=lambda: 50.0)


def data(told: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told.partition(b"\ndata: ")[2])
    return found


def test_frames_go_on_byte_for_byte() -> None:
    """Known or not, with whatever fields: what was not touched is what came."""
    one, last = relay(), end([{"type": "message"}])
    assert one.feed([CREATED, PROGRESS]) == []
    assert one.feed([DELTA]) == [CREATED, PROGRESS, DELTA]
    assert one.feed([UNKNOWN, ITEM, PROGRESS, b": a comment"]) == [UNKNOWN, ITEM, PROGRESS, b": a comment"]
    assert one.feed([last, DELTA]) == [last]
    assert one.finished and one.terminal and one.failure is None and one.told is None
    assert one.stop_reason == "completed"
    usage = one.usage
    assert (usage.total_input, usage.cached, usage.output, usage.reasoning) == (20, 5, 3, 1)
    assert usage.source == "measured"


def test_the_quota_of_the_account_is_nobodys_business() -> None:
    one = relay()
    assert one.feed([LIMITS, CREATED, DELTA, LIMITS]) == [CREATED, DELTA]


@pytest.mark.parametrize(
    "early", [b": hello", b'event: keepalive\ndata: {"type":"keepalive"}', b"data: 7", b"data: {"]
)
def test_signs_of_life_before_the_content_wait_with_the_rest(early: bytes) -> None:
    one = relay()
    assert one.feed([early, CREATED]) == []
    assert one.feed([DELTA]) == [early, CREATED, DELTA]
    assert one.feed([early]) == [early]


def test_another_servers_own_events_wait_too() -> None:
    one = relay()
    early = b'event: house.metadata\ndata: {"type":"house.metadata"}'
    assert one.feed([early]) == []
    assert one.feed([DELTA, early]) == [early, DELTA, early]


def test_a_server_that_only_talks_of_itself_is_let_through_in_the_end() -> None:
    one = relay()
    out = one.feed([PROGRESS] * 300)
    assert out == [PROGRESS] * 300


def test_frames_without_a_name_are_read() -> None:
    """Some servers send data alone, or one name for everything."""
    one = relay()
    created, delta = (
        b"data: " + json.dumps(data(CREATED)).encode(),
        b"data: " + json.dumps(data(DELTA)).encode(),
    )
    assert one.feed([created]) == []
    assert one.feed([delta]) == [created, delta]
    last = end([{"type": "message"}]).replace(b"event: response.completed", b"event: message")
    assert one.feed([last]) == [last]
    assert one.terminal


@pytest.mark.parametrize("status", ["completed", "incomplete"])
def test_an_empty_end_gets_the_items_that_were_finished(status: str) -> None:
    """The ChatGPT backend's last event has none; the SDK's final response needs them."""
    one = relay()
    one.feed([CREATED, ITEM, b"event: response.output_item.done\ndata: {"])
    (last,) = one.feed([end(status=status, incomplete_details={"reason": "max_output_tokens"})])
    assert data(last)["response"]["output"] == [{"type": "message", "id": "msg_1"}]
    assert one.response is not None and one.response["output"] == data(last)["response"]["output"]
    assert one.stop_reason == "max_output_tokens"


def test_items_beyond_all_measure_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relays, "KEPT_BYTES", 10)
    one = relay()
    one.feed([ITEM])
    (last,) = one.feed([end()])
    assert data(last)["response"]["output"] == []


def test_an_end_without_content_is_an_answer() -> None:
    one, last = relay(), end()
    assert one.feed([CREATED, last]) == [CREATED, last]


@pytest.mark.parametrize(
    ("last", "cause"),
    [
        (failed("server_is_overloaded", "Busy."), Cause.OVERLOADED),
        (frame("error", code="rate_limit_exceeded", message="Slow down."), Cause.RATE_LIMIT),
        (b'data: {"error":{"code":"server_error","message":"It broke."}}', Cause.SERVER),
        (b"event: response.completed\ndata: {", Cause.PROTOCOL),
        (frame("response.completed", response=None), Cause.PROTOCOL),
    ],
)
def test_a_failure_before_the_content_leaves_no_trace(last: bytes, cause: Cause) -> None:
    one = relay()
    assert one.feed([CREATED, last]) == []
    assert one.finished and one.failure is not None and one.failure.cause is cause
    assert one.told is None and one.usage.source == "none" and not one.answering


def test_the_upstreams_own_failure_goes_on_as_it_is() -> None:
    one, last = relay(), failed("server_error", "The server had an error.")
    assert one.feed([CREATED, DELTA, last]) == [CREATED, DELTA, last]
    assert one.told is not None and one.told.kind is Kind.UPSTREAM and one.terminal
    assert one.usage.source == "estimated" and one.usage.output >= 1 and one.usage.total_input == 100


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (failed("usage_limit_reached", "Your Plus plan is used up."), "insufficient_quota"),
        (failed("usage_not_included", "Your Plus plan has no Codex."), "insufficient_quota"),
        (failed("invalid_api_key", "Incorrect API key."), "server_error"),
        (failed("server_is_overloaded", "Selected model is at capacity."), "server_error"),
        (failed("slow_down", "Slow down."), "server_error"),
        (
            frame("error", code="rate_limit_exceeded", message="Limit of org-abc123: try again in 7s"),
            "rate_limit_exceeded",
        ),
        (failed("server_error", "Failed for org-abc123def456"), "server_error"),
    ],
)
def test_what_speaks_of_the_account_is_said_in_our_words(last: bytes, code: str) -> None:
    one = relay()
    *_, told = one.feed([CREATED, DELTA, last])
    event = data(told)
    assert told.startswith(b"event: response.failed\n") and event["sequence_number"] == 3
    assert (event["response"]["id"], event["response"]["created_at"]) == ("resp_1", 7)
    assert event["response"]["error"]["code"] == code
    assert b"org-" not in told and b"Plus" not in told and b"API key" not in told


def among(*, others: bool) -> Relay:
    """In a pool whose other accounts may serve, or not."""
    return Relay("m", identity="r", tokens=1, window=2, now=lambda: 50.0, others=lambda: others)


@pytest.mark.parametrize(
    ("code", "alone"),
    [
        ("usage_limit_reached", "insufficient_quota"),
        ("insufficient_quota", "insufficient_quota"),
        ("rate_limit_exceeded", "rate_limit_exceeded"),
    ],
)
@pytest.mark.parametrize("others", [True, False])
def test_a_limit_of_one_account_ends_no_turn_while_another_serves(
    code: str, alone: str, others: bool
) -> None:
    """Codex stops at a spent quota, and waits as long as it is told."""
    one = among(others=others)
    *_, last = one.feed([CREATED, DELTA, failed(code, "Your Plus plan is used up.")])
    error = data(last)["response"]["error"]
    assert error["code"] == ("rate_limit_exceeded" if others else alone)
    assert ("try again in 1s" in error["message"]) is others and "Plus" not in error["message"]
    assert one.told is not None and one.told.kind is Kind.RATE_LIMIT


def test_what_is_no_limit_is_told_whoever_else_serves() -> None:
    *_, last = among(others=True).feed([CREATED, DELTA, failed("cyber_policy", "Not that.")])
    assert data(last)["response"]["error"] == {"code": "cyber_policy", "message": "Not that."}


def test_a_wait_is_told_in_the_sentence_too() -> None:
    """That is where Codex reads it inside a stream."""
    one = relay()
    last = frame("error", code="rate_limit_exceeded", message="Please try again in 7s")
    *_, told = one.feed([CREATED, DELTA, last])
    assert "Please try again in 7s." in data(told)["response"]["error"]["message"]


@pytest.mark.parametrize("answering", [True, False])
def test_bytes_that_end_early(answering: bool) -> None:
    one = relay()
    one.feed([CREATED, DELTA] if answering else [CREATED])
    told = one.close()
    assert one.finished and not one.terminal and one.failure is not None and one.failure.cause is Cause.CUT
    assert bool(told) is answering
    if answering:
        assert data(told[0])["response"]["status"] == "failed"


def test_a_failure_of_ours_before_anything_was_told_is_a_response_that_failed() -> None:
    """Codex passes an `error` event over; the SDK's helper takes in nothing before `response.created`."""
    one = relay()
    one.feed([CREATED])
    begun, told = map(data, one.fail(Failure(Kind.TIMEOUT, "It took too long.")))
    assert (begun["type"], begun["sequence_number"]) == ("response.created", 0)
    assert (told["type"], told["sequence_number"]) == ("response.failed", 1)
    assert begun["response"]["id"] == told["response"]["id"] == "resp_ours"  # the other's was never told of
    assert (begun["response"]["status"], told["response"]["status"]) == ("in_progress", "failed")
    assert told["response"]["error"] == {"code": "server_error", "message": "It took too long."}
    assert one.stop_reason is None and one.finished


@pytest.mark.parametrize(
    ("begun", "expected"),
    [
        ([b'event: response.created\ndata: {"type":"response.created"}', PROGRESS], ("resp_ours", 50)),
        ([b'event: response.created\ndata: {"response":{"id":"resp_2"}}'], ("resp_2", 50)),
        ([b'event: response.created\ndata: {"response":{"id":7,"created_at":"x"}}'], ("resp_ours", 50)),
        ([b'event: response.created\ndata: {"response":[]}'], ("resp_ours", 50)),
        ([b'event: response.created\ndata: {"response":{'], ("resp_ours", 50)),
        ([PROGRESS, CREATED], ("resp_1", 7)),
        ([], ("resp_ours", 50)),
    ],
)
def test_a_response_that_breaks_keeps_its_name(begun: list[bytes], expected: tuple[str, int]) -> None:
    one = relay()
    one.feed([*begun, DELTA])
    response = data(one.close()[0])["response"]
    assert (response["id"], response["created_at"]) == expected


# -- nothing yet -----------------------------------------------------------------------------------------

ADDED = [
    frame("response.output_item.added", output_index=0, item={"type": "function_call", "name": "f"}),
    frame("response.content_part.added", output_index=0, content_index=0, part={"type": "output_text"}),
    frame("response.reasoning_summary_part.added", output_index=0, summary_index=0, part={}),
]


def test_a_place_for_content_is_no_content() -> None:
    """An attempt that ends behind it leaves no trace; with the first content all goes on, in its order."""
    one = relay()
    assert one.feed([CREATED, *ADDED]) == [] and one.close() == []
    assert one.failure is not None and not one.answering
    other = relay()
    call = frame("response.function_call_arguments.delta", output_index=0, delta="{")
    assert other.feed([CREATED, *ADDED, PROGRESS]) == []
    assert other.feed([call, ADDED[0]]) == [CREATED, *ADDED, PROGRESS, call, ADDED[0]]


def test_an_item_that_is_done_is_content() -> None:
    one = relay()
    assert one.feed([CREATED, ADDED[0], ITEM]) == [CREATED, ADDED[0], ITEM]


# -- the end ---------------------------------------------------------------------------------------------

BACKEND = frame(
    "response.completed",
    sequence_number=9,
    response={"id": "resp_1", "usage": {"input_tokens": 20, "output_tokens": 3}, "end_turn": True},
)
TOLD = {"id": "resp_1", **WHOLE, "instructions": "Be brief.", "tools": [{"type": "custom", "name": "x"}]}


def begun(**more: Any) -> bytes:
    passing: dict[str, Any] = {"status": "in_progress", "output": [], "usage": None, "service_tier": "auto"}
    return frame("response.created", sequence_number=0, response={**TOLD, **passing, **more})


def valid(response: dict[str, Any]) -> list[str]:
    return [error.message for error in described("Response").iter_errors(response)]


def test_the_backends_last_event_becomes_a_whole_response() -> None:
    """It has the id, the figures and `end_turn` alone: what it lacks was told when the response began."""
    one = relay()
    one.feed([begun(), DELTA, ITEM])
    (last,) = one.feed([BACKEND])
    event = data(last)
    assert event["type"] == "response.completed" and event["sequence_number"] == 9
    assert event["response"] == {
        **TOLD,
        "status": "completed",
        "completed_at": 50,
        "output": [{"type": "message", "id": "msg_1"}],
        "usage": {"input_tokens": 20, "output_tokens": 3},
        "end_turn": True,
    }
    assert one.response == event["response"]
    assert one.stop_reason == "completed" and one.usage.total_input == 20


@pytest.mark.parametrize("status", ["completed", "incomplete"])
@pytest.mark.parametrize("named", [True, False])
def test_a_bare_end_is_filled_honestly(status: str, named: bool) -> None:
    """Without anything told before: what is not known is null, empty or what the request said."""
    usage = {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 1,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 2,
    }
    asked = {"tool_choice": "none", "parallel_tool_calls": False}
    one = Relay("gpt-5.5", identity="resp_ours", tokens=1, window=2, now=lambda: 50.0, asked=asked)
    kind = f"response.{status}"
    content = json.dumps({"response": {"usage": usage}} | ({} if named else {"type": kind})).encode()
    last = (f"event: {kind}\ndata: ".encode() if named else b"data: ") + content
    response = data(one.feed([DELTA, last])[-1])["response"]
    assert valid(response) == []
    assert (response["id"], response["status"], response["model"]) == ("resp_ours", status, "gpt-5.5")
    assert (response["tool_choice"], response["parallel_tool_calls"]) == ("none", False)
    assert ("completed_at" in response) is (status == "completed")
    assert one.stop_reason == status


def test_what_the_last_event_says_stands() -> None:
    """Keys are added where they are missing, and nothing else is touched."""
    one = relay()
    one.feed([begun(metadata={"a": "b"}), DELTA])
    lacking = {
        "id": "resp_9",
        "status": "completed",
        "completed_at": None,
        "output": [{"type": "x"}],
        "new": 1,
    }
    (last,) = one.feed([frame("response.completed", response=lacking)])
    response = data(last)["response"]
    assert response == {**TOLD, "metadata": {"a": "b"}, **lacking}
    assert one.usage.source == "estimated"


def test_an_output_of_null_is_an_empty_one() -> None:
    one = relay()
    response = data(one.feed([DELTA, frame("response.completed", response={**TOLD, "output": None})])[-1])
    assert response["response"]["output"] == []


def test_a_document_of_another_kind_stays_what_it_is() -> None:
    """A compaction is no response."""
    one = Relay("m", identity="r", tokens=1, window=2, now=lambda: 0.0, completes=False)
    last = frame("response.completed", response={"id": "c", "object": "response.compaction", "output": [1]})
    assert one.feed([last]) == [last]
    assert one.stop_reason is None


@pytest.mark.parametrize("done", [b"data: [DONE]", b"event: done\ndata: [DONE]"])
def test_done_without_a_last_event_is_a_break(done: bytes) -> None:
    """SDKs stop at it: passed on, half an answer would look like a whole one."""
    one = relay()
    out = one.feed([CREATED, DELTA, done, DELTA])
    assert out[:2] == [CREATED, DELTA] and len(out) == 3
    assert data(out[2])["type"] == "response.failed" and data(out[2])["sequence_number"] == 3
    assert one.finished and not one.terminal
    assert one.failure is not None and one.failure.cause is Cause.CUT
    early = relay()
    assert early.feed([CREATED, done]) == [] and early.failure is not None


def test_done_behind_a_good_end_is_dropped() -> None:
    one, last = relay(), end([{"type": "message"}])
    assert one.feed([CREATED, last, b"data: [DONE]"]) == [CREATED, last]


@pytest.mark.parametrize("apart", [True, False])
def test_our_frame_goes_on_counting_where_the_numbers_ended(apart: bool) -> None:
    """Whatever without a number stood between."""
    one = relay()
    after = [UNKNOWN, b": ping"]
    for piece in [[CREATED, DELTA], after] if apart else [[CREATED, DELTA, *after]]:
        one.feed(piece)
    assert data(one.close()[0])["sequence_number"] == 3
    other = relay()
    other.feed([UNKNOWN])
    assert data(other.close()[0])["sequence_number"] == 0


@pytest.mark.parametrize("status", [None, 7])
def test_a_status_that_is_none(status: Any) -> None:
    one = relay()
    one.feed([DELTA, frame("response.completed", response={"id": "r", "status": status, "usage": None})])
    assert one.stop_reason == "completed"
    assert one.usage.source == "estimated"


def test_an_error_without_words_goes_on() -> None:
    one, last = relay(), frame("error", code="server_error")
    assert one.feed([DELTA, last])[-1] == last
    two, odd = relay(), frame("error", message=7)
    assert two.feed([DELTA, odd])[-1] != odd


def test_a_name_without_data_is_no_event() -> None:
    one = relay()
    assert one.feed([b"event: response.completed"]) == []
    assert not one.finished
