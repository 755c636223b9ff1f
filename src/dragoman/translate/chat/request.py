"""A Chat Completions request as a Responses request: the pieces put together, in one fixed order of keys.

It never mutates the client's request, reads no clock and draws nothing at random: the same request for the
same target is the same bytes, and a turn appended by the client appends to them. What is left out and what
was mended stands in the plan. Follows OpenAI's descriptions of `/chat/completions` and `/responses`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.translate.capability import Capability
from dragoman.translate.chat.history import read_history
from dragoman.translate.chat.plan import ChatPlan
from dragoman.translate.chat.tools import choose, offer_tools
from dragoman.translate.chat.validate import validate
from dragoman.translate.messages import breakpoints
from dragoman.translate.messages.content import text_part
from dragoman.translate.messages.effort import SUMMARIES, Limits, limits, samples, wanted_effort
from dragoman.translate.messages.phases import Phases
from dragoman.translate.messages.plan import NOTHING, Identity, Policy, Target
from dragoman.translate.messages.request import retention, schema_hint
from dragoman.translate.messages.tool_choice import Choice
from dragoman.translate.messages.tools import Offer

__all__ = ["translate", "validate"]

LOGPROBS = "message.output_text.logprobs"
JSON_HINT = "Answer with one JSON object alone, without any text around it."
FORMAT_NAME = "output"
_EFFORTS = ("reasoning", "reasoning_effort", "reasoningEffort")
_FAST = ("priority", "fast")


def translate(
    request: Mapping[str, Any],
    target: Target,
    policy: Policy,
    identity: Identity,
    *,
    phases: Mapping[str, str] = NOTHING,
    tool_order: Sequence[str] = (),
) -> ChatPlan:
    """Translates a request that `validate` let pass.

    `phases` maps the mark of a text to the phase it was said in (see messages/phases); `tool_order` are the
    names of the tools of the previous turn, as sent. Raises Refused, with the path, for what this target
    cannot do.
    """
    capability = target.capability
    offer = Offer(target, policy)
    offer_tools(request, offer, capability)
    spoken = Phases(phases)
    history = read_history(request["messages"], target, policy, offer, spoken)
    transcript, items = history.transcript, history.transcript.items
    tools = offer.finish(tool_order)
    choice = choose(request, tools, offer, capability)
    limit = _limits(request, target, policy)
    options = None
    if capability.breakpoints:
        breakpoints.set_breakpoints(items, ())
        options = {"mode": "implicit"}
    wanted = _format(request)
    for hint in (choice.hint, _format_hint(wanted, capability)):
        if hint:  # for this turn only, so behind everything that is cached
            transcript.instruct([text_part(hint)])
    texts = history.instructions
    instructions = "\n\n".join(texts) if texts or capability.instructions else None
    body = _body(request, target, identity, instructions, items, tools, choice, limit, options)
    return ChatPlan(
        body=body,
        tool_names=offer.names.changed,
        stop_sequences=_stops(request),
        visible_cap=limit.visible_cap,
        thinking="shown" if _reads_reasoning(request) else "off",
        structured=wanted is not None,
        ignored=tuple(sorted(_ignored(request, body) | set(transcript.content.ignored))),
        repaired=tuple(transcript.repaired),
        dropped_reasoning=transcript.dropped,
        phases=spoken.guessed,
        include_usage=not request.get("stream")
        or (request.get("stream_options") or {}).get("include_usage") is True,
        legacy=_is_legacy(request),
        logprobs="top_logprobs" in body,
    )


def _body(
    request: Mapping[str, Any],
    target: Target,
    identity: Identity,
    instructions: str | None,
    items: list[dict[str, Any]],
    tools: list[dict[str, Any]],
    choice: Choice,
    limit: Limits,
    options: dict[str, Any] | None,
) -> dict[str, Any]:
    """The body in its fixed order of keys; what is None or empty is left out."""
    capability = target.capability
    sampling = samples(limit, target)
    odds = sampling and capability.logprobs and capability.include and request.get("logprobs") is True
    parallel = request.get("parallel_tool_calls") is not False and not _is_legacy(request)
    fields: dict[str, Any] = {
        "model": target.model,
        "instructions": instructions,
        "input": items,
        "tools": tools or None,
        "tool_choice": choice.value,
        "parallel_tool_calls": parallel if capability.parallel else None,
        "reasoning": _reasoning(request, limit, capability) or None,
        "text": _text(request, capability) or None,
        "include": [LOGPROBS] if odds else None,
        "store": False if capability.store else None,
        "stream": True,
        "max_output_tokens": limit.max_output_tokens,
        "temperature": request.get("temperature") if sampling else None,
        "top_p": request.get("top_p") if sampling else None,
        "top_logprobs": (request.get("top_logprobs") or 0) if odds else None,
        "service_tier": _tier(request, capability),
        "prompt_cache_key": identity.prompt_cache_key if capability.cache_key else None,
        "prompt_cache_options": options,
        "prompt_cache_retention": retention(request, capability),
        "safety_identifier": identity.safety_identifier if capability.safety_identifier else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _limits(request: Mapping[str, Any], target: Target, policy: Policy) -> Limits:
    asked = request.get("max_completion_tokens")
    efforts = {name: request[name] for name in _EFFORTS if request.get(name) is not None}
    both = bool(efforts) and asked is not None
    if asked is None:
        asked = request.get("max_tokens")
    wanted = wanted_effort(efforts, target, policy)
    return limits({"max_tokens": asked}, wanted, target, thought_included=both)


def _reasoning(request: Mapping[str, Any], limit: Limits, capability: Capability) -> dict[str, Any]:
    """The upstream's `reasoning`, maybe empty. A summary is asked for only where the client reads it."""
    field: dict[str, Any] = {}
    if limit.effort is not None and capability.reasoning:
        field["effort"] = limit.effort
    if capability.summary and _reads_reasoning(request):
        wanted = (request.get("reasoning") or {}).get("summary")
        field["summary"] = wanted if wanted in SUMMARIES else "auto"
    return field


