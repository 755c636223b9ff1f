"""`/v1/models`: what a client may request, in Anthropic's shape, in OpenAI's or in that of Codex.

It decides the shape (Anthropic's when the caller speaks Anthropic), paging and what is claimed about a model.
Which models there are, and which of them a key may see, is decided before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from dragoman.translate.models import EFFORTS, ModelProfile, PublishedModel
from dragoman.web import reply
from dragoman.web.incoming import Incoming
from dragoman.wire.errors import Failure, Kind, Refused, invalid

# Release dates are not known here; Anthropic's schema names the epoch for that case.
_UNKNOWN_DATE = "1970-01-01T00:00:00Z"
_LIMIT = 20
_NOT_IN_CODEX = frozenset({"none", "minimal"})
_MOST = 1000


async def serve(incoming: Incoming, rows: Sequence[PublishedModel], wanted: str = "") -> None:
    """Answers with the list, or with the one model whose id is `wanted`."""
    anthropic = "anthropic-version" in incoming.headers or incoming.path.startswith("/anthropic/")
    fields = {"request-id": incoming.request_id}
    try:
        answer = _one(rows, wanted, anthropic) if wanted else _list(rows, incoming, anthropic)
    except Refused as refusal:
        dialect: reply.Dialect = "anthropic" if anthropic else "openai"
        await reply.send_failure(incoming.send, refusal.failure, incoming.request_id, dialect)
        return
    await reply.send_json(incoming.send, 200, answer, fields)


def _one(rows: Sequence[PublishedModel], wanted: str, anthropic: bool) -> dict[str, Any]:
    for row in rows:
        if row.id == wanted:
            return _anthropic(row) if anthropic else _openai(row)
    raise Refused(Failure(Kind.MODEL_NOT_FOUND, f"model: {wanted[:200]} is not listed here"))


def _list(rows: Sequence[PublishedModel], incoming: Incoming, anthropic: bool) -> dict[str, Any]:
    if not anthropic:
        return {"object": "list", "data": [_openai(row) for row in rows]}
    query = parse_qs(incoming.scope["query_string"].decode("latin-1"))
    page, more = _page(rows, {name: values[-1] for name, values in query.items()})
    return {
        "data": [_anthropic(row) for row in page],
        "has_more": more,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def _page(rows: Sequence[PublishedModel], query: dict[str, str]) -> tuple[Sequence[PublishedModel], bool]:
    """One page and whether there is more in the direction of travel. Raises Refused naming the parameter."""
    limit = _limit(query.get("limit", str(_LIMIT)))
    if "before_id" in query and "after_id" in query:
        raise invalid("before_id", "cannot be used together with after_id")
    if "before_id" in query:
        end = _position(rows, "before_id", query["before_id"])
        return rows[max(0, end - limit) : end], end > limit
    start = _position(rows, "after_id", query["after_id"]) + 1 if "after_id" in query else 0
    return rows[start : start + limit], len(rows) > start + limit


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _MOST):
        raise invalid("limit", f"must be a whole number from 1 to {_MOST}")
    return int(text)


def _position(rows: Sequence[PublishedModel], name: str, wanted: str) -> int:
    for position, row in enumerate(rows):
        if row.id == wanted:
            return position
    raise invalid(name, "names no model of this list")


def _openai(row: PublishedModel) -> dict[str, Any]:
    """OpenAI's four fields; the others are what clients ask of a model besides its name."""
    profile = row.profile
    return {
        "id": row.id,
        "object": "model",
        "created": 0,
        "owned_by": "dragoman",
        "display_name": row.display_name,
        "context_window": profile.context_window,
        "max_output_tokens": profile.max_output_tokens,
        "input_modalities": _modalities(profile),
        "supported_reasoning_efforts": list(profile.efforts),
        "default_reasoning_effort": profile.default_effort,
    }


def _modalities(profile: ModelProfile) -> list[str]:
    return ["text", *(["image"] if profile.images else []), *(["file"] if profile.files else [])]


async def serve_codex(incoming: Incoming, rows: Sequence[PublishedModel]) -> None:
    """Answers with the list as the ChatGPT backend has it for Codex.

    Names that only Claude Code's picker needs are left out.
    """
    own = [row for row in rows if row.id == row.model or not row.id.startswith("claude-")]
    entries = [_codex(row, place) for place, row in enumerate(own)]
    fields = {"x-request-id": incoming.request_id}
    await reply.send_json(incoming.send, 200, {"models": entries}, fields)


def _codex(row: PublishedModel, place: int) -> dict[str, Any]:
    profile = row.profile
    efforts = [effort for effort in profile.efforts if effort not in _NOT_IN_CODEX]
    return {
        "slug": row.id,
        "display_name": row.display_name,
        "description": f"Served by {row.model}",
        "base_instructions": "",
        "context_window": profile.context_window,
        "max_context_window": profile.context_window,
        "input_modalities": ["text", "image"] if profile.images else ["text"],
        "supported_reasoning_levels": [{"effort": effort, "description": effort} for effort in efforts],
        "default_reasoning_level": profile.default_effort if profile.default_effort in efforts else None,
        "supports_reasoning_summaries": profile.reasoning and profile.summaries,
        "support_verbosity": profile.family.startswith("gpt-5"),
        "default_verbosity": "medium",
        "prefer_websockets": False,
        "supports_parallel_tool_calls": True,
        "supported_in_api": True,
        "minimal_client_version": "0.0.0",
        "priority": place,
        "available_in_plans": [],
        "visibility": "list",
    }


def _anthropic(row: PublishedModel) -> dict[str, Any]:
    return {
        "type": "model",
        "id": row.id,
        "display_name": row.display_name,
        "description": f"Served by {row.model}",
        "created_at": _UNKNOWN_DATE,
        "lifecycle": "active",
        "max_input_tokens": row.profile.context_window,
        "max_tokens": row.profile.max_output_tokens,
        "capabilities": _capabilities(row.profile),
    }


def _capabilities(profile: ModelProfile) -> dict[str, Any]:
    """What a request to this model can use here; nothing is claimed about a model that no table knows."""
    known = bool(profile.family)
    levels = {level: _support(level in profile.efforts) for level in EFFORTS if level in _ANTHROPIC_EFFORTS}
    return {
        "batch": _support(False),
        "citations": _support(False),
        "code_execution": _support(False),
        "context_management": _support(False),
        "effort": {"supported": bool(profile.efforts), **levels},
        "image_input": _support(profile.images),
        "pdf_input": _support(profile.files),
        "server_tools": {
            "supported": known,
            "code_execution": _support(False),
            "web_search": _support(known),
        },
        "structured_outputs": _support(True),
        "thinking": {
            "supported": profile.reasoning,
            "types": {
                "adaptive": _support(profile.reasoning),
                "between_tools": _support(False),
                "disabled": _support(True),
                "enabled": _support(profile.reasoning),
            },
        },
    }


_ANTHROPIC_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})


def _support(supported: bool) -> dict[str, bool]:
    return {"supported": supported}
