"""Web search: Anthropic's tool as the upstream's hosted one, and past searches in the history.

A search that this gateway passed on comes back whole out of the envelope of its first result. One that it
cannot replay (Anthropic's own, another account's) is told to the model in words; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.translate.capability import Capability
from dragoman.translate.messages.reasoning import open_search

INCLUDE = "web_search_call.action.sources"
BLOCKED = "When you search the web, open no page of these domains, and use nothing of them:"
_CALL = ("type", "id", "status", "action")
_PLACE = ("country", "region", "city", "timezone")


def search_tool(tool: Mapping[str, Any], capability: Capability) -> dict[str, Any]:
    """The upstream's tool. Blocked domains and the number of uses are not in it: it knows neither.

    The model is asked to keep away from the domains (blocked_hint), and no result of theirs is passed on.
    """
    made: dict[str, Any] = {"type": "web_search"}
    if capability.external_web_access:
        made["external_web_access"] = True
    if domains := tool.get("allowed_domains"):
        made["filters"] = {"allowed_domains": domains}
    location = tool.get("user_location")
    if location:
        place = {name: location[name] for name in _PLACE if location.get(name)}
        made["user_location"] = {"type": "approximate", **place}
    return made


def blocked_hint(tool: Mapping[str, Any] | None) -> str:
    """What the model is told of the domains that the client blocks, "" for none."""
    domains = None if tool is None else tool.get("blocked_domains")
    return f"{BLOCKED} {', '.join(domains)}" if domains else ""


def replayed(results: Any, key: bytes, account_tag: str) -> dict[str, Any] | None:
    """The web_search_call that rides on these results, if this gateway made it for this account."""
    for result in results if isinstance(results, list) else ():
        opened = open_search(result.get("encrypted_content"), key)
        if opened is not None and opened.item["type"] == "web_search_call":
            return _whole(opened.item) if opened.account_tag == account_tag else None
    return None


def _whole(item: dict[str, Any]) -> dict[str, Any]:
    """The call in its fixed order of keys, with the status that is required and some servers leave out."""
    complete = {"status": "completed", **item}
    return {name: complete[name] for name in _CALL if name in complete}


def told(query: Any, results: Any) -> str:
    """A search in words: what was asked, and which pages were found."""
    lines = [f"[web search] {query}" if isinstance(query, str) and query else "[web search]"]
    if isinstance(results, dict):
        lines.append(f"[failed: {results.get('error_code')}]")
    else:
        lines += [f"- {_title(result)}{result.get('url')}" for result in _pages(results)]
    return "\n".join(lines)


def _pages(results: Sequence[Any]) -> list[Mapping[str, Any]]:
    return [result for result in results if isinstance(result.get("url"), str)]


def _title(result: Mapping[str, Any]) -> str:
    title = result.get("title")
    return f"{title}: " if isinstance(title, str) and title and title != result.get("url") else ""
