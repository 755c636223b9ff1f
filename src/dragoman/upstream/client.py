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
from typing import Any, NamedTuple, Protocol

import aiohttp
from yarl import URL

from dragoman.gateway.ports import Account, UpstreamError
from dragoman.translate.messages import failure as failures
from dragoman.translate.messages.failure import Cause, UpstreamFailure
from dragoman.translate.responses.frames import document_frames
from dragoman.upstream.post import Pool, read_some
from dragoman.upstream.proxies import proxy_for
from dragoman.upstream.roads import FixedRoads, Road, Roads
from dragoman.wire import jsonio, sse

ERROR_BODY_BYTES = 256 * 1024
WHOLE_BODY_BYTES = 64 * 1024 * 1024
LINGER_SECONDS = 1.0
KEEPALIVE_SECONDS = 75.0
COUNT_SECONDS = 0.5
# The status of a refusal says most of it; its words are not waited for longer.
REFUSAL_SECONDS = 2.0
# So long no kept connection is used after one of them, or a new one, was of no use.
DOUBT_SECONDS = 2.0
# Accounts whose streams tell of quotas, and the event that does.
_TELLING_KIND = "chatgpt"
_QUOTA_EVENT = "codex.rate_limits"
_QUOTA_MARK = b"codex.rate_limits"
# A 401 for one of these may be over with a new token.
_RENEWABLE = frozenset({Cause.CREDENTIALS, Cause.LOGIN})
# Said of a token that is new, these are about the session behind it: only another login helps.
_ENDED = frozenset(
    {"app_session_terminated", "account_session_expired", "account_auth_invalidated", "token_invalidated"}
)


class Observer(Protocol):
    """Who reads what upstreams tell of quotas. Called inline: it never waits and never raises."""

    def headers(self, account: Account, status: int, headers: Mapping[str, str]) -> None:
        """The header fields of an answer, refusals included; names in any case, as the mapping finds them."""
        ...

    def event(self, account: Account, event: Mapping[str, Any]) -> None:
        """A `codex.rate_limits` event of a stream."""
        ...


class _Lines(NamedTuple):
    """Connections that are kept, and such as are not."""

    kept: Pool
    fresh: Pool


class HttpAnswer:
    """A 200 in progress. Set `complete` once the terminal event was read, so the connection is kept."""

    __slots__ = ("_response", "_told", "complete")

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        told: Callable[[list[dict[str, Any]]], None] | None = None,
    ) -> None:
        self._response = response
        self._told = told
        self.complete = False

    async def events(self) -> AsyncIterator[list[dict[str, Any]]]:
        """Lists of events, one (perhaps empty) a socket read. Raises UpstreamError for a broken stream."""
        decoder, content = sse.Decoder(), self._response.content
        try:
            chunk = await read_some(content)
            if self._is_document(chunk):
                async for found in self._whole(chunk):
                    yield found
                return
            while chunk:
                # None at all is a sign of life, too: a comment, or a part of an event.
                events, fault = _read_events(decoder.feed_data(chunk))
                if self._told is not None:
                    self._told(events)
                yield events
                if fault is not None:
                    raise UpstreamError(fault)
                chunk = await read_some(content)
            if rest := decoder.flush():
                events, fault = _read_events([event.data for event in rest])
                yield events
                if fault is not None:
                    raise UpstreamError(fault)
        except sse.EventTooLarge:
            raise UpstreamError(UpstreamFailure(Cause.PROTOCOL, "an event beyond the size limit")) from None
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(_broken(_name(error))) from None

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's header fields; names in any case."""
        return self._response.headers

    async def frames(self) -> AsyncIterator[list[bytes]]:
        """The same as they came, unparsed: frames without their blank line. Raises as `events` does."""
        decoder, content = sse.Decoder(), self._response.content
        told = self._told
        try:
            chunk = await read_some(content)
            if self._is_document(chunk):
                async for found in self._whole(chunk):
                    yield [frame for event in found for frame in document_frames(event)]
                return
            while chunk:
                frames, text = sse.sound(decoder.feed_frames(chunk))
                if told is not None:
                    _tell(frames, told)
                yield frames
                if not text:
                    raise UpstreamError(UpstreamFailure(Cause.PROTOCOL, "an event that is no UTF-8"))
                chunk = await read_some(content)
            if last := decoder.rest():
                yield sse.sound([last])[0]
        except sse.EventTooLarge:
            raise UpstreamError(UpstreamFailure(Cause.PROTOCOL, "an event beyond the size limit")) from None
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(_broken(_name(error))) from None

    def _is_document(self, first: bytes) -> bool:
        """Whether a body is one JSON document: its first byte says so, whatever it is called."""
        return first.lstrip()[:1] == b"{" or (
            first.isspace() and self._response.content_type == "application/json"
        )

    async def _whole(self, first: bytes) -> AsyncIterator[list[dict[str, Any]]]:
        """Some servers answer a stream request with one JSON document: it becomes the terminal event."""
        data, chunk = bytearray(), first
        while chunk:
            data += chunk
            if len(data) > WHOLE_BODY_BYTES:
                raise UpstreamError(UpstreamFailure(Cause.PROTOCOL, "an answer beyond the size limit"))
            yield []  # a sign of life
            chunk = await read_some(self._response.content)
        try:
            response = jsonio.parse(bytes(data))
        except jsonio.InvalidJson as error:
            raise UpstreamError(_broken(_name(error))) from None
        if not isinstance(response, dict):
            raise UpstreamError(_broken("a JSON answer that is not an object"))
        yield [_terminal(response)]


