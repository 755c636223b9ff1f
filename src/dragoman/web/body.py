"""Reading a request's body: bounded, decompressed once, parsed as strict JSON.

It decides how many bytes a request may be, raw and decoded, which content codings are taken (RFC 9110,
one layer of gzip, deflate or zstd) and what is told to whom sent something else. It never looks inside the
object: that is the translator's affair.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import zstandard

from dragoman.gateway.pieces import Pieces
from dragoman.wire import jsonio
from dragoman.wire.errors import Failure, Kind, Refused

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Decoder = Callable[[bytes], Iterator[bytes]]

LIMIT = 32 * 1024 * 1024
# Between two pauses, where something comes out.
_PAUSE = 1_000_000
_STEP = 256 * 1024
_STEPS = 512  # between two pauses, where nothing comes out
# A block of four bytes can stand for 128 KiB, so zstd is fed in slices whose worst case is still bounded.
_ZSTD_SLICE = 512
# RFC 9659: content coding zstd needs a window of 8 MiB at most.
_ZSTD_WINDOW = 8 * 1024 * 1024
_AFTER_DECODING = "request_body_too_large_after_decoding"


class ClientGone(Exception):
    """The client left before its request was complete."""


async def read(scope: Scope, receive: Receive, *, limit: int = LIMIT) -> bytes:
    """The whole body, decoded; `limit` bounds it as sent and as decoded.

    A declared length over the limit and an unknown coding are refused before a byte is read. Raises Refused
    and ClientGone.
    """
    declared = _field(scope, b"content-length")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    decode = _decoder(_field(scope, b"content-encoding"))
    raw = await _collect(receive, limit)
    return raw if decode is None else await _decoded(decode, raw, limit)


async def _collect(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _decoded(decode: _Decoder, raw: bytes, limit: int) -> bytes:
    """Decodes step by step: a bomb ends at the limit, and others get their turn in between."""
    parts: list[bytes] = []
    size = paused = 0
    try:
        for step, part in enumerate(decode(raw)):
            size += len(part)
            if size > limit:
                raise _too_large(limit, _AFTER_DECODING)
            parts.append(part)
            if size - paused >= _PAUSE or step % _STEPS == _STEPS - 1:
                paused = size
                await asyncio.sleep(0)
    except (zlib.error, zstandard.ZstdError, EOFError):
        raise Refused(
            Failure(Kind.ENCODING_INVALID, "The request body does not match its Content-Encoding.")
        ) from None
    return b"".join(parts)


def _inflate(raw: bytes, window: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(window)
    for start in range(0, len(raw), _STEP):
        piece = raw[start : start + _STEP]
        while piece:
            yield inflater.decompress(piece, _STEP)
            piece = inflater.unconsumed_tail
            if inflater.unused_data:
                raise EOFError("data after the end")
    # What is still inside is at most one step: the input is used up.
    yield inflater.flush()
    if not inflater.eof:
        raise EOFError("cut short")


def _gunzip(raw: bytes) -> Iterator[bytes]:
    return _inflate(raw, 16 + zlib.MAX_WBITS)


def _deflate(raw: bytes) -> Iterator[bytes]:
    """zlib's format as the RFC says, or the bare stream that some clients send under this name."""
    wrapped = len(raw) >= 2 and raw[0] & 0x0F == 8 and int.from_bytes(raw[:2], "big") % 31 == 0
    return _inflate(raw, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)


def _unzstd(raw: bytes) -> Iterator[bytes]:
    frame = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    for start in range(0, len(raw), _ZSTD_SLICE):
        if frame.eof:
            raise EOFError("data after the end")
        yield frame.decompress(raw[start : start + _ZSTD_SLICE])
    if not frame.eof or frame.unused_data:
        raise EOFError("not exactly one frame")


_DECODERS: dict[str, _Decoder | None] = {
    "": None,
    "identity": None,
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _deflate,
    "zstd": _unzstd,
}


def _decoder(field: str) -> _Decoder | None:
    codings = [token for token in (part.strip().lower() for part in field.split(",")) if token]
    if len(codings) > 1:
        raise _unsupported("Only one Content-Encoding can be taken off a request body.")
    coding = codings[0] if codings else ""
    if coding not in _DECODERS:
        raise _unsupported("The Content-Encoding is not supported: use gzip, deflate, zstd or none.")
    return _DECODERS[coding]


async def json_object(scope: Scope, body: bytes, pieces: Pieces) -> dict[str, Any]:
    """The body as a JSON object, parsed in one piece. Raises Refused."""
    _check_type(_field(scope, b"content-type"))
    if not body or body.isspace():
        raise _not_json("The request body is empty: a JSON object is expected.")
    async with pieces.of(len(body)):
        try:
            value = jsonio.parse(body)
        except jsonio.InvalidJson as error:
            raise _not_json(f"The request body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise Refused(
            Failure(Kind.INVALID_REQUEST, f"The request body must be a JSON object, not {_kind_of(value)}.")
        )
    return value


def _check_type(field: str) -> None:
    kind = field.partition(";")[0].strip().lower()
    if (
        kind
        and kind != "application/json"
        and not (kind.startswith("application/") and kind.endswith("+json"))
    ):
        raise Refused(
            Failure(Kind.INVALID_REQUEST, "content-type: must be application/json", should_retry=False)
        )


_KINDS: dict[type, str] = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


def _kind_of(value: Any) -> str:
    return _KINDS.get(type(value), "a number")


def _field(scope: Scope, wanted: bytes) -> str:
    """The header field, repeated ones joined by commas, "" where it is absent."""
    values = [value.decode("latin-1").strip() for name, value in scope["headers"] if name == wanted]
    return ", ".join(values)


def _too_large(limit: int, error_code: str | None = None) -> Refused:
    when = " after decoding" if error_code else ""
    message = f"The request body is larger than {limit} bytes{when}."
    return Refused(Failure(Kind.TOO_LARGE, message, error_code=error_code))


def _unsupported(message: str) -> Refused:
    return Refused(Failure(Kind.ENCODING_UNSUPPORTED, message))


def _not_json(message: str) -> Refused:
    return Refused(Failure(Kind.INVALID_JSON, message))
