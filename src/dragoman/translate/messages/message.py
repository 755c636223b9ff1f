"""Message items: visible text. Each content part is a text block of its own, a refusal too.

Parts are shown in the order in which their text comes; a part ends when the next one begins, so that its
citations are told while its block is open. A search whose result is owed gets it from the first message
that cites, behind that message's text.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from dragoman.translate.messages.blocks import Blocks
from dragoman.translate.messages.citations import citation
from dragoman.translate.messages.context import AnswerContext
from dragoman.translate.messages.items import Item, Text
from dragoman.translate.messages.outcome import Outcome
from dragoman.translate.messages.phases import Said, hashed, told
from dragoman.wire.responses import Phase


class Part:
    """One content part of a message."""

    __slots__ = ("cited", "done", "early", "refusal", "text")

    def __init__(self) -> None:
        self.text = Text()
        self.refusal = False
        self.done = False
        self.cited: set[tuple[Any, Any, Any]] = set()
        self.early: list[dict[str, Any]] = []  # annotations that came before the text they point to


class Message(Item):
    """Visible text: each part is a text block of its own, a refusal too."""

    kind = "message"
    __slots__ = ("_current", "_parts", "_phase", "_said", "_waiting")

    def __init__(self, context: AnswerContext, blocks: Blocks, outcome: Outcome) -> None:
        super().__init__(context, blocks, outcome)
        self._parts: dict[int, Part] = {}
        self._current: int | None = None
        self._waiting: list[tuple[int, str | dict[str, Any]]] = []
        self._phase: Phase | None = None
        self._said: list[Said] = []

    @property
    def yields(self) -> bool:
        return self.done or (bool(self._parts) and all(part.done for part in self._parts.values()))

    @property
    def waits(self) -> bool:
        return bool(self._waiting)

    def part(self, index: int) -> Part:
        """The part at an index, made when it is first heard of."""
        part = self._parts.get(index)
        if part is None:
            part = self._parts[index] = Part()
        return part

    def delta(self, index: int, delta: str) -> None:
        """More text of a part."""
        part = self._parts.get(index)
        if part is None:
            part = self.part(index)
        text = part.text.take(delta)
        if text:
            self.outcome.output_bytes += len(text) if text.isascii() else len(text.encode())
            self._put(index, text)

    def snapshot(self, index: int, text: Any, annotations: Any = None) -> None:
        """A part's whole text: what is missing of it is added."""
        part = self.part(index)
        if isinstance(text, str):
            missing = part.text.missing(text)
            if missing is None:
                self.outcome.mismatched += 1
            elif missing:
                self.delta(index, missing)
            part.done = True
            self._catch_up(index, part)
        if isinstance(annotations, list):
            for annotation in annotations:
                self.annotate(index, annotation)

    def annotate(self, index: int, annotation: Any) -> None:
        """A citation; the same one is told once, however often the upstream repeats it."""
        if not isinstance(annotation, dict):
            return
        part = self.part(index)
        mark = (annotation.get("url"), annotation.get("start_index"), annotation.get("end_index"))
        if not all(isinstance(value, str | int | None) for value in mark) or mark in part.cited:
            return
        part.cited.add(mark)
        text = str(part.text)
        ahead = not text or (type(mark[2]) is int and mark[2] > len(text))
        if not part.done and (ahead or part.early):
            part.early.append(annotation)
        else:
            self._cite(index, annotation, text)

    def _cite(self, index: int, annotation: dict[str, Any], text: str) -> None:
        found = self._cited(annotation, text)
        if found is not None:
            self._put(index, found)

    def _catch_up(self, index: int, part: Part) -> None:
        """Tells the annotations that were waiting for the rest of their part's text."""
        early, part.early = part.early, []
        text = str(part.text) if early else ""
        for annotation in early:
            self._cite(index, annotation, text)

    def _cited(self, annotation: dict[str, Any], text: str) -> dict[str, Any] | None:
        """An annotation of a part with this text in the client's words; None where it has none."""
        return citation(annotation, text, self.context)

    def added(self, item: dict[str, Any]) -> None:
        self._phase = told(item)

    def finish(self, item: dict[str, Any]) -> None:
        self._phase = told(item, self._phase)
        for said in self._said:  # it had given way before its end
            said.phase = self._phase
        content = item.get("content")
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, dict):
                self.whole(index, part)
        super().finish(item)

    def whole(self, index: int, part: dict[str, Any]) -> None:
        """A finished part, of text or refusal."""
        if part.get("type") == "refusal":
            self.part(index).refusal = True
            self.snapshot(index, part.get("refusal"))
        elif part.get("type") in ("output_text", "text"):
            self.snapshot(index, part.get("text"), part.get("annotations"))

    def show(self) -> None:
        super().show()
        waiting, self._waiting = self._waiting, []
        # Each part as a whole: what is cited in the first may have come behind the text of the second.
        for index, piece in sorted(waiting, key=itemgetter(0)):
            self._put(index, piece)

    def close(self) -> None:
        for index, part in self._parts.items():
            if rest := part.text.end():
                self._put(index, rest)
            self._catch_up(index, part)
            if part.text.pieces:
                self.outcome.spoke = True
                self._note(str(part.text))
            if part.refusal:
                self.outcome.refusal = str(part.text)
        if self._current is not None:
            self.blocks.end_text()
        if self.done:
            self._parts = {}
        self._current = None
        if self.blocks.owed is not None and self.blocks.owed.known:
            self.blocks.pay()
        super().close()

    def _note(self, text: str) -> None:
        """Notes the phase of a text. The client may have less of one that was cut here: that is not known."""
        if not self.blocks.over:
            # One that is not told yet may come with the item's last shape.
            said = Said(hashed(text), self._calls_before(), self._phase)
            self._said.append(said)
            self.outcome.said.append(said)

    def _calls_before(self) -> int:
        """How many calls stand before it in the client's message."""
        return self.outcome.calls

    def _put(self, index: int, piece: str | dict[str, Any]) -> None:
        if not self.live:
            self._waiting.append((index, piece))
            return
        if not isinstance(piece, str):
            if index == self._current:  # the block of any other part is closed
                self.blocks.cite(piece)
            if self.blocks.owed is not None:
                self.blocks.owed.hear(piece)
            return
        if index != self._current:
            if self._current is not None:
                self._catch_up(self._current, self._parts[self._current])
                self.blocks.end_text()
            self._current = index
        if self._parts[index].refusal:
            self.blocks.refuse(piece)
        else:
            self.blocks.text(piece)
