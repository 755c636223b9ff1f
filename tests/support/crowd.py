"""A crowd of clients that never stops asking, and what each was told: the oracle of fault tests."""

from __future__ import annotations

import asyncio
import collections
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.support.upstream import Talk, Upstream, completed, created, delta

KEY = "sk-drg-crowd-key"


@dataclass
class Told:
    """What a client knows of one request it sent."""

    request_id: str
    status: int = 0
    complete: bool = False


@dataclass
class Crowd:
    """Asks through `session`; every request has an id of its own."""

    url: str
    session: aiohttp.ClientSession
    told: list[Told] = field(default_factory=list)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _stop: bool = False

    async def ask(self, key: str = KEY) -> Told:
        """One streamed request, read to its end or to its break."""
        told = Told(f"crowd-{next(self._ids)}")
        self.told.append(told)
        body = {
            "model": "claude-test",
            "max_tokens": 50,
            "stream": True,
            "messages": [{"role": "user", "content": told.request_id}],
        }
        headers = {"x-api-key": key, "x-request-id": told.request_id}
        try:
            async with self.session.post(f"{self.url}/v1/messages", json=body, headers=headers) as reply:
                told.status = reply.status
                told.complete = b"message_stop" in await reply.read()
        except (aiohttp.ClientError, OSError):
            pass
        return told

    async def keep_asking(self) -> None:
        """Until `stop`; a pause where nobody answers."""
        while not self._stop:
            if not (await self.ask()).status:
                await asyncio.sleep(0.02)

    def stop(self) -> None:
        self._stop = True


@asynccontextmanager
async def crowd(url: str) -> AsyncIterator[Crowd]:
    """A crowd with connections of its own."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Crowd(url, session)


async def brisk(talk: Talk) -> None:
    """An upstream's answer with a pause inside, so that some are always in flight."""
    await talk.head()
    await talk.events(created(), delta("Hello"))
    await asyncio.sleep(0.01)
    await talk.events(delta(" there"), completed(output=7, total=100))
    await talk.end()


def agree(people: Crowd, rows: list[dict[str, Any]], up: Upstream) -> None:
    """Exactly one row for each request that was accepted; what the client saw the end of counts as that."""
    by_id = collections.Counter(row["request_id"] for row in rows)
    assert [name for name, count in by_id.items() if count != 1] == []
    found = {row["request_id"]: row for row in rows}
    for told in people.told:
        if told.complete:
            row = found[told.request_id]
            assert (row["outcome"], row["input_tokens"], row["output_tokens"]) == ("ok", 100, 7)
        elif told.status == 200:
            assert told.request_id in found
    sent = {json.dumps(seen.body["input"][-1]).split("crowd-")[1].split('"')[0] for seen in up.seen}
    assert {f"crowd-{number}" for number in sent} <= set(found), "what was sent upstream has a row"
