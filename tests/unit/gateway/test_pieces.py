"""Large requests come in pieces; streams get their turn in between."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from dragoman.gateway.pieces import HUGE, LARGE, Pieces
from dragoman.web import body
from dragoman.wire import jsonio
from dragoman.wire.errors import Refused

SCOPE: dict[str, Any] = {"type": "http", "headers": [(b"content-type", b"application/json")]}


def _text(size: int) -> bytes:
    return b'{"a":"' + b"x" * size + b'"}'


def _beside_streams(count: int) -> Pieces:
    pieces = Pieces()
    pieces.streams = count
    return pieces


@pytest.mark.parametrize(("size", "streams"), [(HUGE, 0), (HUGE, 1), (LARGE, 1)])
async def test_between_two_large_bodies_everyone_else_gets_a_turn(
    monkeypatch: pytest.MonkeyPatch, size: int, streams: int
) -> None:
    """decisions "large bodies": at most one over 1 MB in a turn of the loop; beside streams, over 64 KB."""
    order: list[str] = []
    parse = jsonio.parse

    def noted(data: bytes) -> Any:
        order.append("parsed")
        return parse(data)

    monkeypatch.setattr(jsonio, "parse", noted)

    async def tick() -> None:
        while True:
            order.append("turn")
            await asyncio.sleep(0)

    pieces = _beside_streams(streams)
    ticking = asyncio.ensure_future(tick())
    await asyncio.gather(*(body.json_object(SCOPE, _text(size), pieces) for _ in range(5)))
    ticking.cancel()
    await asyncio.wait([ticking])
    positions = [at for at, what in enumerate(order) if what == "parsed"]
    assert len(positions) == 5
    assert all("turn" in order[here:there] for here, there in itertools.pairwise(positions))


@pytest.mark.parametrize(("size", "streams"), [(0, 0), (0, 1), (LARGE, 0), (LARGE - 100, 1)])
async def test_who_keeps_nobody_waiting_does_not_wait(size: int, streams: int) -> None:
    """Small bodies never wait for large ones, and large ones only where somebody reads a stream."""
    pieces = _beside_streams(streams)
    async with pieces.of(HUGE + 1), asyncio.timeout(0):
        assert await body.json_object(SCOPE, _text(size), pieces)


async def test_a_refused_large_body_gives_its_turn_back() -> None:
    pieces = Pieces()
    with pytest.raises(Refused):
        await body.json_object(SCOPE, b"[" + b" " * HUGE, pieces)
    async with asyncio.timeout(30):
        await body.json_object(SCOPE, _text(HUGE), pieces)
