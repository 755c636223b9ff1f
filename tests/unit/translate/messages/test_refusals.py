from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.translate.messages.causes import Cause
from dragoman.translate.messages.refusals import CODES, STATUSES, from_event, from_http
from dragoman.wire import jsonio


def refuse(status: int, body: Any = "", **headers: str) -> Any:
    data = body.encode() if isinstance(body, str) else jsonio.dump(body)
    return from_http(status, headers, data)


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_known_as_code_and_as_type(code: str) -> None:
    assert refuse(400, {"error": {"code": code, "message": "x"}}).cause is CODES[code]
    assert refuse(400, {"error": {"type": code, "message": "x"}}).cause is CODES[code]
    assert from_event({"type": "error", "code": code, "message": "x"}).cause is CODES[code]
    assert from_event({"type": "response.failed", "response": {"error": {"code": code}}}).cause is CODES[code]


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_without_words_has_a_cause(status: int) -> None:
    assert refuse(status, {"x": 1}).cause is STATUSES[status]


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (400, Cause.REQUEST),
        (422, Cause.REQUEST),
        (500, Cause.SERVER),
        (599, Cause.SERVER),
        (204, Cause.PROTOCOL),
        (307, Cause.PROTOCOL),
    ],
)
def test_other_statuses_are_known_by_their_hundred(status: int, cause: Cause) -> None:
    assert refuse(status).cause is cause


def test_a_code_nobody_knows_gives_way_to_a_known_type() -> None:
    found = refuse(400, {"error": {"code": "x_17", "type": "overloaded_error", "message": "m"}})
    assert (found.cause, found.code) == (Cause.OVERLOADED, "overloaded_error")
    assert refuse(400, {"error": {"code": "x_17", "type": "odd", "message": "m"}}).code == "x_17"


def test_a_firm_status_is_not_overruled_by_a_sentence() -> None:
    assert refuse(401, {"message": "usage limit"}).cause is Cause.CREDENTIALS
    assert refuse(413, {"message": "context window"}).cause is Cause.TOO_LARGE


def test_a_403_without_a_page_is_about_the_account() -> None:
    assert refuse(403, "forbidden").cause is Cause.CREDENTIALS
    assert refuse(403, "<html>").cause is Cause.SERVER
    assert refuse(403, "").cause is Cause.SERVER


@pytest.mark.parametrize(
    "body",
    [
        {"detail": "Rate limit reached. Please slow down."},
        {"message": "Rate limit exceeded"},
        {"error": {"message": "You've hit your usage limit."}},
        {"error": {"message": "Rate limit exceeded", "type": "requests", "code": "x_17"}},
        "Rate limit exceeded",
    ],
)
def test_a_429_of_a_sentence_alone_is_a_burst(body: Any) -> None:
    """Whatever the sentence says: what names neither a code nor a wait is over in seconds."""
    found = refuse(429, body)
    assert (found.cause, found.retry_after) == (Cause.BURST, None)


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (refuse(429, {"detail": "Rate limit reached. Please try again in 20s."}), Cause.RATE_LIMIT),
        (refuse(429, {"detail": "Slow down."}, **{"retry-after": "20"}), Cause.RATE_LIMIT),
        (refuse(429, {"detail": "You've hit your usage limit.", "resets_in_seconds": 20}), Cause.QUOTA),
        (refuse(429, {"error": {"message": "x", "code": "rate_limit_exceeded"}}), Cause.RATE_LIMIT),
        (refuse(429, {"error": {"message": "x", "type": "usage_limit_reached"}}), Cause.QUOTA),
        (refuse(400, {"message": "You've hit your usage limit."}), Cause.QUOTA),
        (refuse(429, {"detail": "Selected model is at capacity."}), Cause.OVERLOADED),
    ],
)
def test_a_code_a_wait_or_another_status_says_more(found: Any, cause: Cause) -> None:
    assert found.cause is cause


def test_a_closed_workspace_is_no_spent_limit() -> None:
    assert refuse(402, {"detail": {"code": "deactivated_workspace"}}).cause is Cause.DEAD
    assert refuse(402, {"detail": {"code": "x_17"}}).cause is Cause.QUOTA


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"error": {"error": {"message": "deep"}}}}, "deep"),
        ({"message": "plain"}, "plain"),
        ({"detail": "said"}, "said"),
        ({"detail": {"message": "inner", "code": "server_error"}}, "inner"),
        ({"error": "text"}, "text"),
        ({"error": '{"message":"quoted"}'}, "quoted"),
        ({"message": '{"error":{"message":"quoted"}}'}, "quoted"),
        ({"message": "{not json"}, "{not json"),
        ({"detail": [{"msg": "one"}, {"msg": 2}, "x", {"msg": "two"}]}, "one; two"),
        ({"detail": 7, "message": None}, ""),
        ({"error": None, "message": "beside"}, "beside"),
        ({"error": "text", "message": "first"}, "first"),
        (["x"], ""),
        ("just words", "just words"),
        ('"quoted words"', "quoted words"),
        ("7", ""),
        ("", ""),
    ],
)
def test_the_sentence_is_found_however_it_is_wrapped(body: Any, message: str) -> None:
    """D16."""
    assert refuse(500, body).message == message


