"""Reading what arrives: the body with its content coding, the log record, the headers nobody should send.

It follows RFC 9110 for one layer of gzip, deflate or zstd, and the service's wording for unreadable bodies.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import zstandard
from aiohttp import web

from dragoman.simulator.log import Record, forbidden
from dragoman.simulator.refusal import breach
from dragoman.simulator.state import State
from dragoman.wire import jsonio

MAX_BODY = 64 * 1024 * 1024

_CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "identity": lambda raw: raw,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": lambda raw: zstandard.ZstdDecompressor().decompressobj().decompress(raw),
}


def open_record(request: web.Request, state: State) -> Record:
    """Begins the log record of a request."""
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers]
    return state.log.open(state.clock.now(), request.method, request.path_qs, pairs)


async def read_json(request: web.Request, state: State, record: Record) -> Any:
    """The parsed body. Raises Refused; the raw bytes are in the log in any case."""
    raw = await request.read()
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    body, problem = raw, ""
    if coding not in _CODINGS:
        problem = f"Unsupported content encoding: '{coding}'."
    else:
        try:
            body = _CODINGS[coding](raw)
        except (OSError, EOFError, zlib.error, zstandard.ZstdError):
            problem = f"The request body is not valid {coding}."
    state.log.keep(record, raw, body)
    note_headers(state, record, dict(request.headers))
    if problem:
        raise breach("content_encoding", problem)
    if request.content_type != "application/json":
        message = (
            f"Unsupported content type: '{request.content_type}'. This API method only accepts "
            "'application/json' requests, but you specified the header "
            f"'Content-Type: {request.headers.get('content-type', '')}'."
        )
        raise breach("content_type", message)
    try:
        return jsonio.parse(body)
    except jsonio.InvalidJson as error:
        message = f"We could not parse the JSON body of your request. ({error})"
        raise breach("json", message) from error


def note_headers(state: State, record: Record, headers: Mapping[str, str]) -> None:
    """Counts headers that belong to the gateway's client and not to its upstream."""
    for name in forbidden(headers):
        state.forbidden_headers[name] += 1
        state.log.breach(record, "forbidden_header", f"header '{name}' reached the upstream", name)


def lowered(request: web.Request) -> dict[str, str]:
    """The headers with lower-case names."""
    return {name.lower(): value for name, value in request.headers.items()}
