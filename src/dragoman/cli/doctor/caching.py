"""Whether a conversation finds its beginning in the upstream's prompt cache.

Three requests of one session, each extending the one before. The first words are new at every run, so turn
one is always cold. It costs about 6,000 input tokens, so a real account is asked only when that was wished.
"""

from __future__ import annotations

import itertools
import secrets
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dragoman.cli.client import Unreachable
from dragoman.cli.doctor.findings import Finding, error, fine, warn
from dragoman.cli.doctor.streaming import FAILED_FIX, said
from dragoman.cli.doctor.visit import Visit

SECONDS = 120.0
TURNS = 3
# What an upstream keeps at all.
LEAST_TOKENS = 1024
_LINES = 110
# A real cache needs a moment until it can be read.
_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Turn:
    """Input of one answered turn in tokens, and what its diagnostics say."""

    tokens: int
    cached: int
    reason: str | None


def cache(visit: Visit) -> Iterator[Finding]:
    """Asks three times and compares the figures of the answers."""
    if not visit.may_ask or not (visit.cache_check or visit.simulated):
        return
    if visit.asked_model is None:
        yield warn("cache", "not tried: the gateway publishes no model", "name one with --model")
        return
    turns: list[Turn] = []
    conversation = Conversation(visit.asked_model, str(uuid.uuid4()), secrets.token_hex(8))
    for number in range(TURNS):
        if number and not visit.simulated:
            time.sleep(_PAUSE)
        try:
            reply = visit.client.post("/v1/messages", conversation.body(), conversation.headers(), SECONDS)
        except Unreachable as problem:
            yield error("cache", f"turn {number + 1} broke off ({problem})", "look at the gateway's log")
            return
        if reply.status != 200 or not isinstance(reply.json, dict):
            yield error("cache", f"turn {number + 1}: status {reply.status}: {said(reply.json)}", FAILED_FIX)
            return
        turns.append(turn_of(reply.json))
        conversation.go_on(reply.json)
    yield judge(turns)


class Conversation:
    """A growing conversation with a long beginning."""

    def __init__(self, model: str, session: str, nonce: str) -> None:
        lines = [
            f"Rule {number}: entry {number} names a shelf, a drawer and a label." for number in range(_LINES)
        ]
        self._model = model
        self._session = session
        self._system = f"Check {nonce}. Answer with one word.\n" + "\n".join(lines)
        self._messages: list[dict[str, Any]] = [{"role": "user", "content": "Say one."}]
        self._previous: str | None = None

    def headers(self) -> dict[str, str]:
        """The session that joins the turns."""
        return {"x-claude-code-session-id": self._session}

    def body(self) -> dict[str, Any]:
        """The next request."""
        return {
            "model": self._model,
            "max_tokens": 64,
            "system": self._system,
            "messages": list(self._messages),
            "thinking": {"type": "disabled"},
            "diagnostics": {"previous_message_id": self._previous},
        }

    def go_on(self, answer: dict[str, Any]) -> None:
        """Takes an answer into the conversation and asks on."""
        found = answer.get("id")
        self._previous = found if isinstance(found, str) else None
        content = answer.get("content")
        self._messages.append({"role": "assistant", "content": content or [{"type": "text", "text": "One."}]})
        self._messages.append(
            {"role": "user", "content": f"Say one more, for the {len(self._messages)}th time."}
        )


def turn_of(answer: dict[str, Any]) -> Turn:
    """The figures of an answer."""
    usage = answer.get("usage")
    found = usage if isinstance(usage, dict) else {}
    parts = [
        value if isinstance(value := found.get(name), int) else 0
        for name in ("cache_read_input_tokens", "cache_creation_input_tokens", "input_tokens")
    ]
    told = answer.get("diagnostics")
    reason = told.get("cache_miss_reason") if isinstance(told, dict) else None
    kind = reason.get("type") if isinstance(reason, dict) else None
    return Turn(sum(parts), parts[0], kind if isinstance(kind, str) else None)


def judge(turns: list[Turn]) -> Finding:
    """The verdict: the later turns must have read most of the turn before."""
    told = ", ".join(
        f"turn {number} read {turn.cached} of {turn.tokens} input tokens from the cache"
        + (f" ({turn.reason})" if turn.reason else "")
        for number, turn in enumerate(turns[1:], start=2)
    )
    if turns[0].tokens < LEAST_TOKENS:
        return warn(
            "cache", f"turn 1 had {turns[0].tokens} input tokens, too few for any cache", "use another model"
        )
    good = [after.cached >= before.tokens // 2 for before, after in itertools.pairwise(turns)]
    if all(good):
        return fine("cache", told)
    if any(good):
        return warn("cache", f"{told}: it does not hit every time")
    return warn("cache", f"{told}: the beginning was not found again")
