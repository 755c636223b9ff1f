"""How hard the model thinks and how much it may write: effort, thinking, token limits.

It decides the effort from everything that may name one, in a fixed order, and what becomes of `max_tokens`,
which on both sides counts thinking too. It never asks for more thinking than was wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dragoman.translate.messages.plan import Policy, Target, Thinking
from dragoman.translate.models import clamp_effort, known_effort, lower_effort
from dragoman.wire.responses import Reasoning

# Thinking budgets (tokens) and the effort they stand for. Ordinary high thinking is sent as 31,999.
_BUDGETS = ((4_096, "low"), (16_384, "medium"), (32_000, "high"))
_BEYOND = "xhigh"
# Tokens below which a model at this effort may use up its whole limit before it says a word.
FLOORS = {"none": 0, "minimal": 128, "low": 512, "medium": 2_048, "high": 2_048, "xhigh": 2_048, "max": 2_048}
_LEAST = 16  # what the upstream takes at least
SUMMARIES = ("auto", "concise", "detailed")
BUDGET_LEAST = 1024


def wanted_effort(request: Mapping[str, Any], target: Target, policy: Policy) -> str | None:
    """The effort to ask for before limits; None lets the model choose.

    What the key enforces goes first, then the request, the alias, the key's default, the server's; a key's
    ceiling bounds all of them, the model's own choice too.
    """
    asked = asked_effort(request)
    named = (policy.enforced_effort, asked, target.alias_effort, policy.key_effort, policy.default_effort)
    level = next((level for level in named if level is not None), None)
    if policy.max_effort is not None:
        level = lower_effort(level or target.profile.default_effort or policy.max_effort, policy.max_effort)
    return None if level is None else clamp_effort(level, target.capability.efforts)


def asked_effort(request: Mapping[str, Any]) -> str | None:
    """What the request itself names. A blank value is as good as none; snake_case goes before camelCase."""
    config, reasoning = request.get("output_config") or {}, request.get("reasoning") or {}
    for value in (
        config.get("effort"),
        reasoning.get("effort"),
        request.get("reasoning_effort"),
        request.get("reasoningEffort"),
    ):
        if value is not None and value.strip():
            return known_effort(value)
    thinking = request.get("thinking") or {}
    if thinking.get("type") == "disabled":
        return "none"
    if thinking.get("type") == "enabled":
        budget = thinking["budget_tokens"]
        return next((level for limit, level in _BUDGETS if budget <= limit), _BEYOND)
    return None


def shown_thinking(request: Mapping[str, Any]) -> Thinking:
    """What the client sees of the reasoning: its text, an empty block with the sealed item, or nothing.

    A client that says nothing of thinking gets what the upstream wrote, sealed with it: only so can the
    reasoning come back in the next turn.
    """
    thinking = request.get("thinking")
    if not thinking:
        return "unasked"
    if thinking.get("type") not in ("enabled", "adaptive"):
        return "off"
    return "omitted" if thinking.get("display") == "omitted" else "shown"


@dataclass(frozen=True, slots=True)
class Limits:
    """Effort, the upstream's output limit, and the count of visible tokens after which we cut ourselves."""

    effort: str | None
    max_output_tokens: int | None
    visible_cap: int | None


def limits(
    request: Mapping[str, Any], effort: str | None, target: Target, *, thought_included: bool = False
) -> Limits:
    """What becomes of `max_tokens` (absent when only counting) at the wanted effort.

    A limit too small for the effort lowers the effort; at the lowest one it raises the upstream's limit,
    and visible output is cut here at what was asked. With `thought_included` the client knows that its limit
    covers the reasoning of the effort that it named: both stay as they are.
    """
    asked: int | None = request.get("max_tokens")
    if asked is None:
        return Limits(effort, None, None)
    if not target.capability.max_output_tokens:
        return Limits(effort, None, asked)
    limit = min(asked, target.profile.max_output_tokens)
    efforts = target.capability.efforts
    if efforts and not thought_included and limit < _floor(effort or target.profile.default_effort):
        effort = next((level for level in reversed(efforts) if _floor(level) <= limit), efforts[0])
        limit += _floor(effort) if _floor(effort) > limit else 0
    limit = max(_LEAST, limit)
    return Limits(effort, limit, asked if limit > asked else None)


def samples(limit: Limits, target: Target) -> bool:
    """Whether sampling parameters may be sent: always, or where the model answers without thinking."""
    capability = target.capability
    if capability.sampling:
        return True
    return capability.sampling_unthinking and (limit.effort or target.profile.default_effort) == "none"


def _floor(effort: str | None) -> int:
    return FLOORS[effort] if effort is not None else 0


def reasoning_field(request: Mapping[str, Any], effort: str | None, target: Target) -> Reasoning:
    """The upstream's `reasoning`, maybe empty. A summary is asked for unless thinking is disabled."""
    field: Reasoning = {}
    if not target.capability.reasoning:
        return field
    if effort is not None:
        field["effort"] = effort
    if target.capability.summary and (request.get("thinking") or {}).get("type") != "disabled":
        wanted = (request.get("reasoning") or {}).get("summary")
        field["summary"] = wanted if wanted in SUMMARIES else "auto"
    return field
