"""Error kinds, and the one table from a kind to what each client family is told.

A Failure is a value that may travel: it is what a refused request is answered with (status and envelope)
or what ends a stream that has begun. Its message is for the client: no key, no account, no prompt text.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple


class Kind(StrEnum):
    """Every way in which a request can fail, as this gateway sees it."""

    INVALID_REQUEST = "invalid_request"
    INVALID_JSON = "invalid_json"
    ENCODING_INVALID = "encoding_invalid"
    ENCODING_UNSUPPORTED = "encoding_unsupported"
    CONTEXT_OVERFLOW = "context_overflow"
    AUTHENTICATION = "authentication"
    BILLING = "billing"
    PERMISSION = "permission"
    NOT_FOUND = "not_found"
    MODEL_NOT_FOUND = "model_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    URI_TOO_LONG = "uri_too_long"
    MISDIRECTED = "misdirected"
    HEADERS_TOO_LARGE = "headers_too_large"
    RATE_LIMIT = "rate_limit"
    INTERNAL = "internal"
    NOT_SUPPORTED = "not_supported"
    UNAVAILABLE = "unavailable"
    UPSTREAM = "upstream"
    TIMEOUT = "timeout"
    OVERLOADED = "overloaded"


class Row(NamedTuple):
    """What a kind is on the wire: HTTP status, Anthropic's type, OpenAI's type and code, our detail code."""

    status: int
    anthropic: str
    openai: str
    openai_code: str | None = None
    detail: str | None = None
    meaning: str = ""


_BAD = "invalid_request_error"

TABLE: dict[Kind, Row] = {
    Kind.INVALID_REQUEST: Row(400, _BAD, _BAD, None, None, "a field is missing, wrong or cannot be honoured"),
    Kind.INVALID_JSON: Row(400, _BAD, _BAD, "invalid_json", None, "the body is not strict JSON"),
    Kind.ENCODING_INVALID: Row(
        400, _BAD, _BAD, None, "request_body_encoding_invalid", "the body does not match its Content-Encoding"
    ),
    Kind.ENCODING_UNSUPPORTED: Row(
        400, _BAD, _BAD, None, "request_body_encoding_unsupported", "a Content-Encoding that is not offered"
    ),
    Kind.CONTEXT_OVERFLOW: Row(
        400, _BAD, _BAD, "context_length_exceeded", None, "the prompt is longer than the model's window"
    ),
    Kind.AUTHENTICATION: Row(
        401, "authentication_error", _BAD, "invalid_api_key", None, "the client's own key is missing or wrong"
    ),
    Kind.BILLING: Row(
        402, "billing_error", "insufficient_quota", "insufficient_quota", None, "the key's money is spent"
    ),
    Kind.PERMISSION: Row(
        403, "permission_error", _BAD, "model_not_allowed", None, "the key may not use this model"
    ),
    Kind.NOT_FOUND: Row(404, "not_found_error", _BAD, "not_found", None, "no such path"),
    Kind.MODEL_NOT_FOUND: Row(
        404, "not_found_error", _BAD, "model_not_found", None, "no account serves the requested model"
    ),
    Kind.METHOD_NOT_ALLOWED: Row(
        405, "not_found_error", _BAD, "method_not_allowed", None, "the path exists, not with this method"
    ),
    Kind.REQUEST_TIMEOUT: Row(
        408, "timeout_error", _BAD, "request_timeout", None, "the request arrived too slowly"
    ),
    Kind.CONFLICT: Row(409, "conflict_error", _BAD, "conflict", None, "the state does not allow this now"),
    Kind.TOO_LARGE: Row(
        413,
        "request_too_large",
        _BAD,
        "request_too_large",
        None,
        "the body is over the limit, raw or decoded",
    ),
    Kind.URI_TOO_LONG: Row(414, _BAD, _BAD, "uri_too_long", None, "the request target is over the limit"),
    Kind.MISDIRECTED: Row(
        421, _BAD, _BAD, "misdirected", None, "the Host is not one this server answers for"
    ),
    Kind.HEADERS_TOO_LARGE: Row(
        431, _BAD, _BAD, "headers_too_large", None, "the header fields are over the limit"
    ),
    Kind.RATE_LIMIT: Row(
        429, "rate_limit_error", "rate_limit_error", "rate_limit_exceeded", None, "wait, then try again"
    ),
    Kind.INTERNAL: Row(500, "api_error", "server_error", "internal_error", None, "a fault of this gateway"),
    Kind.NOT_SUPPORTED: Row(
        501, "not_supported", _BAD, "not_supported", None, "a part of the API that is not offered here"
    ),
    Kind.UNAVAILABLE: Row(
        503, "api_error", "server_error", "unavailable", None, "a part of the gateway does not answer now"
    ),
    Kind.UPSTREAM: Row(
        502, "api_error", "server_error", "upstream_error", None, "the upstream failed or broke off"
    ),
    Kind.TIMEOUT: Row(
        504, "timeout_error", "server_error", "upstream_timeout", None, "the upstream did not answer in time"
    ),
    Kind.OVERLOADED: Row(
        529, "overloaded_error", "server_error", "overloaded", None, "no capacity now: upstream or local"
    ),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request ends without its answer. `retry_after` in seconds; None lets the client choose.

    `fields` are further header fields of the answer, as pairs; `param` is the field that is at fault.
    """

    kind: Kind
    message: str
    retry_after: float | None = None
    should_retry: bool | None = None
    error_code: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    param: str | None = None

    @property
    def status(self) -> int:
        return TABLE[self.kind].status

    def headers(self) -> dict[str, str]:
        """`retry-after` (whole seconds, rounded up) and `x-should-retry`, where they were decided."""
        fields = dict(self.fields)
        if self.retry_after is not None:
            fields["retry-after"] = str(max(1, -int(-self.retry_after // 1)))
        if self.should_retry is not None:
            fields["x-should-retry"] = "true" if self.should_retry else "false"
        return fields

    def anthropic(self, request_id: str | None = None) -> dict[str, Any]:
        """Anthropic's envelope; inside a stream the same object is the data of `event: error`."""
        row = TABLE[self.kind]
        error: dict[str, Any] = {"type": row.anthropic, "message": self.message}
        if code := self.error_code or row.detail:
            error["details"] = {"error_code": code}
        envelope: dict[str, Any] = {"type": "error", "error": error}
        if request_id is not None:
            envelope["request_id"] = request_id
        return envelope

    def openai(self, param: str | None = None) -> dict[str, Any]:
        """OpenAI's envelope. `param` names the field where the Failure itself does not."""
        row = TABLE[self.kind]
        code = self.error_code or row.openai_code
        at = self.param if param is None else param
        return {"error": {"message": self.message, "type": row.openai, "param": at, "code": code}}


class Refused(Exception):
    """Raised where a request cannot go on; carries the Failure that the client is told."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def invalid(path: str, problem: str) -> Refused:
    """A 400 that names the field: `messages.2.content.0.text: must be a string`."""
    message = f"{path}: {problem}" if path else problem
    return Refused(Failure(Kind.INVALID_REQUEST, message, param=path or None))
