"""The bare relay: raw ASGI on uvicorn, aiohttp behind it, and the least translation in between.

It marks what the stack itself costs: no keys, no limits, no log, no error handling. The address of the
upstream comes from the environment variable UPSTREAM. Run it from the repository's root with
`uvicorn bench.relay.app:app`.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple, Protocol

import aiohttp
import orjson

from bench.relay import chat, translation

Json = dict[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_JSON = [(b"content-type", b"application/json")]
_SSE = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class Stream(Protocol):
    """Translates one stream."""

    def feed(self, chunk: bytes) -> bytes: ...


class Surface(NamedTuple):
    """What one API's clients say and are told."""

    ask: Callable[[Json], Json]
    whole: Callable[[Json], Json]
    stream: Callable[[], Stream]


MESSAGES = Surface(translation.to_responses, translation.to_message, translation.StreamRelay)
CHAT = Surface(chat.to_responses, chat.to_completion, chat.ChatRelay)


class Verbatim:
    """A stream that needs no translation."""

    def feed(self, chunk: bytes) -> bytes:
        return chunk


def _same(value: Json) -> Json:
    return value


RESPONSES = Surface(_same, _same, Verbatim)
SURFACES = {"/v1/chat/completions": CHAT, "/v1/responses": RESPONSES}


class Relay:
    """The ASGI application; the client session lives from the lifespan's start to its end."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["method"] == "POST":
            await self._relay(SURFACES.get(scope["path"], MESSAGES), receive, send)
        else:
            await _answer(send, b"{}")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"content-type": "application/json", "authorization": "Bearer sk-bench"},
        ) as self._session:
            gc.freeze()  # full collections then skip what start-up left: 15 ms each
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _relay(self, surface: Surface, receive: Receive, send: Send) -> None:
        body = surface.ask(orjson.loads(await _read(receive)))
        assert self._session is not None
        if not body["stream"]:
            async with self._session.post(self._upstream, data=orjson.dumps(body)) as answer:
                whole = orjson.loads(await answer.read())
            await _answer(send, orjson.dumps(surface.whole(whole)))
            return
        relaying = asyncio.current_task()
        assert relaying is not None
        watcher = asyncio.ensure_future(_watch(receive, relaying))
        try:
            await self._stream(self._session, surface.stream(), orjson.dumps(body), send)
        except asyncio.CancelledError:
            if not watcher.done():
                raise
        finally:
            watcher.cancel()

    async def _stream(self, session: aiohttp.ClientSession, relay: Stream, body: bytes, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _SSE})
        async with session.post(self._upstream, data=body) as answer:
            async for chunk in answer.content.iter_any():
                if data := relay.feed(chunk):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _read(receive: Receive) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message["body"])
        more = message.get("more_body", False)
    return b"".join(parts)


async def _answer(send: Send, body: bytes) -> None:
    headers = [*_JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _watch(receive: Receive, relaying: asyncio.Task[Any]) -> None:
    """A client that leaves must end the upstream stream."""
    while (await receive())["type"] != "http.disconnect":
        pass
    relaying.cancel()


app = Relay(os.environ.get("UPSTREAM", "http://127.0.0.1:9100/v1/responses"))
