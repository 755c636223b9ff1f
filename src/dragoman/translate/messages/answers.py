"""What the model said before: assistant messages as the items they were made of.

Text, calls, sealed reasoning and searches go back in exactly their order. What this gateway sealed is
restored whole; what another one signed, or another account or model made, is left out without error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dragoman.translate.capability import Capability
from dragoman.translate.messages import search
from dragoman.translate.messages.arguments import trimmed
from dragoman.translate.messages.content import text_part
from dragoman.translate.messages.notes import SILENT, note
from dragoman.translate.messages.phases import Phases
from dragoman.translate.messages.plan import Policy, Target
from dragoman.translate.messages.questions import TOOL_CHANGES, upstream_call_id
from dragoman.translate.messages.reasoning import Opened, open_item
from dragoman.translate.messages.transcript import Item, Transcript
from dragoman.translate.pairing import Pairs
from dragoman.wire import jsonio
from dragoman.wire.responses import AssistantMessage

Block = Mapping[str, Any]

RENAMED = "tool_use id used twice: renamed"
SUMMARY = "[summary of the conversation so far]"
# What makes the text before it a comment on the way rather than the answer.
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


class Answers:
    """Reads assistant messages into a transcript. `prefill` is how the client itself began the answer."""

    __slots__ = (
        "_blocks",
        "_key",
        "_pairs",
        "_phases",
        "_place",
        "_queries",
        "_read",
        "_recall",
        "_target",
        "_transcript",
        "_without",
        "prefill",
    )

    def __init__(
        self,
        transcript: Transcript,
        pairs: Pairs,
        target: Target,
        policy: Policy,
        recall: Mapping[str, str],
        phases: Phases,
        *,
        without_reasoning: bool,
    ) -> None:
        self._transcript = transcript
        self._pairs = pairs
        self._target = target
        self._key = policy.seal_key
        self._recall = recall
        self._phases = phases
        self._without = without_reasoning
        self._blocks: Sequence[Block] = ()  # of the message that is read, and the place in it
        self._place = 0
        self._queries: dict[str, Any] = {}  # web searches without results in their message
        self._read: set[str] = set()  # searches whose results were read with the call, before their place
        self.prefill = ""

    def assistant(self, content: Any, number: int, skipped: int, *, is_last: bool) -> None:
        """An assistant message from block `skipped` on. Text at the end of the last one is a prefill."""
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        self._blocks = blocks
        last_call = _last_call(blocks)
        end = len(blocks)
        if is_last and blocks and blocks[-1]["type"] == "text" and blocks[-1]["text"].strip():
            end -= 1
            self.prefill = blocks[-1]["text"]
        for place in range(skipped, end):
            block = blocks[place]
            kind = block["type"]
            if kind == "text":
                self._say(block["text"], before_call=place < last_call)
            elif kind == "tool_use":
                self._call(block, number, place)
            elif kind not in SILENT:
                self._place = place
                _HANDLERS.get(kind, Answers._note)(self, block, f"messages.{number}.content.{place}")
        for query in self._queries.values():
            self._transcript.instruct([text_part(search.told(query, []))])
        self._queries = {}

    def _say(self, text: str, *, before_call: bool) -> None:
        if not text:
            return
        item = spoken(text, self._target.capability, self._phases, before_call=before_call)
        self._transcript.produce(item)

    def _call(self, block: Block, number: int, place: int) -> None:
        transcript, call_id = self._transcript, block["id"]
        pairs, renamed = self._pairs, None
        if pairs.renamed and (renamed := pairs.renamed.get((number, place))) is not None:
            transcript.repaired[RENAMED] = None
        name = upstream_call_id(renamed or call_id)
        if pairs.unanswered and (number, place) in pairs.unanswered:
            transcript.unanswered.append(name)
        item = {
            "type": "function_call",
            "call_id": name,
            "name": transcript.offer.names.of(block["name"]),
            "arguments": _arguments(block["name"], block["input"], self._recall.get(call_id)),
        }
        transcript.produce(item)

    def _think(self, block: Block, path: str) -> None:
        sealed = block.get("signature") if block["type"] == "thinking" else block.get("data")
        opened = None if self._without else open_item(sealed, self._key)
        item = None if opened is None else self._reopened(opened)
        if item is None:
            self._transcript.dropped += 1
        else:
            self._transcript.think(item)

    def _reopened(self, opened: Opened) -> Item | None:
        """The sealed item as this upstream takes it; None if it is another's, or stood here before."""
        sealed, target = opened.item, self._target
        if opened.account_tag != target.account_tag or opened.model != target.model:
            return None
        identity, with_id = sealed.get("id"), target.capability.item_ids
        content, encrypted = sealed.get("content"), sealed.get("encrypted_content")
        if sealed["type"] != "reasoning" or not (content or encrypted):
            return None
        # The id with what it stands for: some servers number the items of every response alike.
        known = (identity, encrypted or jsonio.dump(content)) if identity else None
        if not self._transcript.first_time(known, required=with_id):
            return None
        item: Item = {"type": "reasoning"}
        if with_id:
            item["id"] = identity
        item["summary"] = sealed.get("summary") or []
        if content:
            item["content"] = content
        if encrypted:
            item["encrypted_content"] = encrypted
        return item

    def _server_tool(self, block: Block, path: str) -> None:
        name: str = block["name"]
        if name == "web_search":
            self._searched(block["id"], block["input"].get("query"))
        elif not name.startswith("tool_search_tool_"):
            self._note(block, path)

    def _searched(self, call_id: str, query: Any) -> None:
        """A search stands where it was called, as the upstream had it: its results may come behind a text."""
        for place in range(self._place + 1, len(self._blocks)):
            later = self._blocks[place]
            if later["type"] == "web_search_tool_result" and later["tool_use_id"] == call_id:
                self._read.add(call_id)
                self._search(query, later["content"])
                return
        self._queries[call_id] = query

    def _search_results(self, block: Block, path: str) -> None:
        call_id = block["tool_use_id"]
        if call_id in self._read:
            self._read.discard(call_id)
        else:
            self._search(None, block["content"])

    def _search(self, query: Any, results: Any) -> None:
        item = search.replayed(results, self._key, self._target.account_tag)
        with_id = self._target.capability.item_ids
        if item is None or not self._transcript.first_time(item.get("id"), required=with_id):
            self._transcript.instruct([text_part(search.told(query, results))])
        else:
            self._transcript.produce(self._sent(item))

    def _sent(self, item: Item) -> Item:
        """An upstream's own item as this upstream takes it back."""
        with_id = self._target.capability.item_ids
        return item if with_id else {name: value for name, value in item.items() if name != "id"}

    def _found_tools(self, block: Block, path: str) -> None:
        content = block.get("content")
        references = content.get("tool_references") if isinstance(content, dict) else None
        names = [found.get("tool_name") for found in references or () if isinstance(found, dict)]
        self._transcript.load(name for name in names if isinstance(name, str))

    def _compaction(self, block: Block, path: str) -> None:
        item = None if self._without else compaction_of(block, self._key, self._target.account_tag)
        if item is not None:
            self._transcript.drop_thoughts()
            self._transcript.items.append(self._sent(item))
        elif block.get("content"):
            self._transcript.instruct([text_part(f"{SUMMARY}\n{block['content']}")])
        for change in block.get("tool_changes") or ():
            self._transcript.change_tools(change, path)

    def _change_tools(self, block: Block, path: str) -> None:
        self._transcript.change_tools(block, path)

    def _note(self, block: Block, path: str) -> None:
        self._transcript.content.ignored.append(path)
        if told := note(block):
            self._transcript.instruct([text_part(told)])


