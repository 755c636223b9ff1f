from __future__ import annotations

import pytest

from dragoman.wire.errors import TABLE, Failure, Kind, Refused, invalid

# The types that Anthropic documents; `not_supported` is known to clients from other gateways.
ANTHROPIC_BY_STATUS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    501: "not_supported",
    502: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_row_with_the_type_of_its_status(kind: Kind) -> None:
    """behaviours E11, behaviours E12: one full table, no upstream type leaks through."""
    row = TABLE[kind]
    assert row.anthropic == ANTHROPIC_BY_STATUS.get(row.status, "invalid_request_error")
    assert row.openai
    assert row.meaning


def test_the_envelope_is_anthropics() -> None:
    failure = Failure(Kind.OVERLOADED, "Try later.")
    assert failure.status == 529
    assert failure.anthropic() == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Try later."},
    }
    assert failure.anthropic("req_1") == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Try later."},
        "request_id": "req_1",
    }


def test_detail_codes_are_given_where_clients_read_them() -> None:
    assert Failure(Kind.ENCODING_INVALID, "x").anthropic()["error"]["details"] == {
        "error_code": "request_body_encoding_invalid"
    }
    assert Failure(Kind.INVALID_REQUEST, "x", error_code="own").anthropic()["error"]["details"] == {
        "error_code": "own"
    }


def test_the_envelope_is_openais() -> None:
    assert Failure(Kind.CONTEXT_OVERFLOW, "long").openai("input") == {
        "error": {
            "message": "long",
            "type": "invalid_request_error",
            "param": "input",
            "code": "context_length_exceeded",
        }
    }
    assert Failure(Kind.RATE_LIMIT, "x", error_code="own").openai()["error"]["code"] == "own"


@pytest.mark.parametrize(
    ("seconds", "field"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.01, "2"), (59.5, "60"), (3600, "3600")]
)
def test_retry_after_is_whole_seconds_and_never_early(seconds: float, field: str) -> None:
    assert Failure(Kind.RATE_LIMIT, "x", retry_after=seconds).headers() == {"retry-after": field}


def test_retry_headers_are_sent_only_where_they_were_decided() -> None:
    assert Failure(Kind.UPSTREAM, "x").headers() == {}
    assert Failure(Kind.UPSTREAM, "x", should_retry=True).headers() == {"x-should-retry": "true"}
    assert Failure(Kind.RATE_LIMIT, "x", 61, False).headers() == {
        "retry-after": "61",
        "x-should-retry": "false",
    }


def test_a_refusal_carries_its_failure_and_names_the_path() -> None:
    """B80, D27."""
    refused = invalid("messages.2.content.0.text", "must be a string")
    assert isinstance(refused, Refused)
    assert refused.failure == Failure(
        Kind.INVALID_REQUEST, "messages.2.content.0.text: must be a string", param="messages.2.content.0.text"
    )
    assert str(refused) == "messages.2.content.0.text: must be a string"
    assert invalid("", "the body must be an object").failure.message == "the body must be an object"