def _terminal(response: dict[str, Any]) -> dict[str, Any]:
    """The event that a whole answer is."""
    if response.get("object") != "response" and ("error" in response or "output" not in response):
        return {"type": "error", **response}
    status = response.get("status")
    if status is None:  # some servers leave it out
        status = "completed"
    kind = status if status in ("completed", "incomplete") else "failed"
    return {"type": f"response.{kind}", "response": response}


class Opening:
    """One answer of an upstream, from its head to its end. A generator would cost three times as much."""

    __slots__ = ("_answer", "_begun", "_keep", "_response", "_told")

    def __init__(
        self,
        begun: Coroutine[Any, Any, aiohttp.ClientResponse],
        keep: Callable[[aiohttp.ClientResponse], None],
        told: Callable[[list[dict[str, Any]]], None] | None = None,
    ) -> None:
        self._begun = begun
        self._keep = keep
        self._told = told

    async def __aenter__(self) -> HttpAnswer:
        self._response = await self._begun
        self._answer = HttpAnswer(self._response, self._told)
        return self._answer

    async def __aexit__(self, *_: object) -> None:
        if self._answer.complete:
            self._keep(self._response)
        else:
            self._response.close()


class HttpUpstream:
    """Implements the gateway's Upstream port.

    `roads` are asked for every attempt, so accounts and tokens may change at any time; a mapping is for such
    as never do. `observer` hears the header fields of every answer.
    """

    def __init__(
        self,
        roads: Roads | Mapping[str, Road],
        *,
        user_agent: str,
        connect_seconds: float,
        ca_file: str | None = None,
        now: Callable[[], float] = time.time,
        observer: Observer | None = None,
    ) -> None:
        self._roads = FixedRoads(roads) if isinstance(roads, Mapping) else roads
        self._now = now
        self._user_agent = user_agent
        self._observer = observer
        self._context: ssl.SSLContext | bool = True
        if ca_file:
            self._context = ssl.create_default_context(cafile=ca_file)
        # The total is without limit: silence is watched by the gateway's pacer, not by a clock on the whole.
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=connect_seconds, connect=connect_seconds
        )
        self._lines: dict[str, _Lines] = {}
        self._doubted: dict[str, float] = {}
        self._proxies: dict[str, URL | None] = {}
        self._lingering: set[asyncio.Task[None]] = set()

    def open(self, account: Account, body: bytes, headers: Mapping[str, str], suffix: str = "") -> Opening:
        """POSTs a create request, or one to an operation below. Raises UpstreamError for all but a 200."""
        begun = self._begin(account, body, headers, suffix)
        if account.kind != _TELLING_KIND or (observer := self._observer) is None:
            return Opening(begun, self._keep)

        def told(events: list[dict[str, Any]]) -> None:
            for event in events:
                if event.get("type") == _QUOTA_EVENT:
                    observer.event(account, event)

        return Opening(begun, self._keep, told)

    async def _begin(
        self, account: Account, body: bytes, headers: Mapping[str, str], suffix: str
    ) -> aiohttp.ClientResponse:
        road = self._roads.get(account.name)
        if road is None:
            road = await self._roads.ready(account.name)
        response = await self._post(account, road, _below(road, suffix), body, headers, "text/event-stream")
        if response.status == 200:
            return response
        failure = await self._refused(response)
        if response.status == 401 and road.token is not None and failure.cause in _RENEWABLE:
            return await self._again(account, road, body, headers, suffix)
        raise UpstreamError(failure)

    async def _again(
        self, account: Account, road: Road, body: bytes, headers: Mapping[str, str], suffix: str
    ) -> aiohttp.ClientResponse:
        """Once more with a renewed token: nothing was done for the one that got a 401."""
        renewed = await self._roads.renewed(account.name, road)
        if renewed is None:
            raise UpstreamError(UpstreamFailure(Cause.LOGIN, status=401))
        target = _below(renewed, suffix)
        response = await self._post(account, renewed, target, body, headers, "text/event-stream")
        if response.status == 200:
            return response
        failure = await self._refused(response)
        if response.status == 401 and failure.cause in _RENEWABLE:
            self._roads.hopeless(account.name, renewed)
            # The login is good, the issuer has just said so: no new one would help, unless the upstream
            # says that it is this one which it has ended.
            cause = Cause.LOGIN if failure.code in _ENDED else Cause.CREDENTIALS
            failure = UpstreamFailure(cause, failure.message, 401, failure.code)
        raise UpstreamError(failure)

    async def count(self, account: Account, body: Mapping[str, Any]) -> int | None:
        """Exact input tokens by the upstream's own counter, or None when it has no quick answer."""
        road = self._roads.get(account.name)
        if road is None or road.count is None:
            return None
        target = URL(road.url + road.count, encoded=True)
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                response = await self._post(account, road, target, jsonio.dump(body), {}, "application/json")
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
        for lines in self._lines.values():
            await lines.kept.close()
            await lines.fresh.close()

    async def _post(
        self,
        account: Account,
        road: Road,
        target: URL,
        body: bytes,
        headers: Mapping[str, str],
        accept: str,
    ) -> aiohttp.ClientResponse:
        fields = {
            "user-agent": self._user_agent,
            "accept": accept,
            "accept-encoding": "identity",
            "content-type": "application/json",
            **headers,
            **road.headers,
        }
        try:
            response = await self._pool(account, road).post(target, body, fields, self._proxy(road))
        except (aiohttp.ServerTimeoutError, TimeoutError):
            raise UpstreamError(UpstreamFailure(Cause.TRANSPORT, "connecting took too long")) from None
        except (aiohttp.ClientError, OSError) as error:
            self._doubted[account.name] = asyncio.get_running_loop().time() + DOUBT_SECONDS
            raise UpstreamError(UpstreamFailure(Cause.TRANSPORT, _name(error))) from None
        if self._observer is not None:
            self._observer.headers(account, response.status, response.headers)
        return response

    def _pool(self, account: Account, road: Road) -> Pool:
        """The connections of the road; for a while after one of the account's failed, new ones only.

        An upstream that went away took every kept connection with it: a second attempt over another of
        them would fail like the first.
        """
        lines = self._lines.get(road.pool) or self._drawn(road.pool)
        until = self._doubted.get(account.name)
        if until is None:
            return lines.kept
        if asyncio.get_running_loop().time() < until:
            return lines.fresh
        del self._doubted[account.name]
        return lines.kept

    def _drawn(self, name: str) -> _Lines:
        def pool(*, fresh: bool) -> Pool:
            keepalive = None if fresh else KEEPALIVE_SECONDS
            connector = aiohttp.TCPConnector(
                limit=0, keepalive_timeout=keepalive, force_close=fresh, ssl=self._context
            )
            return Pool(connector, self._timeout)

        lines = self._lines[name] = _Lines(pool(fresh=False), pool(fresh=True))
        return lines

    def _proxy(self, road: Road) -> URL | None:
        try:
            return self._proxies[road.url]
        except KeyError:
            proxy = self._proxies[road.url] = proxy_for(road.url)
            return proxy

    async def _refused(self, response: aiohttp.ClientResponse) -> UpstreamFailure:
        """What a refusal says; the response is closed then."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        read = bytearray()
        try:
            async with asyncio.timeout(REFUSAL_SECONDS):
                await _read(response, ERROR_BODY_BYTES, read)
        except (TimeoutError, aiohttp.ClientError, OSError):
            # It may be whole all the same: some servers neither say how long it is nor close.
            if not _readable(bytes(read)):
                read.clear()
        finally:
            response.close()
        return failures.from_http(response.status, headers, bytes(read), now=self._now())

    def _keep(self, response: aiohttp.ClientResponse) -> None:
        """Gives the connection back once the end of the body was read, without making the client wait."""
        if response.content.at_eof():
            response.release()
            return
        task = asyncio.ensure_future(_linger(response))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)


def _below(road: Road, suffix: str) -> URL:
    """The road's own target, or an operation below it."""
    return URL(road.url + road.create + suffix, encoded=True) if suffix else road.target


