"""A scripted upstream on a raw socket: it says exactly the bytes a test wants, and notes what it was sent.

Unlike the simulator it has no opinion: it serves for what a real server would never send on purpose.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from dragoman.wire import jsonio

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class Seen:
    """One request as it arrived, and whether the caller hung up before the answer was complete."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Talk:
    """What a script may do."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    seen: Seen

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> None:
        await self.say(HEAD)

    async def chunk(self, data: bytes) -> None:
        await self.say(b"%x\r\n%s\r\n" % (len(data), data))

    async def events(self, *events: dict[str, Any]) -> None:
        for event in events:
            await self.chunk(frame(event))

    async def end(self) -> None:
        await self.say(b"0\r\n\r\n")

    async def reset(self) -> None:
        """RST instead of FIN."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def until_gone(self) -> None:
        """Waits until the caller hangs up."""
        while await self.reader.read(65536):
            pass


Script = Callable[[Talk], Awaitable[None]]


def frame(event: dict[str, Any]) -> bytes:
    """One SSE frame."""
    name: str = event["type"]
    return b"event: " + name.encode() + b"\ndata: " + jsonio.dump(event) + b"\n\n"


def created() -> dict[str, Any]:
    return {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}}


def delta(text: str, item: str = "msg_1") -> dict[str, Any]:
    return {
        "type": "response.output_text.delta",
        "item_id": item,
        "output_index": 0,
        "content_index": 0,
        "delta": text,
    }


def completed(output: int = 2, cached: int = 0, total: int = 10) -> dict[str, Any]:
    """The terminal event with its usage."""
    usage = {
        "input_tokens": total,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": total + output,
    }
    return {
        "type": "response.completed",
        "response": {
            "id": "resp_1",
            "object": "response",
            "created_at": 7,
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": "gpt-5.5",
            "output": [],
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": usage,
        },
    }


def failed(code: str, message: str = "it failed") -> dict[str, Any]:
    return {
        "type": "response.failed",
        "response": {"id": "resp_1", "status": "failed", "error": {"code": code, "message": message}},
    }


async def answer(talk: Talk) -> None:
    """A good short answer."""
    await talk.head()
    await talk.events(created(), delta("Hello"), delta(" there"), completed())
    await talk.end()


def status(code: int, body: Any = None, headers: dict[str, str] | None = None) -> Script:
    """An HTTP refusal."""

    async def script(talk: Talk) -> None:
        data = (
            body
            if isinstance(body, bytes)
            else jsonio.dump(body or {"error": {"message": "no", "code": None}})
        )
        kind = "text/html" if isinstance(body, bytes) else "application/json"
        fields = {"content-type": kind, "content-length": str(len(data)), **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await talk.say(f"HTTP/1.1 {code} Status\r\n{lines}\r\n".encode() + data)

    return script


class Upstream:
    """Plays one script per request, in order; the last one repeats."""

    def __init__(self) -> None:
        self.scripts: list[Script] = [answer]
        self.seen: list[Seen] = []
        self.faults: list[BaseException] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def play(self, *scripts: Script) -> None:
        self.scripts = list(scripts)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (seen := await _read(reader)) is not None:
                self.seen.append(seen)
                script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
                try:
                    await script(Talk(reader, writer, seen))
                except (ConnectionError, asyncio.IncompleteReadError):
                    seen.hung_up.set()
                    return
                if writer.transport.is_closing():
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        except Exception as error:
            self.faults.append(error)
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(":", 1) for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    data = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(first.split(" ")[1], headers, jsonio.parse(data) if data else {})


@asynccontextmanager
async def upstream(*scripts: Script) -> AsyncIterator[Upstream]:
    """A scripted upstream on a free port; without scripts it gives good short answers."""
    one = Upstream()
    if scripts:
        one.play(*scripts)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
    assert one.faults == []
