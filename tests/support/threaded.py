"""A gateway inside this process on a thread of its own: new for every test at a tenth of a process's cost.

For clients that block: an official SDK's plain client cannot share a loop with what it talks to.
"""

from __future__ import annotations

import asyncio
import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.house import KEY, UPSTREAM, Observed
from tests.support.inprocess import gateway

WAIT = 60.0
_FAULT = re.compile(r'Traceback|"level": ?"(error|critical)"')


class Threaded:
    """A gateway that is ready."""

    def __init__(self, url: str, log: io.StringIO) -> None:
        self.url = url
        self._log = log

    def faults(self) -> list[str]:
        """Lines of its log that tell of a bug of its own."""
        return [line for line in self._log.getvalue().splitlines() if _FAULT.search(line)]


@dataclass
class House(Observed):
    """The simulator, and a gateway of this process."""

    gate: Threaded
    key: str = KEY

    @property
    def url(self) -> str:
        return self.gate.url


def settings(upstream: str, **more: Any) -> dict[str, Any]:
    """Those of a gateway before a simulator; `more` are further tables."""
    account = {"name": "simulated", "kind": "openai", "base_url": f"{upstream}/v1", "api_key": "sk-simulated"}
    return {
        "models": {"claude-*": UPSTREAM["A"]},
        "accounts": [account],
        "keys": [{"name": "tests", "key": KEY}],
        **more,
    }


@contextmanager
def threaded(place: Path, settings: dict[str, Any]) -> Iterator[Threaded]:
    """Serves with these settings, shaped like the file, until the block ends."""
    ready = threading.Event()
    made: list[Threaded] = []
    failed: list[BaseException] = []
    end: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        over = asyncio.Event()
        end.append((asyncio.get_running_loop(), over))
        async with gateway(place, settings) as served:
            made.append(Threaded(served.url, served.log))
            ready.set()
            await over.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="gateway")
    thread.start()
    try:
        assert ready.wait(WAIT), "the gateway did not start"
        if made:
            yield made[0]
    finally:
        if end:
            loop, over = end[0]
            if not loop.is_closed():
                loop.call_soon_threadsafe(over.set)
        thread.join(WAIT)
    if failed:
        raise failed[0]
    assert not thread.is_alive(), "the gateway did not end"
