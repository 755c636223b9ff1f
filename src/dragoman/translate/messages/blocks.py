"""Writes Anthropic content blocks: numbered without gaps, strictly one open at a time.

Blocks passes everything on as it comes, but for the end of a thinking block, which goes out with what
follows it; one block may be owed, which the text behind it has to complete.
GuardedBlocks is used where visible output has to be watched: it ends the answer at a stop sequence or at the
local output cap, and leaves out a repeated prefill. It knows nothing of the upstream's items; see items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from dragoman.translate.stops import PrefixStripper, StopScanner

Event = dict[str, Any]

# Characters before a piece that are counted with it: tokens cross the borders of pieces.
_CONTEXT = 32


class Owed(Protocol):
    """A block that waits for what a later text cites. `known` once it has heard of something."""

    @property
    def known(self) -> bool: ...

    def hear(self, citation: Event) -> None:
        """Takes a citation of the text, in the client's words."""

    def block(self) -> Event:
        """The block, with what is known by now."""


class Blocks:
    """The client's side of one answer. Events gather in `out` until they are taken."""

    __slots__ = ("_sealed", "index", "kind", "out", "over", "owed", "stop_sequence")

    def __init__(self) -> None:
        self.out: list[Event] = []
        self.index = -1
        self.kind: str | None = None  # the type of the open block
        self.over = False  # the client has its whole answer: nothing more is written
        self.stop_sequence: str | None = None  # the one that ended the answer
        self.owed: Owed | None = None  # a block that must come before the answer ends well
        self._sealed: list[Event] = []  # the end of a thinking block, until something follows

    def text(self, text: str) -> None:
        """Text of the current text block, which begins with its first character."""
        if self.kind is None:
            self._open({"type": "text", "text": ""})
        delta = {"type": "text_delta", "text": text}
        self.out.append({"type": "content_block_delta", "index": self.index, "delta": delta})

    def refuse(self, text: str) -> None:
        """Text of a refusal, which Anthropic shows like any other."""
        self.text(text)

    def end_text(self) -> None:
        """The current text block is over."""
        if self.kind == "text":
            self.stop()

    def cite(self, citation: Event) -> None:
        """A citation of the current text block; a block without text has nothing to cite."""
        if self.kind == "text":
            self.delta({"type": "citations_delta", "citation": citation})

    def settle(self) -> None:
        """No text follows directly on the text before."""
        self.end_text()

    def start(self, block: Event) -> None:
        """Opens a block; an open text block is closed first."""
        self.settle()
        if not self.over:
            self._open(block)

    def json(self, partial: str) -> None:
        """A piece of the input of the open tool_use block: visible output of the model."""
        self.delta({"type": "input_json_delta", "partial_json": partial})

    def delta(self, delta: Event) -> None:
        """Any delta of the open block."""
        if not self.over:
            self.out.append({"type": "content_block_delta", "index": self.index, "delta": delta})

    def stop(self) -> None:
        """Closes the open block."""
        if not self.over:
            self.out.append({"type": "content_block_stop", "index": self.index})
            self.kind = None

    def seal(self, signature: str) -> None:
        """Ends the open thinking block. It is told with what follows: the next block or a good end.

        For some clients an answer that breaks behind a finished block is lost; one that breaks inside of its
        thinking they ask for again.
        """
        if not self.over:
            delta = {"type": "signature_delta", "signature": signature}
            self._sealed = [
                {"type": "content_block_delta", "index": self.index, "delta": delta},
                {"type": "content_block_stop", "index": self.index},
            ]
            self.kind = None

    def release(self) -> None:
        """Writes the end that was kept back: nothing else is said before a good end of the answer."""
        if self._sealed:
            self.out += self._sealed
            self._sealed = []

    def pay(self) -> None:
        """Writes the block that is owed, if there is one."""
        if self.owed is not None:
            self.settle()
            self._hand_over()

    def _hand_over(self) -> None:
        owed, self.owed = self.owed, None
        if owed is not None and not self.over:
            self._open(owed.block())
            self.stop()

    def _open(self, block: Event) -> None:
        self.release()
        self.index += 1
        self.kind = block["type"]
        self.out.append({"type": "content_block_start", "index": self.index, "content_block": block})


