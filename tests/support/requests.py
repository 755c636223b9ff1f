"""Strategies for Messages requests: conversations as clients have them, and the same with something wrong.

`conversations` are valid and bounded; reasoning and searches in them are sealed with KEY for TAG and MODEL,
numbered in ascending order as the strict simulator wants them. `spoilt` puts a value of another kind into
a random place of a request.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from dragoman.translate.capability import capability
from dragoman.translate.messages.plan import Policy, Target, UpstreamKind
from dragoman.translate.messages.reasoning import Seal, seal_item, seal_search
from dragoman.translate.models import profile

KEY = b"strategy key, never used elsewhere"
TAG = "acct"
MODEL = "gpt-5.5"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKMSAwIG9iago8PC9UeXBlL0NhdGFsb2c+PgplbmRvYmoKJSVFT0YK"
MARK = {"type": "ephemeral"}

Block = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]


def target(
    kind: UpstreamKind = "openai",
    model: str = MODEL,
    *,
    learnt: frozenset[str] = frozenset(),
    alias_effort: str | None = None,
) -> Target:
    """A target with its table's capability."""
    known = profile(model)
    return Target(kind, model, known, capability(kind, known, learnt), TAG, alias_effort)


def policy(**fields: Any) -> Policy:
    """A policy with KEY."""
    return Policy(KEY, **fields)


def request(messages: Any = "Hello.", **fields: Any) -> dict[str, Any]:
    """A small request; a string is one user message."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return {"model": "claude-opus-4-8", "max_tokens": 4096, **fields, "messages": messages}


_PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_SPECIAL = st.sampled_from(
    [
        "",
        "Hello.",
        "<system-reminder>x</system-reminder>",
        "x-anthropic-billing-header: a",
        "naïve 漢字 🙂",
        "\0",
    ]
)
TEXTS = _PLAIN | _SPECIAL
NAMES = st.sampled_from(["Bash", "Read", "ToolSearch", "files.read:v2", "mcp__srv__" + "long_" * 16, "Gone"])
INPUTS = st.dictionaries(
    st.sampled_from(["z", "a", "é"]),
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9).map(lambda n: round(n, 2)) | TEXTS,
    max_size=3,
)
IMAGE = st.sampled_from(
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    ]
)
_SOURCES = st.one_of(
    st.just({"type": "base64", "media_type": "application/pdf", "data": PDF}),
    st.just({"type": "url", "url": "https://example.com/a.pdf"}),
    TEXTS.map(lambda text: {"type": "text", "media_type": "text/plain", "data": text}),
    st.lists(TEXTS.map(lambda text: {"type": "text", "text": text}), max_size=2).map(
        lambda blocks: {"type": "content", "content": blocks}
    ),
)
TEXT_BLOCKS: st.SearchStrategy[Block] = TEXTS.map(lambda text: {"type": "text", "text": text})
DOCUMENTS: st.SearchStrategy[Block] = st.builds(
    lambda source, title: {"type": "document", "source": source, "title": title}, _SOURCES, st.none() | TEXTS
)
_FOUND: st.SearchStrategy[Block] = st.builds(
    lambda title, text: {
        "type": "search_result",
        "source": "https://example.com",
        "title": title,
        "content": [{"type": "text", "text": text}],
    },
    TEXTS,
    TEXTS,
)
INPUT_BLOCKS = st.one_of(TEXT_BLOCKS, TEXT_BLOCKS, IMAGE, DOCUMENTS, _FOUND)
_REFERENCES: st.SearchStrategy[Block] = st.sampled_from(["WebFetch", "Alpha", "Bash", "Nowhere"]).map(
    lambda name: {"type": "tool_reference", "tool_name": name}
)
RESULT_CONTENTS = st.one_of(st.none(), TEXTS, st.lists(st.one_of(INPUT_BLOCKS, _REFERENCES), max_size=3))
_CHANGES: st.SearchStrategy[Block] = st.sampled_from(
    [
        {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "WebFetch"}},
        {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "Read"}},
        {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "Read"}},
    ]
)


def tool(name: str, **fields: Any) -> dict[str, Any]:
    """A client's tool with an open object schema."""
    return {"name": name, "input_schema": {"type": "object", "properties": {"a": {}}}, **fields}


