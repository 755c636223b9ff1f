"""Web searches of the upstream as Anthropic's blocks and citations.

Sources become search results in their order, without those of blocked domains; what a later turn needs to
replay the search travels sealed in `encrypted_content`. A citation's place is relative to its text part.
Nothing is fetched, and nothing is claimed of a page but what the upstream said.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlsplit

from dragoman.translate.messages.context import AnswerContext
from dragoman.translate.messages.items import Whole
from dragoman.translate.messages.outcome import Outcome
from dragoman.translate.messages.reasoning import seal_search
from dragoman.wire import jsonio

CITED_CHARACTERS = 150


class Search(Whole):
    """A web search that the upstream made: the call and its results, once both are known."""

    kind = "web_search_call"
    __slots__ = ()

    def close(self) -> None:
        if self.item is not None:
            for block in _blocks(self.item, self.context, self.outcome):
                self.blocks.start(block.start)
                if block.input is not None:
                    self.blocks.delta({"type": "input_json_delta", "partial_json": block.input})
                self.blocks.stop()
            self.outcome.spoke = True
        super().close()


class _Block(NamedTuple):
    """A block as it starts, and the tool input that follows it, if any."""

    start: dict[str, Any]
    input: str | None = None


def _blocks(item: dict[str, Any], context: AnswerContext, outcome: Outcome) -> list[_Block]:
    """The call and its result. Counts the search; one beyond the client's limit gets an error as result."""
    action = item.get("action")
    action = action if isinstance(action, dict) else {}
    outcome.web_searches += is_search(item)
    outcome.searches_shown += 1
    call_id = f"srvtoolu_{''.join(filter(str.isalnum, context.message_id))[-40:]}_{outcome.searches_shown}"
    limit = context.plan.web_search_max
    content: list[dict[str, Any]] | dict[str, Any]
    if item.get("status") == "failed":
        content = _error("unavailable")
    elif limit is not None and outcome.web_searches > limit:
        content = _error("max_uses_exceeded")
    else:
        content = _results(item, action, context)
    return [
        _Block(
            {"type": "server_tool_use", "id": call_id, "name": "web_search", "input": {}},
            jsonio.dump_text({"query": _query(action)}),
        ),
        _Block({"type": "web_search_tool_result", "tool_use_id": call_id, "content": content}),
    ]


def is_search(item: dict[str, Any]) -> bool:
    """Whether a finished web_search_call was a search, not a visit to a page that was found."""
    action = item.get("action")
    return not isinstance(action, dict) or action.get("type", "search") == "search"


def citation(annotation: dict[str, Any], text: str, context: AnswerContext) -> dict[str, Any] | None:
    """A url_citation as Anthropic's; None for any other annotation and for blocked domains."""
    url = annotation.get("url")
    if annotation.get("type") != "url_citation" or not isinstance(url, str):
        return None
    if blocked(url, context.plan.blocked_domains):
        return None
    start, end = (_place(annotation.get(key)) for key in ("start_index", "end_index"))
    title = annotation.get("title")
    return {
        "type": "web_search_result_location",
        "url": url,
        "title": title if isinstance(title, str) else None,
        "cited_text": text[start:end][:CITED_CHARACTERS],
        "encrypted_index": seal_search({"type": "url_citation", "url": url}, context.seal),
    }


def blocked(url: str, domains: tuple[str, ...]) -> bool:
    """Whether a URL lies in one of the domains, or below one of them; a domain may carry a path."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return bool(domains)  # what cannot be read cannot be cleared
    for domain in domains:
        name, _, path = domain.lower().partition("/")
        inside = host == name or host.endswith("." + name)
        if inside and (parts.path.lstrip("/") + "/").startswith(f"{path.rstrip('/')}/" if path else ""):
            return True
    return False


def _results(item: dict[str, Any], action: dict[str, Any], context: AnswerContext) -> list[dict[str, Any]]:
    titles = _titles(item)
    urls = [
        url
        for source in _objects(action.get("sources")) or [action]
        if isinstance(url := source.get("url"), str) and not blocked(url, context.plan.blocked_domains)
    ]
    return [
        {
            "type": "web_search_result",
            "url": url,
            "title": titles.get(url, url),
            # The whole search rides on its first result, the others only point to their page.
            "encrypted_content": seal_search(
                item if place == 0 else {"type": "web_search_source", "url": url}, context.seal
            ),
            "page_age": None,
        }
        for place, url in enumerate(dict.fromkeys(urls))
    ]


def _titles(item: dict[str, Any]) -> dict[str, str]:
    return {
        url: title
        for result in _objects(item.get("results"))
        if isinstance(url := result.get("url"), str) and isinstance(title := result.get("title"), str)
    }


def _query(action: dict[str, Any]) -> str:
    queries = action.get("queries")
    for query in (action.get("query"), *(queries if isinstance(queries, list) else ()), action.get("url")):
        if isinstance(query, str) and query:
            return query
    return ""


def _objects(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _error(code: str) -> dict[str, Any]:
    return {"type": "web_search_tool_result_error", "error_code": code}


def _place(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
