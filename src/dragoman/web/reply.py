"""Answers as plain ASGI messages: JSON, error envelopes, the head of an event stream.

It decides the header fields that every answer carries and what a request id may look like. It never decides
what an answer says: failures arrive ready made and leave in the envelope of the asked dialect.
"""

from __future__ import annotations

import math
import os
import re
import string
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, Literal

from dragoman.wire import jsonio
from dragoman.wire.errors import Failure, Kind

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Dialect = Literal["anthropic", "openai"]
Fields = list[tuple[bytes, bytes]]

# Answers are about one caller's request: nothing in between may keep or guess at them.
_ALWAYS: Fields = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
_JSON: Fields = [(b"content-type", b"application/json"), *_ALWAYS]
_SSE: Fields = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]

# What has the shape of a key in it is not taken for an id: ids are shown and logged.
_REQUEST_ID = re.compile(r"(?!(?:.*[^A-Za-z0-9])?(?:(?:sk|pk|rk|sess|ek)-|eyJ|gAAAA))[A-Za-z0-9._:-]{1,128}")
_FIELD_VALUE = re.compile(r"[ -~]{0,512}")
_BASE62 = string.digits + string.ascii_letters
_ID_LENGTH = 24


def fresh_request_id() -> str:
    """`req_` and 24 random base62 characters."""
    number = int.from_bytes(os.urandom(18), "big")
    characters = []
    for _ in range(_ID_LENGTH):
        number, digit = divmod(number, 62)
        characters.append(_BASE62[digit])
    return "req_" + "".join(characters)


def request_id(inbound: str | None, fresh: Callable[[], str]) -> str:
    """The caller's own id where it is harmless in headers and logs, else a fresh one."""
    return inbound if inbound is not None and _REQUEST_ID.fullmatch(inbound) else fresh()


async def send_json(send: Send, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
    """Sends a complete JSON answer; `headers` come on top of the fields that every answer has."""
    body = jsonio.dump(value)
    fields = [*_JSON, (b"content-length", b"%d" % len(body)), *_encode(headers)]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def send_text(
    send: Send, text: bytes, content_type: str, headers: Mapping[str, str] | None = None
) -> None:
    """Sends a complete text with status 200."""
    kind = (b"content-type", content_type.encode("ascii"))
    fields = [kind, *_ALWAYS, (b"content-length", b"%d" % len(text)), *_encode(headers)]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": text})


async def send_empty(send: Send, status: int, headers: Mapping[str, str] | None = None) -> None:
    """Sends a status without a body."""
    fields = [*_ALWAYS, (b"content-length", b"0"), *_encode(headers)]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b""})


async def send_failure(
    send: Send,
    failure: Failure,
    request_id: str,
    dialect: Dialect = "anthropic",
    headers: Mapping[str, str] | None = None,
) -> None:
    """Sends a failure as the whole answer; `headers` are for what a status demands (405: `allow`)."""
    fields = failure_headers(failure, request_id, dialect) | dict(headers or {})
    await send_json(send, failure.status, envelope(failure, request_id, dialect), fields)


async def end_stream_with(send: Send, last: bytes) -> None:
    """Ends an event stream that has begun with its last bytes and a proper end of the body."""
    await send({"type": "http.response.body", "body": last, "more_body": False})


def sse_head(headers: Mapping[str, str] | None = None) -> Message:
    """The ASGI message that begins an event stream, with what keeps proxies from buffering it."""
    return {"type": "http.response.start", "status": 200, "headers": [*_SSE, *_encode(headers)]}


def envelope(failure: Failure, request_id: str, dialect: Dialect = "anthropic") -> dict[str, Any]:
    """The error object in the asked dialect."""
    if dialect == "anthropic":
        return failure.anthropic(request_id)
    told = failure.openai()
    if _is_spent(failure):
        # Codex knows by this type that waiting is no use, and tells its user when it will be.
        told["error"]["type"] = "usage_limit_reached"
        if (wait := failure.retry_after) is not None:
            told["error"] |= {"resets_in_seconds": math.ceil(wait), "resets_at": int(time.time() + wait)}
    return told


_SPENT = (Kind.RATE_LIMIT, Kind.BILLING)


def _is_spent(failure: Failure) -> bool:
    return failure.kind is Kind.RATE_LIMIT and failure.should_retry is False


def id_fields(request_id: str, dialect: Dialect) -> dict[str, str]:
    """The request's id under the name that the dialect's clients read."""
    return {"request-id" if dialect == "anthropic" else "x-request-id": request_id}


def failure_headers(failure: Failure, request_id: str, dialect: Dialect = "anthropic") -> dict[str, str]:
    """The request's id under both names, and what was decided about a retry.

    Codex sits out any wait that it is told of, hours too: what is spent, a limit or money, names none in the
    header.
    """
    fields = failure.headers()
    if dialect == "openai" and failure.should_retry is False and failure.kind in _SPENT:
        fields.pop("retry-after", None)
    return {"request-id": request_id, "x-request-id": request_id, **fields}


def raw(
    failure: Failure,
    request_id: str,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    body: bool = True,
    dialect: Dialect = "anthropic",
) -> bytes:
    """A complete HTTP/1.1 answer in bytes that ends the connection, for requests that no app will see.

    `status` overrides the failure's own (426); without `body` only the head is written (HEAD).
    """
    content = jsonio.dump(envelope(failure, request_id, dialect))
    fields = _encode(failure_headers(failure, request_id) | dict(headers or {}))
    lines = [_status_line(status or failure.status)]
    for name, value in [*_JSON, *fields, (b"content-length", b"%d" % len(content))]:
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"connection: close\r\n\r\n")
    if body:
        lines.append(content)
    return b"".join(lines)


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:  # 529 has no entry in the registry
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


def _encode(headers: Mapping[str, str] | None) -> Fields:
    """The fields in bytes; one whose value no field can carry (a model's name is client text) is left out."""
    return [
        (name.encode("ascii"), value.encode("ascii"))
        for name, value in (headers or {}).items()
        if _FIELD_VALUE.fullmatch(value)
    ]
