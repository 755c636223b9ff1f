"""Which memory is asked for in large pages, and that asking harms nobody."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from dragoman.serving import pages
from dragoman.serving.pages import LARGE, LargePages, gather, whole

MAPS = """\
555500000000-555500200000 r-xp 00000000 fe:00 1 /usr/bin/python3.11
555501100000-555501900000 rw-p 00000000 00:00 0 [heap]
7f0000000000-7f0000400000 rw-p 00000000 00:00 0
7f0010000000-7f0010001000 ---p 00000000 00:00 0
7f0010001000-7f0010801000 rw-p 00000000 00:00 0
7f0020000000-7f0020400000 rw-p 00000000 fe:00 2 /usr/lib/libpython3.11.so
7f0030000000-7f0030100000 rw-p 00000000 00:00 0
7ffc00000000-7ffc00400000 rw-p 00000000 00:00 0 [stack]
"""


def test_whole_pages_of_the_heap_and_of_nameless_memory_are_asked_for() -> None:
    """Not of files, not of stacks (a thread's follows its guard page), not where a page would not fit."""
    heap = range(0x555501200000, 0x555501800000, LARGE)
    assert list(whole(MAPS)) == [*heap, 0x7F0000000000, 0x7F0000200000]


def test_where_nothing_can_be_had_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gather(tmp_path / "absent") == 0
    monkeypatch.setattr(sys, "platform", "darwin")
    assert gather() == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux is asked")
def test_what_was_in_memory_is_still_there() -> None:
    held = [str(number) * 50 for number in range(100_000)]
    assert gather() % LARGE == 0  # how many depends on the kernel
    assert all(text == str(number) * 50 for number, text in enumerate(held))


async def test_it_is_done_a_few_times_and_then_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[None] = []

    def count() -> int:
        asked.append(None)
        return 3 * LARGE

    monkeypatch.setattr(pages, "gather", count)
    large = LargePages((0.0, 0.0, 0.0))
    large.start()
    async with asyncio.timeout(30):
        while len(asked) < 3:
            await asyncio.sleep(0.01)
    await large.stop()
    assert len(asked) == 3
