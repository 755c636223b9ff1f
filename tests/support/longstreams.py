"""Long streams and short questions side by side, for tests of what happens to both when a process ends."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from tests.support.upstream import Talk, Upstream, completed, created, delta


def question(text: str, *, stream: bool) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "claude-x", "max_tokens": 100, "stream": stream, "messages": messages}


async def whole_stream(session: aiohttp.ClientSession, url: str) -> str:
    """How a long stream ended."""
    async with session.post(f"{url}/v1/messages", json=question("long", stream=True)) as answer:
        if answer.status != 200:
            return str(answer.status)
        body = await answer.read()
    events = body.rstrip().split(b"\n\n")
    if any(event.startswith(b"event: error") for event in events[:-1]):
        return "an error inside"
    name = events[-1].partition(b"\n")[0].removeprefix(b"event: ").decode()
    return {"message_stop": "whole", "error": "error"}.get(name, "cut")


class Scripted:
    """Long streams go on until they are let go; short questions are answered at once."""

    def __init__(self, up: Upstream) -> None:
        self.open = asyncio.Event()
        self.long = 0
        up.play(self.script)

    async def script(self, talk: Talk) -> None:
        long = "long" in str(talk.seen.body["input"])
        self.long += long
        await talk.head()
        await talk.events(created(), delta("Hello"))
        while long and not self.open.is_set():
            await talk.events(delta("."))
            await asyncio.sleep(0.2)
        await talk.events(completed())
        await talk.end()

    async def running(self, count: int) -> None:
        """Waits until so many long streams have begun."""
        async with asyncio.timeout(120):
            while self.long < count:
                await asyncio.sleep(0.02)
