"""Exact token counts already made: a bounded memory, so that a client that asks often asks upstream once."""

from __future__ import annotations

from collections import OrderedDict


class Counts:
    """Counts already made, by digest of the translated body; bounded, oldest out first."""

    def __init__(self, size: int = 2048) -> None:
        self._size = size
        self._known: OrderedDict[bytes, int] = OrderedDict()

    def get(self, key: bytes) -> int | None:
        """A known count."""
        if (tokens := self._known.get(key)) is not None:
            self._known.move_to_end(key)
        return tokens

    def put(self, key: bytes, tokens: int) -> None:
        """Remembers an exact count."""
        self._known[key] = tokens
        while len(self._known) > self._size:
            self._known.popitem(last=False)