def test_nesting_without_end_is_left_alone() -> None:
    body: dict[str, Any] = {"message": "x"}
    for _ in range(9):
        body = {"error": body}
    assert refuse(500, body).message == ""
    quoted = '{"message":"x"}'
    for _ in range(9):
        quoted = jsonio.dump_text({"message": quoted})
    assert refuse(500, quoted).cause is Cause.SERVER


@pytest.mark.parametrize(
    ("error", "param"),
    [
        ({"message": "Unsupported parameter: 'top_p'"}, "top_p"),
        ({"message": "Unknown parameter: tools[0].strict"}, "tools[0].strict"),
        ({"message": "Unsupported parameter: 'a'", "param": "b"}, "b"),
        ({"message": "'temperature' is not supported with this model"}, "temperature"),
        ({"message": "Invalid value: 'x_tool'. Supported values are: 'a'.", "param": "input[2]"}, "x_tool"),
        (
            {"message": "Invalid value: 'x_tool'. Supported values are: 'a'.", "param": "input.2.type"},
            "x_tool",
        ),
        (
            {"message": "Invalid value: 'required'. Supported values are: 'auto'.", "param": "tool_choice"},
            "tool_choice",
        ),
        ({"message": "no", "code": "unsupported_value", "param": "reasoning.effort"}, "reasoning.effort"),
        ({"message": "no", "code": "unsupported_value"}, None),
    ],
)
def test_which_parameter_was_refused(error: dict[str, Any], param: str | None) -> None:
    """B87."""
    found = refuse(400, {"error": error})
    assert (found.cause, found.param) == (Cause.PARAMETER, param)


@pytest.mark.parametrize("detail", [[], ["x"], [{"loc": "body"}], [{"loc": ["body"]}]])
def test_validation_details_without_a_place(detail: Any) -> None:
    assert refuse(422, {"detail": detail}).param is None


def test_a_status_inside_the_event_counts() -> None:
    assert from_event({"type": "error", "status": 429, "error": {"message": "x"}}).status == 429
    assert from_event({"type": "error", "status_code": 503, "message": "x"}).cause is Cause.OVERLOADED
    assert from_event({"type": "error", "status": "429", "message": "x"}).status is None
    assert from_event({"error": {"code": 503, "message": "x"}}).cause is Cause.OVERLOADED


def test_headers_inside_the_event_count() -> None:
    found = from_event({"type": "error", "status": 429, "headers": {"Retry-After": 4}, "message": "x"})
    assert (found.cause, found.retry_after, found.resets_at) == (Cause.RATE_LIMIT, 4.0, None)
    assert from_event({"type": "error", "headers": ["x"], "message": "x"}).retry_after is None


def test_the_moment_of_a_reset_needs_a_clock() -> None:
    body = b'{"error":{"type":"usage_limit_reached","resets_in_seconds":60}}'
    assert from_http(429, {}, body, now=1000.0).resets_at == 1060.0
    assert from_http(429, {}, body).resets_at is None


def test_a_message_of_any_length_is_read_quickly_and_told_shortly() -> None:
    found = refuse(400, {"message": "model " * 50_000})
    assert found.cause is Cause.REQUEST
    assert len(found.message) <= 500


_LEAF = st.none() | st.booleans() | st.integers() | st.text(max_size=9)
_KEYS = st.sampled_from(
    ["error", "detail", "message", "code", "type", "param", "loc", "msg", "resets_at", "status"]
)
_BODY = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4)
)


@given(_BODY, st.integers(200, 599))
def test_any_refusal_is_classified(body: Any, status: int) -> None:
    assert from_http(status, {}, repr(body).encode(), now=0.0).cause in Cause
    if isinstance(body, dict):
        assert from_event({"type": "error", **body}, now=0.0).cause in Cause
        assert from_event({"response": body}).cause in Cause
    try:
        data = jsonio.dump(body)
    except jsonio.InvalidJson:
        return
    found = from_http(status, {}, data, now=0.0)
    assert found.cause in Cause
    assert isinstance(found.message, str)
