"""Checks how a client may ask for effort, in every dialect's spelling. What an effort means is `models`'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.translate.flaw import Flaw, check_optional
from dragoman.translate.models import EFFORTS, known_effort


def check_effort(holder: Mapping[str, Any], name: str) -> None:
    """A word for effort, which may be absent, null or blank. Raises Flaw."""
    effort = check_optional(holder, name, str, "a string")
    if effort is not None and effort.strip() and known_effort(effort) is None:
        raise Flaw(name, f"must be one of {', '.join(EFFORTS)}")


def check_asked_effort(request: Mapping[str, Any]) -> None:
    """The fields that OpenAI's clients ask with, which both translated dialects read. Raises Flaw."""
    reasoning = check_optional(request, "reasoning", dict, "an object") or {}
    try:
        check_effort(reasoning, "effort")
        check_optional(reasoning, "summary", str, "a string")
    except Flaw as flaw:
        raise flaw.under("reasoning") from None
    check_effort(request, "reasoning_effort")
    check_effort(request, "reasoningEffort")
