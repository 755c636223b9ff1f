"""Clients that stop reading: their upstreams wait, nothing piles up here, and in the end they are let go."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dragoman.web.limits import Limits
from dragoman.wire import jsonio
from tests.support import gateway as spawned
from tests.support.inprocess import gateway
from tests.support.upstream import Talk, completed, created, upstream

pytestmark = pytest.mark.installed  # its memory is looked at

WAIT = 120.0
MIB = 1024 * 1024
CLIENTS, OFFER = 20, 50 * MIB
# Of one event, and of the events of one message.
PIECE, ITEM = 4 * 1024, 128 * 1024
CONFIG = """
[models]
"claude-*" = "gpt-5.5"
[[accounts]]
name = "a"
kind = "openai"
base_url = "{url}"
api_key = "sk-upstream"
"""


class Offering:
    """Fifty megabytes for everybody who asks; counts what was taken from it."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.left: list[asyncio.Event] = []

    async def script(self, talk: Talk) -> None:
        number = len(self.taken)
        self.taken.append(0)
        self.left.append(asyncio.Event())
        try:
            await talk.head()
            await talk.events(created())
            for index in range(OFFER // ITEM):
                await self._item(talk, number, index)
            await talk.events(completed())
            await talk.end()
        finally:
            self.left[number].set()

    async def _item(self, talk: Talk, number: int, index: int) -> None:
        """A message among many: what was said in one that is over need not be remembered by anyone."""
        name = f"msg_{index}"
        place = {"output_index": index, "item_id": name, "content_index": 0}
        item = {"id": name, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        await talk.events({"type": "response.output_item.added", "output_index": index, "item": item})
        for _ in range(ITEM // PIECE):
            await talk.events({"type": "response.output_text.delta", **place, "delta": "x" * PIECE})
            self.taken[number] += PIECE
        text = {"type": "output_text", "text": "x" * ITEM, "annotations": []}
        done = {**item, "status": "completed", "content": [text]}
        await talk.events({"type": "response.output_item.done", "output_index": index, "item": done})

    async def stands_still(self) -> None:
        """Waits until nothing is taken any more: every write of the upstream blocks."""
        before, quiet = -1, 0
        async with asyncio.timeout(WAIT):
            while quiet < 10:
                await asyncio.sleep(0.1)
                now = sum(self.taken)
                quiet = quiet + 1 if now == before else 0
                before = now


@contextmanager
def deaf(url: str) -> Iterator[socket.socket]:
    """Asks for a stream and reads nothing of it."""
    place = urlsplit(url)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((place.hostname, place.port))
    body = jsonio.dump(
        {
            "model": "claude-x",
            "max_tokens": 100,
            "stream": True,
            "messages": [{"role": "user", "content": "Hi"}],
        }
    )
    head = f"POST /v1/messages HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
    sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    with sock:
        yield sock


def resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the process has no memory")


async def test_clients_that_stop_reading_hold_their_upstreams_and_not_our_memory(tmp_path: Path) -> None:
    """reliability R5: twenty of them, 50 MiB offered to each, 64 MiB more at most."""
    offered = Offering()
    async with upstream(offered.script) as up:
        with spawned.gateway(tmp_path, CONFIG.format(url=up.url)) as house, ExitStack() as clients:
            pid = house.run.process.pid
            warm = clients.enter_context(deaf(house.url))
            async with asyncio.timeout(WAIT):
                while not sum(offered.taken):
                    await asyncio.sleep(0.01)
            await offered.stands_still()
            warm.close()
            async with asyncio.timeout(WAIT):
                await offered.left[0].wait()
            before = resident(pid)
            for _ in range(CLIENTS):
                clients.enter_context(deaf(house.url))
            async with asyncio.timeout(WAIT):
                while len(offered.taken) < CLIENTS + 1:
                    await asyncio.sleep(0.01)
            await offered.stands_still()
            assert max(offered.taken) < OFFER
            assert resident(pid) - before < 64 * MIB
            assert spawned.status(f"{house.url}/readyz") == 200
        assert house.faults() == []
    up.faults.clear()


async def test_a_client_that_reads_nothing_for_too_long_frees_its_upstream(tmp_path: Path) -> None:
    """reliability R5, E4: the connection ends, the upstream is cancelled, the row says why."""
    offered = Offering()
    async with upstream(offered.script) as up:
        account = {"name": "a", "kind": "openai", "base_url": up.url, "api_key": "sk-x"}
        limits = Limits(stall_seconds=0.3)
        async with gateway(tmp_path, {"accounts": [account]}, limits=limits) as house:
            with deaf(house.url):
                row = await house.row()
                async with asyncio.timeout(WAIT):
                    await offered.left[0].wait()
                assert (row.status, row.outcome) == (499, "client_gone")
                assert offered.taken[0] < OFFER
                assert house.assembly.house.gate.in_flight == 0
    up.faults.clear()
