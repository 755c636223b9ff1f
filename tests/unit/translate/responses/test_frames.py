"""Frames of our own: OpenAI's description holds for them, and clients know their codes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from dragoman.translate.messages.failure import Cause, UpstreamFailure
from dragoman.translate.responses.failure import to_client
from dragoman.translate.responses.frames import (
    CODES,
    FINAL,
    REQUIRED,
    code,
    created_frame,
    document_frames,
    error_frame,
    failed_frame,
    shell,
)
from dragoman.wire.errors import TABLE, Failure, Kind
from tests.support.openapi import described

SHELL = shell("resp_1", 7, "gpt-5.5", "in_progress", {})


def data(told: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told.partition(b"\ndata: ")[2])
    return found


def problems(schema: str, event: dict[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in described(schema).iter_errors(event)]


def test_the_words_are_the_descriptions_own() -> None:
    schema = described("Response").schema
    assert isinstance(schema, Mapping)
    components = schema["components"]["schemas"]
    assert frozenset(components["ResponseErrorCode"]["enum"]) == CODES
    (own,) = [part for part in components["Response"]["allOf"] if "required" in part]
    assert frozenset(own["required"]) == REQUIRED
    assert not FINAL & CODES


def test_a_beginning_is_valid() -> None:
    assert problems("ResponseCreatedEvent", data(created_frame(SHELL, 0))) == []


@pytest.mark.parametrize("kind", TABLE)
def test_every_failure_is_valid_inside_a_stream(kind: Kind) -> None:
    """Except for the codes that the service itself says beside its description."""
    event = data(failed_frame(Failure(kind, "It failed."), SHELL, 3))
    if event["response"]["error"]["code"] in FINAL:
        event["response"]["error"]["code"] = "server_error"
    assert problems("ResponseFailedEvent", event) == []
    assert "usage" not in event["response"]
    assert event["response"]["status"] == "failed"


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (UpstreamFailure(Cause.QUOTA), "insufficient_quota"),
        (UpstreamFailure(Cause.QUOTA, retry_after=7200.0), "insufficient_quota"),
        (UpstreamFailure(Cause.RATE_LIMIT, retry_after=7200.0), "insufficient_quota"),
        (UpstreamFailure(Cause.QUOTA, retry_after=7.0), "rate_limit_exceeded"),
        (UpstreamFailure(Cause.RATE_LIMIT), "rate_limit_exceeded"),
        (UpstreamFailure(Cause.CONTEXT), "context_length_exceeded"),
        (UpstreamFailure(Cause.POLICY, code="cyber_policy"), "cyber_policy"),
        (UpstreamFailure(Cause.POLICY, code="bio_policy"), "bio_policy"),
        (UpstreamFailure(Cause.REQUEST, code="invalid_image"), "invalid_image"),
        (UpstreamFailure(Cause.REQUEST, code="invalid_value"), "invalid_prompt"),
        (UpstreamFailure(Cause.SEALED, code="invalid_encrypted_content"), "invalid_prompt"),
        (UpstreamFailure(Cause.MODEL), "invalid_prompt"),
        (UpstreamFailure(Cause.CREDENTIALS), "server_error"),
        (UpstreamFailure(Cause.OVERLOADED), "server_error"),
        (UpstreamFailure(Cause.TIMEOUT), "server_error"),
        (UpstreamFailure(Cause.CUT), "server_error"),
    ],
)
def test_the_code_says_whether_to_ask_again(failure: UpstreamFailure, expected: str) -> None:
    """What passes by itself is told as such, with its wait; what does not is told as final."""
    assert code(to_client(failure, tokens=1, window=2)) == expected


def test_a_keys_own_money_is_a_quota() -> None:
    assert code(Failure(Kind.BILLING, "Spent.")) == "insufficient_quota"


def test_the_last_word_of_a_fault_is_a_flat_event() -> None:
    event = data(error_frame(Failure(Kind.INTERNAL, "A fault.", param="x"), 0))
    assert problems("ResponseErrorEvent", event) == []
    assert (event["code"], event["param"]) == ("internal_error", "x")


MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [
        {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []},
        {"type": "refusal", "refusal": "No."},
        7,
    ],
}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c",
    "name": "f",
    "arguments": "{}",
    "status": "completed",
}
SCHEMAS = {
    "response.created": "ResponseCreatedEvent",
    "response.output_item.added": "ResponseOutputItemAddedEvent",
    "response.content_part.added": "ResponseContentPartAddedEvent",
    "response.output_text.delta": "ResponseTextDeltaEvent",
    "response.output_text.done": "ResponseTextDoneEvent",
    "response.content_part.done": "ResponseContentPartDoneEvent",
    "response.output_item.done": "ResponseOutputItemDoneEvent",
    "response.completed": "ResponseCompletedEvent",
}


def test_a_document_is_told_as_a_stream_tells_it() -> None:
    """behaviours S18: Codex takes items from their events alone, and many applications texts from deltas."""
    kept = {**MESSAGE, "content": MESSAGE["content"][:2]}
    last = {
        "type": "response.completed",
        "response": {**SHELL, "status": "completed", "output": [kept, CALL]},
    }
    told = [data(frame) for frame in document_frames(last)]
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert [event["type"] for event in told] == [*list(SCHEMAS)[:7], *list(SCHEMAS)[1:2], *list(SCHEMAS)[6:]]
    assert [problem for event in told for problem in problems(SCHEMAS[event["type"]], event)] == []
    assert [event["item"] for event in told if event["type"] == "response.output_item.done"] == [kept, CALL]
    assert told[-1] == {**last, "sequence_number": len(told) - 1}
    assert told[0]["response"]["output"] == []


@pytest.mark.parametrize(
    "last",
    [
        {"type": "error", "code": "server_error", "message": "No.", "param": None},
        {"type": "response.failed", "response": {**SHELL, "status": "failed"}},
        {"type": "response.completed", "response": {"id": "resp_1"}},
    ],
)
def test_a_document_without_an_answer_is_its_last_event_alone(last: dict[str, Any]) -> None:
    (told,) = document_frames(last)
    assert data(told) == {**last, "sequence_number": 0}


def test_what_is_no_item_is_passed_over() -> None:
    """Servers that are merely compatible say many things."""
    output = [MESSAGE, 7, {"type": "message"}]
    last = {"type": "response.completed", "response": {**SHELL, "output": output}}
    told = [data(frame)["type"] for frame in document_frames(last)]
    assert told.count("response.output_item.done") == 2
    assert told.count("response.output_text.delta") == 1
