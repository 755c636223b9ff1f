"""The upstream's items as a client of Chat Completions sees them.

Messages, calls and reasoning are written as everywhere; here stands what differs: citations keep the
upstream's own places, no argument is left out, and searches are counted, not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.translate.messages.calls import FunctionCall
from dragoman.translate.messages.citations import is_search
from dragoman.translate.messages.items import Item, Whole
from dragoman.translate.messages.message import Message
from dragoman.translate.messages.thinking import Reasoning


class ChatMessage(Message):
    """Visible text, with citations of the web."""

    __slots__ = ()

    def _cited(self, annotation: dict[str, Any], text: str) -> dict[str, Any] | None:
        url, title = annotation.get("url"), annotation.get("title")
        if annotation.get("type") != "url_citation" or not isinstance(url, str):
            return None
        start, end = (annotation.get(name) for name in ("start_index", "end_index"))
        return {
            "start_index": start if isinstance(start, int) else 0,
            "end_index": end if isinstance(end, int) else 0,
            "title": title if isinstance(title, str) else "",
            "url": url,
        }

    def _calls_before(self) -> int:
        """None: a message of this dialect has its calls behind its text."""
        return 0


class ChatCall(FunctionCall):
    """A call whose arguments reach the client as the model wrote them, so that it can replay them.

    Only what is no JSON is mended here too: these clients parse arguments themselves, and raise.
    """

    __slots__ = ()

    def _head(self, name: str) -> None:
        """No argument is left out."""

    def _tail(self) -> None:
        """A call that ended without a word of arguments has none; clients parse what they get."""
        super()._tail()
        if (self._ended or self.done or self.complete) and self._guard.blank:
            self.blocks.json("{}")


class ChatSearch(Whole):
    """A web search that the upstream made: its citations are in the text, the search itself is counted."""

    kind = "web_search_call"
    __slots__ = ()

    def close(self) -> None:
        if self.item is not None:
            self.outcome.web_searches += is_search(self.item)
        super().close()


KINDS: Mapping[str, type[Item]] = {kind.kind: kind for kind in (ChatMessage, ChatCall, Reasoning, ChatSearch)}
