"""The one place that speaks HTTP to Responses servers (aiohttp).

It sends a body, classifies what is not a 200, and hands back decoded events, all events of one socket
read together. It follows no redirect, keeps no cookie, and sends no header but those built here. It does
not retry: that is the gateway's decision.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from dragoman.gateway.ports import Account, UpstreamError
from dragoman.translate.messages import failure as failures
from dragoman.translate.messages.failure import Cause, UpstreamFailure
from dragoman.upstream.post import Pool, read_some
from dragoman.wire import jsonio, sse

ERROR_BODY_BYTES = 256 * 1024
WHOLE_BODY_BYTES = 64 * 1024 * 1024
LINGER_SECONDS = 1.0
KEEPALIVE_SECONDS = 75.0
COUNT_SECONDS = 0.5
# So long no kept connection is used after one of them, or a new one, was of no use.
DOUBT_SECONDS = 2.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Road:
    """How one account is reached; `headers` hold its credentials and never leave this module."""

    url: str
    headers: Mapping[str, str] = field(repr=False)


class HttpAnswer:
    """A 200 in progress. Set `complete` once the terminal event was read, so the connection is kept."""

    __slots__ = ("_response", "complete")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.complete = False

    async def events(self) -> AsyncIterator[list[dict[str, Any]]]:
        """Lists of events, one (perhaps empty) a socket read. Raises UpstreamError for a broken stream."""
        if self._response.content_type == "application/json":
            yield await self._whole()
            return
        decoder = sse.Decoder()
        try:
            while chunk := await read_some(self._response.content):
                # None at all is a sign of life, too: a comment, or a part of an event.
                events, fault = _read_events(decoder.feed_data(chunk))
                yield events
                if fault is not None:
                    raise UpstreamError(fault)
            if found := decoder.flush():
                events, fault = _read_events([event.data for event in found])
                yield events
                if fault is not None:
                    raise UpstreamError(fault)
        except sse.EventTooLarge:
            raise UpstreamError(UpstreamFailure(Cause.PROTOCOL, "an event beyond the size limit")) from None
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(_broken(_name(error))) from None

    async def _whole(self) -> list[dict[str, Any]]:
        """Some servers answer a stream request with one JSON document: it becomes the terminal event."""
        try:
            response = jsonio.parse(await _read(self._response, WHOLE_BODY_BYTES))
        except (aiohttp.ClientError, OSError, jsonio.InvalidJson) as error:
            raise UpstreamError(_broken(_name(error))) from None
        if not isinstance(response, dict):
            raise UpstreamError(_broken("a JSON answer that is not an object"))
        if response.get("object") != "response" and ("error" in response or "output" not in response):
            return [{"type": "error", **response}]
        status = response.get("status")
        kind = status if status in ("failed", "incomplete") else "completed"
        return [{"type": f"response.{kind}", "response": response}]


class Opening:
    """One answer of an upstream, from its head to its end. A generator would cost three times as much."""

    __slots__ = ("_answer", "_begun", "_keep", "_response")

    def __init__(
        self,
        begun: Coroutine[Any, Any, aiohttp.ClientResponse],
        keep: Callable[[aiohttp.ClientResponse], None],
    ) -> None:
        self._begun = begun
        self._keep = keep

    async def __aenter__(self) -> HttpAnswer:
        self._response = await self._begun
        self._answer = HttpAnswer(self._response)
        return self._answer

    async def __aexit__(self, *_: object) -> None:
        if self._answer.complete:
            self._keep(self._response)
        else:
            self._response.close()


class HttpUpstream:
    """Implements the gateway's Upstream port over one connection pool."""

    def __init__(
        self,
        roads: Mapping[str, Road],
        *,
        user_agent: str,
        connect_seconds: float,
        ca_file: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._roads = dict(roads)
        self._now = now
        self._user_agent = user_agent
        context: ssl.SSLContext | bool = ssl.create_default_context(cafile=ca_file) if ca_file else True
        # The total is without limit: silence is watched by the gateway's pacer, not by a clock on the whole.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds, connect=connect_seconds)

        def pool(*, fresh: bool) -> Pool:
            keepalive = None if fresh else KEEPALIVE_SECONDS
            connector = aiohttp.TCPConnector(
                limit=0, keepalive_timeout=keepalive, force_close=fresh, ssl=context
            )
            return Pool(connector, timeout)

        self._pool = pool(fresh=False)
        self._fresh = pool(fresh=True)
        self._doubted: dict[str, float] = {}
        self._proxies = {name: _proxy_for(road.url) for name, road in self._roads.items()}
        self._lingering: set[asyncio.Task[None]] = set()

    def open(self, account: Account, body: bytes, headers: Mapping[str, str]) -> Opening:
        """POSTs a create request. Raises UpstreamError for everything but a 200 that can be read."""
        return Opening(self._begin(account, body, headers), self._keep)

    async def _begin(
        self, account: Account, body: bytes, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        response = await self._post(account, "/responses", body, headers, "text/event-stream")
        if response.status == 200:
            return response
        try:
            raise UpstreamError(await self._refusal(response))
        finally:
            response.close()

    async def count(self, account: Account, body: Mapping[str, Any]) -> int | None:
        """Exact input tokens by the upstream's own counter, or None when it has no quick answer."""
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                response = await self._post(
                    account, "/responses/input_tokens", jsonio.dump(body), {}, "application/json"
                )
                async with response:
                    if response.status != 200:
                        return None
                    answer = jsonio.parse(await _read(response, ERROR_BODY_BYTES))
        except (TimeoutError, UpstreamError, aiohttp.ClientError, OSError, jsonio.InvalidJson):
            return None
        tokens = answer.get("input_tokens") if isinstance(answer, dict) else None
        return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= 0 else None

    async def close(self) -> None:
        """Closes every connection."""
        for task in self._lingering:
            task.cancel()
        if self._lingering:
            await asyncio.wait(self._lingering)
        await self._pool.close()
        await self._fresh.close()

    async def _post(
        self, account: Account, path: str, body: bytes, headers: Mapping[str, str], accept: str
    ) -> aiohttp.ClientResponse:
        road = self._roads[account.name]
        fields = {
            "user-agent": self._user_agent,
            "accept": accept,
            "accept-encoding": "identity",
            "content-type": "application/json",
            **headers,
            **road.headers,
        }
        try:
            url = URL(road.url + path, encoded=True)
            return await self._pool_for(account).post(url, body, fields, self._proxies[account.name])
        except (aiohttp.ServerTimeoutError, TimeoutError):
            raise UpstreamError(UpstreamFailure(Cause.TRANSPORT, "connecting took too long")) from None
        except (aiohttp.ClientError, OSError) as error:
            self._doubted[account.name] = asyncio.get_running_loop().time() + DOUBT_SECONDS
            raise UpstreamError(UpstreamFailure(Cause.TRANSPORT, _name(error))) from None

    def _pool_for(self, account: Account) -> Pool:
        """The pool; for a while after a connection failed, new connections only.

        An upstream that went away took every kept connection with it: a second attempt over another of
        them would fail like the first.
        """
        until = self._doubted.get(account.name)
        if until is None:
            return self._pool
        if asyncio.get_running_loop().time() < until:
            return self._fresh
        del self._doubted[account.name]
        return self._pool

    async def _refusal(self, response: aiohttp.ClientResponse) -> UpstreamFailure:
        headers = {name.lower(): value for name, value in response.headers.items()}
        try:
            body = await _read(response, ERROR_BODY_BYTES)
        except (aiohttp.ClientError, OSError):
            body = b""
        return failures.from_http(response.status, headers, body, now=self._now())

    def _keep(self, response: aiohttp.ClientResponse) -> None:
        """Gives the connection back once the end of the body was read, without making the client wait."""
        if response.content.at_eof():
            response.release()
            return
        task = asyncio.ensure_future(_linger(response))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)


def _read_events(found: list[bytes]) -> tuple[list[dict[str, Any]], UpstreamFailure | None]:
    """The events up to the first that is no JSON object; what came before it still counts."""
    events: list[dict[str, Any]] = []
    for data in found:
        if data == b"[DONE]":
            continue
        try:
            event = jsonio.parse_event(data)
        except jsonio.InvalidJson:
            return events, UpstreamFailure(Cause.PROTOCOL, "an event that is no JSON")
        if not isinstance(event, dict):
            return events, UpstreamFailure(Cause.PROTOCOL, "an event that is no JSON object")
        events.append(event)
    return events, None


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body up to its end or the limit."""
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) >= limit:
            break
    return bytes(data[:limit])


async def _linger(response: aiohttp.ClientResponse) -> None:
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while await response.content.readany():
                pass
        response.release()
    except (TimeoutError, aiohttp.ClientError, OSError):
        response.close()
    except BaseException:
        response.close()
        raise


def _proxy_for(url: str) -> URL | None:
    """The proxy that the environment names for a URL. Loopback is never proxied."""
    parsed = URL(url)
    host = parsed.host or ""
    if host in LOOPBACK or host.startswith("127.") or proxy_bypass(host):
        return None
    proxy = getproxies().get(parsed.scheme)
    if not proxy:
        return None
    return URL(proxy if "://" in proxy else f"http://{proxy}")


def _broken(what: str) -> UpstreamFailure:
    return UpstreamFailure(Cause.CUT, what)


def _name(error: Exception) -> str:
    # The class says what happened; the text may hold addresses.
    return type(error).__name__
