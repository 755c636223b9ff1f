"""The chunk law: what a decoder gives must not depend on how its bytes were cut.

`pieces` are the cuts that every decoder case is run with; `assert_chunk_law` states the law for one case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def pieces(data: bytes) -> Iterator[list[bytes]]:
    """The same bytes whole, byte by byte, in twos and sevens, and with empty chunks between."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for size in (2, 7):
        yield [data[i : i + size] for i in range(0, len(data), size)]
    half = len(data) // 2
    yield [b"", data[:half], b"", data[half:], b""]


def assert_chunk_law(
    data: bytes, expected: list[T], start: Callable[[], Callable[[bytes], Iterable[T]]]
) -> None:
    """`start()` gives the feed of a fresh decoder; every cut of data must give what is expected.

    `data` ends with the byte that completes the last expected element: before it there is one less.
    """
    for cut in pieces(data):
        feed = start()
        assert [found for chunk in cut for found in feed(chunk)] == expected, cut
    feed = start()
    early = [found for i in range(len(data) - 1) for found in feed(data[i : i + 1])]
    assert early == expected[:-1], "an element came before its last byte"
    feed = start()
    assert list(feed(data + b"data: trail")) == expected, "trailing bytes disturbed what was complete"
