"""Server-sent events: bytes to events and events to bytes.

The decoder follows the WHATWG event stream grammar as far as model APIs use it: lines end in LF, CRLF or
CR and nothing else (never U+2028), `event` and `data` are read, comments, `id` and `retry` are skipped.
It works on bytes, so a chunk may end inside a character. It never interprets the data.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from dragoman.wire import jsonio

MAX_EVENT = 16 * 1024 * 1024

_BLANK_LINE = re.compile(b"\n\n")  # splits twice as fast as bytes.split, which looks at every byte
# What servers send: one line of each. Anything else stays unmatched as a whole.
_PLAIN_DATA = re.compile(rb"(?:\A|(?<=\n\n))event: [^\n]*\ndata: ([^\n]*)\n\n")
_JOINED = 4096  # a rest up to here is put before the next chunk; longer ones wait in pieces
_BOM = b"\xef\xbb\xbf"
# U+2028, U+2029 and U+0085, at which many clients split lines although no event stream does.
_SEPARATORS = re.compile(b"\xe2\x80[\xa8\xa9]|\xc2\x85")

COMMENT = b": ping\n\n"  # for dialects that have no event for it: every parser passes it over
PING = b'event: ping\ndata: {"type":"ping"}\n\n'


class Event(NamedTuple):
    """One event: its name ("" when the frame had no `event:` line) and its data lines joined by LF."""

    name: str
    data: bytes


class EventTooLarge(ValueError):
    """An event grew beyond the limit before its end was seen."""


class Decoder:
    """Incremental decoder: `feed` returns the events that are complete, `flush` the one that EOF ended.

    What is kept between two chunks is a list of pieces that hold no blank line, so an event of any size
    in any number of chunks is looked at once and joined once.
    """

    __slots__ = ("_held", "_limit", "_pieces", "_size", "_skip_lf", "_start")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0
        self._held = False  # the pieces are followed by one line end, which may be half of a blank line
        self._skip_lf = False  # the last byte was CR: a LF that comes next belongs to it
        self._start: bytes | None = b""  # the first bytes, until they are known (not) to be a BOM

    def feed(self, chunk: bytes) -> list[Event]:
        """Takes the next bytes. Raises EventTooLarge when an event exceeds the limit, finished or not."""
        return [event for frame in self._frames(chunk) if (event := _parse(frame)) is not None]

    def feed_data(self, chunk: bytes) -> list[bytes]:
        """The same for who needs no names: the data of each event alone, at a third of the cost."""
        if self._start == b"" and chunk.startswith(b"event: "):
            self._start = None
        if self._start is None and not self._skip_lf and self._size <= _JOINED and b"\r" not in chunk:
            if self._pieces or self._held:
                chunk = b"".join(self._pieces) + (b"\n" if self._held else b"") + chunk
                self._pieces, self._size, self._held = [], 0, False
            found = _PLAIN_DATA.findall(chunk)
            if found and len(chunk) <= self._limit and len(found) == chunk.count(b"\n\n"):
                self._keep(chunk[chunk.rindex(b"\n\n") + 2 :])
                return found
        return [data for frame in self._frames(chunk) if (data := data_of(frame)) is not None]

    def feed_frames(self, chunk: bytes) -> list[bytes]:
        """The same for who passes events on: each as it came, less the blank line that ends it."""
        return [frame for frame in self._frames(chunk) if frame]

    def rest(self) -> bytes:
        """What `flush` would read, unread: a last frame without its blank line, b"" where there is none."""
        rest = b"".join(self._pieces) if self._held else b""
        self._pieces, self._size, self._held = [], 0, False
        return rest

    def _frames(self, chunk: bytes) -> list[bytes]:
        """What stands between two blank lines, as far as it is complete."""
        if self._start is not None:
            chunk = self._start + chunk
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._start = chunk
                return []
            self._start = None
            chunk = chunk.removeprefix(_BOM)
        if self._skip_lf and chunk:
            self._skip_lf = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._skip_lf = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if self._held:
            chunk = b"\n" + chunk
        *frames, rest = _BLANK_LINE.split(chunk)
        size = self._size + len(chunk)
        if frames:
            if self._pieces:
                self._pieces.append(frames[0])
                frames[0] = b"".join(self._pieces)
                self._pieces = []
            self._size = 0
        self._keep(rest)
        if size > self._limit and (self._size > self._limit or any(len(f) > self._limit for f in frames)):
            raise EventTooLarge(f"an event exceeds {self._limit} bytes")
        return frames

    def _keep(self, rest: bytes) -> None:
        """The beginning of a frame whose end is not there yet."""
        self._held = rest.endswith(b"\n")
        if self._held:
            rest = rest[:-1]
        if rest:
            self._pieces.append(rest)
            self._size += len(rest)

    def flush(self) -> list[Event]:
        """The event that was complete but for its blank line, if any; the decoder is empty afterwards."""
        # Cut inside a line, the data may be half: such an event is dropped.
        event = _parse(b"".join(self._pieces)) if self._held else None
        self._pieces, self._size, self._held = [], 0, False
        return [] if event is None else [event]


def sound(frames: list[bytes]) -> tuple[list[bytes], bool]:
    """The frames that may go on as they came, up to the first that is no UTF-8, and whether all are.

    A line separator inside them is written as JSON's escape: in JSON it stands in texts alone.
    """
    if all(map(bytes.isascii, frames)):
        return frames, True
    good: list[bytes] = []
    for frame in frames:
        try:
            frame.decode()
        except UnicodeDecodeError:
            return good, False
        good.append(_SEPARATORS.sub(_escaped, frame))
    return good, True


def _escaped(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())


def data_of(frame: bytes) -> bytes | None:
    """The data of one frame, None where it has none (a comment)."""
    name, found, data = frame.partition(b"\ndata: ")
    if found and b"\n" not in data and name.startswith(b"event: ") and b"\n" not in name:
        return data  # what servers send: one line of each
    event = _parse(frame)
    return None if event is None else event.data


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
        elif line == b"event":
            name = b""
    if not data:
        return None
    return Event(name.decode("utf-8", "replace"), data[0] if len(data) == 1 else b"\n".join(data))


def join(frames: list[bytes]) -> bytes:
    """Frames as one piece of a stream, each with the blank line that ends it."""
    return b"\n\n".join(frames) + b"\n\n"


def encode(event: dict[str, Any]) -> bytes:
    """One frame of an event whose name is its own `type`, as Anthropic's and OpenAI's streams do."""
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), jsonio.dump_line(event))


def encode_all(events: list[dict[str, Any]]) -> bytes:
    """All events of a chunk as one piece, because one write costs as much as one event."""
    return b"".join(map(encode, events))


def encode_data(chunk: dict[str, Any]) -> bytes:
    """One frame without a name, as the streams of Chat Completions have them."""
    return b"data: %b\n\n" % jsonio.dump_line(chunk)


def encode_chunks(chunks: list[dict[str, Any]]) -> bytes:
    """All chunks of a write as one piece."""
    return b"".join(map(encode_data, chunks))


DONE = b"data: [DONE]\n\n"
