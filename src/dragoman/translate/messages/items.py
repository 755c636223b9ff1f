"""The upstream's output items while they arrive, each turning itself into Anthropic blocks.

An item gathers what its events bring. While it is `live` (the one whose turn it is) everything goes to the
client at once, otherwise it waits. Snapshots (`…done` events, finished items) only add what the deltas
left out. Items never see the stream as a whole; order and endings are decided in stream.
"""

from __future__ import annotations

from typing import Any

from dragoman.translate.messages import citations
from dragoman.translate.messages.arguments import EMPTY_OPTIONAL, Trimmer, client_call_id
from dragoman.translate.messages.blocks import Blocks
from dragoman.translate.messages.characters import REPLACEMENT, join
from dragoman.translate.messages.context import AnswerContext
from dragoman.translate.messages.outcome import Outcome, tally
from dragoman.translate.messages.reasoning import seal_item
from dragoman.wire import jsonio

# The signature of thinking that the upstream never finished: nothing can be replayed of it, and a client
# that sends it back has it dropped like any foreign one.
UNSEALED = "unsealed"


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
    __slots__ = ("announced", "blocks", "closed", "context", "done", "item_id", "live", "order", "outcome")

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

    @property
    def yields(self) -> bool:
        """Nothing more is expected, although the upstream did not say so: a waiting item may go on."""
        return self.done

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


class Part:
    """One content part of a message."""

    __slots__ = ("cited", "done", "refusal", "text")

    def __init__(self) -> None:
        self.text = Text()
        self.refusal = False
        self.done = False
        self.cited: set[tuple[Any, Any, Any]] = set()


class Message(Item):
    """Visible text: each part is a text block of its own, a refusal too."""

    kind = "message"
    __slots__ = ("_current", "_parts", "_waiting")

    def __init__(self, context: AnswerContext, blocks: Blocks, outcome: Outcome) -> None:
        super().__init__(context, blocks, outcome)
        self._parts: dict[int, Part] = {}
        self._current: int | None = None
        self._waiting: list[tuple[int, str | dict[str, Any]]] = []

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
        citation = citations.citation(annotation, str(part.text), self.context)
        if citation is not None:
            self._put(index, citation)

    def finish(self, item: dict[str, Any]) -> None:
        content = item.get("content")
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, dict):
                self.whole(index, part)
        self.done = True

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
        for index, piece in waiting:
            self._put(index, piece)

    def close(self) -> None:
        for index, part in self._parts.items():
            if rest := part.text.end():
                self._put(index, rest)
            if part.text.pieces:
                self.outcome.spoke = True
            if part.refusal:
                self.outcome.refusal = str(part.text)
        if self._current is not None:
            self.blocks.end_text()
        if self.done:
            self._parts = {}
        self._current = None
        super().close()

    def _put(self, index: int, piece: str | dict[str, Any]) -> None:
        if not self.live:
            self._waiting.append((index, piece))
            return
        if index != self._current:
            if self._current is not None:
                self.blocks.end_text()
            self._current = index
        if isinstance(piece, str):
            self.blocks.text(piece)
        else:
            self.blocks.cite(piece)


class Call(Item):
    """A call of a client's tool: a tool_use block, its arguments passed on as they come."""

    __slots__ = ("_arguments", "_ended", "_started", "_waiting", "call_id", "client_id", "name")

    def __init__(self, context: AnswerContext, blocks: Blocks, outcome: Outcome) -> None:
        super().__init__(context, blocks, outcome)
        self.call_id: str | None = None
        self.client_id = ""
        self.name: str | None = None
        self._arguments = Text()
        self._waiting: list[str] = []
        self._started = False
        self._ended = False

    @property
    def yields(self) -> bool:
        return self.done or (self._ended and self.call_id is not None and self.name is not None)

    def added(self, item: dict[str, Any]) -> None:
        self.name = _string(item.get("name")) or self.name
        self.call_id = _string(item.get("call_id")) or self.call_id
        self._begin()

    def delta(self, delta: str) -> None:
        """More of the argument string."""
        text = self._arguments.take(delta)
        if text:
            self.outcome.output_bytes += len(text) if text.isascii() else len(text.encode())
            self._put(text)

    def snapshot(self, arguments: Any) -> None:
        """The whole argument string: what is missing of it is added."""
        if isinstance(arguments, dict):
            arguments = jsonio.dump_text(arguments)  # some servers send the object itself
        if not isinstance(arguments, str):
            return
        self._ended = True
        missing = self._arguments.missing(arguments)
        if missing is None:
            self.outcome.mismatched += 1
            if self._started:
                return
            self._arguments, self._waiting = Text(), []
            missing = arguments
        if missing:
            self.delta(missing)

    def finish(self, item: dict[str, Any]) -> None:
        if not self.closed:
            self.added(item)
            self.snapshot(self._content(item))
        self.done = True

    def show(self) -> None:
        super().show()
        self._begin()

    def close(self) -> None:
        if self.call_id is None and self.name is not None:
            self.call_id = f"call_{self.context.message_id}_{self.order[1]}"
            self._begin()
        if self._started:
            if rest := self._arguments.end():
                self._put(rest)
            self._tail()
            self.blocks.stop()
            self._remember(str(self._arguments))
        elif self._hidden():
            tally(self.outcome.hidden, self.kind)
        else:
            self.outcome.dropped += 1
        self._arguments, self._waiting = Text(), []
        super().close()

    def _begin(self) -> None:
        """Opens the block as soon as it is its turn and it is known whose call it is."""
        if not self.live or self._started or self.call_id is None or self.name is None or self._hidden():
            return
        self._started = True
        self.outcome.spoke = True
        self.outcome.tool_calls += 1
        self.client_id = client_call_id(self.call_id, self.outcome.call_ids)
        self.outcome.call_ids.add(self.client_id)
        name = self.context.plan.tool_names.get(self.name, self.name)
        self.blocks.start({"type": "tool_use", "id": self.client_id, "name": name, "input": {}})
        self._head(name)
        waiting, self._waiting = self._waiting, []
        for piece in waiting:
            self._put(piece)

    def _put(self, piece: str) -> None:
        if not self._started:
            self._waiting.append(piece)
        elif piece := self._shape(piece):
            self.blocks.json(piece)

    def _hidden(self) -> bool:
        """Whether the client must not see the call."""
        return False

    def _content(self, item: dict[str, Any]) -> Any:
        """The finished item's arguments."""
        raise NotImplementedError

    def _head(self, name: str) -> None:
        """What comes before the arguments. `name` is the client's name of the tool."""

    def _shape(self, piece: str) -> str:
        """A piece of the arguments as the client gets it."""
        return piece

    def _tail(self) -> None:
        """What comes after the arguments."""

    def _remember(self, arguments: str) -> None:
        """Keeps what later turns need of the arguments."""


