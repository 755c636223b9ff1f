"""A client's Responses request as one attempt sends it: with what the account's kind refuses taken off.

It decides field by field from the capability table; what is taken off is named, never silently lost. Order
and bytes of what stays are the client's own, because the upstream's prompt cache reads them. The client's
request is never changed: another attempt starts from it again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from dragoman.translate.capability import Capability
from dragoman.translate.messages.effort import wanted_effort
from dragoman.translate.messages.plan import Policy, Target

Request = Mapping[str, Any]

# What the ChatGPT backend takes; every other field is answered with 400 there.
_BACKEND_FIELDS = frozenset(
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
    }
)
# Never sent to any upstream: a client's own key, what identifies the client's installation, and messages
# beside the input, which no upstream knows.
_OURS = frozenset({"prompt_cache_key", "promptCacheKey", "client_metadata", "messages"})
_NAMED = frozenset({"client_metadata", "messages"})
# Where a field of that name may be sent, by the capability's own name for it.
_BY_CAPABILITY: Mapping[str, str] = {
    "max_output_tokens": "max_output_tokens",
    "top_logprobs": "logprobs",
    "safety_identifier": "safety_identifier",
    "max_tool_calls": "max_tool_calls",
    "store": "store",
    "include": "include",
    "parallel_tool_calls": "parallel",
    "prompt_cache_options": "breakpoints",
    "reasoning": "reasoning",
    "tool_choice": "tool_choice",
}
_SAMPLING = frozenset({"temperature", "top_p"})
_FASTER = frozenset({"priority", "fast"})
_SEALED = "reasoning.encrypted_content"
# Hosted tools that run beside a stored file or a machine of OpenAI's: the ChatGPT backend has none of them.
_NOT_ON_BACKEND = frozenset(
    {"file_search", "code_interpreter", "computer", "computer_use", "computer_use_preview", "mcp"}
)
# Of an item, what the model does not read. The last is Codex's note of the turn that an item was made in.
_NOTE = "internal_chat_message_metadata_passthrough"
_UNREAD = frozenset({"id", "status", _NOTE})
# Marks of the prompt cache inside items and their parts: one that newer models take, and one of another API.
_BREAKPOINT = "prompt_cache_breakpoint"
_FOREIGN_MARK = "cache_control"
_WITH_PARTS = ("content", "output")
_REPLAYED = frozenset({"function_call", "custom_tool_call", "message"})


@dataclass(slots=True)
class Prepared:
    """`body` is what is sent; `ignored` names what was taken off, sorted."""

    body: dict[str, Any]
    ignored: tuple[str, ...] = ()
    dropped_reasoning: int = 0


def unfit(request: Request, target: Target) -> tuple[str, str] | None:
    """What no account of this kind can do for the request: the field's path and why. None where all can."""
    if target.kind != "chatgpt":
        return None
    if request.get("previous_response_id"):
        why = "nothing is stored by the accounts that serve this model; send the whole conversation as input"
        return "previous_response_id", why
    if request.get("prompt"):
        return "prompt", "stored prompts are not offered by the accounts that serve this model"
    for number, tool in enumerate(request.get("tools") or ()):
        if tool["type"] in _NOT_ON_BACKEND:
            why = f"the tool {tool['type']} is not offered by the accounts that serve this model"
            return f"tools.{number}.type", why
    items = request.get("input")
    for number, item in enumerate(items if isinstance(items, list) else ()):
        if item.get("type") == "item_reference":
            why = "nothing is stored by the accounts that serve this model; send the item itself"
            return f"input.{number}.type", why
        if (part := _stored_file(item)) is not None:
            why = "files are not stored by the accounts that serve this model; send its data or URL"
            return f"input.{number}.{part}.file_id", why
    return None


def _stored_file(item: Mapping[str, Any]) -> str | None:
    for field in ("content", "output"):
        parts = item.get(field)
        for number, part in enumerate(parts if isinstance(parts, list) else ()):
            if part.get("file_id"):
                return f"{field}.{number}"
    return None


def prepare(
    request: Request,
    target: Target,
    policy: Policy,
    key: str | None,
    *,
    without_reasoning: bool = False,
    without_sealed: bool = False,
    unreadable: Collection[str] = (),
) -> Prepared:
    """The body for this target; `key` is the `prompt_cache_key` to send. `request` was validated.

    `without_sealed`: the account could not read what is sealed, so compactions go with the reasoning. They
    hold what was said: that they may be unreadable is no reason yet. `unreadable`: the contents of those that
    it is known not to read.
    """
    backend = target.kind == "chatgpt"
    capability = target.capability
    effort = _effort(request, target, policy)
    ignored: set[str] = set()
    body: dict[str, Any] = {}
    for name, value in request.items():
        if name in _OURS:
            if name == "prompt_cache_key" and key is not None and capability.cache_key:
                body[name] = key  # at its place: the order of fields is the client's
            elif name in _NAMED:
                ignored.add(name)
            continue
        if value is None:
            continue  # null is the default, and not every server takes it
        if not _taken(name, value, target, effort):
            ignored.add(name)
            continue
        body[name] = value
    body["model"] = target.model
    body["stream"] = True
    if key is not None and capability.cache_key:
        body["prompt_cache_key"] = key
    _set_reasoning(body, request, effort, capability, ignored)
    _set_text(body, capability, ignored)
    _set_tier(body, target, ignored)
    _set_tools(body, ignored)
    if backend:
        _for_backend(body, request, capability, ignored)
    bare: list[Rule] = [_unreasoned] if without_reasoning else []
    if without_sealed:
        bare.append(_uncompacted)
    elif unreadable:
        bare.append(partial(_legible, unreadable))
    dropped = _set_items(body, target, ignored, bare)
    return Prepared(body, tuple(sorted(ignored)), dropped)


