"""Why an attempt failed, as a value, and what may be tried about it.

A Cause is this gateway's own word for a class of upstream failures; ADVICE is the one table of what makes
sense after each. Nothing here reads an answer, waits or retries.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Cause(StrEnum):
    """Why an attempt failed."""

    TRANSPORT = "transport"
    TIMEOUT = "timeout"
    CUT = "cut"
    PROTOCOL = "protocol"
    EMPTY = "empty"
    SERVER = "server"
    OVERLOADED = "overloaded"
    BURST = "burst"
    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    CREDENTIALS = "credentials"
    LOGIN = "login"
    DEAD = "dead"
    MODEL = "model"
    CONTEXT = "context"
    SEALED = "sealed"
    PARAMETER = "parameter"
    POLICY = "policy"
    TOO_LARGE = "too_large"
    IMAGE = "image"
    DOCUMENT = "document"
    REQUEST = "request"
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True)
class UpstreamFailure:
    """A classified failure of one attempt. `retry_after` in seconds, `resets_at` in epoch seconds."""

    cause: Cause
    message: str = ""
    status: int | None = None
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    resets_at: float | None = None


class Advice(NamedTuple):
    """What would make sense after a failure, as long as no content reached the client.

    another_account   somebody else may succeed
    same_account      the same one may succeed after a short pause
    strip_reasoning   once more without any sealed reasoning
    learn             once more without the parameter, which is remembered
    blames_account    it says something about the account's state, not about the request or the road
    """

    another_account: bool = False
    same_account: bool = False
    strip_reasoning: bool = False
    learn: bool = False
    blames_account: bool = False


_ROAD = Advice(another_account=True, same_account=True)
_ACCOUNT = Advice(another_account=True, blames_account=True)
_REQUEST = Advice()

# What lies between the gateway and an answer, whoever's credentials are shown.
ROAD = frozenset(
    {
        Cause.TRANSPORT,
        Cause.TIMEOUT,
        Cause.CUT,
        Cause.PROTOCOL,
        Cause.EMPTY,
        Cause.SERVER,
        Cause.OVERLOADED,
    }
)

ADVICE: dict[Cause, Advice] = {
    Cause.TRANSPORT: _ROAD,
    Cause.TIMEOUT: Advice(another_account=True),
    Cause.CUT: _ROAD,
    Cause.PROTOCOL: _ROAD,
    Cause.EMPTY: _ROAD,
    Cause.SERVER: _ROAD,
    Cause.OVERLOADED: _ROAD,
    Cause.BURST: _ROAD,
    Cause.RATE_LIMIT: _ACCOUNT,
    Cause.QUOTA: _ACCOUNT,
    Cause.CREDENTIALS: _ACCOUNT,
    Cause.LOGIN: _ACCOUNT,
    Cause.DEAD: _ACCOUNT,
    Cause.MODEL: Advice(another_account=True),
    Cause.CONTEXT: _REQUEST,
    Cause.SEALED: Advice(strip_reasoning=True),
    Cause.PARAMETER: Advice(learn=True),
    Cause.POLICY: _REQUEST,
    Cause.TOO_LARGE: _REQUEST,
    Cause.IMAGE: _REQUEST,
    Cause.DOCUMENT: _REQUEST,
    Cause.REQUEST: _REQUEST,
    # Found before anything is sent: this kind of account cannot do what is asked.
    Cause.UNFIT: Advice(another_account=True),
}
