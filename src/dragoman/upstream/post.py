"""One POST over a pool of connections: aiohttp's request and response without its session's errands.

A session looks for redirects, cookies, credentials, retries, traces and middlewares with every request, which
costs as much as the request itself; a gateway wants none of them. Raises what aiohttp's session would.
"""

from __future__ import annotations

import io
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

BIG_BODY_BYTES = 1024 * 1024
# Reading pauses at twice that: what a client that does not read keeps here, times the copies on the way.
READ_BYTES = 64 * 1024
# Not sent unless the caller says what.
_SKIPPED = frozenset({"User-Agent", "Accept", "Accept-Encoding", "Content-Type"})
_NO_TRACES: list[Any] = []


class Pool:
    """Connections to upstreams; `timeout` bounds connecting, never the answer."""

    def __init__(self, connector: aiohttp.BaseConnector, timeout: aiohttp.ClientTimeout) -> None:
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

    What `readany` does, but it takes each HTTP chunk by itself, which costs more than to decode the event in
    it; so the chunks are joined first.
    """
    chunks = reader._buffer
    while not (chunks or reader.at_eof() or reader.exception()):
        await reader._wait("read_some")
    if len(chunks) > 1:
        joined = b"".join(chunks)
        chunks.clear()
        chunks.append(joined)
    return await reader.readany()
