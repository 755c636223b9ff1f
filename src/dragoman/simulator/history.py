"""Rules between items: every call answered, every answer asked for, reasoning in its place and unaltered.

It walks the whole input once, in order. It follows the service's known refusals: orphan outputs, unanswered
calls, reasoning without the item that followed it, content that another account sealed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.simulator.contract import Terms
from dragoman.simulator.refusal import Refused, breach

_OUTPUT_OF = {
    "function_call_output": "function_call",
    "custom_tool_call_output": "custom_tool_call",
    "computer_call_output": "computer_call",
    "local_shell_call_output": "local_shell_call",
    "shell_call_output": "shell_call",
    "apply_patch_call_output": "apply_patch_call",
}
_CALLS = frozenset(_OUTPUT_OF.values())
_NAMED = {"function_call": "function call", "custom_tool_call": "custom tool call"}
# What a model produces after reasoning; anything else cannot be "its following item".
_PRODUCED = _CALLS | {
    "message",
    "reasoning",
    "web_search_call",
    "image_generation_call",
    "file_search_call",
    "code_interpreter_call",
    "mcp_call",
    "tool_search_call",
}


def check(items: Sequence[Mapping[str, Any]], terms: Terms, stored: frozenset[str]) -> None:
    """Raises Refused for the first broken rule. `stored` are ids of items the server itself has kept."""
    _check_ids(items)
    _check_calls(items)
    _check_sealed(items, terms, stored)
    for index, item in enumerate(items[:-1]):
        if item.get("type") == "compaction_trigger":
            message = f"Invalid 'input[{index}]': 'compaction_trigger' must be the last item."
            raise breach("compaction_trigger", message, param="input", code="invalid_value")


def _check_ids(items: Sequence[Mapping[str, Any]]) -> None:
    seen: set[str] = set()
    for item in items:
        identity = item.get("id")
        if not identity or item.get("type", "message").endswith("_output"):
            continue
        if identity in seen:
            message = (
                f"Duplicate item found with id {identity}. "
                "Remove duplicate items from your input and try again."
            )
            raise breach("duplicate_item", message, param="input")
        seen.add(identity)


def _check_calls(items: Sequence[Mapping[str, Any]]) -> None:
    open_calls: dict[str, str] = {}
    for item in items:
        kind = item.get("type", "message")
        call_id = str(item.get("call_id"))
        if kind in _CALLS:
            if call_id in open_calls:
                message = f"Duplicate call with call_id {call_id}: its first call has no output yet."
                raise breach("duplicate_call", message, param="input")
            open_calls[call_id] = kind
        elif kind in _OUTPUT_OF and open_calls.pop(call_id, None) != _OUTPUT_OF[kind]:
            message = f"No tool call found for {_name(_OUTPUT_OF[kind])} output with call_id {call_id}."
            raise breach("orphan_output", message, param="input")
    for call_id, kind in open_calls.items():
        raise breach("unanswered_call", f"No tool output found for {_name(kind)} {call_id}.", param="input")


def _name(kind: str) -> str:
    return _NAMED.get(kind, kind.replace("_", " "))


def _check_sealed(items: Sequence[Mapping[str, Any]], terms: Terms, stored: frozenset[str]) -> None:
    last_seq = -1
    for index, item in enumerate(items):
        kind = item.get("type", "message")
        if kind == "item_reference" and item.get("id") not in stored:
            raise _not_stored(str(item.get("id")))
        if kind == "reasoning":
            _check_follower(items, index)
        elif kind != "compaction":
            continue
        if item.get("id") in stored:
            continue
        sealed = item.get("encrypted_content")
        if not sealed and item.get("content"):
            continue  # an open model's reasoning: readable, therefore not sealed
        if not sealed:
            raise _not_stored(str(item.get("id")))
        claims = terms.open_seal(sealed)
        if claims is None or claims.account != terms.scope or claims.kind != kind:
            foreign = claims is not None and claims.account != terms.scope
            raise _not_verified(item, index, "foreign_reasoning" if foreign else "altered_reasoning")
        if item.get("id") not in (None, claims.item):
            raise _not_verified(item, index, "altered_reasoning")
        if claims.seq <= last_seq:
            message = f"Item '{claims.item}' of type '{kind}' is out of order or repeated."
            raise breach("reasoning_order", message, param="input")
        last_seq = claims.seq
        if kind == "reasoning" and claims.next_kind not in ("", _kind_after(items, index)):
            raise _dangling(claims.item)


def _kind_after(items: Sequence[Mapping[str, Any]], index: int) -> str:
    return str(items[index + 1].get("type", "message")) if index + 1 < len(items) else ""


def _check_follower(items: Sequence[Mapping[str, Any]], index: int) -> None:
    follower = items[index + 1] if index + 1 < len(items) else {"type": ""}
    kind = follower.get("type", "message")
    if kind not in _PRODUCED or (kind == "message" and follower.get("role") != "assistant"):
        raise _dangling(str(items[index].get("id") or f"input[{index}]"))


def _dangling(identity: str) -> Refused:
    message = f"Item '{identity}' of type 'reasoning' was provided without its required following item."
    return breach("dangling_reasoning", message, param="input")


def _not_stored(identity: str) -> Refused:
    message = (
        f"Item with id '{identity}' not found. Items are not persisted when `store` is set to false. "
        "Try again with `store` set to true, or remove this item from your input."
    )
    return breach("item_not_found", message, param="input", status=404)


def _not_verified(item: Mapping[str, Any], index: int, rule: str) -> Refused:
    message = (
        f"The encrypted content for item {item.get('id') or f'input[{index}]'} could not be verified. "
        "Reason: Encrypted content could not be decrypted or parsed."
    )
    return breach(rule, message, code="invalid_encrypted_content")
