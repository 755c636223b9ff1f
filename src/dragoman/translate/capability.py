"""What an upstream takes: one table by kind, narrowed by the model's profile and by what a 400 taught.

It decides which fields and which spellings a request to (kind, model) has. It never looks at a request.
Sources: OpenAI's public Responses schema for `openai`; the ChatGPT backend's refusals for `chatgpt`; a
careful subset for `responses`, any compatible server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from dragoman.translate.models import ModelProfile

Placement = Literal["instructions", "developer"]


@dataclass(frozen=True, slots=True)
class Capability:
    """What may be sent to one (kind, model).

    system            where the system prompt goes
    instruction_role  role of instructions inside the input
    instructions      the field `instructions` is always sent, even empty
    efforts           effort levels that may be sent, ascending; empty: no effort
    reasoning         `reasoning` and sealed reasoning may be sent at all
    summary           `reasoning.summary` may be sent
    item_ids          replayed reasoning and search items carry their id
    assistant_parts   replayed assistant text is a list of output_text parts, not a plain string
    phase             replayed assistant messages carry `phase`
    max_output_tokens, sampling, sampling_unthinking, service_tier, priority, safety_identifier, cache_key,
    max_tool_calls, store, include, parallel, text_format, verbosity, logprobs
                      the field of that name may be sent (sampling_unthinking: at effort none only;
                      priority: the faster service tier)
    tool_choice       values other than `auto` may be sent
    allowed_tools     tool_choice of type allowed_tools may be sent
    additional_tools  tools may be added in the middle of the input
    output_parts      a tool's output may be a list with images and files
    images, files     input_image and input_file may be sent
    web_search        the hosted tool exists;  external_web_access: it takes that field
    mcp               the upstream can call MCP servers itself
    any_schema        a tool's schema may have anyOf, oneOf, allOf, not or enum at its root
    breakpoints       explicit cache breakpoints and prompt_cache_options may be sent
    retention         values of prompt_cache_retention that may be sent
    """

    system: Placement
    instruction_role: str
    instructions: bool
    efforts: tuple[str, ...]
    reasoning: bool
    summary: bool
    item_ids: bool
    assistant_parts: bool
    phase: bool
    max_output_tokens: bool
    sampling: bool
    sampling_unthinking: bool
    service_tier: bool
    priority: bool
    safety_identifier: bool
    cache_key: bool
    max_tool_calls: bool
    store: bool
    include: bool
    parallel: bool
    text_format: bool
    verbosity: bool
    logprobs: bool
    tool_choice: bool
    allowed_tools: bool
    additional_tools: bool
    output_parts: bool
    images: bool
    files: bool
    web_search: bool
    external_web_access: bool
    mcp: bool
    any_schema: bool
    breakpoints: bool
    retention: tuple[str, ...]


# The public API is the rule, the other kinds are told by their differences from it.
_OPENAI: dict[str, Any] = {
    "instruction_role": "developer",
    "instructions": False,
    "item_ids": True,
    "assistant_parts": False,
    "max_output_tokens": True,
    "service_tier": True,
    "priority": True,
    "safety_identifier": True,
    "cache_key": True,
    "max_tool_calls": True,
    "store": True,
    "include": True,
    "parallel": True,
    "text_format": True,
    "tool_choice": True,
    "allowed_tools": True,
    "output_parts": True,
    "web_search": True,
    "external_web_access": False,
    "mcp": True,
    "any_schema": True,
}
_KINDS: dict[str, dict[str, Any]] = {
    "openai": _OPENAI,
    "responses": {
        **_OPENAI,
        "service_tier": False,
        "priority": False,
        "safety_identifier": False,
        "max_tool_calls": False,
        "allowed_tools": False,
        "mcp": False,
    },
    "chatgpt": {
        **_OPENAI,
        "instructions": True,
        "item_ids": False,
        "assistant_parts": True,
        "max_output_tokens": False,
        "service_tier": False,
        "safety_identifier": False,
        "max_tool_calls": False,
        "external_web_access": True,
        "mcp": False,
    },
}
# Families that take tools in the middle of the input, on the public API. Elsewhere it is not known, and a
# refusal there names no parameter that could be learnt.
_ADDITIONAL_TOOLS = frozenset({"gpt-5.4", "gpt-5.4-pro", "gpt-5.5", "gpt-5.5-pro", "gpt-5.6"})
_ONLY_LONG = frozenset({"gpt-5.5", "gpt-5.5-pro", "gpt-5.6"})
_BOTH = ("in_memory", "24h")
# Levels that the ChatGPT backend refuses, or is not known to take: the next higher one is asked for instead.
_NOT_ON_BACKEND = frozenset({"none", "minimal"})
# Levels that every reasoning model takes: what is left after a refused effort.
_PLAIN_EFFORTS = frozenset({"low", "medium", "high"})


@lru_cache(maxsize=1024)
def capability(kind: str, profile: ModelProfile, learnt: frozenset[str] = frozenset()) -> Capability:
    """What (kind, model) takes. `learnt` are parameters it refused with 400, as the upstream spelt them."""
    row = _KINDS[kind]
    api = kind == "openai"
    backend = kind == "chatgpt"
    known = Capability(
        system="developer" if api and profile.breakpoints else "instructions",
        efforts=tuple(level for level in profile.efforts if not (backend and level in _NOT_ON_BACKEND)),
        reasoning=profile.reasoning,
        summary=profile.reasoning and profile.summaries,
        phase=profile.phase,
        sampling=profile.sampling and not backend,
        sampling_unthinking=not backend,
        verbosity=profile.family.startswith("gpt-5"),
        logprobs=not backend,
        additional_tools=api and profile.family in _ADDITIONAL_TOOLS,
        images=profile.images,
        files=profile.files,
        breakpoints=api and profile.breakpoints,
        retention=_retention(profile) if api else (),
        **row,
    )
    for param in sorted(learnt):
        known = _without(known, canonical(param), profile)
    return known


def _retention(profile: ModelProfile) -> tuple[str, ...]:
    if not profile.family:
        return ()
    return ("24h",) if profile.family in _ONLY_LONG else _BOTH


# What remains after a 400 named a parameter. Keys are canonical: no indexes, no item positions.
_LEARNT: dict[str, dict[str, Any]] = {
    "temperature": {"sampling": False, "sampling_unthinking": False},
    "top_p": {"sampling": False, "sampling_unthinking": False},
    "max_output_tokens": {"max_output_tokens": False},
    "max_tool_calls": {"max_tool_calls": False},
    "service_tier": {"service_tier": False, "priority": False},
    "safety_identifier": {"safety_identifier": False},
    "store": {"store": False},
    "include": {"include": False},
    "parallel_tool_calls": {"parallel": False},
    "prompt_cache_key": {"cache_key": False},
    "prompt_cache_options": {"breakpoints": False},
    "prompt_cache_breakpoint": {"breakpoints": False},
    "prompt_cache_retention": {"retention": ()},
    "reasoning": {"reasoning": False, "efforts": (), "summary": False},
    "reasoning.summary": {"summary": False},
    "text": {"text_format": False, "verbosity": False},
    "text.verbosity": {"verbosity": False},
    "top_logprobs": {"logprobs": False},
    "text.format": {"text_format": False},
    "tool_choice": {"tool_choice": False, "allowed_tools": False},
    "additional_tools": {"additional_tools": False},
    "input.phase": {"phase": False},
    "input.role": {"instruction_role": "system"},
    "input.output": {"output_parts": False},
    "tools.external_web_access": {"external_web_access": False},
    "tools.parameters": {"any_schema": False},
    "tools.type": {"web_search": False, "mcp": False},
}
# Other spellings of the same parameters.
_SPELLED = {
    "reasoning_effort": "reasoning.effort",
    "input.content.prompt_cache_breakpoint": "prompt_cache_breakpoint",
    "input.output.prompt_cache_breakpoint": "prompt_cache_breakpoint",
    "prompt_cache_options.mode": "prompt_cache_options",
    "prompt_cache_options.ttl": "prompt_cache_options",
    "tool_choice.type": "tool_choice",
    "text.format.type": "text.format",
    "phase": "input.phase",
    "external_web_access": "tools.external_web_access",
    "input.tools": "additional_tools",
    "input.type": "additional_tools",
    "tools.function.parameters": "tools.parameters",
}
_INDEX = re.compile(r"\[\d*\]|\.\d+(?=\.|$)")


def canonical(param: str) -> str:
    """A parameter's name without the places of list items: `input[3].output` is `input.output`."""
    name = _INDEX.sub("", param.strip())
    return _SPELLED.get(name, name)


def learnable(param: str) -> bool:
    """Whether a request can be sent without this parameter once the upstream has refused it."""
    name = canonical(param)
    return name in _LEARNT or name == "reasoning.effort"


def _without(known: Capability, param: str, profile: ModelProfile) -> Capability:
    if param == "reasoning.effort":
        # A known model refused a level, an unknown one the whole notion.
        keep = _PLAIN_EFFORTS if profile.family else frozenset()
        return replace(known, efforts=tuple(level for level in known.efforts if level in keep))
    return replace(known, **_LEARNT.get(param, {}))
