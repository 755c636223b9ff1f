"""Web searches of the upstream as Anthropic's blocks and citations.

Sources become search results in their order, without those of blocked domains; where the upstream names
none, what the answer cites takes their place. What a later turn needs to replay the search travels sealed in
`encrypted_content`. A citation's place is relative to its text part.
Nothing is fetched, and nothing is claimed of a page but what the upstream said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from dragoman.translate.messages.blocks import Blocks
from dragoman.translate.messages.context import AnswerContext
from dragoman.translate.messages.items import Whole
from dragoman.translate.messages.outcome import Outcome
from dragoman.translate.messages.reasoning import seal_search
from dragoman.wire import jsonio

CITED_CHARACTERS = 150


class Search(Whole):
    """A web search that the upstream made: the call and its result, once both are known.

    Many servers name no sources with the search; then its pages are those that the answer cites. The result
    is owed until a message has cited, another search begins, or the answer ends.
    """

    kind = "web_search_call"
    __slots__ = ("_call_id", "_cited")

    def __init__(self, context: AnswerContext, blocks: Blocks, outcome: Outcome) -> None:
        super().__init__(context, blocks, outcome)
        self._call_id = ""
        self._cited: dict[str, str | None] = {}  # url -> title, in order

    def close(self) -> None:
        if self.item is not None:
            self._write(self.item)
            self.outcome.spoke = True
        super().close()

    def _write(self, item: dict[str, Any]) -> None:
        blocks, outcome = self.blocks, self.outcome
        action = _action(item)
        searched, sources = is_search(item), _sources(action)
        error = self._count(item, searched=searched)
        owed = error is None and searched and not sources and not outcome.sources_named
        outcome.sources_named |= searched and bool(sources)
        if owed or outcome.sources_named:
            blocks.pay()  # the one before: what is cited from now on is another's
        query = jsonio.dump_text({"query": _query(action)})
        blocks.start({"type": "server_tool_use", "id": self._call_id, "name": "web_search", "input": {}})
        blocks.delta({"type": "input_json_delta", "partial_json": query})
        blocks.stop()
        if owed:
            blocks.owed = self
            return
        urls = (url for source in sources if isinstance(url := source.get("url"), str))
        domains = self.context.plan.blocked_domains
        found = _results(item, dict.fromkeys(url for url in urls if not blocked(url, domains)), self.context)
        blocks.start(self._result(found if error is None else error))
        blocks.stop()

    def _count(self, item: dict[str, Any], *, searched: bool) -> dict[str, Any] | None:
        """Counts the search; what it has instead of a result if it failed or is beyond the client's limit."""
        outcome, context = self.outcome, self.context
        outcome.web_searches += searched
        outcome.searches_shown += 1
        anchor = "".join(filter(str.isalnum, context.message_id))[-40:]
        self._call_id = f"srvtoolu_{anchor}_{outcome.searches_shown}"
        limit = context.plan.web_search_max
        if item.get("status") == "failed":
            return _error("unavailable")
        return _error("max_uses_exceeded") if limit is not None and outcome.web_searches > limit else None

    def _result(self, content: Any) -> dict[str, Any]:
        return {"type": "web_search_tool_result", "tool_use_id": self._call_id, "content": content}

    # -- while the result is owed --------------------------------------------------------------------

    @property
    def known(self) -> bool:
        return bool(self._cited)

    def hear(self, citation: dict[str, Any]) -> None:
        url = citation["url"]
        self._cited[url] = self._cited.get(url) or citation["title"]

    def block(self) -> dict[str, Any]:
        return self._result(_results(self.item or {}, self._cited, self.context))


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


def _action(item: dict[str, Any]) -> dict[str, Any]:
    action = item.get("action")
    return action if isinstance(action, dict) else {}


def _sources(action: dict[str, Any]) -> list[dict[str, Any]]:
    """What was looked at, as far as the upstream says it with the search: its pages, or the one visited."""
    return _objects(action.get("sources")) or ([action] if isinstance(action.get("url"), str) else [])


def _results(
    item: dict[str, Any], pages: Mapping[str, str | None], context: AnswerContext
) -> list[dict[str, Any]]:
    """Pages (url -> title, where it is known) as results."""
    titles = _titles(item)
    return [
        {
            "type": "web_search_result",
            "url": url,
            "title": title or titles.get(url, url),
            # The whole search rides on its first result, the others only point to their page.
            "encrypted_content": seal_search(
                item if place == 0 else {"type": "web_search_source", "url": url}, context.seal
            ),
            "page_age": None,
        }
        for place, (url, title) in enumerate(pages.items())
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
