"""Reasoning items: a thinking block with the summary as text and the sealed item as signature.

Whether the text is shown, left out or the block suppressed was decided by the request half. Sealed content
is taken from the finished item alone: the one in an announcement may be half.
"""

from __future__ import annotations

from typing import Any

from dragoman.translate.messages.blocks import Blocks
from dragoman.translate.messages.context import AnswerContext
from dragoman.translate.messages.items import Item, Text
from dragoman.translate.messages.outcome import Outcome
from dragoman.translate.messages.reasoning import seal_item

# The signature of thinking that the upstream never finished: nothing can be replayed of it, and a client
# that sends it back has it dropped like any foreign one.
UNSEALED = "unsealed"


class Reasoning(Item):
    """Thinking: its summary as text, the whole item sealed into the signature."""

    kind = "reasoning"
    __slots__ = ("_current", "_item", "_parts", "_started", "_waiting")

    def __init__(self, context: AnswerContext, blocks: Blocks, outcome: Outcome) -> None:
        super().__init__(context, blocks, outcome)
        self._parts: dict[tuple[str, int], Text] = {}
        self._current: tuple[str, int] | None = None
        self._waiting: list[str] = []
        self._started = False
        self._item: dict[str, Any] | None = None

    def delta(self, key: tuple[str, int], delta: str) -> None:
        """More text of a summary part or of raw reasoning."""
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = Text()
        text = part.take(delta)
        if not text:
            return
        self.outcome.output_bytes += len(text) if text.isascii() else len(text.encode())
        if key != self._current:
            if self._current is not None:
                text = "\n\n" + text
            self._current = key
        self._put(text)

    def snapshot(self, key: tuple[str, int], text: Any) -> None:
        """The whole text of a part."""
        if not isinstance(text, str):
            return
        part = self._parts.setdefault(key, Text())
        missing = part.missing(text)
        if missing is None:
            self.outcome.mismatched += 1
        elif missing:
            self.delta(key, missing)

    def finish(self, item: dict[str, Any]) -> None:
        for name, parts in (("summary", item.get("summary")), ("content", item.get("content"))):
            for index, part in enumerate(parts if isinstance(parts, list) else ()):
                if isinstance(part, dict):
                    self.snapshot((name, index), part.get("text"))
        self._item = item
        super().finish(item)

    def show(self) -> None:
        super().show()
        waiting, self._waiting = self._waiting, []
        for piece in waiting:
            self._put(piece)

    def close(self) -> None:
        thinking = self.context.plan.thinking
        for part in self._parts.values():
            if rest := part.end():
                self._put(rest)
        wanted = thinking in ("shown", "omitted") or self._started
        signature = self._signature() if wanted else None
        if signature is not None or self._started:
            self._start()
            self.blocks.seal(signature or UNSEALED)
        self._parts = {}
        super().close()

    def _signature(self) -> str | None:
        """The item, sealed; None where a later turn could be given nothing of it."""
        item = self._item
        if item is None or not (item.get("encrypted_content") or item.get("content")):
            return None
        return seal_item(item, self.context.seal)

    def _put(self, text: str) -> None:
        if self.context.plan.thinking in ("omitted", "off"):
            return
        if not self.live:
            self._waiting.append(text)
            return
        self._start()
        self.blocks.delta({"type": "thinking_delta", "thinking": text})

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self.blocks.start({"type": "thinking", "thinking": "", "signature": ""})