class FunctionCall(Call):
    """A call with JSON arguments."""

    kind = "function_call"
    __slots__ = ("_trimmer",)

    def __init__(self, context: AnswerContext, blocks: Blocks, outcome: Outcome) -> None:
        super().__init__(context, blocks, outcome)
        self._trimmer: Trimmer | None = None

    def _content(self, item: dict[str, Any]) -> Any:
        return item.get("arguments")

    def _head(self, name: str) -> None:
        if keys := EMPTY_OPTIONAL.get(name):
            self._trimmer = Trimmer(keys)

    def _shape(self, piece: str) -> str:
        return piece if self._trimmer is None else self._trimmer.feed(piece)

    def _tail(self) -> None:
        if self._trimmer is not None and (rest := self._trimmer.flush()):
            self.blocks.json(rest)

    def _remember(self, arguments: str) -> None:
        """Keeps the model's own spelling for later turns; notes a call whose input is no object."""
        if not arguments:
            return
        try:
            valid = isinstance(jsonio.parse(arguments.encode()), dict)
        except jsonio.InvalidJson:
            valid = False
        if valid:
            self.outcome.arguments[self.client_id] = arguments
        else:
            self.outcome.invalid_arguments.append(self.client_id)


class CustomCall(Call):
    """A free-text call: its text becomes the one member `input`. Only clients that declared it see it.

    What such a client sends back is the text itself, so nothing has to be remembered of it.
    """

    kind = "custom_tool_call"
    __slots__ = ()

    def _hidden(self) -> bool:
        return self.name is not None and self.name not in self.context.plan.custom_tools

    def _content(self, item: dict[str, Any]) -> Any:
        return item.get("input")

    def _head(self, name: str) -> None:
        self.blocks.json('{"input":"')

    def _shape(self, piece: str) -> str:
        return jsonio.dump_text(piece)[1:-1]

    def _tail(self) -> None:
        self.blocks.json('"}')


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
        self.done = True

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
        signature = self._signature() if thinking != "off" else None
        if signature is not None or self._started:
            self._start()
            self.blocks.delta({"type": "signature_delta", "signature": signature or UNSEALED})
            self.blocks.stop()
        self._parts = {}
        super().close()

    def _signature(self) -> str | None:
        """The item, sealed; None where a later turn could be given nothing of it."""
        item = self._item
        if item is None or not (item.get("encrypted_content") or item.get("content")):
            return None
        return seal_item(item, self.context.seal)

    def _put(self, text: str) -> None:
        if self.context.plan.thinking != "shown":
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


class Search(Item):
    """A web search that the upstream made: the call and its results, once both are known."""

    kind = "web_search_call"
    __slots__ = ("_item",)

    def __init__(self, context: AnswerContext, blocks: Blocks, outcome: Outcome) -> None:
        super().__init__(context, blocks, outcome)
        self._item: dict[str, Any] | None = None

    def finish(self, item: dict[str, Any]) -> None:
        self._item = item
        self.done = True

    def close(self) -> None:
        if self._item is not None:
            for block in citations.search_blocks(self._item, self.context, self.outcome):
                self.blocks.start(block.start)
                if block.input is not None:
                    self.blocks.delta({"type": "input_json_delta", "partial_json": block.input})
                self.blocks.stop()
            self.outcome.spoke = True
        super().close()


KINDS: dict[str, type[Item]] = {
    kind.kind: kind for kind in (Message, FunctionCall, CustomCall, Reasoning, Search)
}


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
