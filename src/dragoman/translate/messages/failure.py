"""What the client is told of an upstream failure.

The one table from a cause to a kind of error, with the sentence that is said where the upstream's own
words are missing or would mislead, and the wait that is asked for. What went wrong is read in refusals;
what may be tried about it stands in causes. Both are named here too, as the whole of the subject.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from dragoman.translate.messages.causes import ADVICE, Advice, Cause, UpstreamFailure
from dragoman.translate.messages.refusals import from_event, from_http
from dragoman.wire.errors import Failure, Kind

__all__ = [
    "ADVICE",
    "TOLD",
    "Advice",
    "Cause",
    "Told",
    "UpstreamFailure",
    "from_event",
    "from_http",
    "own_code",
    "to_any_client",
    "to_client",
    "wait",
]


class Told(NamedTuple):
    """What the client is told of a cause.

    `sentence` stands where the upstream said nothing fit to be shown, or where its words would mislead
    (`quotes` False): a client must not read about credentials that are not its own. With the statuses of
    trouble the upstream's words are about itself, its accounts or the machines in front of it, so only what
    it says inside a stream is told. `wait` is the retry-after that is sent where the upstream named none.
    """

    kind: Kind
    sentence: str
    quotes: bool = True
    wait: float | None = None
    should_retry: bool | None = None


_REFUSED_ACCOUNT = (
    "The upstream refused the gateway's own credentials; its operator has to look at the account."
)

TOLD: dict[Cause, Told] = {
    Cause.TRANSPORT: Told(Kind.UPSTREAM, "The upstream could not be reached.", False),
    Cause.TIMEOUT: Told(Kind.TIMEOUT, "The upstream did not answer in time.", False),
    Cause.CUT: Told(Kind.UPSTREAM, "The upstream broke off before the end of its answer.", False),
    Cause.PROTOCOL: Told(Kind.UPSTREAM, "The upstream sent an answer that makes no sense.", False),
    Cause.EMPTY: Told(
        Kind.UPSTREAM, "The model ended its turn with neither text nor a tool call.", False, None, False
    ),
    Cause.SERVER: Told(Kind.UPSTREAM, "The upstream failed."),
    Cause.OVERLOADED: Told(Kind.OVERLOADED, "The upstream is overloaded.", True, 5.0),
    Cause.BURST: Told(Kind.RATE_LIMIT, "The upstream takes no more requests at the moment.", True, 3.0),
    Cause.RATE_LIMIT: Told(Kind.RATE_LIMIT, "The upstream's rate limit is reached.", True, 10.0),
    Cause.QUOTA: Told(Kind.RATE_LIMIT, "The upstream's usage limit is reached.", True, None, False),
    Cause.CREDENTIALS: Told(Kind.UPSTREAM, _REFUSED_ACCOUNT, False, None, False),
    Cause.LOGIN: Told(Kind.UPSTREAM, _REFUSED_ACCOUNT, False, None, False),
    Cause.DEAD: Told(Kind.UPSTREAM, _REFUSED_ACCOUNT, False, None, False),
    Cause.MODEL: Told(Kind.MODEL_NOT_FOUND, "The upstream does not serve this model."),
    Cause.CONTEXT: Told(Kind.CONTEXT_OVERFLOW, "", False),
    Cause.SEALED: Told(Kind.INVALID_REQUEST, "The upstream could not read the reasoning of earlier turns."),
    Cause.PARAMETER: Told(Kind.INVALID_REQUEST, "The upstream does not support a parameter of this request."),
    Cause.POLICY: Told(Kind.INVALID_REQUEST, "The upstream refused the request for its content."),
    Cause.TOO_LARGE: Told(Kind.TOO_LARGE, "The request is larger than the upstream takes."),
    Cause.IMAGE: Told(Kind.INVALID_REQUEST, "The upstream could not process an image of this request."),
    Cause.DOCUMENT: Told(Kind.INVALID_REQUEST, "The upstream could not process a document of this request."),
    Cause.REQUEST: Told(Kind.INVALID_REQUEST, "The upstream refused the request."),
    Cause.UNFIT: Told(Kind.INVALID_REQUEST, "No account that serves this model can do what was asked."),
}

_TROUBLE = frozenset({Kind.UPSTREAM, Kind.OVERLOADED, Kind.RATE_LIMIT})

# Above this a client should not sit and wait, but say so: it gives up anyway, or retries in a storm.
PATIENCE = 60.0


def wait(failure: UpstreamFailure) -> float | None:
    """Seconds until it is worth asking again, as the upstream or the table says; None where neither does."""
    return failure.retry_after if failure.retry_after is not None else TOLD[failure.cause].wait


# Anthropic's own words, by which Claude Code knows what to leave out before it asks again; without them every
# later turn of the session would be refused for the same picture.
_OPENINGS = {Cause.IMAGE: "Could not process image", Cause.DOCUMENT: "Could not process PDF"}


def to_client(failure: UpstreamFailure, *, tokens: int | None, window: int | None) -> Failure:
    """What a client of the Messages API is told: see to_any_client."""
    told = to_any_client(failure, tokens=tokens, window=window)
    opening = _OPENINGS.get(failure.cause)
    return told if opening is None else replace(told, message=f"{opening}: {told.message}")


def to_any_client(failure: UpstreamFailure, *, tokens: int | None, window: int | None) -> Failure:
    """What the client is told. `tokens` is the estimate of the prompt, `window` the model's maximum."""
    told = TOLD[failure.cause]
    if failure.cause is Cause.CONTEXT:
        return Failure(told.kind, _too_long(failure.message, tokens, window))
    seconds = wait(failure) if told.kind in (Kind.RATE_LIMIT, Kind.OVERLOADED) else None
    should_retry = told.should_retry if seconds is None else (False if seconds > PATIENCE else None)
    quotes = told.quotes and not (told.kind in _TROUBLE and _troubled(failure.status))
    message = failure.message if quotes else ""
    return Failure(told.kind, message or told.sentence, seconds, should_retry)


