"""Top-level parameters: which exist, which a flavour refuses, which values a model takes.

The public API refuses by schema and by model family (OpenAI's reference and model pages); the Codex backend
has a short list of what it takes and answers the rest with `{"detail": …}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dragoman.simulator.contract import Terms
from dragoman.simulator.refusal import Refused, breach, denied, detail
from dragoman.simulator.schema import schemas

MAX_CACHE_KEY = 64
# Sent by clients of older interfaces; the service names the successor.
_MOVED = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "messages": "input",
}
_CODEX_TAKES = frozenset(
    {
        "model",
        "instructions",
        "input",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "store",
        "stream",
        "include",
        "service_tier",
        "prompt_cache_key",
        "text",
        "client_metadata",
    }
)
_ON_A_CONNECTION = frozenset({"previous_response_id", "generate", "type", "stream_id"})
_SAMPLING = ("temperature", "top_p", "top_logprobs")


def check_names(body: Mapping[str, Any], terms: Terms) -> None:
    """Raises Refused for the first parameter that this flavour does not know or insists on."""
    if terms.codex:
        _codex(body, terms)
    else:
        _public(body, terms)


def check_values(body: Mapping[str, Any], terms: Terms) -> None:
    """Raises Refused for the first value that this model does not take; shapes must be right already."""
    for rule in _RULES:
        rule(body, terms)


def _codex(body: Mapping[str, Any], terms: Terms) -> None:
    accepted = _CODEX_TAKES | set(terms.switches.codex_accepts)
    if terms.websocket:
        accepted |= _ON_A_CONNECTION
    for name in body:
        if name not in accepted:
            raise detail("unsupported_parameter", f"Unsupported parameter: {name}")
    if body.get("store") is not False:
        raise detail("store", "Store must be set to false")
    if not terms.websocket and body.get("stream") is not True:
        raise detail("stream", "Stream must be set to true")
    if terms.switches.require_instructions and not isinstance(body.get("instructions"), str):
        raise detail("instructions", "Instructions are required")
    if not isinstance(body.get("input"), list):
        raise detail("input", "Input must be a list")
    choice = body.get("tool_choice", "auto")
    if terms.switches.codex_tool_choice == "auto_only" and choice != "auto":
        raise detail("tool_choice", "Unsupported parameter: tool_choice")


def _public(body: Mapping[str, Any], terms: Terms) -> None:
    known = schemas().members("CreateResponse") | (_ON_A_CONNECTION if terms.websocket else set())
    for name in body:
        if name in known:
            continue
        if name in _MOVED:
            raise breach(
                "unsupported_parameter",
                f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to "
                f"'{_MOVED[name]}'. Try again with the new parameter.",
                param=name,
                code="unsupported_parameter",
            )
        rule = "cache_control" if name == "cache_control" else "unknown_parameter"
        raise breach(rule, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    if "model" not in body:
        message = "Missing required parameter: 'model'."
        raise breach("model", message, param="model", code="missing_required_parameter")
    if "input" not in body and not body.get("prompt") and not body.get("previous_response_id"):
        message = "Missing required parameter: 'input'."
        raise breach("input", message, param="input", code="missing_required_parameter")
    if body.get("previous_response_id") and body.get("conversation"):
        message = "Mutually exclusive parameters: 'previous_response_id', 'conversation'."
        raise breach("conversation", message, param="conversation", code="mutually_exclusive_parameters")


def _cache_key(body: Mapping[str, Any], terms: Terms) -> None:
    key = body.get("prompt_cache_key")
    if isinstance(key, str) and len(key) > MAX_CACHE_KEY:
        message = (
            f"Invalid 'prompt_cache_key': string too long. Expected a string with maximum length "
            f"{MAX_CACHE_KEY}, but got a string with length {len(key)} instead."
        )
        raise breach("prompt_cache_key", message, param="prompt_cache_key", code="string_above_max_length")


def _cache_options(body: Mapping[str, Any], terms: Terms) -> None:
    if body.get("prompt_cache_options") is not None and not terms.family.explicit_cache:
        raise _not_with_model("prompt_cache_options", terms)
    retention = body.get("prompt_cache_retention")
    if retention == "in_memory" and terms.family.extended_only:
        raise _not_that_value("prompt_cache_retention", retention, ("24h",), terms)


def _effort(body: Mapping[str, Any], terms: Terms) -> None:
    reasoning = body.get("reasoning") or {}
    effort = reasoning.get("effort")
    if not terms.family.reasons:
        for name in ("effort", "summary", "context"):
            if reasoning.get(name) is not None:
                raise _not_with_model(f"reasoning.{name}", terms)
        return
    allowed = terms.family.efforts
    if terms.codex:
        allowed = tuple(
            value
            for value in allowed
            if value != "minimal" and (value != "none" or terms.switches.codex_effort_none == "accept")
        )
    if effort is not None and effort not in allowed:
        raise _not_that_value("reasoning.effort", effort, allowed, terms)
    if not terms.verified and reasoning.get("summary") is not None:
        raise denied(
            400,
            "Your organization must be verified to generate reasoning summaries.",
            param="reasoning.summary",
            code="unsupported_value",
        )


def _sampling(body: Mapping[str, Any], terms: Terms) -> None:
    if not terms.family.reasons:
        return
    effort = (body.get("reasoning") or {}).get("effort") or terms.family.default_effort
    for name in _SAMPLING:
        if effort != "none" and body.get(name) is not None:
            raise _not_with_model(name, terms)


def _text(body: Mapping[str, Any], terms: Terms) -> None:
    verbosity = (body.get("text") or {}).get("verbosity")
    if verbosity not in (None, "medium") and not terms.family.verbosity:
        raise _not_that_value("text.verbosity", verbosity, ("medium",), terms)
    shape = (body.get("text") or {}).get("format") or {}
    strict = shape.get("type") == "json_schema" and shape.get("strict")
    if strict and (problem := strict_problem(shape.get("schema"))):
        message = f"Invalid schema for response_format '{shape.get('name')}': {problem}"
        raise breach("text.format", message, param="text.format.schema", code="invalid_json_schema")


def _include(body: Mapping[str, Any], terms: Terms) -> None:
    if "reasoning.encrypted_content" in (body.get("include") or ()) and not terms.family.reasons:
        message = "Encrypted content is not supported with this model."
        raise breach("include", message, param="include", code="unsupported_value")


def _metadata(body: Mapping[str, Any], terms: Terms) -> None:
    metadata = body.get("metadata") or {}
    if len(metadata) > 16:
        message = f"Invalid 'metadata': too many properties. Expected at most 16, but got {len(metadata)}."
        raise breach("metadata", message, param="metadata", code="object_above_max_properties")
    for key, value in metadata.items():
        if len(key) > 64 or len(value) > 512:
            message = f"Invalid 'metadata.{key}': a key has at most 64 and a value at most 512 characters."
            raise breach("metadata", message, param=f"metadata.{key}", code="string_above_max_length")


def _not_with_model(param: str, terms: Terms) -> Refused:
    if terms.codex:
        return detail("unsupported_parameter", f"Unsupported parameter: {param}")
    message = f"Unsupported parameter: '{param}' is not supported with this model."
    return breach("unsupported_parameter", message, param=param, code="unsupported_parameter")


def _not_that_value(param: str, value: object, allowed: tuple[str, ...], terms: Terms) -> Refused:
    listed = ", ".join(f"'{option}'" for option in allowed)
    message = (
        f"Unsupported value: '{value}' is not supported with the '{terms.model}' model. "
        f"Supported values are: {listed}."
    )
    return breach("unsupported_value", message, param=param, code="unsupported_value")


def strict_problem(schema: Any, path: str = "") -> str | None:
    """Why a schema is outside the strict subset (closed objects, everything required), or None."""
    if not isinstance(schema, dict):
        return None
    where = f"In context=({path}), " if path else ""
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties") is not False:
            return f"{where}'additionalProperties' is required to be supplied and to be false."
        missing = [name for name in schema.get("properties", {}) if name not in schema.get("required", ())]
        if missing:
            return f"{where}'required' must include every key in properties. Missing '{missing[0]}'."
    for key in ("properties", "$defs"):
        for name, part in (schema.get(key) or {}).items():
            if problem := strict_problem(part, f"{path}.{name}" if path else name):
                return problem
    for key in ("items", "anyOf"):
        parts = schema.get(key) or ()
        for part in parts if isinstance(parts, list) else (parts,):
            if problem := strict_problem(part, f"{path}.{key}" if path else key):
                return problem
    return None


_RULES: tuple[Callable[[Mapping[str, Any], Terms], None], ...] = (
    _cache_key,
    _cache_options,
    _effort,
    _sampling,
    _text,
    _include,
    _metadata,
)