# Blocks of an answer by type; text and calls are handled where they are met, the rest becomes a note.
_HANDLERS: dict[str, Callable[[Answers, Block, str], None]] = {
    "thinking": Answers._think,
    "redacted_thinking": Answers._think,
    "server_tool_use": Answers._server_tool,
    "web_search_tool_result": Answers._search_results,
    "tool_search_tool_result": Answers._found_tools,
    "compaction": Answers._compaction,
    **dict.fromkeys(TOOL_CHANGES, Answers._change_tools),
}


def spoken(text: str, capability: Capability, phases: Phases, *, before_call: bool) -> Item:
    """A text that the model said, as the upstream takes it back. `before_call`: a call follows it."""
    item: AssistantMessage = {"type": "message", "role": "assistant", "content": text}
    if capability.assistant_parts:
        item["content"] = [{"type": "output_text", "text": text}]
    if capability.phase:
        item["phase"] = phases.of(text, before_call=before_call)
    return {**item}


def _last_call(blocks: Sequence[Block]) -> int:
    for place in range(len(blocks) - 1, -1, -1):
        if blocks[place]["type"] in _CALLS:
            return place
    return -1


def compaction_of(block: Block, key: bytes, account_tag: str) -> Item | None:
    """The upstream's compaction inside a block, if this gateway sealed it for this account."""
    opened = open_item(block.get("encrypted_content"), key)
    if opened is None or opened.account_tag != account_tag or opened.item["type"] != "compaction":
        return None
    return opened.item


def _arguments(name: str, given: dict[str, Any], raw: str | None) -> str:
    """The model's own spelling of a call where it says what the client sends back, else compact JSON."""
    compact = jsonio.dump_text(given)
    if raw is None or raw == compact or not raw.strip():
        return compact
    try:
        meant = jsonio.parse(trimmed(name, raw).encode())
    except (jsonio.InvalidJson, UnicodeEncodeError):
        return compact
    if meant != given:
        return compact
    # For Python 1 equals true: only where a bool may be involved is there more to compare.
    mixed = "true" in compact or "false" in compact or "true" in raw or "false" in raw
    return compact if mixed and not same(meant, given) else raw


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values say the same: 1 and 1.0 do (clients confuse them), 1 and true do not."""
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and len(one) == len(other)
            and all(name in other and same(value, other[name]) for name, value in one.items())
        )
    if isinstance(one, list):
        return (
            isinstance(other, list)
            and len(one) == len(other)
            and all(same(mine, theirs) for mine, theirs in zip(one, other, strict=True))
        )
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
