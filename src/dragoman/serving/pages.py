"""Large pages for what a process keeps: a request touches so much of it that to look up small ones costs.

Linux 6.1 and later gathers memory that is in use already into pages of 2 MiB when it is asked. That moves
memory, never what is in it, and takes next to no more; where it cannot be had, nothing is different. Stacks
of threads, which are mostly unused, are left alone.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from dragoman.gateway.beside import Beside

LARGE = 2 * 1024 * 1024
# Seconds between the rounds. A round takes a quarter of a second of a processor: a process that ends soon has
# none, and the first requests bring much of what is kept.
ROUNDS = (5.0, 10.0, 45.0)
_MAPS = Path("/proc/self/maps")
# Of madvise(2); the mmap module has no name for it yet.
_COLLAPSE = 25


class LargePages(Beside):
    """Gathers the memory of this process a few times, then ends. It works in a thread: a page takes 10 ms."""

    def __init__(self, rounds: Sequence[float] = ROUNDS) -> None:
        self._rounds = rounds

    async def _loop(self) -> None:
        for seconds in self._rounds:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(gather)


def gather(maps: Path = _MAPS) -> int:
    """Asks for large pages under all that is allocated; returns how many bytes have them. Never raises."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        ctypes = importlib.import_module("ctypes")  # for `serve` alone
        advise = ctypes.CDLL(None).madvise
        advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        return sum(LARGE for at in whole(maps.read_text()) if advise(at, LARGE, _COLLAPSE) == 0)
    except (ImportError, OSError, AttributeError):
        return 0


def whole(maps: str) -> Iterator[int]:
    """The addresses of large pages that lie wholly in allocated memory, by the text of `/proc/<pid>/maps`."""
    guarded = False
    for line in maps.splitlines():
        span, rights, _, _, _, *name = line.split(None, 5)
        start, end = (int(part, 16) for part in span.split("-"))
        if rights == "rw-p" and name in ([], ["[heap]"]) and not guarded:
            yield from range(-(-start // LARGE) * LARGE, end - LARGE + 1, LARGE)
        guarded = rights == "---p"  # what follows such a page is a stack
