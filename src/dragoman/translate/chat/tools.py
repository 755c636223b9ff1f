"""The tools of a chat request, and which of them the model may or must use.

Functions are the same thing on both sides, so schemas and `strict` pass as they are. The list is the head
of every cached prefix: a choice never changes it. Where the upstream takes nothing but `auto`, a sentence at
the very end of the input says the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.translate.capability import Capability
from dragoman.translate.messages import search
from dragoman.translate.messages.tool_choice import HINTS, Choice
from dragoman.translate.messages.tools import Offer, parameters
from dragoman.wire.errors import invalid

_EMPTY: dict[str, Any] = {"type": "object", "properties": {}}


def offer_tools(request: Mapping[str, Any], offer: Offer, capability: Capability) -> None:
    """Takes in `tools`, `functions` and `web_search_options`. Raises Refused for a search nobody can do."""
    tools = request.get("tools") or ()
    functions = [tool["function"] for tool in tools] or request.get("functions") or ()
    offer.head += [_function(function, offer, capability) for function in functions]
    options = request.get("web_search_options")
    if options is not None:
        if not capability.web_search:
            raise invalid("web_search_options", "web search is not available on this upstream")
        location = (options.get("user_location") or {}).get("approximate")
        made = search.search_tool({"user_location": location}, capability)
        if options.get("search_context_size"):
            made["search_context_size"] = options["search_context_size"]
        offer.hosted.append("web_search")
        offer.head.append(made)


def _function(function: Mapping[str, Any], offer: Offer, capability: Capability) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "function", "name": offer.names.add(function["name"])}
    if function.get("description"):
        made["description"] = function["description"]
    made["parameters"] = parameters(function.get("parameters") or _EMPTY, capability)
    made["strict"] = function.get("strict") is True
    return made


def choose(
    request: Mapping[str, Any], tools: Sequence[Mapping[str, Any]], offer: Offer, capability: Capability
) -> Choice:
    """The choice for a request with these upstream tools; nothing at all where there are none."""
    if not tools:
        return Choice()
    wanted = request.get("tool_choice")
    if wanted is None:
        wanted = request.get("function_call") or "auto"
    if isinstance(wanted, str):
        return _by_word(wanted, capability)
    if wanted.get("type") == "allowed_tools":
        allowed = wanted["allowed_tools"]
        names = [offer.names.of(tool["function"]["name"]) for tool in allowed["tools"]]
        return _among(allowed["mode"], names, capability)
    name = offer.names.of(wanted.get("function", wanted)["name"])
    if not capability.tool_choice:
        return Choice("auto", f"Answer with a call of the tool {name}.")
    return Choice({"type": "function", "name": name})


def _by_word(word: str, capability: Capability) -> Choice:
    return Choice(word) if capability.tool_choice else Choice("auto", HINTS.get(word, ""))


def _among(mode: str, names: list[str], capability: Capability) -> Choice:
    """A choice among some of the tools, which leaves the list of all of them as it is."""
    if capability.tool_choice and capability.allowed_tools:
        tools = [{"type": "function", "name": name} for name in names]
        return Choice({"type": "allowed_tools", "mode": mode, "tools": tools})
    choice = _by_word(mode, capability)
    told = f"Of the tools, call only these: {', '.join(names)}."
    return Choice(choice.value, f"{choice.hint}\n{told}".lstrip())