def prompt_of(body: dict[str, Any]) -> dict[str, Any]:
    """The body as the model reads it: ids, states and notes of items are no part of the prompt, and Codex
    gives an old item new ones now and then.
    """
    items = body.get("input")
    if not isinstance(items, list):
        return body
    if not any("id" in item or "status" in item or _NOTE in item for item in items):
        return body
    bare = [{name: value for name, value in item.items() if name not in _UNREAD} for item in items]
    return {**body, "input": bare}


def _taken(name: str, value: Any, target: Target, effort: str | None) -> bool:
    capability = target.capability
    if target.kind == "chatgpt" and name not in _BACKEND_FIELDS:
        return False
    if name in _SAMPLING:
        unthinking = (effort or target.profile.default_effort) == "none"
        return capability.sampling or (capability.sampling_unthinking and unthinking)
    if name == "prompt_cache_retention":
        return value in capability.retention
    wanted = _BY_CAPABILITY.get(name)
    return wanted is None or bool(getattr(capability, wanted))


def _effort(request: Request, target: Target, policy: Policy) -> str | None:
    asked = {
        "reasoning": request.get("reasoning"),
        "reasoning_effort": _text(request.get("reasoning_effort")),
        "reasoningEffort": _text(request.get("reasoningEffort")),
    }
    return wanted_effort(asked, target, policy)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _set_reasoning(
    body: dict[str, Any], request: Request, effort: str | None, capability: Capability, ignored: set[str]
) -> None:
    for name in ("reasoning_effort", "reasoningEffort"):
        body.pop(name, None)
    if not capability.reasoning:
        return
    asked = request.get("reasoning") or {}
    told = {name: value for name, value in asked.items() if name != "effort" and value is not None}
    for name in ("summary", "generate_summary"):
        if not capability.summary and told.pop(name, None) is not None:
            ignored.add(f"reasoning.{name}")
    if effort is not None:
        told = {"effort": effort, **told}
    elif asked.get("effort"):
        ignored.add("reasoning.effort")
    if told:
        body["reasoning"] = told
    else:
        body.pop("reasoning", None)


def _set_text(body: dict[str, Any], capability: Capability, ignored: set[str]) -> None:
    text = body.get("text")
    if not text:
        return
    kept = dict(text)
    for name, may in (("verbosity", capability.verbosity), ("format", capability.text_format)):
        if not may and kept.pop(name, None) is not None:
            ignored.add(f"text.{name}")
    if kept:
        body["text"] = kept
    else:
        del body["text"]


def _set_tier(body: dict[str, Any], target: Target, ignored: set[str]) -> None:
    """The tier where it can be chosen; on ChatGPT only the faster one can, under one name."""
    tier = body.get("service_tier")
    if tier is None or target.capability.service_tier:
        return
    if target.capability.priority and tier in _FASTER:
        body["service_tier"] = "priority"
        return
    del body["service_tier"]
    ignored.add("service_tier")


def _set_tools(body: dict[str, Any], ignored: set[str]) -> None:
    tools = body.get("tools") or ()
    if any(_FOREIGN_MARK in tool for tool in tools):
        body["tools"] = [
            {name: value for name, value in tool.items() if name != _FOREIGN_MARK} for tool in tools
        ]
        ignored.add(f"tools.{_FOREIGN_MARK}")


def _for_backend(body: dict[str, Any], request: Request, capability: Capability, ignored: set[str]) -> None:
    """What the ChatGPT backend insists on."""
    if request.get("store"):
        ignored.add("store")
    body["store"] = False
    body.setdefault("parallel_tool_calls", True)  # said openly, whatever is its default there
    body["instructions"] = body.get("instructions") or ""
    if capability.include and capability.reasoning:
        include = body.get("include") or []
        if _SEALED not in include:  # nothing is stored, so the next turn can only carry what was handed out
            body["include"] = [*include, _SEALED]
    if "tools" in body:
        body["tools"] = [_backend_tool(tool) for tool in body["tools"]]
    if isinstance(body["input"], str):
        part = {"type": "input_text", "text": body["input"]}
        body["input"] = [{"type": "message", "role": "user", "content": [part]}]


def _backend_tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool["type"].startswith("web_search_preview"):
        return {**tool, "type": "web_search"}
    return tool


Rule = Callable[[dict[str, Any]], dict[str, Any] | None]


