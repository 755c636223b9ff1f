"""Whether an answer arrives in pieces, or is collected by a proxy on the way.

A streamed request is timed at its arrival: when content came first, and when it ended. A collected answer
comes all at once after a wait. An answer that is over at once proves nothing and is said to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from dragoman.cli.client import Unreachable
from dragoman.cli.doctor.findings import Finding, error, fine, warn
from dragoman.cli.doctor.visit import Visit
from dragoman.serving.question import QUESTION

SECONDS = 60.0
# Below this an answer is too short to tell anything.
TOO_QUICK = 0.3
# A stream is one when its pieces are spread over so much of the whole time, or over so many seconds.
SPREAD_SHARE = 0.25
SPREAD_SECONDS = 0.5


def stream(visit: Visit) -> Iterator[Finding]:
    """Asks for a short answer through the gateway's address."""
    if not visit.may_ask:
        return
    if visit.asked_model is None:
        yield warn("stream", "not tried: the gateway publishes no model", "name one with --model")
        return
    body = {
        "model": visit.asked_model,
        "max_tokens": 600,
        "stream": True,
        "thinking": {"type": "disabled"},
        "messages": [{"role": "user", "content": QUESTION}],
    }
    began = time.monotonic()
    try:
        head, pieces = visit.client.stream("/v1/messages", body, SECONDS)
        arrived = list(pieces)
    except Unreachable as problem:
        yield error("stream", f"the answer broke off ({problem})", "look at the gateway's log")
        return
    if head.status != 200:
        yield error(
            "stream", f"the gateway answered with status {head.status}: {said(head.json)}", FAILED_FIX
        )
        return
    yield judge(began, arrived, head.headers.get("content-length") is not None)


FAILED_FIX = "look at the log line of the request, or name another model with --model"


def said(answer: Any) -> str:
    """The message of an error envelope."""
    found = answer.get("error") if isinstance(answer, dict) else None
    message = found.get("message") if isinstance(found, dict) else None
    return message[:200] if isinstance(message, str) else "no reason given"


def judge(began: float, arrived: Sequence[tuple[float, bytes]], has_length: bool) -> Finding:
    """The verdict on the times of arrival."""
    content = b"".join(piece for _, piece in arrived)
    if b"message_stop" not in content:
        return error("stream", "the answer did not come to its end", FAILED_FIX)
    last = arrived[-1][0]
    first = next(at for at, piece in arrived if b"content_block_delta" in piece or piece is arrived[-1][1])
    whole, spread = last - began, last - first
    if has_length:
        return warn("stream", "the answer had a length from the start: something collected it on the way")
    if spread >= SPREAD_SECONDS or (whole >= TOO_QUICK and spread >= SPREAD_SHARE * whole):
        return fine("stream", f"the answer arrived in pieces over {spread:.1f} s")
    if whole < TOO_QUICK:
        return fine("stream", f"the answer was over after {whole * 1000:.0f} ms, too quick to tell")
    return warn(
        "stream", f"after {whole:.1f} s the answer arrived all at once: something collects it on the way"
    )
