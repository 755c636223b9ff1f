"""Where the browser comes back to after a log-in: one address on loopback, for one log-in.

It answers `GET /auth/callback` and nothing else, believes nothing without the state that this log-in began
with, and ends with the first good answer. Where the port is taken or the browser runs elsewhere, the address
that the browser shows can be pasted: `parse_callback` reads it alike.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

PORT = 1455
PATH = "/auth/callback"
_HEAD_BYTES = 16 * 1024
_HEAD_SECONDS = 10.0

_DONE = "You are logged in. This window can be closed."
_PAGE = "<!doctype html><meta charset=utf-8><title>dragoman</title><p>{}</p>"


class CallbackError(ValueError):
    """No code came back; the message is one sentence that says what to do."""


def parse_callback(url: str, state: str) -> str:
    """The code in the address that the browser was sent back to. Raises CallbackError.

    Takes the whole address, its path and query, or the query alone.
    """
    text = url.strip()
    try:
        query = urlsplit(text if "?" in text else f"?{text}").query
        fields = parse_qs(query, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise CallbackError("That is no address: paste all that the browser's address bar shows.") from None
    given = {name: values[0] for name, values in fields.items()}
    if "code" not in given and "error" not in given:
        raise CallbackError(
            "There is no code in it: paste the address that the browser shows after the log-in, as a whole."
        )
    if not hmac.compare_digest(given.get("state", "").encode(), state.encode()):
        raise CallbackError("It belongs to another log-in: use the address of the last one, or start again.")
    if "error" in given:
        refused = given["error"] == "access_denied"
        what = "was refused in the browser" if refused else "failed at the issuer"
        raise CallbackError(f"The log-in {what}: start it again.")
    if not given["code"]:
        raise CallbackError("The code is empty: start the log-in again.")
    return given["code"]


class Callback:
    """A callback that is awaited."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._code: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._talks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def code(self, seconds: float) -> str:
        """Waits for the code. Raises CallbackError when it was refused or nobody came in time."""
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(self._code)
        except TimeoutError:
            raise CallbackError(
                "Nobody came back from the browser in time: start the log-in again."
            ) from None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._talk(reader, writer))
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        writer.close()

    def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        target = rest.rpartition(" ")[0]
        if target.split("?", 1)[0] != PATH:
            return _page(404, "There is nothing here but the end of a log-in.")
        if method != "GET":
            return _page(405, "Only GET is answered here.")
        if self._code.done():
            return _page(410, "This log-in is over.")
        try:
            code = parse_callback(target, self._state)
        except CallbackError as problem:
            # One who does not know the state cannot end the log-in; a refusal with it does.
            if _knows(target, self._state):
                self._code.set_exception(problem)
                self._code.exception()  # looked at, even if nobody waits any more
            return _page(400, str(problem))
        self._code.set_result(code)
        return _page(200, _DONE)

    async def end(self) -> None:
        """Lets the last page go out."""
        if self._talks:
            await asyncio.wait(self._talks, timeout=1.0)
        for task in self._talks:
            task.cancel()


@asynccontextmanager
async def awaited(state: str, port: int = PORT) -> AsyncIterator[Callback]:
    """Listens on loopback while the block lasts. Raises CallbackError where the port is taken."""
    callback = Callback(state)
    try:
        server = await asyncio.start_server(callback._accept, "127.0.0.1", port, limit=_HEAD_BYTES)
    except OSError as error:
        raise CallbackError(
            f"Port {port} of this machine cannot be used ({error.strerror}): finish the log-in in the "
            "browser and paste the address that it shows."
        ) from None
    callback.port = server.sockets[0].getsockname()[1]
    try:
        yield callback
    finally:
        server.close()
        await callback.end()
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await server.wait_closed()


def _knows(target: str, state: str) -> bool:
    given = parse_qs(urlsplit(target).query).get("state", [""])[0]
    return hmac.compare_digest(given.encode(), state.encode())


def _page(status: int, text: str) -> bytes:
    reason = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 410: "Gone"}[status]
    body = _PAGE.format(text).encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\ncontent-type: text/html; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\ncache-control: no-store\r\nreferrer-policy: no-referrer\r\n"
        "content-security-policy: default-src 'none'\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