def _set_items(body: dict[str, Any], target: Target, ignored: set[str], bare: list[Rule]) -> int:
    """The input as this kind takes it; how many items of sealed reasoning were left out."""
    items = body.get("input")
    if not isinstance(items, list):
        return 0
    rules: list[Rule] = [_without_null]
    if _any_marked(items):
        marks = {_FOREIGN_MARK} if target.capability.breakpoints else {_FOREIGN_MARK, _BREAKPOINT}
        rules.append(partial(_unmarked, marks, ignored))
    rules += bare
    if not target.capability.reasoning:
        rules.append(_unreasoned)
    if not target.capability.item_ids:
        rules += [_readable, _without_id, _as_developer, _in_parts]
    kept: list[dict[str, Any]] = []
    dropped = 0
    for item in items:
        changed = _under(rules, item)
        if changed is None:
            dropped += 1
        else:
            kept.append(changed)
    body["input"] = kept
    return dropped


def _under(rules: list[Rule], item: dict[str, Any]) -> dict[str, Any] | None:
    for rule in rules:
        changed = rule(item)
        if changed is None:
            return None
        item = changed
    return item


def _without_null(item: dict[str, Any]) -> dict[str, Any]:
    """Codex replays reasoning with `content: null`, which OpenAI's schema does not know."""
    if item.get("type") == "reasoning" and "content" in item and item["content"] is None:
        return {name: value for name, value in item.items() if name != "content"}
    return item


def _any_marked(items: list[dict[str, Any]]) -> bool:
    """Whether there is any mark at all: hardly any request has one, and looking for it costs little."""
    for item in items:
        if _FOREIGN_MARK in item or _BREAKPOINT in item:
            return True
        for field in _WITH_PARTS:
            parts = item.get(field)
            if isinstance(parts, list):
                for part in parts:
                    if _FOREIGN_MARK in part or _BREAKPOINT in part:
                        return True
    return False


def _unmarked(marks: set[str], ignored: set[str], item: dict[str, Any]) -> dict[str, Any]:
    """Without marks of the prompt cache that would be refused; they say where to store, not what to read."""
    changed = item if marks.isdisjoint(item) else _bare(item, marks, "input", ignored)
    for field in _WITH_PARTS:
        parts = item.get(field)
        if isinstance(parts, list) and not all(map(marks.isdisjoint, parts)):
            bare = [_bare(part, marks, f"input.{field}", ignored) for part in parts]
            changed = {**changed, field: bare}
    return changed


def _bare(holder: dict[str, Any], marks: set[str], place: str, ignored: set[str]) -> dict[str, Any]:
    ignored.update(f"{place}.{name}" for name in marks if name in holder)
    return {name: value for name, value in holder.items() if name not in marks}


def _unreasoned(item: dict[str, Any]) -> dict[str, Any] | None:
    """Without sealed reasoning, and without the ids that would make the upstream miss it."""
    if item.get("type") == "reasoning":
        return None
    if "id" not in item or item.get("type", "message") not in _REPLAYED:
        return item
    bare = {name: value for name, value in item.items() if name != "id"}
    if item.get("role") == "assistant" and isinstance(item.get("content"), list):
        # Without an id only the plain form of an assistant's words is whole.
        words = [part.get("text") for part in item["content"] if part.get("type") == "output_text"]
        if len(words) == len(item["content"]) and all(isinstance(text, str) for text in words):
            bare.pop("status", None)
            bare["content"] = "".join(map(str, words))
    return bare


def _uncompacted(item: dict[str, Any]) -> dict[str, Any] | None:
    return None if item.get("type") == "compaction" else item


def _legible(unreadable: Collection[str], item: dict[str, Any]) -> dict[str, Any] | None:
    """Without the compactions whose seal this account cannot open."""
    content = item.get("encrypted_content") if item.get("type") == "compaction" else None
    return None if isinstance(content, str) and content in unreadable else item


def _readable(item: dict[str, Any]) -> dict[str, Any] | None:
    """Reasoning that is kept nowhere and was not sealed either says nothing to anybody."""
    return None if item.get("type") == "reasoning" and not item.get("encrypted_content") else item


def _without_id(item: dict[str, Any]) -> dict[str, Any]:
    """The backend keeps nothing, so it takes no ids; whether they are sent never varies in a conversation."""
    if "id" not in item and "status" not in item:
        return item
    dropped = ("id",) if item.get("type") in _WITH_STATUS else ("id", "status")
    return {name: value for name, value in item.items() if name not in dropped}


# Items that are not whole without their status, by OpenAI's schema.
_WITH_STATUS = frozenset(
    {
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "computer_call",
        "image_generation_call",
        "local_shell_call",
        "apply_patch_call",
        "apply_patch_call_output",
        "tool_search_call",
        "tool_search_output",
        "program_output",
    }
)


def _as_developer(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "role": "developer"} if item.get("role") == "system" else item


def _in_parts(item: dict[str, Any]) -> dict[str, Any]:
    """An assistant's text as a list of parts."""
    if item.get("role") == "assistant" and isinstance(item.get("content"), str):
        return {**item, "content": [{"type": "output_text", "text": item["content"]}]}
    return item