def _troubled(status: int | None) -> bool:
    return status is not None and (status in (402, 429) or status >= 500)


# Whose words about the request are told by their code too, to who reads codes.
_CODED = frozenset({Cause.REQUEST, Cause.IMAGE, Cause.DOCUMENT, Cause.POLICY, Cause.SEALED, Cause.PARAMETER})
_CODE = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_TYPE = "invalid_request_error"  # stands for the code where there is none


def own_code(failure: UpstreamFailure) -> str | None:
    """The upstream's own code for what is wrong with the request; None where it has none fit to be shown."""
    code = failure.code
    if failure.cause in _CODED and code is not None and code != _TYPE and _CODE.fullmatch(code):
        return code
    return "unsupported_parameter" if failure.cause is Cause.PARAMETER else None


# -- the overflow sentence -------------------------------------------------------------------------------

_MAXIMUM = re.compile(r"maximum context length is (\d[\d,]*)")
_FIGURE = re.compile(r"(?<![\w.\-])(\d{1,3}(?:,\d{3})+|\d{4,})(?![\w\-]|[.,]\d)")


def _too_long(text: str, tokens: int | None, window: int | None) -> str:
    """The wording that clients recognise and answer with a compaction."""
    found = figures(text, tokens, window)
    if found is None:
        return "prompt is too long: it exceeds the context window of the model"
    return f"prompt is too long: {found[0]} tokens > {found[1]} maximum"


def figures(text: str, tokens: int | None, window: int | None) -> tuple[int, int] | None:
    """Tokens of a prompt that is too long, and the window; None where the window is not known.

    The upstream's own two figures if it gave them, else the estimate and the window. That the prompt is
    longer than the window is known, so an estimate below it is raised to the least that is true.
    """
    named = [n for n in (int(found.replace(",", "")) for found in _FIGURE.findall(text)) if n >= 1000]
    if len(named) >= 2 and max(named) > min(named):
        said = _MAXIMUM.search(text)
        least = min(named) if said is None else int(said[1].replace(",", ""))
        tokens, window = max(named), least if least in named and least < max(named) else min(named)
    elif len(named) == 1 and window is None:
        window = named[0]
    return None if window is None else (max(tokens or 0, window + 1), window)