def _read_events(found: list[bytes]) -> tuple[list[dict[str, Any]], UpstreamFailure | None]:
    """The events up to the first that is no JSON object; what came before it still counts."""
    try:
        read = jsonio.parse_events(found)
    except jsonio.InvalidJson:
        return _read_each(found)
    return (read, None) if all(type(event) is dict for event in read) else _read_each(found)


def _read_each(found: list[bytes]) -> tuple[list[dict[str, Any]], UpstreamFailure | None]:
    """One event after the other, up to the first that is none."""
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


def _tell(frames: list[bytes], told: Callable[[list[dict[str, Any]]], None]) -> None:
    """What an observer wants to hear, out of frames that nobody parses."""
    found = [data for frame in frames if _QUOTA_MARK in frame[:64] and (data := sse.data_of(frame))]
    if found:
        told(_read_events(found)[0])


async def _read(response: aiohttp.ClientResponse, limit: int, into: bytearray | None = None) -> bytes:
    """The body up to its end or the limit; `into` has what came if it breaks off."""
    data = bytearray() if into is None else into
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) >= limit:
            break
    return bytes(data[:limit])


def _readable(data: bytes) -> bool:
    try:
        jsonio.parse(data)
    except jsonio.InvalidJson:
        return False
    return True


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


def _broken(what: str) -> UpstreamFailure:
    return UpstreamFailure(Cause.CUT, what)


def _name(error: Exception) -> str:
    # The class says what happened; the text may hold addresses.
    return type(error).__name__
