"""Server-sent events: bytes to events and events to bytes.

The decoder follows the WHATWG event stream grammar as far as model APIs use it: lines end in LF, CRLF or
CR and nothing else (never U+2028), `event` and `data` are read, comments, `id` and `retry` are skipped.
It works on bytes, so a chunk may end inside a character. It never interprets the data.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dragoman.wire import jsonio

MAX_EVENT = 16 * 1024 * 1024

PING = b'event: ping\ndata: {"type":"ping"}\n\n'


class Event(NamedTuple):
    """One event: its name ("" when the frame had no `event:` line) and its data lines joined by LF."""

    name: str
    data: bytes


class EventTooLarge(ValueError):
    """An event grew beyond the limit before its end was seen."""


class Decoder:
    """Incremental decoder: `feed` returns the events that are complete, `flush` the one that EOF ended."""

    __slots__ = ("_buffer", "_foreign", "_limit", "_started")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._buffer = b""
        self._limit = limit
        self._foreign = False  # a CR was seen: take the slower way from now on
        self._started = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Takes the next bytes. Raises EventTooLarge when an unfinished event exceeds the limit."""
        data = self._buffer + chunk if self._buffer else chunk
        if not self._started:
            if len(data) < 3 and b"\xef\xbb\xbf".startswith(data):
                self._buffer = data
                return []
            self._started = True
            data = data.removeprefix(b"\xef\xbb\xbf")
        if self._foreign or b"\r" in data:
            self._foreign = True
            # A trailing CR may be the first half of CRLF: keep it back until its neighbour is known.
            held = b"\r" if data.endswith(b"\r") else b""
            body = data[: len(data) - len(held)]
            data = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        else:
            held = b""
        *frames, rest = data.split(b"\n\n")
        while rest.startswith(b"\n"):  # three or more line ends in a row
            rest = rest[1:]
        if len(rest) > self._limit or any(len(frame) > self._limit for frame in frames):
            raise EventTooLarge(f"an event exceeds {self._limit} bytes")
        self._buffer = rest + held
        return [event for frame in frames if (event := _parse(frame)) is not None]

    def flush(self) -> list[Event]:
        """The event that was complete but for its blank line, if any; the decoder is empty afterwards."""
        rest = self._buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self._buffer = b""
        if not rest.endswith(b"\n"):
            return []  # cut inside a line: the data may be half
        event = _parse(rest)
        return [] if event is None else [event]


def _parse(frame: bytes) -> Event | None:
    name = b""
    data: list[bytes] = []
    for line in frame.split(b"\n"):
        if line.startswith(b"data:"):
            data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line.startswith(b"event:"):
            name = line[7:] if line.startswith(b"event: ") else line[6:]
        elif line == b"data":
            data.append(b"")
    if not data:
        return None
    return Event(name.decode("utf-8", "replace"), data[0] if len(data) == 1 else b"\n".join(data))


def encode(event: dict[str, Any]) -> bytes:
    """One frame of an event whose name is its own `type`, as Anthropic's and OpenAI's streams do."""
    return b"event: " + event["type"].encode() + b"\ndata: " + jsonio.dump_line(event) + b"\n\n"


def encode_all(events: list[dict[str, Any]]) -> bytes:
    """All events of a chunk as one piece, because one write costs as much as one event."""
    return b"".join(map(encode, events))
