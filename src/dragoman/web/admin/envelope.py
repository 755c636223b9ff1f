"""Errors of the admin API: one JSON envelope, `{"error": {"type", "message", "path"?}, "request_id"}`.

It decides how a failure is said and which headers every answer carries. What failed is decided elsewhere.
"""

from __future__ import annotations

from typing import Any

from dragoman.store.clientkeys import NotThere, StoreConflict
from dragoman.store.engine import StoreError
from dragoman.wire.errors import TABLE, Failure, Kind, Refused

# Nothing in between keeps an answer, nobody frames it, and it loads nothing from elsewhere.
SECURITY: tuple[tuple[bytes, bytes], ...] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
)
STORE_SECONDS = 5.0
# Where the client's protocol has no word of its own; here nobody is bound to it.
_TYPES = {Kind.METHOD_NOT_ALLOWED: "method_not_allowed_error"}


class BadField(Refused):
    """400 with the path of the field that is wrong."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(Failure(Kind.INVALID_REQUEST, f"{path}: {problem}", should_retry=False))
        self.path = path


def bad(error: ValueError, fallback: str = "") -> BadField:
    """The same of an error whose message begins with the path, as the parsers of `budget` write it."""
    path, colon, problem = str(error).partition(": ")
    return BadField(path, problem) if colon else BadField(fallback, str(error))


def of_store(error: StoreError) -> Failure:
    """What a failure of the store is for the caller."""
    if isinstance(error, NotThere):
        return Failure(Kind.NOT_FOUND, _sentence(str(error)), should_retry=False)
    if isinstance(error, StoreConflict):
        return Failure(Kind.CONFLICT, _sentence(str(error)), should_retry=False)
    # The driver's words may name hosts and files: they are for the log.
    return Failure(Kind.UNAVAILABLE, "The store does not answer now; try again.", retry_after=STORE_SECONDS)


def envelope(failure: Failure, request_id: str, path: str | None = None) -> dict[str, Any]:
    """The body of an error."""
    error = {"type": _TYPES.get(failure.kind) or TABLE[failure.kind].anthropic, "message": failure.message}
    if path:
        error["path"] = path
    return {"error": error, "request_id": request_id}


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