class GuardedBlocks(Blocks):
    """Blocks that watch visible output.

    `cap` is the number of tokens of text and tool input that may be written, by the estimate `count`.
    A stop sequence may begin in one text block and end in the next: as long as text is held back, the
    border between the two is only noted (`_borders`, as offsets into the held text).
    """

    __slots__ = ("_before", "_borders", "_citations", "_count", "_left", "_prefix", "_stops", "capped")

    def __init__(
        self, stop_sequences: tuple[str, ...], cap: int | None, prefix: str, count: Callable[[str], int]
    ) -> None:
        super().__init__()
        self.capped = False
        self._stops = StopScanner(stop_sequences)
        self._prefix = PrefixStripper(prefix)
        self._left = cap
        self._count = count
        self._before = ""  # the end of what was counted of the open block
        self._borders: list[int] = []
        # Citations of held text, with the number of borders before their block.
        self._citations: list[tuple[int, Event]] = []

    def text(self, text: str) -> None:
        if not self.over:
            self._scan(self._prefix.feed(text))

    def end_text(self) -> None:
        if self._prefix.held:
            self._scan(self._prefix.flush())
        if self.over:
            return
        if self._stops.held:
            self._borders.append(self._stops.held)
        else:
            super().end_text()

    def cite(self, citation: Event) -> None:
        if self._borders or (self.kind is None and (self._stops.held or self._prefix.held)):
            self._citations.append((len(self._borders), citation))
        else:
            super().cite(citation)

    def settle(self) -> None:
        self.end_text()
        self._release(self._stops.flush())
        self._borders.clear()
        self._citations.clear()
        super().end_text()

    def stop(self) -> None:
        self._before = ""
        super().stop()

    def json(self, partial: str) -> None:
        partial = self._affordable(partial)
        if partial:
            super().json(partial)
        if self.capped:
            self._finish()

    def _scan(self, text: str) -> None:
        self._release(self._stops.feed(text))
        if self._stops.hit is not None and not self.over:
            self.stop_sequence = self._stops.hit
            self._finish()

    def _release(self, text: str) -> None:
        """Shows text, block by block where borders lie inside it."""
        while self._borders and len(text) >= self._borders[0]:
            border = self._borders[0]
            self._show(text[:border])
            super().end_text()
            text = text[border:]
            self._borders = [at - border for at in self._borders[1:]]
            self._citations = [(place - 1, citation) for place, citation in self._citations if place]
        self._borders = [at - len(text) for at in self._borders]
        self._show(text)

    def _show(self, text: str) -> None:
        text = self._affordable(text)
        if text:
            super().text(text)
            for place, citation in self._citations:
                if place == 0:
                    super().cite(citation)
            self._citations = [(place, citation) for place, citation in self._citations if place]
        if self.capped:
            self._finish()

    def _affordable(self, text: str) -> str:
        """The beginning of the text that fits under the cap; sets `capped` where that is not all of it."""
        if self.over or not text:
            return ""
        if self._left is None:
            return text
        known = self._count(self._before) if self._before else 0
        used = self._count(self._before + text) - known
        if used > self._left:
            self.capped = True
            fits, beyond = 0, len(text)
            while beyond - fits > 1:
                middle = (fits + beyond) // 2
                if self._count(self._before + text[:middle]) - known > self._left:
                    beyond = middle
                else:
                    fits = middle
            return text[:fits]
        self._left -= used
        self._before = (self._before + text)[-_CONTEXT:]
        return text

    def _finish(self) -> None:
        if self.kind is not None:
            self.stop()
        self._hand_over()
        self.over = True


def blocks(
    stop_sequences: tuple[str, ...], cap: int | None, prefix: str, count: Callable[[str], int]
) -> Blocks:
    """The writer for an answer: the plain one unless something has to be watched."""
    if stop_sequences or cap is not None or prefix:
        return GuardedBlocks(stop_sequences, cap, prefix, count)
    return Blocks()
