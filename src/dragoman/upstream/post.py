"""One POST over a pool of connections: aiohttp's request and response without its session's errands.

A session looks for redirects, cookies, credentials, retries, traces and middlewares with every request, which
costs as much as the request itself; a gateway wants none of them. Raises what aiohttp's session would.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_parser import RawResponseMessage
from multidict import CIMultiDict
from yarl import URL

BIG_BODY_BYTES = 1024 * 1024
# Reading pauses at twice that: what a client that does not read keeps here, times the copies on the way.
READ_BYTES = 64 * 1024
# Not sent unless the caller says what.
_SKIPPED = frozenset({"User-Agent", "Accept", "Accept-Encoding", "Content-Type"})
_NO_TRACES: list[Any] = []


class _Connection(ResponseHandler):
    """A connection whose every end is told to the body that was under way, and whose answers were asked for.

    Where the framing of a body breaks, aiohttp tells whoever waits for the next answer; the body's own reader
    would wait for ever. What comes behind a whole answer it would keep for the next request: another
    client's, perhaps.
    """

    _answered = True  # no head is awaited

    def set_response_params(self, **params: Any) -> None:
        """A request is about to be sent."""
        self._answered = False
        super().set_response_params(**params)

    def feed_data(self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0) -> None:
        """A head has come."""
        if self._answered:
            self._unasked()
            return
        code = data[0].code
        self._answered = code >= 200 or code == 101
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Bytes have come; none at all where held ones are looked at again."""
        if data and self._answered and (self._payload is None or self._payload.is_eof()):
            self._unasked()
            return
        super().data_received(data)

    def _unasked(self) -> None:
        """Nobody knows what such a server will say next: the connection is of no use any more."""
        self._should_close = True
        if self.transport is not None:
            self.transport.close()

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """The connection is of no use any more, and neither is a body that has not come to its end."""
        super().set_exception(exc, *cause)
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("the body broke off"), exc)


class Pool:
    """Connections to upstreams; `timeout` bounds connecting, never the answer."""

    def __init__(self, connector: aiohttp.BaseConnector, timeout: aiohttp.ClientTimeout) -> None:
        made: Callable[..., ResponseHandler] = _Connection
        connector._factory = functools.partial(made, loop=connector._loop)
        self._connector = connector
        self._timeout = timeout
        # Responses want one to belong to.
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout
        )

    async def close(self) -> None:
        """Closes every connection."""
        await self._session.close()

    async def post(
        self, url: URL, body: bytes, headers: dict[str, str], proxy: URL | None
    ) -> aiohttp.ClientResponse:
        """Sends the body; the response when its head is there. The caller closes or releases it."""
        request = aiohttp.ClientRequest(
            "POST",
            url,
            headers=CIMultiDict(headers),
            skip_auto_headers=_SKIPPED,
            data=aiohttp.BytesPayload(body) if len(body) < BIG_BODY_BYTES else io.BytesIO(body),
            session=self._session,
            proxy=proxy,
        )
        connection = await self._connector.connect(request, _NO_TRACES, self._timeout)
        try:
            if connection.protocol is None:
                raise aiohttp.ServerDisconnectedError
            connection.protocol.set_response_params(read_until_eof=True, read_bufsize=READ_BYTES)
            response = await request.send(connection)
            try:
                await response.start(connection)
            except BaseException:
                response.close()
                raise
        except BaseException:
            connection.close()
            raise
        return response


async def read_some(reader: aiohttp.StreamReader) -> bytes:
    """All bytes that are there, once there are any; none at the end of the body.

    What `readany` does for a reader that is read in no other way. That takes each HTTP chunk by itself, asks
    parser and transport after each to go on, paused or not, and forgets what came just before an error.
    """
    chunks = reader._buffer
    while not (chunks or reader._eof or reader._exception is not None):
        await reader._wait("read_some")
    if not chunks:
        return await reader.readany()  # the end, or why there is none
    data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    chunks.clear()
    reader._size = 0
    reader._cursor = reader.total_bytes
    if reader._http_chunk_splits:
        reader._http_chunk_splits.clear()
    if reader._protocol._reading_paused:
        reader._protocol.resume_reading()
    return data