def _reads_reasoning(request: Mapping[str, Any]) -> bool:
    """Whether the client asked, in one of two common extensions, to be shown `reasoning_content`."""
    if request.get("include_reasoning") is True:
        return True
    return (request.get("reasoning") or {}).get("summary") in SUMMARIES


def _format(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """`response_format`, unless it is plain text."""
    wanted = request.get("response_format")
    return wanted if wanted and wanted["type"] != "text" else None


def _text(request: Mapping[str, Any], capability: Capability) -> dict[str, Any]:
    field: dict[str, Any] = {}
    wanted = _format(request)
    if wanted is not None and capability.text_format:
        field["format"] = _text_format(wanted)
    if request.get("verbosity") and capability.verbosity:
        field["verbosity"] = request["verbosity"]
    return field


def _text_format(wanted: Mapping[str, Any]) -> dict[str, Any]:
    if wanted["type"] == "json_object":
        return {"type": "json_object"}
    schema = wanted["json_schema"]
    made: dict[str, Any] = {"type": "json_schema", "name": schema.get("name") or FORMAT_NAME}
    if schema.get("description"):
        made["description"] = schema["description"]
    return {**made, "schema": schema["schema"], "strict": schema.get("strict") is True}


def _format_hint(wanted: Mapping[str, Any] | None, capability: Capability) -> str:
    if wanted is None or capability.text_format:
        return ""
    return JSON_HINT if wanted["type"] == "json_object" else schema_hint(wanted["json_schema"]["schema"])


def _stops(request: Mapping[str, Any]) -> tuple[str, ...]:
    stop = request.get("stop") or ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


def _tier(request: Mapping[str, Any], capability: Capability) -> str | None:
    wanted: str | None = request.get("service_tier")
    if wanted in _FAST:
        return "priority" if capability.priority else None
    return wanted if capability.service_tier else None


def _is_legacy(request: Mapping[str, Any]) -> bool:
    """Whether the client knows only the old shape, `functions` and `function_call`."""
    return bool(request.get("functions")) and not request.get("tools")


# Fields of a request that are read, here or by whoever called; everything else is listed as ignored.
_READ = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "n",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "functions",
        "function_call",
        "response_format",
        "reasoning",
        "reasoning_effort",
        "reasoningEffort",
        "include_reasoning",
        "verbosity",
        "max_completion_tokens",
        "max_tokens",
        "stop",
        "temperature",
        "top_p",
        "logprobs",
        "top_logprobs",
        "service_tier",
        "web_search_options",
        "modalities",
        "user",
        "metadata",
        "safety_identifier",
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
    "top_logprobs": "top_logprobs",
    "service_tier": "service_tier",
    "prompt_cache_retention": "prompt_cache_retention",
    "promptCacheRetention": "prompt_cache_retention",
    "user": "safety_identifier",
    "safety_identifier": "safety_identifier",
}


def _ignored(request: Mapping[str, Any], body: Mapping[str, Any]) -> set[str]:
    """Top-level fields that were accepted without effect; `store: false` and the like say what is so."""
    ignored = {name for name in request if name not in _READ and request[name]}
    ignored.update(
        name for name, effect in _EFFECTS.items() if request.get(name) is not None and effect not in body
    )
    if request.get("logprobs") is True and "top_logprobs" not in body:
        ignored.add("logprobs")
    if request.get("verbosity") and "verbosity" not in body.get("text", {}):
        ignored.add("verbosity")
    return ignored
