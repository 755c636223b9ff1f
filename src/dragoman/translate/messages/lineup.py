"""Whose turn it is: the upstream's items in the order in which the client gets them.

Items are known by id and by output index, and made when the upstream did not announce them. One of them is
live; the others wait in output order, however their events are interleaved. At the end everybody gets a
turn, and what only the terminal event has is added. What an item becomes is its own affair.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from typing import Any, TypeVar

from dragoman.translate.messages.blocks import Blocks
from dragoman.translate.messages.calls import Call, CustomCall, FunctionCall
from dragoman.translate.messages.citations import Search
from dragoman.translate.messages.context import AnswerContext
from dragoman.translate.messages.items import Item, PeerError
from dragoman.translate.messages.message import Message
from dragoman.translate.messages.outcome import Outcome, tally
from dragoman.translate.messages.servers import ServerCall
from dragoman.translate.messages.thinking import Reasoning

Event = dict[str, Any]

# The items that the client's dialect has a word for; all others are counted and not shown.
KINDS: dict[str, type[Item]] = {
    kind.kind: kind for kind in (Message, FunctionCall, CustomCall, Reasoning, Search, ServerCall)
}

ItemType = TypeVar("ItemType", bound=Item)


class Lineup:
    """All items of one answer. `head` is the one whose turn it is."""

    __slots__ = (
        "_blocks",
        "_by_id",
        "_by_index",
        "_context",
        "_items",
        "_kinds",
        "_outcome",
        "_queue",
        "head",
    )

    def __init__(
        self,
        context: AnswerContext,
        blocks: Blocks,
        outcome: Outcome,
        kinds: Mapping[str, type[Item]] = KINDS,
    ) -> None:
        self._kinds = kinds
        self._context = context
        self._blocks = blocks
        self._outcome = outcome
        self.head: Item | None = None
        self._queue: list[Item] = []
        self._items: list[Item] = []  # in order of appearance
        self._by_id: dict[str, Item] = {}
        self._by_index: dict[int, Item] = {}

    # -- events of an item ---------------------------------------------------------------------------

    def of(self, event: Event, kind: type[ItemType]) -> ItemType:
        """The item that a delta belongs to. Raises PeerError where the item is over or of another kind."""
        item = self.known(event, kind)
        if item is None:
            raise PeerError(f"{event['type']} after the end of its item")
        return item

    def known(self, event: Event, kind: type[ItemType]) -> ItemType | None:
        """The item that a snapshot belongs to; None when it is over and has nothing to learn."""
        item_id, index = name(event.get("item_id")), place(event)
        item = self._by_id.get(item_id) if item_id else None
        if item is not None and not isinstance(item, kind):
            raise PeerError(f"{event['type']} for a {item.kind}")
        if item is None:
            item = self._guess(kind, item_id, index)
        if not isinstance(item, kind):
            made = self._make(kind, item_id, index)
            self.enqueue(made)
            return made
        if item.done or (item.closed and not isinstance(item, Message)):
            return None
        return item

    def added(self, event: Event) -> None:
        """An item is announced."""
        raw, kind = self._read(event)
        if kind is None:
            return
        item_id, index = name(raw.get("id")), place(event)
        item = self._by_id.get(item_id) if item_id else None
        if item is None and index is not None:
            # Deltas may have come before the announcement of their item.
            item = self._by_index.get(index)
            if item is not None and (item.announced or item.done):
                item = None
        if not isinstance(item, kind):
            item = self._make(kind, item_id, index)
        self._register(item, item_id, index)
        item.announced = True
        item.added(raw)
        self.enqueue(item)

    def done(self, event: Event) -> None:
        """An item has its last shape."""
        raw, kind = self._read(event)
        if kind is None:
            tally(self._outcome.hidden, str(raw["type"]))
            return
        item_id, index = name(raw.get("id")), place(event)
        item = self._by_id.get(item_id) if item_id else None
        if item is None:
            item = self._guess(kind, item_id, index)
        if not isinstance(item, kind):
            item = self._make(kind, item_id, index)
        self.finish(item, raw)

    def finish(self, item: Item, raw: Event) -> None:
        """Gives an item its last shape, once."""
        if not item.done:
            item.finish(raw)
            self.enqueue(item)

    # -- turns ---------------------------------------------------------------------------------------

    def enqueue(self, item: Item) -> None:
        """Gives an item its turn or a place among those who wait, and lets things go on."""
        if item.closed and item.waits:
            item.closed = False  # it had given way, and now there is more of it
        if not (item.live or item.closed or item in self._queue):
            insort(self._queue, item, key=_order)
        self.advance()

    def advance(self) -> None:
        """Ends whose turn is over and lets the next one go on."""
        while not self._blocks.over:
            if self.head is None:
                if not self._queue:
                    return
                self.head = self._queue.pop(0)
                self.head.show()
            if not (self.head.done or (self._queue and self.head.yields)):
                return
            if self.head.unfinished:
                return
            self.head.close()
            self.head = None

    def drain(self, *, whole: bool = False) -> None:
        """The upstream is through: everybody ends, in order. `whole` when the response is complete.

        Raises PeerError for an item that then is not.
        """
        while self.head is not None or self._queue:
            if self.head is None:
                self.head = self._queue.pop(0)
                self.head.show()
            self.head.complete = whole
            self.head.close()
            self.head = None
        self._blocks.settle()
        self._blocks.pay()

    # -- the terminal event's list -------------------------------------------------------------------

    def fill(self, output: Any, *, whole: bool) -> None:
        """Adds what only the terminal event has; `whole` when the response is complete.

        The list is often empty and never the only source. An item is known by id, a call by its call id,
        and else by its place among those of its kind.
        """
        found: list[tuple[int, Event, type[Item]]] = []
        for position, raw in enumerate(output if isinstance(output, list) else ()):
            kind = self._kinds.get(str(raw.get("type"))) if isinstance(raw, dict) else None
            # Unfinished reasoning is sealed half, or not at all: it cannot be replayed.
            if kind is not None and (whole or kind is not Reasoning):
                found.append((position, raw, kind))
        seen = list(self._items)
        matched: dict[int, Item] = {}
        for position, raw, kind in found:
            item = next((item for item in seen if isinstance(item, kind) and _same(item, raw)), None)
            if item is not None:
                matched[position] = item
                seen.remove(item)
        for position, raw, kind in found:
            item = matched.get(position) or next((item for item in seen if isinstance(item, kind)), None)
            if item is None:
                item = self._make(kind, name(raw.get("id")), None, position)
            elif item in seen:
                seen.remove(item)
            self.finish(item, raw)

    def _read(self, event: Event) -> tuple[Event, type[Item] | None]:
        """The item of an event, and what it is here; None for items the client's dialect has no word for."""
        item = event.get("item")
        if not isinstance(item, dict) or not isinstance(item.get("type"), str):
            raise PeerError(f"{event['type']} without an item")
        return item, self._kinds.get(item["type"])

    # -- who is who ----------------------------------------------------------------------------------

    def _guess(self, kind: type[Item], item_id: str | None, index: int | None) -> Item | None:
        """Whose event it is where no id tells: by number, else the newest item that is not over."""
        if index is not None:
            item = self._by_index.get(index)
            # Another id under a number that is used up is another item.
            return None if item is not None and item.done and item_id is not None else item
        if item_id is not None:
            return None
        alike = (item for item in reversed(self._items) if isinstance(item, kind))
        return next((item for item in alike if not item.done), None)

    def _make(
        self, kind: type[ItemType], item_id: str | None, index: int | None, position: int | None = None
    ) -> ItemType:
        made = self._kinds.get(kind.kind)
        item = (made if made is not None and issubclass(made, kind) else kind)(
            self._context, self._blocks, self._outcome
        )
        if position is None:
            position = index if index is not None else self._items[-1].order[0] if self._items else 0
        item.order = (position, len(self._items))
        self._register(item, item_id, index)
        self._items.append(item)
        return item

    def _register(self, item: Item, item_id: str | None, index: int | None) -> None:
        if item_id is not None:
            item.item_id = item.item_id or item_id
            self._by_id[item_id] = item
        if index is not None:
            self._by_index[index] = item


def name(value: Any) -> str | None:
    """A text that is not empty, else None."""
    return value if isinstance(value, str) and value else None


def place(event: Event) -> int | None:
    """The output index of an event, where it has a usable one."""
    index = event.get("output_index")
    return index if type(index) is int and index >= 0 else None


def _order(item: Item) -> tuple[int, int]:
    return item.order


def _same(item: Item, raw: Event) -> bool:
    if item.item_id is not None and item.item_id == raw.get("id"):
        return True
    return isinstance(item, Call) and item.call_id is not None and item.call_id == raw.get("call_id")
