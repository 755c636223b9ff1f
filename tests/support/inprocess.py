"""A whole gateway inside the test's loop, on a free port, with its rows in a list."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import aiohttp

from dragoman.gateway.ports import Row
from dragoman.serving.assembly import Assembly, assemble
from dragoman.serving.fleet import Fleet
from dragoman.serving.start import resolve
from dragoman.serving.store import opened
from dragoman.settings import Settings
from dragoman.store.health import Health
from dragoman.telemetry import logs
from dragoman.telemetry.ledger import LogLedger
from dragoman.upstream.accounts import StaticAccount
from dragoman.upstream.roads import LiveRoads
from dragoman.web.door import Drain, Limits, Server, listen
from dragoman.web.protocol import DoorConfig
from dragoman.web.reply import fresh_request_id
from dragoman.wire import jsonio, sse

if TYPE_CHECKING:
    from dragoman.telemetry.traces import Tracer


@dataclass
class Rows:
    """The ledger of a test: keeps the rows and writes the real log line."""

    log: LogLedger
    rows: list[Row] = field(default_factory=list)

    def record(self, row: Row) -> None:
        self.log.record(row)
        self.rows.append(row)


@dataclass
class Reply:
    """A whole HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return jsonio.parse(self.body)

    @property
    def frames(self) -> list[bytes]:
        """The data of each frame of a stream, `[DONE]` included."""
        decoder = sse.Decoder()
        return [event.data for event in decoder.feed(self.body) + decoder.flush()]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [jsonio.parse(data) for data in self.frames if data != b"[DONE]"]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events if event["type"] != "ping"]

    @property
    def text(self) -> str:
        parts = (event.get("delta", {}).get("text", "") for event in self.events)
        return "".join(parts)

    @property
    def deltas(self) -> list[dict[str, Any]]:
        """What each chunk of a chat adds."""
        return [choice["delta"] for event in self.events for choice in event.get("choices", ())]

    @property
    def content(self) -> str:
        """The text of a chat's chunks."""
        return "".join(delta.get("content") or "" for delta in self.deltas)

    @property
    def finish(self) -> list[str]:
        """Every finish reason of a chat's chunks."""
        choices = [choice for event in self.events for choice in event.get("choices", ())]
        return [choice["finish_reason"] for choice in choices if choice["finish_reason"]]


@dataclass
class Gateway:
    """What a test talks to."""

    url: str
    assembly: Assembly
    rows: list[Row]
    log: io.StringIO
    settings: Settings
    session: aiohttp.ClientSession
    stop: Callable[[], None]

    async def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Reply:
        data = body if isinstance(body, bytes) else jsonio.dump(body)
        fields = {"content-type": "application/json", **(headers or {})}
        async with self.session.post(self.url + path, data=data, headers=fields) as response:
            content = await response.read()
            return Reply(response.status, {k.lower(): v for k, v in response.headers.items()}, content)

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Reply:
        async with self.session.get(self.url + path, headers=headers) as response:
            content = await response.read()
            return Reply(response.status, {k.lower(): v for k, v in response.headers.items()}, content)

    async def ask(self, text: str = "Hi", **more: Any) -> Reply:
        """A streamed question; `stream=False` for a whole answer."""
        request = {
            "model": "claude-test",
            "max_tokens": 1000,
            "stream": True,
            "messages": [{"role": "user", "content": text}],
            **more,
        }
        return await self.post("/v1/messages", request)

    async def chat(self, text: str = "Hi", headers: dict[str, str] | None = None, **more: Any) -> Reply:
        """The same as a chat."""
        request = {
            "model": "claude-test",
            "stream": True,
            "messages": [{"role": "user", "content": text}],
            **more,
        }
        return await self.post("/v1/chat/completions", request, headers)

    def serve_by(self, account: StaticAccount) -> None:
        """This account is the only one from now on; it takes the road of the one that had its name."""
        roads = cast(LiveRoads, self.assembly.upstream._roads)
        self.assembly.house.accounts = Fleet([account], b"salt", roads)

    async def row(self, count: int = 1) -> Row:
        """The count-th row, as soon as it is there."""
        async with asyncio.timeout(30):
            while len(self.rows) < count:
                await asyncio.sleep(0.005)
        return self.rows[count - 1]


@asynccontextmanager
async def gateway(
    tmp_path: Path,
    settings: dict[str, Any],
    *,
    stored: bool = False,
    style: Literal["console", "json"] = "json",
    level: str = "info",
    tracer: Tracer | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[Gateway]:
    """Serves with these settings (shaped like the file); everything is closed afterwards.

    `stored` opens the database that the settings name, and writes the ledger to it.
    """
    table = {"models": {"claude-*": "gpt-5.5@medium"}, **settings}
    log = io.StringIO()
    logger = logs.configure(style, level, log)
    rows = Rows(LogLedger(logger))
    start = resolve(Settings.model_validate(table), tmp_path)
    if not stored:
        made = await assemble(start, logger, rows, tracer=tracer)
        async with _served(made, rows, log, start.settings, limits) as served:
            yield served
        return
    health = Health()
    async with opened(start.settings, tmp_path, monotonic=time.monotonic, health=health) as store:
        made = await assemble(start, logger, rows, store, health, tracer=tracer)
        async with _served(made, rows, log, start.settings, limits) as served:
            yield served


@asynccontextmanager
async def _served(
    assembly: Assembly, rows: Rows, log: io.StringIO, settings: Settings, limits: Limits | None
) -> AsyncIterator[Gateway]:
    sockets = listen("127.0.0.1", 0)
    config = DoorConfig(
        assembly.app, limits=limits or Limits(), host_allowed=None, fresh_id=fresh_request_id, drain=Drain()
    )
    server = Server(config, sockets, drain_seconds=0.0, on_draining=assembly.house.gate.close)
    ready = asyncio.Event()
    task = asyncio.ensure_future(server.serve(ready.set))
    try:
        await ready.wait()
        port = sockets[0].getsockname()[1]
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            yield Gateway(
                f"http://127.0.0.1:{port}", assembly, rows.rows, log, settings, session, server.stop
            )
    finally:
        server.stop()
        await task
        for sock in sockets:
            sock.close()
        await assembly.close()
    # However they ended: who believed in streams that are gone would do large requests in pieces for ever.
    assert assembly.house.pieces.streams == 0
