"""A Messages request as a Responses request: the pieces put together, in one fixed order of keys.

It never mutates the client's request, reads no clock and draws nothing at random: the same request for the
same target is the same bytes, and a turn appended by the client appends to them. What is left out and what
was mended stands in the Plan. Follows Anthropic's Messages API and OpenAI's description of `/responses`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.translate.capability import Capability
from dragoman.translate.messages import breakpoints, search
from dragoman.translate.messages.content import text_part
from dragoman.translate.messages.effort import (
    Limits,
    limits,
    reasoning_field,
    samples,
    shown_thinking,
    wanted_effort,
)
from dragoman.translate.messages.history import read_history
from dragoman.translate.messages.phases import Phases
from dragoman.translate.messages.plan import NOTHING, Identity, Plan, Policy, Target
from dragoman.translate.messages.structured import text_format
from dragoman.translate.messages.system import system_texts
from dragoman.translate.messages.tool_choice import Choice, choose
from dragoman.translate.messages.tools import Offer, stable_order
from dragoman.translate.messages.validate import validate
from dragoman.wire import jsonio

__all__ = ["stable_order", "translate", "validate"]

ENCRYPTED = "reasoning.encrypted_content"
SCHEMA_HINT = "Answer with JSON alone, without any text around it. It must satisfy this JSON Schema:"
_TIERS = {"auto": "auto", "standard_only": "default"}
_RETENTIONS = {"in-memory": "in_memory"}


def translate(
    request: Mapping[str, Any],
    target: Target,
    policy: Policy,
    identity: Identity,
    recall: Mapping[str, str],
    *,
    phases: Mapping[str, str] = NOTHING,
    without_reasoning: bool = False,
    tool_order: Sequence[str] = (),
) -> Plan:
    """Translates a request that `validate` let pass. `recall` maps a call's id to the arguments as written.

    `phases` maps the mark of a text to the phase it was said in (see messages/phases); `tool_order` are the
    names of the tools of the previous turn, as sent. Raises Refused, with the path, for what this target
    cannot do.
    """
    capability = target.capability
    offer = Offer(target, policy)
    offer.read(request)
    spoken = Phases(phases)
    history = read_history(
        request["messages"], target, policy, offer, recall, spoken, without_reasoning=without_reasoning
    )
    transcript, items = history.transcript, history.transcript.items
    wanted = request.get("tool_choice")
    if wanted is not None and wanted["type"] == "tool":
        transcript.load([wanted["name"]])  # a forced tool must be there, also a deferred one
    tools = offer.finish(tool_order)
    choice = choose(wanted, tools, offer, capability, policy)
    schema = _schema(request)
    limit = limits(request, wanted_effort(request, target, policy), target)
    instructions = _place_system(request, items, capability, search.blocked_hint(offer.searches))
    options = _cache_options(request, items, transcript.marks, capability)
    for hint in (choice.hint, _schema_hint(schema, capability)):
        if hint:  # for this turn only, so behind everything that is cached
            transcript.instruct([text_part(hint)])
    body = _body(
        request, target, identity, offer, instructions, items, tools, choice, limit, options, schema=schema
    )
    ignored = _ignored(request, body)
    ignored.update(offer.ignored, transcript.content.ignored)
    uses = offer.searches
    return Plan(
        body=body,
        tool_names=offer.names.changed,
        stop_sequences=tuple(request.get("stop_sequences") or ()),
        visible_cap=limit.visible_cap,
        thinking=shown_thinking(request),
        web_search_max=None if uses is None else uses.get("max_uses"),
        blocked_domains=() if uses is None else tuple(uses.get("blocked_domains") or ()),
        mcp_servers=offer.servers,
        structured=schema is not None,
        ignored=tuple(sorted(ignored)),
        repaired=tuple(transcript.repaired),
        dropped_reasoning=transcript.dropped,
        replayed_reasoning=transcript.replayed,
        phases=spoken.guessed,
        prefill=history.prefill,
    )


def _place_system(
    request: Mapping[str, Any], items: list[dict[str, Any]], capability: Capability, hint: str
) -> str | None:
    """Puts the system prompt in front of the items, or returns it for `instructions`.

    A hint that goes with the tools is for every turn, so it stands directly behind the prompt.
    """
    texts = system_texts(request.get("system"))
    if hint:
        role = capability.instruction_role
        items.insert(0, {"type": "message", "role": role, "content": [text_part(hint)]})
    if capability.system == "developer":
        if texts:
            parts = [text_part(text) for text in texts]
            items.insert(0, {"type": "message", "role": "developer", "content": parts})
        return None
    return "\n\n".join(texts) if texts or capability.instructions else None


def _body(
    request: Mapping[str, Any],
    target: Target,
    identity: Identity,
    offer: Offer,
    instructions: str | None,
    items: list[dict[str, Any]],
    tools: list[dict[str, Any]],
    choice: Choice,
    limit: Limits,
    options: dict[str, Any] | None,
    *,
    schema: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The body in its fixed order of keys; what is None or empty is left out."""
    capability = target.capability
    disabled = (request.get("tool_choice") or {}).get("disable_parallel_tool_use") is True
    structured = schema is not None and capability.text_format
    include = [ENCRYPTED] if capability.reasoning else []
    if "web_search" in offer.hosted:
        include.append(search.INCLUDE)
    uses = offer.searches.get("max_uses") if offer.searches is not None else None
    only_search = offer.hosted == ["web_search"] and capability.max_tool_calls
    sampling = samples(limit, target)
    fields: dict[str, Any] = {
        "model": target.model,
        "instructions": instructions,
        "input": items,
        "tools": tools or None,
        "tool_choice": choice.value,
        "parallel_tool_calls": not disabled if capability.parallel else None,
        "reasoning": reasoning_field(request, limit.effort, target) or None,
        "text": {"format": text_format(schema)} if structured and schema is not None else None,
        "include": include if include and capability.include else None,
        "store": False if capability.store else None,
        "stream": True,
        "max_output_tokens": limit.max_output_tokens,
        "max_tool_calls": uses if only_search else None,
        "temperature": request.get("temperature") if sampling else None,
        "top_p": request.get("top_p") if sampling else None,
        "service_tier": _tier(request, capability),
        "prompt_cache_key": identity.prompt_cache_key if capability.cache_key else None,
        "prompt_cache_options": options,
        "prompt_cache_retention": retention(request, capability),
        "safety_identifier": identity.safety_identifier if capability.safety_identifier else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tier(request: Mapping[str, Any], capability: Capability) -> str | None:
    if request.get("speed") == "fast" and capability.priority:
        return "priority"
    return _TIERS.get(request.get("service_tier") or "") if capability.service_tier else None


def retention(request: Mapping[str, Any], capability: Capability) -> str | None:
    """The cache retention that the client wants, where the upstream takes it."""
    for name in ("prompt_cache_retention", "promptCacheRetention"):
        wanted = (request.get(name) or "").strip()
        if wanted:
            wanted = _RETENTIONS.get(wanted, wanted)
            return wanted if wanted in capability.retention else None
    return None


def _schema(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The JSON Schema that the answer must satisfy, in either of Anthropic's spellings."""
    wanted = (request.get("output_config") or {}).get("format") or request.get("output_format")
    return wanted["schema"] if wanted else None


def _schema_hint(schema: Mapping[str, Any] | None, capability: Capability) -> str:
    return "" if schema is None or capability.text_format else schema_hint(schema)


def schema_hint(schema: Mapping[str, Any]) -> str:
    """What is said to the model where the upstream takes no format."""
    return f"{SCHEMA_HINT}\n{jsonio.dump_text(schema)}"


def _cache_options(
    request: Mapping[str, Any],
    items: list[dict[str, Any]],
    marks: list[dict[str, Any]],
    capability: Capability,
) -> dict[str, Any] | None:
    """Sets breakpoints and returns their mode, where the upstream keeps entries only at breakpoints."""
    if not capability.breakpoints:
        return None
    if _is_one_shot(request, marks):
        # Without a mark nothing is written, and a prompt that never comes again is not worth the price.
        return {"mode": "explicit"}
    breakpoints.set_breakpoints(items, marks)
    return {"mode": "implicit"}


def _is_one_shot(request: Mapping[str, Any], marks: list[dict[str, Any]]) -> bool:
    """A side call: no tools, fewer than three messages, and the client asks for no caching anywhere."""
    if request.get("tools") or len(request["messages"]) > 2 or marks or request.get("cache_control"):
        return False
    system = request.get("system")
    return not (isinstance(system, list) and any(block.get("cache_control") for block in system))


# Fields of a request that are read, here or by whoever called; everything else is listed as ignored.
_READ = frozenset(
    {
        "model",
        "messages",
        "system",
        "max_tokens",
        "stream",
        "stop_sequences",
        "temperature",
        "top_p",
        "metadata",
        "tools",
        "tool_choice",
        "mcp_servers",
        "thinking",
        "output_config",
        "output_format",
        "service_tier",
        "speed",
        "cache_control",
        "diagnostics",
        "reasoning",
        "reasoning_effort",
        "reasoningEffort",
        "prompt_cache_key",
        "promptCacheKey",
        "prompt_cache_retention",
        "promptCacheRetention",
    }
)
# Fields of a request, and the field of the body without which they had no effect.
_EFFECTS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "service_tier": "service_tier",
    "prompt_cache_retention": "prompt_cache_retention",
    "promptCacheRetention": "prompt_cache_retention",
}


def _ignored(request: Mapping[str, Any], body: Mapping[str, Any]) -> set[str]:
    """Top-level fields that were accepted without effect."""
    ignored = {name for name in request if name not in _READ}
    ignored.update(
        name for name, effect in _EFFECTS.items() if request.get(name) is not None and effect not in body
    )
    if request.get("speed") == "fast" and body.get("service_tier") != "priority":
        ignored.add("speed")
    if (request.get("output_config") or {}).get("task_budget"):
        ignored.add("output_config.task_budget")
    return ignored
