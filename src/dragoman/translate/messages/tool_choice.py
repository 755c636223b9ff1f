"""Which tools the model may or must use: Anthropic's `tool_choice` as the upstream's, never by changing
the list of tools, which is the head of the cached prefix.

Where the upstream takes nothing but `auto`, a sentence at the very end of the input says the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.translate.capability import Capability
from dragoman.translate.messages.plan import Policy
from dragoman.translate.messages.tools import Offer
from dragoman.wire.errors import invalid

_WORDS = {"auto": "auto", "any": "required", "none": "none"}
HINTS = {
    "required": "Answer with a call of one of the tools.",
    "none": "Answer without calling any tool.",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """The upstream's value, and what has to be said to the model instead of it, if anything."""

    value: str | dict[str, Any] | None = None
    hint: str = ""


def choose(
    choice: Mapping[str, Any] | None,
    tools: Sequence[Mapping[str, Any]],
    offer: Offer,
    capability: Capability,
    policy: Policy,
) -> Choice:
    """The choice for a request with these upstream tools; nothing at all where there are none."""
    if not tools and not offer.loaded:
        return Choice()
    kind = choice["type"] if choice else "auto"
    if kind == "tool" and choice is not None:
        return _forced(choice["name"], tools, offer, capability, policy)
    word = _WORDS[kind]
    if not capability.tool_choice:
        return Choice("auto", HINTS.get(word, ""))
    if offer.removed and word != "none" and capability.allowed_tools:
        left = [_named(tool) for tool in _all(tools, offer) if tool.get("name") not in offer.removed]
        return Choice({"type": "allowed_tools", "mode": word, "tools": left})
    return Choice(word)


def _forced(
    name: str,
    tools: Sequence[Mapping[str, Any]],
    offer: Offer,
    capability: Capability,
    policy: Policy,
) -> Choice:
    if offer.searches is not None and name == offer.searches["name"]:
        return _forced_search(tools, capability)
    if not offer.names.knows(name):
        # The tool exists in the request, else validate had refused it, but nobody here can run it.
        if not policy.lenient:
            raise invalid("tool_choice.name", f"the tool {name!r} is not available on this upstream")
        return Choice("auto")
    upstream = offer.names.of(name)
    if not capability.tool_choice:
        return Choice("auto", f"Answer with a call of the tool {upstream}.")
    return Choice({"type": "function", "name": upstream})


def _forced_search(tools: Sequence[Mapping[str, Any]], capability: Capability) -> Choice:
    hint = "" if len(tools) == 1 else "Search the web before you answer."
    if not capability.tool_choice:
        return Choice("auto", hint or "Search the web before you answer.")
    if len(tools) > 1 and capability.allowed_tools:
        only = [{"type": "web_search"}]
        return Choice({"type": "allowed_tools", "mode": "required", "tools": only})
    return Choice("required", hint)


def _all(tools: Sequence[Mapping[str, Any]], offer: Offer) -> list[Mapping[str, Any]]:
    """Every tool on offer, also those that are added inside the input."""
    names = {tool.get("name") for tool in tools}
    added = (offer.deferred[name] for name in offer.loaded)
    return [*tools, *(tool for tool in added if tool["name"] not in names)]


def _named(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as allowed_tools refers to it."""
    if tool["type"] == "function":
        return {"type": "function", "name": tool["name"]}
    if tool["type"] == "mcp":
        return {"type": "mcp", "server_label": tool["server_label"]}
    return {"type": tool["type"]}
