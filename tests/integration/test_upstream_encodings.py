"""Upstreams behind a proxy that compresses although nobody asked it to."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.inprocess import gateway
from tests.support.upstream import Script, Talk, completed, created, delta, frame, upstream

Press = Callable[[bytes], bytes]
EVENTS = b"".join(frame(event) for event in (created(), delta("Hello"), delta(" there"), completed()))


def encoded(name: str, data: bytes) -> Script:
    """An answer under a content-encoding."""

    async def script(talk: Talk) -> None:
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
        await talk.say(f"{head}content-encoding: {name}\r\n\r\n".encode())
        for at in range(0, len(data), 11):
            await talk.chunk(data[at : at + 11])
        await talk.end()

    return script


def account(url: str) -> dict[str, Any]:
    return {"name": "a", "kind": "openai", "base_url": url, "api_key": "sk-upstream"}


@pytest.mark.parametrize(("name", "press"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_answer_is_read(
    tmp_path: Path, name: str, press: Callable[[bytes], bytes]
) -> None:
    """The words are the same, and nothing is asked twice."""
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        up.play(encoded(name, press(EVENTS)))
        reply = await house.ask()
    assert (reply.status, reply.text, len(up.seen)) == (200, "Hello there", 1)


@pytest.mark.parametrize("data", [EVENTS, gzip.compress(EVENTS)[:40], b""], ids=["plain", "cut", "empty"])
async def test_a_broken_compression_is_an_upstream_failure(tmp_path: Path, data: bytes) -> None:
    """Neither a hang nor a fault of the gateway's own."""
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        up.play(encoded("gzip", data))
        reply = await house.ask(stream=False)
    assert (reply.status, reply.json["error"]["type"]) == (502, "api_error")
