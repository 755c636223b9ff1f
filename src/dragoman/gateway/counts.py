"""Exact token counts already made: a bounded memory, so that a client that asks often asks upstream once.

It also bounds how many are asked for at the same time. Who comes beyond that is not refused and does not
wait: the tokenizer here gives it its number.
"""

from __future__ import annotations

from collections import OrderedDict

# Clients ask for counts in bursts; each is a call on a connection of its own.
ASKING = 32


class Counts:
    """Counts already made, by digest of the translated body; bounded, oldest out first.

    asking  calls of the upstream's counter under way: whoever makes one adds it, and takes it off after
    """

    def __init__(self, size: int = 2048) -> None:
        self.asking = 0
        self._size = size
        self._known: OrderedDict[bytes, int] = OrderedDict()

    @property
    def may_ask(self) -> bool:
        """Whether the upstream's counter may be called now."""
        return self.asking < ASKING

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
