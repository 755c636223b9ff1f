"""Calls of the client's tools: tool_use blocks whose arguments are passed on as they come.

A block opens once it is its turn and it is known whose call it is. Arguments reach the client as the model
wrote them as long as they are JSON (see welljson). Where they end in the middle the call is not ended before
the upstream's last word: in a complete answer that is a fault, because closing the object by guess would run
half a command. What the model wrote is remembered by call id: later turns must replay it byte by byte.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from dragoman.translate.messages.arguments import EMPTY_OPTIONAL, Trimmer, client_call_id
from dragoman.translate.messages.blocks import Blocks
from dragoman.translate.messages.context import AnswerContext
from dragoman.translate.messages.items import Item, PeerError, Text
from dragoman.translate.messages.outcome import Outcome, tally
from dragoman.translate.messages.welljson import WellJson
from dragoman.wire import jsonio


class Call(Item):
    """A call of a client's tool: a tool_use block, its arguments passed on as they come."""

    field = ""  # where a finished item has its arguments
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
            self.snapshot(item.get(self.field))
        super().finish(item)
        self._begin()

    def show(self) -> None:
        super().show()
        self._begin()

    def close(self) -> None:
        self._begin(last=True)
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

    def _begin(self, *, last: bool = False) -> None:
        """Opens the block as soon as it is its turn and it is known whose call it is."""
        if self.call_id is None and self.name is not None and (self.done or last):
            self.call_id = f"call_{self.context.message_id}_{self.order[1]}"
        if not self.live or self._started or self.call_id is None or self.name is None or self._hidden():
            return
        self._started = True
        self.outcome.spoke = True
        self.outcome.tool_calls += 1
        self.client_id = client_call_id(self.call_id, self.outcome.call_ids)
        self.outcome.call_ids.add(self.client_id)
        name = self.context.plan.tool_names.get(self.name, self.name)
        self.blocks.pay()
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

    def _head(self, name: str) -> None:
        """What comes before the arguments. `name` is the client's name of the tool."""

    @abstractmethod
    def _shape(self, piece: str) -> str:
        """A piece of the arguments as the client gets it."""

    def _tail(self) -> None:
        """What comes after the arguments."""

    def _remember(self, arguments: str) -> None:
        """Keeps what later turns need of the arguments."""


class FunctionCall(Call):
    """A call with JSON arguments."""

    kind = "function_call"
    field = "arguments"
    __slots__ = ("_guard", "_trimmer")

    def __init__(self, context: AnswerContext, blocks: Blocks, outcome: Outcome) -> None:
        super().__init__(context, blocks, outcome)
        self._guard = WellJson(outcome.repaired)
        self._trimmer: Trimmer | None = None

    @property
    def unfinished(self) -> bool:
        return self._guard.unfinished

    def _head(self, name: str) -> None:
        if keys := EMPTY_OPTIONAL.get(name):
            self._trimmer = Trimmer(keys)

    def _shape(self, piece: str) -> str:
        piece = self._guard.feed(piece)
        return piece if self._trimmer is None else self._trimmer.feed(piece)

    def _tail(self) -> None:
        if self.complete and not self.blocks.over:
            self._complete()
        self.outcome.broken_off += self.unfinished
        if self._trimmer is not None and (rest := self._trimmer.flush()):
            self.blocks.json(rest)

    def _complete(self) -> None:
        """The response is complete, so the arguments must be; brackets alone may be missing."""
        rest = self._guard.finish()
        if rest is None:
            raise PeerError("a complete response with a call whose arguments end in the middle")
        if rest := rest if self._trimmer is None else self._trimmer.feed(rest):
            self.blocks.json(rest)

    def _remember(self, arguments: str) -> None:
        """Keeps the model's own spelling for later turns, where it is the object that the client got."""
        if self._guard.sound:
            self.outcome.arguments[self.client_id] = arguments


class CustomCall(Call):
    """A free-text call: its text becomes the one member `input`. Only clients that declared it see it.

    What such a client sends back is the text itself, so nothing has to be remembered of it.
    """

    kind = "custom_tool_call"
    field = "input"
    __slots__ = ()

    def _hidden(self) -> bool:
        return self.name is not None and self.name not in self.context.plan.custom_tools

    def _head(self, name: str) -> None:
        self.blocks.json('{"input":"')

    def _shape(self, piece: str) -> str:
        return jsonio.dump_text(piece)[1:-1]

    def _tail(self) -> None:
        self.blocks.json('"}')


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
