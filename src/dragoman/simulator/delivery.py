"""Delivery: frames onto a connection, at their pace, with the faults a rule asks for.

It owns the transport tricks: cuts after so many events or bytes, resets, stalls, dripping, odd chunking and
line ends. It never decides what is said.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from dragoman.simulator.answer import Frame, Pause, Verbatim
from dragoman.simulator.faults import CUTS, Fault, find
from dragoman.simulator.log import Record
from dragoman.simulator.scenario import Pace
from dragoman.wire import sse

_BATCH = 16 * 1024
_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})
_TICK = 0.02
_SEND_LIMIT = 5.0


class _Cut(Exception):
    """The scripted place of a cut was reached."""


@dataclass(slots=True)
class Delivery:
    """One stream to one client. `on_content` is called just before the first content event leaves."""

    request: web.Request
    record: Record
    faults: tuple[Fault, ...]
    pace: Pace
    speed: float
    on_content: Callable[[], None]
    _bytes: int = 0
    _begun: bool = False
    _squeeze: Any = None

    async def stream(self, frames: Iterable[Frame], headers: Mapping[str, str]) -> web.StreamResponse:
        """Sends a 200 stream. Returns the response, finished or cut."""
        response = web.StreamResponse(headers=dict(headers))
        kind = find(self.faults, "content_type")
        response.headers["content-type"] = str(kind.args.get("value")) if kind else "text/event-stream"
        response.headers["cache-control"] = "no-cache"
        if find(self.faults, "gzip"):
            response.headers["content-encoding"] = "gzip"
            self._squeeze = zlib.compressobj(wbits=31)
        if find(self.faults, "goaway"):
            response.force_close()
        if (slow := find(self.faults, "slow_headers")) is not None:
            await asyncio.sleep(slow.number("seconds", 1.0))
        await self._rest(self.pace.headers_ms)
        await response.prepare(self.request)
        self.record.status = 200
        cut = find(self.faults, *CUTS)
        try:
            await self._pump(response, frames, cut)
        except _Cut:
            assert cut is not None
            self.record.ended = f"fault:{cut.kind}"
            if cut.kind != "end":
                await self.break_off(reset=cut.kind == "rst")
                return response
        if self._squeeze is not None:
            await response.write(self._squeeze.flush())
        await response.write_eof()
        self.record.ended = self.record.ended or "complete"
        return response

    async def whole(self, body: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
        """Sends a 200 JSON answer, or the part of it that a cut leaves."""
        await self.hold()
        await self._rest(self.pace.headers_ms + self.pace.first_token_ms)
        self.on_content()
        cut = find(self.faults, *CUTS)
        if cut is None:
            self.record.ended = "complete"
            self.record.status = 200
            return web.Response(body=body, headers=dict(headers), content_type="application/json")
        response = web.StreamResponse(headers=dict(headers))
        response.content_type = "application/json"
        self.record.ended = f"fault:{cut.kind}"
        if (sent := int(cut.number("after_bytes"))) > 0:
            self.record.status = 200
            response.content_length = len(body)
            await response.prepare(self.request)
            await response.write(body[:sent])
        await self.break_off(reset=cut.kind == "rst")
        return response

    async def hold(self) -> None:
        """The silences before an answer that is sent whole."""
        for fault in self.faults:
            if fault.kind in ("slow_headers", "stall"):
                await asyncio.sleep(fault.number("seconds", 1.0))

    async def reset(self, *, hard: bool = True) -> web.StreamResponse:
        """Drops the connection without an answer, by reset or by an orderly close."""
        self.record.ended = "fault:rst" if hard else "fault:disconnect"
        await self.break_off(reset=hard)
        return web.Response(status=500)

    async def _pump(self, response: web.StreamResponse, frames: Iterable[Frame], cut: Fault | None) -> None:
        paced = bool(self.faults) or self._paced()
        batch = b""
        for frame in frames:
            if isinstance(frame, Pause):
                batch = await self._flush(response, batch)
                await self._rest(frame.ms)
                continue
            if isinstance(frame, dict) and not self._begun and is_content(frame):
                batch = await self._flush(response, batch)
                await self._rest(self.pace.first_token_ms)
                self._begun = True
                self.on_content()
            raw = frame.raw if isinstance(frame, Verbatim) else sse.encode(frame)
            if not paced:
                self.record.events += 1
                batch += raw
                if len(batch) >= _BATCH:
                    batch = await self._flush(response, batch)
                continue
            await self._event(response, raw, frame, cut)
            if isinstance(frame, dict) and frame["type"].endswith(".delta"):
                await self._rest(self.pace.per_chunk_ms)
        await self._flush(response, batch)
        if cut is not None and cut.args.get("at_end"):
            raise _Cut

    async def _event(self, response: web.StreamResponse, raw: bytes, frame: Frame, cut: Fault | None) -> None:
        """One event under faults."""
        events = self.record.events
        if (stall := find(self.faults, "stall")) is not None and events == stall.number("after_events"):
            await asyncio.sleep(stall.number("seconds", 60.0))
        garbage = find(self.faults, "garbage_event")
        if garbage is not None and events == garbage.number("after_events"):
            text = str(garbage.args.get("text", '{"type":"response.output_text.delta",'))
            await self._write(response, f"event: response.output_text.delta\ndata: {text}\n\n".encode(), None)
        if find(self.faults, "crlf"):
            raw = raw.replace(b"\n", b"\r\n")
        by_events = cut is not None and not cut.args.keys() & {"after_bytes", "at_end"}
        if cut is not None and by_events and events >= cut.number("after_events", 3):
            if cut.args.get("mid_event"):
                await self._write(response, raw[: len(raw) // 2], None)
            raise _Cut
        await self._write(response, raw, cut)
        self.record.events += 1
        if isinstance(frame, dict) and frame["type"] in _TERMINAL and find(self.faults, "duplicate_terminal"):
            await self._write(response, raw, cut)

    async def _write(self, response: web.StreamResponse, raw: bytes, cut: Fault | None) -> None:
        limit = cut.args.get("after_bytes") if cut is not None else None
        over = limit is not None and self._bytes + len(raw) >= int(limit)
        if over:
            raw = raw[: int(limit or 0) - self._bytes]
        self._bytes += len(raw)
        if self._squeeze is not None:
            raw = self._squeeze.compress(raw) + self._squeeze.flush(zlib.Z_SYNC_FLUSH)
        drip = find(self.faults, "slow_drip")
        for piece in self._pieces(raw):
            await response.write(piece)
            if drip is not None:
                await asyncio.sleep(len(piece) / max(1.0, drip.number("bytes_per_s", 100.0)))
            else:
                await asyncio.sleep(0)
        if over:
            raise _Cut

    def _pieces(self, raw: bytes) -> Iterator[bytes]:
        """The writes a chunk is made of: whole, sliced, dripped, or split inside characters."""
        if not raw:
            return
        drip, sliced = find(self.faults, "slow_drip"), find(self.faults, "slice")
        if drip is not None:
            size = max(1, int(drip.number("bytes_per_s", 100.0) / 20))
        elif sliced is not None:
            size = max(1, int(sliced.number("bytes", 1)))
        elif find(self.faults, "split_utf8"):
            yield from _split_inside_characters(raw)
            return
        else:
            size = len(raw)
        for at in range(0, len(raw), size):
            yield raw[at : at + size]

    async def _flush(self, response: web.StreamResponse, batch: bytes) -> bytes:
        if batch:
            await response.write(batch)
            await asyncio.sleep(0)  # a write to a fast reader never yields by itself
        return b""

    def _paced(self) -> bool:
        return self.speed > 0 and (self.pace.per_chunk_ms > 0 or self.pace.first_token_ms > 0)

    async def _rest(self, ms: float) -> None:
        if ms > 0 and self.speed > 0:
            await asyncio.sleep(ms * self.speed / 1000)

    async def break_off(self, *, reset: bool) -> None:
        transport = self.request.transport
        if transport is None:
            return
        waited = 0.0
        while transport.get_write_buffer_size() and waited < _SEND_LIMIT:
            await asyncio.sleep(_TICK)
            waited += _TICK
        if reset:
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()


def is_content(event: Mapping[str, Any]) -> bool:
    return event["type"] in ("response.output_item.added", "response.completed", "response.incomplete")


def _split_inside_characters(raw: bytes) -> Iterator[bytes]:
    """Pieces whose borders lie inside multibyte characters, one border per character."""
    start = 0
    for at in range(1, len(raw)):
        if raw[at] & 0xC0 == 0x80 and raw[at - 1] & 0xC0 == 0xC0:
            yield raw[start:at]
            start = at
    yield raw[start:]
