"""Asks ChatGPT accounts what is left of them and which models they serve, now and then, beside the requests.

Answers tell of quotas by themselves; this is for accounts that nobody uses, and for what no answer tells. It
decides when to ask, never what an answer means. A page that is not to be had changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.gateway.beside import Beside
from dragoman.gateway.ports import UpstreamError
from dragoman.translate.messages.failure import UpstreamFailure
from dragoman.upstream.chatgpt import Backend, Page

USAGE_SECONDS = 300.0
MODELS_SECONDS = 3600.0
# After a page that was not to be had; it doubles up to the usual pause.
RETRY_SECONDS = 30.0
# How often it looks whose turn it is.
TICK_SECONDS = 1.0
_MODELS = 512
_ID_LENGTH = 128


@dataclass(slots=True)
class _Turn:
    """When an account is asked again, in monotonic seconds, and how often it could not be."""

    usage_at: float
    models_at: float
    missed: int = 0
    etag: str | None = None


class Poller(Beside):
    """Asks in turn, one page at a time.

    names   the accounts that can be asked now
    usage   takes an account's usage page
    models  takes the ids of the models that an account serves
    failed  takes why a page was not to be had: once, until it was again
    """

    def __init__(
        self,
        backend: Backend,
        *,
        names: Callable[[], Sequence[str]],
        usage: Callable[[str, Mapping[str, Any]], None],
        models: Callable[[str, frozenset[str]], None],
        failed: Callable[[str, str, UpstreamFailure], None],
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
        tick: float = TICK_SECONDS,
    ) -> None:
        self._backend = backend
        self._names = names
        self._usage = usage
        self._models = models
        self._failed = failed
        self._monotonic = monotonic
        self._jitter = jitter
        self._tick = tick
        self._turns: dict[str, _Turn] = {}
        self._told: set[tuple[str, str]] = set()

    async def _loop(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(self._tick)

    async def look(self) -> None:
        """Asks whose turn it is."""
        names = self._names()
        for gone in self._turns.keys() - set(names):
            del self._turns[gone]
        for name in names:
            now = self._monotonic()
            turn = self._turns.setdefault(name, _Turn(now, now))
            if now >= turn.usage_at:
                page = await self._page(name, "usage", self._backend.fetch_usage(name))
                turn.usage_at = self._next(turn, USAGE_SECONDS, page is not None)
                if page is not None and page.document is not None:
                    self._usage(name, page.document)
            if now >= turn.models_at:
                page = await self._page(name, "models", self._backend.fetch_models(name, turn.etag))
                turn.models_at = self._next(turn, MODELS_SECONDS, page is not None)
                if page is not None and page.document is not None:
                    turn.etag = page.etag
                    if found := slugs(page.document):
                        self._models(name, found)

    async def _page(self, name: str, what: str, asked: Any) -> Page | None:
        try:
            page: Page = await asked
        except UpstreamError as error:
            if (name, what) not in self._told:
                self._told.add((name, what))
                self._failed(name, what, error.failure)
            return None
        self._told.discard((name, what))
        return page

    def _next(self, turn: _Turn, usual: float, well: bool) -> float:
        """When to ask again: drawn out by up to a fifth, so that accounts are not asked in step."""
        turn.missed = 0 if well else turn.missed + 1
        pause = usual if well else min(usual, RETRY_SECONDS * 2.0 ** min(turn.missed, 16))
        return self._monotonic() + pause * (1 + 0.2 * self._jitter())


def slugs(document: Mapping[str, Any]) -> frozenset[str]:
    """The model ids of a catalogue, hidden ones too: what is not for a picker is served all the same."""
    rows = document.get("models")
    found: set[str] = set()
    for row in rows[:_MODELS] if isinstance(rows, list) else ():
        name = row.get("slug", row.get("id")) if isinstance(row, Mapping) else None
        if isinstance(name, str) and 0 < len(name) <= _ID_LENGTH:
            found.add(name)
    return frozenset(found)
