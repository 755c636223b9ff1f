"""One small question over HTTP: a request, a bounded answer, and whether a failed one may have been heard.

For the log-in host and the side pages of an upstream, never for a stream. It follows no redirect, keeps no
cookie, keeps no connection and repeats nothing: a dead connection that was kept would leave in doubt what was
sent. Nothing of a body or a header stands in what it raises.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from dragoman.upstream.proxies import proxy_for
from dragoman.wire import jsonio

SECONDS = 8.0
CONNECT_SECONDS = 4.0
MOST_BYTES = 4 * 1024 * 1024


class CallFailed(Exception):
    """No answer. `sent` tells whether the other side may have heard the request all the same."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `document` is its JSON, None where it is none; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    document: Any = field(repr=False)


class Calls:
    """Makes calls; opens its connector with the first."""

    def __init__(
        self, *, user_agent: str, ca_file: str | None = None, connect_seconds: float = CONNECT_SECONDS
    ) -> None:
        self._user_agent = user_agent
        self._ca_file = ca_file
        self._connect_seconds = connect_seconds
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, headers: Mapping[str, str], *, seconds: float = SECONDS) -> Reply:
        """A GET. Raises CallFailed."""
        return await self._call("GET", url, headers, None, seconds)

    async def post_json(
        self, url: str, document: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Reply:
        """A POST of a JSON object. Raises CallFailed."""
        fields = {"content-type": "application/json", **(headers or {})}
        return await self._call("POST", url, fields, jsonio.dump(document), SECONDS)

    async def post_form(self, url: str, form: Mapping[str, str]) -> Reply:
        """A POST of a form. Raises CallFailed."""
        fields = {"content-type": "application/x-www-form-urlencoded"}
        return await self._call("POST", url, fields, urlencode(form).encode(), SECONDS)

    async def close(self) -> None:
        """Ends what is still open."""
        if self._session is not None:
            await self._session.close()

    async def _call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> Reply:
        fields = {"accept": "application/json", "user-agent": self._user_agent, **headers}
        reached: list[bool] = []
        try:
            async with (
                asyncio.timeout(seconds),
                self._opened().request(
                    method,
                    URL(url, encoded=True),
                    headers=fields,
                    data=body,
                    proxy=proxy_for(url),
                    allow_redirects=False,
                    trace_request_ctx=lambda: reached.append(True),
                ) as response,
            ):
                content = await _read(response)
                told = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status, told, content, _parsed(content))
        except TimeoutError:
            raise CallFailed("no answer in time", sent=bool(reached)) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The class says what happened; the text may hold addresses.
            raise CallFailed(type(error).__name__, sent=bool(reached)) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            context: ssl.SSLContext | bool = True
            if self._ca_file is not None:
                context = ssl.create_default_context(cafile=self._ca_file)
            trace = aiohttp.TraceConfig()
            trace.on_connection_create_end.append(_connected)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, ssl=context),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_seconds),
                trace_configs=[trace],
            )
        return self._session


async def _connected(_: aiohttp.ClientSession, context: Any, __: object) -> None:
    """From here on the request may have been heard."""
    note: Callable[[], None] = context.trace_request_ctx
    note()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > MOST_BYTES:
            raise ValueError
    return bytes(data)


def _parsed(content: bytes) -> Any:
    try:
        return jsonio.parse(content)
    except jsonio.InvalidJson:
        return None
