"""Refusals: what an upstream says no with, in the shape of its flavour.

Two dialects: `{"error": {message, type, param, code}}` (the public API, and much of the Codex backend) and
`{"detail": "…"}` (the Codex backend's own gate). A refusal of a malformed request is a breach of the contract
and is counted; a refusal because of an account's state or a script is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

INVALID_REQUEST = "invalid_request_error"


@dataclass(frozen=True, slots=True)
class Answer:
    """A plain JSON answer. `breach` names the broken rule, "" where no rule of the contract was broken."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    breach: str = ""

    @property
    def message(self) -> str:
        error = self.body.get("error")
        return str(error.get("message")) if isinstance(error, dict) else str(self.body.get("detail", ""))


class Refused(Exception):
    """Raised where a request ends; carries what the client is told."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.answer = answer


def error_body(
    message: str, kind: str | None = INVALID_REQUEST, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """The public error envelope."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def breach(
    rule: str, message: str, *, param: str | None = None, code: str | None = None, status: int = 400
) -> Refused:
    """A request that breaks the contract, in the public dialect. `rule` is how the report calls it."""
    return Refused(Answer(status, error_body(message, param=param, code=code), breach=rule))


def detail(rule: str, message: str, *, status: int = 400) -> Refused:
    """The same in the Codex backend's own dialect."""
    return Refused(Answer(status, {"detail": message}, breach=rule))


def denied(
    status: int,
    message: str,
    kind: str | None = INVALID_REQUEST,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Refused:
    """A refusal that is no breach: credentials, limits, a model that the account does not have."""
    return Refused(Answer(status, error_body(message, kind, param=param, code=code), headers or {}))