TOOLS = [
    tool("Bash", description="Runs a command."),
    {"name": "DeferredToolPlaceholder", "input_schema": {"type": "object"}, "defer_loading": True},
    tool("Alpha", defer_loading=True),
    tool("files.read:v2"),
    tool("mcp__srv__" + "long_" * 16),
    {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
    tool("Read"),
    tool("ToolSearch"),
    tool("WebFetch", defer_loading=True),
]


class _Conversation:
    """Draws a conversation message by message, so that results answer calls and seals are numbered."""

    def __init__(self, draw: Draw, model: str) -> None:
        self.draw = draw
        self.count = 0
        self.open: list[str] = []
        self._seal = Seal(KEY, TAG, model)

    def _number(self) -> int:
        self.count += 1
        return self.count

    def answer(self) -> dict[str, Any]:
        if self.draw(st.booleans()):
            return {"role": "assistant", "content": self.draw(TEXTS)}
        kinds = self.draw(
            st.lists(st.sampled_from(["text", "thinking", "foreign", "call", "search", "note"]), max_size=5)
        )
        blocks: list[Block] = []
        for kind in kinds:
            blocks += getattr(self, f"_{kind}")()
        return {"role": "assistant", "content": blocks}

    def _text(self) -> list[Block]:
        return [self.draw(TEXT_BLOCKS)]

    def _thinking(self) -> list[Block]:
        number = self._number()
        item = {
            "type": "reasoning",
            "id": f"rs_{number}",
            "summary": [{"type": "summary_text", "text": self.draw(TEXTS)}],
            "encrypted_content": f"rs_{number}|{number}",
        }
        sealed = seal_item(item, self._seal)
        if self.draw(st.booleans()):
            return [{"type": "thinking", "thinking": "", "signature": sealed}]
        return [{"type": "redacted_thinking", "data": sealed}]

    def _foreign(self) -> list[Block]:
        return [{"type": "thinking", "thinking": self.draw(TEXTS), "signature": self.draw(TEXTS)}]

    def _call(self) -> list[Block]:
        identity = self.draw(st.sampled_from(["call_{}", "toolu_{}" + "x" * 90, "call_same"])).format(
            self._number()
        )
        self.open.append(identity)
        return [{"type": "tool_use", "id": identity, "name": self.draw(NAMES), "input": self.draw(INPUTS)}]

    def _search(self) -> list[Block]:
        number = self._number()
        url = "https://example.com/w"
        action = {"type": "search", "query": "q", "sources": [{"type": "url", "url": url}]}
        item = {"type": "web_search_call", "id": f"ws_{number}", "status": "completed", "action": action}
        sealed = seal_search(item, self._seal) if self.draw(st.booleans()) else "foreign"
        result = {"type": "web_search_result", "url": url, "title": "T", "encrypted_content": sealed}
        between = self._text() if self.draw(st.booleans()) else []
        return [
            {"type": "server_tool_use", "id": f"s_{number}", "name": "web_search", "input": {"query": "q"}},
            *between,
            {"type": "web_search_tool_result", "tool_use_id": f"s_{number}", "content": [result]},
        ]

    def _note(self) -> list[Block]:
        return [{"type": "code_execution_tool_result", "tool_use_id": "s", "content": {"stdout": "1"}}]

    def question(self) -> dict[str, Any]:
        waiting, self.open = self.open, []
        if not waiting and self.draw(st.booleans()):
            return {"role": "user", "content": self.draw(TEXTS)}
        answered = self.draw(st.permutations(waiting)) if waiting else []
        if answered and self.draw(st.booleans()):
            answered = answered[1:]
        blocks: list[Block] = [self._result(identity) for identity in answered]
        if self.draw(st.integers(0, 5)) == 0:
            blocks.append(self._result("call_nobody"))
        blocks += self.draw(st.lists(st.one_of(INPUT_BLOCKS, INPUT_BLOCKS, _CHANGES), max_size=3))
        if blocks and self.draw(st.booleans()) and blocks[-1]["type"] != "tool_addition":
            blocks[-1] = {**blocks[-1], "cache_control": MARK}
        return {"role": "user", "content": blocks}

    def _result(self, identity: str) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": identity}
        if (content := self.draw(RESULT_CONTENTS)) is not None:
            block["content"] = content
        if (error := self.draw(st.sampled_from([None, False, True]))) is not None:
            block["is_error"] = error
        return block

    def system(self) -> dict[str, Any]:
        content = self.draw(st.one_of(TEXTS, st.lists(st.one_of(TEXT_BLOCKS, _CHANGES), max_size=2)))
        return {"role": "system", "content": content}


@st.composite
def conversations(draw: Draw, model: str = MODEL, rounds: int = 3) -> list[dict[str, Any]]:
    """Messages that begin and end with the user, at most `rounds` answers; at most four cache marks."""
    talk = _Conversation(draw, model)
    messages = [talk.question()]
    for _ in range(draw(st.integers(0, rounds))):
        if draw(st.integers(0, 3)) == 0:
            messages.append(talk.system())
        messages.append(talk.answer())
        messages.append(talk.question())
    if draw(st.integers(0, 3)) == 0:
        messages.append(talk.system())
    return messages


@st.composite
def requests(draw: Draw, model: str = MODEL) -> dict[str, Any]:
    """Whole valid requests around a conversation."""
    made: dict[str, Any] = {
        "model": "claude-opus-4-8",
        "max_tokens": draw(st.integers(0, 200_000)),
        "messages": draw(conversations(model)),
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "system": st.one_of(TEXTS, st.lists(TEXT_BLOCKS, max_size=3)),
        "tools": st.just(TOOLS) | st.just(TOOLS[:1]),
        "tool_choice": st.sampled_from([{"type": "auto"}, {"type": "any"}, {"type": "none"}]),
        "thinking": st.sampled_from(
            [{"type": "adaptive"}, {"type": "disabled"}, {"type": "enabled", "budget_tokens": 9000}]
        ),
        "output_config": st.sampled_from(["low", "max", "none"]).map(lambda level: {"effort": level}),
        "temperature": st.sampled_from([0, 0.5, 1]),
        "stop_sequences": st.lists(st.sampled_from(["END", "\n"]), max_size=2),
        "something_new": st.none(),
    }
    for name, strategy in optional.items():
        if draw(st.booleans()):
            made[name] = draw(strategy)
    return made


_OTHERS = st.sampled_from([None, True, 0, -1, 1.5, "", " ", "x", [], [None], {}, {"type": "x"}, {"type": 1}])


@st.composite
def spoilt(draw: Draw) -> dict[str, Any]:
    """A valid request with a random place replaced or removed."""
    made: dict[str, Any] = copy.deepcopy(draw(requests()))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = made
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 3)):
                place = place[key]
                continue
            if draw(st.booleans()):
                place[key] = copy.deepcopy(draw(_OTHERS))
            else:
                del place[key]
            break
    return made
