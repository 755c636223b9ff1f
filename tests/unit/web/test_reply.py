"""Answers as ASGI messages, and what a request id may be."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dragoman.web import reply
from dragoman.wire import jsonio
from dragoman.wire.errors import Failure, Kind


class Sent:
    """Collects ASGI messages."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def __call__(self, message: Any) -> None:
        self.messages.append(dict(message))

    @property
    def head(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> Any:
        return jsonio.parse(self.messages[1]["body"])


async def test_json_is_sent_with_its_length_and_is_never_cached() -> None:
    sent = Sent()
    await reply.send_json(sent, 200, {"text": "é"}, {"request-id": "req_1"})
    assert sent.messages[0]["status"] == 200
    assert sent.head == {
        "content-type": "application/json",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-length": "13",
        "request-id": "req_1",
    }
    assert sent.messages[1] == {"type": "http.response.body", "body": '{"text":"é"}'.encode()}


async def test_an_empty_answer_has_no_type() -> None:
    sent = Sent()
    await reply.send_empty(sent, 200)
    assert "content-type" not in sent.head
    assert sent.head["content-length"] == "0"
    assert sent.messages[1]["body"] == b""


async def test_a_failure_carries_its_id_and_what_was_decided_about_a_retry() -> None:
    """D38: the envelope names the request, header and body agree."""
    sent = Sent()
    failure = Failure(Kind.RATE_LIMIT, "Slow down.", retry_after=1.2, should_retry=False)
    await reply.send_failure(sent, failure, "req_1")
    assert sent.messages[0]["status"] == 429
    assert sent.head["request-id"] == sent.head["x-request-id"] == "req_1"
    assert sent.head["retry-after"] == "2"
    assert sent.head["x-should-retry"] == "false"
    assert "connection" not in sent.head  # the door decides that by what was read
    assert sent.body == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "Slow down."},
        "request_id": "req_1",
    }


async def test_a_failure_speaks_the_asked_dialect() -> None:
    sent = Sent()
    await reply.send_failure(sent, Failure(Kind.NOT_FOUND, "Nothing."), "req_1", "openai", {"allow": "GET"})
    assert sent.messages[0]["status"] == 404
    assert sent.head["allow"] == "GET"
    assert sent.body == {
        "error": {"message": "Nothing.", "type": "invalid_request_error", "param": None, "code": "not_found"}
    }


async def test_a_stream_ends_with_its_last_bytes_and_a_proper_end() -> None:
    sent = Sent()
    await reply.end_stream_with(sent, b"data: x\n\n")
    assert sent.messages == [{"type": "http.response.body", "body": b"data: x\n\n", "more_body": False}]


def test_an_event_stream_is_marked_so_that_proxies_pass_it_on() -> None:
    assert reply.sse_head({"request-id": "req_1"}) == {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-cache, no-store"),
            (b"x-accel-buffering", b"no"),
            (b"x-content-type-options", b"nosniff"),
            (b"request-id", b"req_1"),
        ],
    }


@pytest.mark.parametrize(
    ("status", "line"), [(None, b"HTTP/1.1 529 \r\n"), (426, b"HTTP/1.1 426 Upgrade Required\r\n")]
)
def test_a_raw_answer_is_complete_and_ends_the_connection(status: int | None, line: bytes) -> None:
    raw = reply.raw(
        Failure(Kind.OVERLOADED, "Later.", retry_after=1), "req_1", status=status, headers={"upgrade": "x"}
    )
    head, _, body = raw.partition(b"\r\n\r\n")
    assert raw.startswith(line)
    fields = dict(field.split(b": ", 1) for field in head.split(b"\r\n")[1:])
    assert fields[b"content-length"] == b"%d" % len(body)
    assert fields[b"connection"] == b"close"
    assert fields[b"retry-after"] == b"1"
    assert fields[b"upgrade"] == b"x"
    assert jsonio.parse(body)["request_id"] == "req_1"


def test_a_raw_answer_to_head_has_the_length_but_no_body() -> None:
    failure = Failure(Kind.INTERNAL, "Oh.")
    whole = reply.raw(failure, "req_1")
    assert reply.raw(failure, "req_1", body=False) == whole[: whole.index(b"\r\n\r\n") + 4]


@pytest.mark.parametrize(
    "given", ["a", "req_011CSHoEeqs5C35K2UUqR7Fy", "A.b_c:d-9", "x" * 128, "task-1", "ask-me"]
)
def test_a_harmless_request_id_of_the_caller_is_kept(given: str) -> None:
    assert reply.request_id(given, lambda: "fresh") == given


@pytest.mark.parametrize(
    "given",
    [
        *(
            None,
            "",
            "a b",
            "a\n",
            "x" * 129,
            "ä",
            "a/b",
            '"',
            "a\r\nx: y",
            "sk-drg-0123456789",
            "eyJhbGciOiJ.e",
        ),
        *("trace:sk-live-0123", "a_sk-live-0123", "x.eyJhbGciOiJ", "1-gAAAAB"),
    ],
)
def test_any_other_request_id_is_replaced(given: str | None) -> None:
    assert reply.request_id(given, lambda: "fresh") == "fresh"


def test_fresh_ids_look_like_anthropics_and_do_not_repeat() -> None:
    ids = {reply.fresh_request_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert all(re.fullmatch(r"req_[0-9A-Za-z]{24}", made) for made in ids)


@pytest.mark.parametrize("value", ["модель", "é", "a\r\nx-evil: 1", "a\x00", "x" * 513])
def test_a_value_that_no_field_can_carry_is_left_out(value: str) -> None:
    """Reliability 3.4: client text in a header is neither an injection nor a fault."""
    fields = reply.sse_head({"x-dragoman-model": value, "request-id": "req_1"})["headers"]
    names = [name for name, _ in fields]
    assert b"request-id" in names
    assert b"x-dragoman-model" not in names


@pytest.mark.parametrize("wait", [7200.0, 7199.2, None])
async def test_a_spent_limit_is_told_to_openais_clients_without_a_wait(wait: float | None) -> None:
    """Codex sits out any `retry-after`, hours too, and stops at this type."""
    failure = Failure(Kind.RATE_LIMIT, "Used up.", retry_after=wait, should_retry=False)
    sent = Sent()
    await reply.send_failure(sent, failure, "req_1", "openai")
    assert "retry-after" not in sent.head and sent.head["x-should-retry"] == "false"
    error = sent.body["error"]
    assert error["type"] == "usage_limit_reached"
    assert ("resets_at" in error) is (wait is not None)
    assert error.get("resets_in_seconds") == (None if wait is None else 7200)
    told = Sent()
    await reply.send_failure(told, failure, "req_1")
    assert ("retry-after" in told.head) is (wait is not None)
    assert told.body["error"]["type"] == "rate_limit_error"
