"""The list of input items while it grows, and the rules that hold between its items.

Reasoning stands only before what it led to; a call always has an output; an upstream item stands once; a
tool is added where it was first referenced. Which block becomes which item is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dragoman.translate.messages.content import Content, Part, text_part
from dragoman.translate.messages.tools import Offer

Item = dict[str, Any]

INTERRUPTED = "[interrupted]"
ADDED_INTERRUPTED = "tool_use without tool_result: an output was added"


class Transcript:
    """The items of one request, in the making.

    marks      parts that the client marked with cache_control, in order
    repaired   what was mended, one constant phrase each
    dropped    thinking blocks that cannot be replayed;  replayed  reasoning items among the items
    """

    __slots__ = (
        "_ids",
        "_role",
        "_thoughts",
        "content",
        "dropped",
        "items",
        "marks",
        "offer",
        "repaired",
        "replayed",
        "unanswered",
    )

    def __init__(self, content: Content, offer: Offer, instruction_role: str) -> None:
        self.content = content
        self._role = instruction_role
        self.offer = offer
        self.items: list[Item] = []
        self.marks: list[Part] = []
        self.repaired: dict[str, None] = {}
        self.dropped = 0
        self.replayed = 0
        self.unanswered: list[str] = []  # calls of the present run of answers that will have no output
        self._ids: set[str] = set()
        self._thoughts: list[Item] = []  # reasoning that waits for the item it led to

    def ask(self, parts: list[Part]) -> None:
        """Adds a user message."""
        self.items.append({"type": "message", "role": "user", "content": parts})

    def instruct(self, parts: list[Part]) -> None:
        """Adds a developer message. Reasoning just before it has lost what it led to."""
        self.drop_thoughts()
        self.items.append({"type": "message", "role": self._role, "content": parts})

    def think(self, item: Item) -> None:
        """Takes reasoning, which is added together with what it led to."""
        self._thoughts.append(item)

    def produce(self, item: Item) -> None:
        """Adds something that the model made, after the reasoning that led to it."""
        if self._thoughts:
            self.items += self._thoughts
            self.replayed += len(self._thoughts)
            self._thoughts = []
        self.items.append(item)

    def drop_thoughts(self) -> None:
        """Gives up reasoning that led to nothing that is still here."""
        self.dropped += len(self._thoughts)
        self._thoughts = []

    def end_of_run(self) -> None:
        """The model's turn is over: open calls get the output that the client never sent."""
        self.drop_thoughts()
        for call_id in self.unanswered:
            self.repaired[ADDED_INTERRUPTED] = None
            self.items.append({"type": "function_call_output", "call_id": call_id, "output": INTERRUPTED})
        self.unanswered = []

    def first_time(self, identity: Any, *, required: bool) -> bool:
        """Whether an upstream item with this id may be added; without an id only where none is needed."""
        if not identity:
            return not required
        if identity in self._ids:
            return False
        self._ids.add(identity)
        return True

    # -- tools in the middle of the conversation -----------------------------------------------------

    def load(self, names: Iterable[str]) -> None:
        """Adds the definitions of deferred tools that are referenced here for the first time."""
        self._add([tool for name in names if (tool := self.offer.load(name)) is not None])

    def change_tools(self, block: Mapping[str, Any], path: str) -> None:
        """Follows a `tool_addition` or `tool_removal`; what refers to other servers is passed over."""
        tool = block["tool"]
        handle = _CHANGES.get((block["type"], tool["type"]))
        if handle is None:
            self.content.ignored.append(path)
        else:
            handle(self, tool, path)

    def _offer_tool(self, tool: Mapping[str, Any], path: str) -> None:
        upstream = self.offer.names.of(tool["name"])
        if upstream in self.offer.removed:
            self.offer.removed.discard(upstream)
            self.instruct([text_part(f"[tool available again: {upstream}]")])
        self.load([tool["name"]])

    def _define_tool(self, tool: Mapping[str, Any], path: str) -> None:
        definition = self.offer.define(tool["definition"], f"{path}.tool.definition")
        self._add([definition] if definition else [])

    def _withdraw_tool(self, tool: Mapping[str, Any], path: str) -> None:
        upstream = self.offer.names.of(tool["name"])
        self.offer.removed.add(upstream)
        self.instruct([text_part(f"[tool no longer available: {upstream}]")])

    def _add(self, tools: list[dict[str, Any]]) -> None:
        if tools:
            self.drop_thoughts()
            self.items.append({"type": "additional_tools", "role": "developer", "tools": tools})


_CHANGES: dict[tuple[str, str], Callable[[Transcript, Mapping[str, Any], str], None]] = {
    ("tool_addition", "tool_reference"): Transcript._offer_tool,
    ("tool_addition", "tool_definition"): Transcript._define_tool,
    ("tool_removal", "tool_reference"): Transcript._withdraw_tool,
}
