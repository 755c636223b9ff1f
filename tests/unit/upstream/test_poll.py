"""When accounts are asked what is left of them, and what becomes of pages that are not to be had."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from dragoman.gateway.ports import UpstreamError
from dragoman.translate.messages.failure import Cause, UpstreamFailure
from dragoman.upstream.chatgpt import Backend, Page
from dragoman.upstream.poll import MODELS_SECONDS, RETRY_SECONDS, USAGE_SECONDS, Poller, slugs

CATALOGUE = {"models": [{"slug": "gpt-5.5"}, {"slug": "gpt-5.6-sol", "visibility": "hide"}]}


@dataclass
class Pages:
    """A backend, and everything that was told."""

    now: float = 1000.0
    broken: bool = False
    names: list[str] = field(default_factory=lambda: ["one", "two"])
    asked: list[tuple[str, str]] = field(default_factory=list)
    etags: list[str | None] = field(default_factory=list)
    used: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    serves: dict[str, frozenset[str]] = field(default_factory=dict)
    failures: list[tuple[str, str, str]] = field(default_factory=list)

    async def fetch_usage(self, name: str) -> Page:
        return self._page(name, "usage", {"plan_type": "plus"}, None)

    async def fetch_models(self, name: str, etag: str | None = None) -> Page:
        self.etags.append(etag)
        return self._page(name, "models", None if etag else CATALOGUE, "v1")

    def _page(self, name: str, what: str, document: Mapping[str, Any] | None, etag: str | None) -> Page:
        self.asked.append((name, what))
        if self.broken:
            raise UpstreamError(UpstreamFailure(Cause.SERVER, status=500))
        return Page(document, {}, etag)

    def poller(self) -> Poller:
        return Poller(
            cast(Backend, self),
            names=lambda: self.names,
            usage=self.used.__setitem__,
            models=self.serves.__setitem__,
            failed=lambda name, what, failure: self.failures.append((name, what, str(failure.cause))),
            monotonic=lambda: self.now,
            jitter=lambda: 0.0,
            tick=0.01,
        )

    async def after(self, poller: Poller, seconds: float) -> list[tuple[str, str]]:
        """What is asked so much later."""
        self.now += seconds
        self.asked.clear()
        await poller.look()
        return list(self.asked)


async def test_everybody_is_asked_at_once_and_then_in_turn() -> None:
    pages = Pages()
    poller = pages.poller()
    both = [("one", "usage"), ("one", "models"), ("two", "usage"), ("two", "models")]
    assert await pages.after(poller, 0) == both
    assert pages.used == {"one": {"plan_type": "plus"}, "two": {"plan_type": "plus"}}
    assert pages.serves["two"] == {"gpt-5.5", "gpt-5.6-sol"}
    assert await pages.after(poller, USAGE_SECONDS - 1) == []
    assert await pages.after(poller, 1) == [("one", "usage"), ("two", "usage")]
    pages.serves.clear()
    await pages.after(poller, MODELS_SECONDS)
    assert (pages.etags[-1], pages.serves) == ("v1", {}), "a catalogue that is the same says nothing"


async def test_who_comes_is_asked_and_who_goes_is_forgotten() -> None:
    pages = Pages(names=["one"])
    poller = pages.poller()
    await pages.after(poller, 0)
    pages.names = ["three"]
    assert await pages.after(poller, 1) == [("three", "usage"), ("three", "models")]
    pages.names = ["one"]
    assert ("one", "usage") in await pages.after(poller, 1)


async def test_a_page_that_is_not_to_be_had_is_told_once_and_asked_for_less_and_less() -> None:
    pages = Pages(names=["one"], broken=True)
    poller = pages.poller()
    await pages.after(poller, 0)
    assert pages.failures == [("one", "usage", "server"), ("one", "models", "server")]
    assert await pages.after(poller, RETRY_SECONDS) == []
    assert ("one", "usage") in await pages.after(poller, RETRY_SECONDS)
    assert len(pages.failures) == 2
    pages.broken = False
    await pages.after(poller, MODELS_SECONDS)
    assert pages.used["one"] == {"plan_type": "plus"}
    pages.broken = True
    await pages.after(poller, 2 * MODELS_SECONDS)
    assert len(pages.failures) == 4


async def test_it_runs_beside_the_requests_until_it_is_stopped() -> None:
    pages = Pages()
    poller = pages.poller()
    poller.start()
    async with asyncio.timeout(30):
        while len(pages.used) < 2:
            await asyncio.sleep(0.01)
    await poller.stop()
    await poller.stop()


def test_a_catalogue_is_not_trusted() -> None:
    assert slugs(CATALOGUE) == {"gpt-5.5", "gpt-5.6-sol"}
    odd = {"models": [{"slug": ""}, {"slug": 7}, "gpt", {"id": "by-id"}, {"slug": "x" * 999}]}
    assert slugs(odd) == {"by-id"}
    assert slugs({"models": "none"}) == frozenset()
