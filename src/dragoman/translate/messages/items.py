"""What all of the upstream's output items have in common while they arrive.

An item gathers what its events bring and turns it into Anthropic blocks itself. While it is `live` (the
one whose turn it is) everything goes to the client at once, otherwise it waits. Snapshots (`…done` events,
finished items) only add what the deltas left out. Items never see the stream as a whole: order is decided
in lineup, endings in stream.
"""

from __future__ import annotations

from typing import Any

from dragoman.translate.characters import REPLACEMENT, join
from dragoman.translate.messages.blocks import Blocks
from dragoman.translate.messages.context import AnswerContext
from dragoman.translate.messages.outcome import Outcome


class PeerError(Exception):
    """The upstream sent something that makes no sense where it stands."""


class Text:
    """One run of text: what was received of it, and the half character that waits for its other half."""

    __slots__ = ("half", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.half = ""

    def take(self, delta: str) -> str:
        """Adds a delta; returns what of it can be passed on."""
        if self.half or not delta.isascii():
            delta, self.half = join(self.half, delta)
        if delta:
            self.pieces.append(delta)
        return delta

    def missing(self, snapshot: str) -> str | None:
        """What a snapshot has beyond the deltas; None where it contradicts them."""
        received = "".join(self.pieces)
        if not snapshot.startswith(received):
            return None
        self.half = ""
        return snapshot[len(received) :]

    def end(self) -> str:
        """The replacement of a half that stayed alone, or ""."""
        rest, self.half = REPLACEMENT if self.half else "", ""
        if rest:
            self.pieces.append(rest)
        return rest

    def __str__(self) -> str:
        return "".join(self.pieces)


class Item:
    """What all items have in common. `order` is their place; `done` once the upstream finished them."""

    kind = ""
    __slots__ = (
        "announced",
        "blocks",
        "closed",
        "complete",
        "context",
        "done",
        "item_id",
        "live",
        "order",
        "outcome",
    )

    def __init__(self, context: AnswerContext, blocks: Blocks, outcome: Outcome) -> None:
        self.context = context
        self.blocks = blocks
        self.outcome = outcome
        self.order: tuple[int, int] = (0, 0)
        self.item_id: str | None = None
        self.announced = False  # the upstream named it before anything else of it came
        self.live = False
        self.done = False
        self.closed = False
        self.complete = False  # the response is complete, so the item must be

    @property
    def yields(self) -> bool:
        """Nothing more is expected, although the upstream did not say so: a waiting item may go on."""
        return self.done

    @property
    def unfinished(self) -> bool:
        """What was shown of it breaks off: it stays open until the upstream's last word says why."""
        return False

    @property
    def waits(self) -> bool:
        """Something came after it was closed, which wants to be shown."""
        return False

    def added(self, item: dict[str, Any]) -> None:
        """The item's first shape; its contents come later."""

    def finish(self, item: dict[str, Any]) -> None:
        """The item's last shape: the authoritative one."""
        self.done = True

    def show(self) -> None:
        """Its turn has come: writes what has waited."""
        self.live = True

    def close(self) -> None:
        """Ends its blocks. Nothing of it may be written after."""
        self.live = False
        self.closed = True


class Whole(Item):
    """An item that is shown only when it is complete; `item` is its last shape, None before."""

    __slots__ = ("item",)

    def __init__(self, context: AnswerContext, blocks: Blocks, outcome: Outcome) -> None:
        super().__init__(context, blocks, outcome)
        self.item: dict[str, Any] | None = None

    def finish(self, item: dict[str, Any]) -> None:
        self.item = item
        super().finish(item)
