"""The model lists: the public one, and the Codex catalogue, which hides models from clients too old."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dragoman.simulator.models import LISTED, family
from dragoman.simulator.refusal import denied

_CREATED = 1_767_225_600
_NEWEST_NEEDS = "0.144.0"
_ON_CODEX = ("gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna", "gpt-5.5", "gpt-5.4", "gpt-5.3-codex", "gpt-5.2")


def public_model(name: str, listed: Sequence[str] | None) -> dict[str, Any]:
    """One entry of the public list. Raises Refused with a 404."""
    if name not in (listed or LISTED):
        raise denied(404, f"The model '{name}' does not exist", param="model", code="model_not_found")
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "openai"}


def public_models(listed: Sequence[str] | None) -> dict[str, Any]:
    """The public list."""
    return {"object": "list", "data": [public_model(name, listed) for name in listed or LISTED]}


def codex_models(client_version: str, listed: Sequence[str] | None) -> dict[str, Any]:
    """The Codex catalogue as a client of that version sees it."""
    entries = []
    for priority, name in enumerate(listed or _ON_CODEX):
        known = family(name)
        if known is None:
            continue
        needs = _NEWEST_NEEDS if known.explicit_cache else ""
        if _numbers(client_version) < _numbers(needs):
            continue
        efforts = [effort for effort in known.efforts if effort not in ("none", "minimal")]
        entries.append(
            {
                "slug": name,
                "display_name": name,
                "description": f"{name}, simulated",
                "base_instructions": "",
                "context_window": known.window,
                "max_context_window": known.window,
                "input_modalities": ["text", "image"],
                "supported_reasoning_levels": [{"effort": one, "description": one} for one in efforts],
                "default_reasoning_level": known.default_effort,
                "supports_reasoning_summaries": True,
                "support_verbosity": known.verbosity,
                "default_verbosity": "medium",
                "prefer_websockets": False,
                "supports_parallel_tool_calls": True,
                "supported_in_api": True,
                "minimal_client_version": needs or "0.0.0",
                "priority": priority,
                "available_in_plans": ["plus", "pro", "team", "business", "enterprise"],
                "visibility": "list",
            }
        )
    return {"models": entries}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
