"""The response object around the output: echo of the request, status, usage, errors.

It follows the Response schema of OpenAI's description: every required member is there from the first event.
On the Codex flavour a completed response may carry nothing but id, usage and end_turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.simulator.models import Family
from dragoman.simulator.steps import Cost

_TIERS = {"auto": "default", "fast": "priority"}
_OPTIONAL = (
    "max_output_tokens",
    "max_tool_calls",
    "safety_identifier",
    "user",
    "prompt_cache_key",
    "background",
)


def skeleton(
    body: Mapping[str, Any], family: Family, identity: str, created_at: float, *, echo: bool = True
) -> dict[str, Any]:
    """A response in progress."""
    text = body.get("text") or {}
    response: dict[str, Any] = {
        "id": identity,
        "object": "response",
        "created_at": int(created_at),
        "status": "in_progress",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions") if echo else None,
        "model": body["model"],
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": _reasoning(body.get("reasoning") or {}, family),
        "service_tier": _TIERS.get(body.get("service_tier") or "auto", body.get("service_tier")),
        "store": body.get("store") is not False,
        "temperature": 1.0 if body.get("temperature") is None else body["temperature"],
        "text": {
            "format": text.get("format") or {"type": "text"},
            "verbosity": text.get("verbosity") or "medium",
        },
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": (body.get("tools") or []) if echo else [],
        "top_p": 1.0 if body.get("top_p") is None else body["top_p"],
        "truncation": body.get("truncation") or "disabled",
        "metadata": body.get("metadata") or {},
    }
    for name in _OPTIONAL:
        if body.get(name) is not None:
            response[name] = body[name]
    if family.explicit_cache:
        mode = (body.get("prompt_cache_options") or {}).get("mode") or "implicit"
        response["prompt_cache_options"] = {"ttl": "30m", "mode": mode}
    return response


def usage(prompt: int, cached: int, written: int, cost: Cost) -> dict[str, Any]:
    """The usage object; each input token is cached, written or plain."""
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": cost.output,
        "output_tokens_details": {"reasoning_tokens": cost.reasoning},
        "total_tokens": prompt + cost.output,
    }


def completed(
    response: dict[str, Any], output: list[dict[str, Any]], used: dict[str, Any], now: float, *, bare: bool
) -> dict[str, Any]:
    """The finished response; `bare` as the Codex backend sends it."""
    if bare:
        calls = any(item.get("type") in ("function_call", "custom_tool_call") for item in output)
        return {"id": response["id"], "usage": used, "end_turn": not calls}
    return {
        **response,
        "status": "completed",
        "completed_at": int(now),
        "output": output,
        "usage": used,
    }


def incomplete(
    response: dict[str, Any], output: list[dict[str, Any]], used: dict[str, Any], reason: str
) -> dict[str, Any]:
    """A response that stopped early."""
    return {
        **response,
        "status": "incomplete",
        "incomplete_details": {"reason": reason},
        "output": output,
        "usage": used,
    }


def failed(response: dict[str, Any], code: str, message: str) -> dict[str, Any]:
    """A response that broke down."""
    return {**response, "status": "failed", "error": {"code": code, "message": message}}


def _reasoning(asked: Mapping[str, Any], family: Family) -> dict[str, Any]:
    if not family.reasons:
        return {"effort": None, "summary": None}
    context = asked.get("context") or "auto"
    if context == "auto":
        context = "all_turns" if family.all_turns else "current_turn"
    return {
        "effort": asked.get("effort") or family.default_effort,
        "summary": asked.get("summary"),
        "context": context,
        "mode": asked.get("mode") or "standard",
    }
