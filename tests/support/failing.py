"""Upstreams that fail before and after the first content event, and a gateway before one or two of them.

`BEFORE` and `ENDINGS` are the tables that every door is put through.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.inprocess import Gateway, gateway
from tests.support.upstream import (
    Script,
    Talk,
    Upstream,
    completed,
    created,
    delta,
    failed,
    frame,
    status,
    upstream,
)

LIMITS = {"first_event_seconds": 20.0, "idle_seconds": 20.0}


class House:
    """One gateway before one or two scripted upstreams."""

    def __init__(self, gateway: Gateway, upstreams: list[Upstream]) -> None:
        self.gateway = gateway
        self.first = upstreams[0]
        self.second = upstreams[-1]


@pytest.fixture
async def houses(tmp_path: Path) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:

        async def build(count: int = 1, **settings: Any) -> House:
            ups = [await stack.enter_async_context(upstream()) for _ in range(count)]
            accounts = [
                {"name": f"a{index}", "kind": "openai", "base_url": up.url, "api_key": f"sk-secret-{index}"}
                for index, up in enumerate(ups)
            ]
            table = {"accounts": accounts, "upstream": LIMITS, **settings}
            return House(await stack.enter_async_context(gateway(tmp_path, table)), ups)

        yield build


async def cut(talk: Talk) -> None:
    await talk.head()
    await talk.events(created())
    talk.writer.close()


async def reset_before_content(talk: Talk) -> None:
    await talk.head()
    await talk.events(created())
    await talk.reset()


async def hang_up(talk: Talk) -> None:
    talk.writer.close()


async def garbage(talk: Talk) -> None:
    await talk.head()
    await talk.chunk(b"data: {not json}\n\n")
    await talk.end()


async def clean_end(talk: Talk) -> None:
    await talk.head()
    await talk.events(created())
    await talk.end()


HALF = '{"command":"rm -rf /tmp/x", "descr'
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "Bash", "arguments": HALF}


async def half_a_call(talk: Talk) -> None:
    """A complete response, nothing of it before its end, whose only call ends in the middle."""
    await talk.head()
    whole = completed()
    whole["response"]["output"] = [CALL]
    await talk.events(created(), whole)
    await talk.end()


def fails(code: str, message: str = "it failed") -> Script:
    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), failed(code, message))
        await talk.end()

    return script


BEFORE: list[tuple[str, Script, int, str]] = [
    ("hang up", hang_up, 502, "api_error"),
    ("cut", cut, 502, "api_error"),
    ("reset", reset_before_content, 502, "api_error"),
    ("clean end", clean_end, 502, "api_error"),
    ("garbage", garbage, 502, "api_error"),
    ("half a call", half_a_call, 502, "api_error"),
    ("500", status(500), 502, "api_error"),
    ("html 502", status(502, b"<html><body>Bad gateway 1234</body></html>"), 502, "api_error"),
    (
        "503",
        status(503, {"error": {"message": "busy", "code": "server_is_overloaded"}}),
        529,
        "overloaded_error",
    ),
    ("529", status(529), 529, "overloaded_error"),
    ("401", status(401, {"error": {"message": "bad key", "code": "invalid_api_key"}}), 502, "api_error"),
    ("403", status(403, {"error": {"message": "forbidden"}}), 502, "api_error"),
    ("redirect", status(302, {}, {"location": "http://127.0.0.1:9/"}), 502, "api_error"),
    ("server_error event", fails("server_error"), 502, "api_error"),
    ("overloaded event", fails("server_is_overloaded"), 529, "overloaded_error"),
    ("rate limit event", fails("rate_limit_exceeded", "try again in 7s"), 429, "rate_limit_error"),
]


def stream_then(ending: str) -> Script:
    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.events(created(), delta("Hello"))
        if ending == "eof":
            talk.writer.close()
        elif ending == "clean":
            await talk.end()
        elif ending == "reset":
            await asyncio.sleep(0.05)
            await talk.reset()
        elif ending == "garbage":
            await talk.chunk(b"data: [1, 2\n\n")
            await talk.until_gone()
        elif ending == "half event":
            await talk.chunk(frame(delta("more"))[:-9])
            talk.writer.close()
        elif ending == "failed":
            await talk.events(failed("server_error"))
            await talk.end()
        elif ending == "flat error":
            await talk.events({"type": "error", "code": "rate_limit_exceeded", "message": "slow"})
            await talk.end()
        elif ending == "half a call":
            piece = {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 1}
            begun = {
                "type": "response.output_item.added",
                "output_index": 1,
                "item": CALL | {"arguments": ""},
            }
            over = {"type": "response.output_item.done", "output_index": 1, "item": CALL}
            await talk.events(begun, piece | {"delta": HALF}, over, completed())
            await talk.end()
        elif ending == "not an object":
            await talk.chunk(b"data: 7\n\n")
            await talk.until_gone()
        else:
            await talk.until_gone()

    return script


ENDINGS = [
    *("eof", "clean", "reset", "garbage", "half event", "failed", "flat error", "not an object"),
    "half a call",
]
