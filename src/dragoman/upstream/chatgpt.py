"""How a ChatGPT account is called: path and headers, and the backend's pages on usage and models.

Bodies are no business of this module: what the backend takes stands in translate/capability. By default the
gateway states its own name; originator, version and user agent are the operator's to set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from dragoman.gateway.ports import UpstreamError
from dragoman.translate.messages import failure as failures
from dragoman.translate.messages.failure import Cause, UpstreamFailure
from dragoman.upstream.authfile import Login
from dragoman.upstream.calls import CallFailed, Reply
from dragoman.upstream.roads import Road, Roads

# The catalogue hides models from clients that it takes for too old; this is the version it is asked for with
# where the operator names none.
CATALOGUE_VERSION = "0.144.0"
USAGE_PAUSES = (0.5, 2.0)
_AGAIN = frozenset({408, 429})


@dataclass(frozen=True, slots=True)
class Presented:
    """As whom the gateway calls: values of headers, and of the catalogue's query."""

    originator: str
    version: str
    catalogue_version: str = CATALOGUE_VERSION


@dataclass(frozen=True, slots=True)
class Page:
    """A document of the backend, None where the one the caller has is still right."""

    document: Mapping[str, Any] | None
    headers: Mapping[str, str] = field(repr=False)
    etag: str | None = None


class Getter(Protocol):
    """What fetches; see upstream/calls."""

    async def get(self, url: str, headers: Mapping[str, str], *, seconds: float = ...) -> Reply: ...


def dressing(presented: Presented) -> Callable[[str, str, Login], Road]:
    """What makes a road from name, address and tokens. Each account has connections of its own."""

    def dress(name: str, base_url: str, login: Login) -> Road:
        headers = {
            "authorization": f"Bearer {login.access_token}",
            "originator": presented.originator,
            "version": presented.version,
        }
        if login.account_id is not None:
            headers["chatgpt-account-id"] = login.account_id
        return Road(base_url, headers, "/codex/responses", None, f"chatgpt:{name}", login.access_token)

    return dress


class Backend:
    """Side pages of the ChatGPT backend, with the credentials of an account."""

    def __init__(
        self,
        calls: Getter,
        roads: Roads,
        presented: Presented,
        *,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._calls = calls
        self._roads = roads
        self._presented = presented
        self._now = now
        self._sleep = sleep

    async def fetch_usage(self, account: str) -> Page:
        """`/wham/usage` as it came; tried again twice where the backend is busy. Raises UpstreamError."""
        for pause in (*USAGE_PAUSES, None):
            try:
                return await self._page(account, "/wham/usage", {})
            except UpstreamError as error:
                status = error.failure.status
                passing = status is None or status in _AGAIN or status >= 500
                if pause is None or not passing or error.failure.cause in (Cause.LOGIN, Cause.DEAD):
                    raise
            await self._sleep(pause)
        raise AssertionError("unreachable")

    async def fetch_models(self, account: str, etag: str | None = None) -> Page:
        """The catalogue for this account; `document` is None where it is still that of `etag`."""
        version = quote(self._presented.catalogue_version, safe="")
        wanted = {"if-none-match": etag} if etag else {}
        page = await self._page(account, f"/codex/models?client_version={version}", wanted)
        if page.document is not None and not isinstance(page.document.get("models"), list):
            raise UpstreamError(UpstreamFailure(Cause.PROTOCOL, "a catalogue without models"))
        return page

    async def _page(self, account: str, path: str, more: Mapping[str, str]) -> Page:
        road = self._roads.get(account) or await self._roads.ready(account)
        reply = await self._get(road, path, more)
        if reply.status == 401:
            renewed = await self._roads.renewed(account, road)
            if renewed is not None:
                reply = await self._get(renewed, path, more)
                if reply.status == 401:
                    self._roads.hopeless(account, renewed)
        etag = reply.headers.get("x-models-etag") or reply.headers.get("etag")
        if reply.status == 304:
            return Page(None, reply.headers, etag)
        if reply.status != 200:
            raise UpstreamError(failures.from_http(reply.status, reply.headers, reply.body, now=self._now()))
        if not isinstance(reply.document, dict):
            raise UpstreamError(UpstreamFailure(Cause.PROTOCOL, "a page that is no JSON object"))
        return Page(reply.document, reply.headers, etag)

    async def _get(self, road: Road, path: str, more: Mapping[str, str]) -> Reply:
        try:
            return await self._calls.get(road.url + path, {**road.headers, **more})
        except CallFailed as failure:
            raise UpstreamError(UpstreamFailure(Cause.TRANSPORT, failure.reason)) from None
