"""The turns that were sent lately: by conversation, to explain the next one, and by message id.

A bounded memory of hashes and figures, never of content. Everything is kept per tenant, so that nobody
learns of another's turns by guessing an id. It survives nothing; a durable store can offer the same methods.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from dragoman.cache.prefix import Divergence, Prefix, compare

# A session's lanes can share one conversation key (sub-agents of clients that do not name them), and a user
# may rewind: the turn to compare with is then not the very last one.
RECENT = 4
# Older turns of all conversations may still be asked for by name; they have this share of entries and bytes.
PAST = 8


class Thread(NamedTuple):
    """A conversation: whose it is, and its `conversation_hash`."""

    tenant: str
    conversation: str


@dataclass(slots=True)
class Turn:
    """One request that an upstream answered.

    at              seconds on the clock of whoever remembers it; only differences are used
    account, kind   who served it, and the kind of that upstream
    cache_key, lane_key  what was sent as identity
    input_tokens, cached_tokens, written_tokens  as the upstream reported them, None where it did not
    """

    message_id: str
    prefix: Prefix
    at: float
    account: str
    kind: str
    cache_key: str | None = None
    lane_key: str | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    written_tokens: int | None = None

    @property
    def tool_names(self) -> tuple[str, ...]:
        """Upstream tool names in the order sent."""
        return self.prefix.tool_names


class Turns:
    """Remembers turns within `entries` turns and `size` bytes; the longest unused conversation goes first."""

    def __init__(self, entries: int = 4096, size: int = 16 * 1024 * 1024) -> None:
        self._entries = entries
        self._size = size
        self._held = 0
        self._count = 0
        self._threads: OrderedDict[Thread, list[Turn]] = OrderedDict()
        self._named: dict[tuple[str, str], Turn] = {}
        self._past: OrderedDict[tuple[str, str], Turn] = OrderedDict()
        self._past_held = 0

    def __len__(self) -> int:
        return self._count

    def remember(self, thread: Thread | tuple[str, str], turn: Turn) -> None:
        """Adds a turn that was answered; the oldest of its conversation may go."""
        thread = Thread(*thread)
        recent = self._threads.setdefault(thread, [])
        recent.append(turn)
        self._threads.move_to_end(thread)
        self._named[(thread.tenant, turn.message_id)] = turn
        self._count += 1
        self._held += turn.prefix.weight
        if len(recent) > RECENT:
            self._set_aside(thread, recent.pop(0))
        while len(self._threads) > 1 and (self._count > self._entries or self._held > self._size):
            oldest, turns = self._threads.popitem(last=False)
            for old in turns:
                self._drop(oldest, old)

    def last(self, thread: Thread | tuple[str, str], tools: Collection[str] = ()) -> Turn | None:
        """The last turn of a conversation; of those kept, the one that offered most of `tools`."""
        recent = self._recent(thread)
        if not recent:
            return None
        if not tools:
            return recent[-1]
        wanted = frozenset(tools)
        return max(reversed(recent), key=lambda turn: _overlap(wanted, turn.tool_names))

    def predecessor(
        self, thread: Thread | tuple[str, str], prefix: Prefix, until: float = math.inf
    ) -> tuple[Turn, Divergence] | tuple[None, None]:
        """The kept turn of a conversation that this prompt continues furthest, and where it stops doing so.

        Of equals the later one. Turns that were answered later than `until` are passed over.
        """
        best: tuple[Turn, Divergence] | tuple[None, None] = (None, None)
        furthest = -1
        for turn in reversed(self._recent(thread)):
            if turn.at > until:
                continue
            # None is continued further than it goes itself: mostly the latest is the only one to look at.
            if turn.prefix.tokens > furthest:
                divergence = compare(turn.prefix, prefix)
                if divergence.kept_tokens > furthest:
                    best, furthest = (turn, divergence), divergence.kept_tokens
        return best

    def served(self, thread: Thread | tuple[str, str], account: str) -> bool:
        """Whether an account answered one of the kept turns of a conversation."""
        return any(turn.account == account for turn in self._recent(thread))

    def named(self, tenant: str, message_id: str) -> Turn | None:
        """The turn that was answered under a message id, in any lane of the tenant."""
        name = tenant, message_id
        found = self._named.get(name)
        if found is None and (found := self._past.get(name)) is not None:
            self._past.move_to_end(name)
        return found

    def _recent(self, thread: Thread | tuple[str, str]) -> list[Turn]:
        thread = Thread(*thread)
        recent = self._threads.get(thread)
        if recent is None:
            return []
        self._threads.move_to_end(thread)
        return recent

    def _set_aside(self, thread: Thread, turn: Turn) -> None:
        """Its conversation goes on from later turns; by name it is still known for a while."""
        self._drop(thread, turn)
        name = thread.tenant, turn.message_id
        if name in self._named:
            return
        if (before := self._past.pop(name, None)) is not None:
            self._past_held -= before.prefix.weight
        self._past[name] = turn
        self._past_held += turn.prefix.weight
        while len(self._past) > self._entries // PAST or self._past_held > self._size // PAST:
            self._past_held -= self._past.popitem(last=False)[1].prefix.weight

    def _drop(self, thread: Thread, turn: Turn) -> None:
        self._count -= 1
        self._held -= turn.prefix.weight
        if self._named.get((thread.tenant, turn.message_id)) is turn:
            del self._named[(thread.tenant, turn.message_id)]


def _overlap(wanted: frozenset[str], offered: Collection[str]) -> float:
    """Share of names in common, 0 to 1."""
    union = wanted.union(offered)
    return len(wanted.intersection(offered)) / len(union)
