"""Chat completions for tests: contexts, runs through the translator, the laws of a stream of chunks.

`run` and `run_bytes` are the ways every test takes. `check` states what every stream of chunks must hold;
`talks` and `requests` are strategies for whole conversations, `spoilt` for requests with something wrong.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from dragoman.translate.chat.fold import ChatFold
from dragoman.translate.chat.plan import ChatContext, ChatPlan
from dragoman.translate.chat.stream import ResponsesToChat
from dragoman.wire import jsonio, sse
from tests.support.requests import PDF, PNG, TEXTS
from tests.support.streams import NOW, SEAL, Event, words

CREATED = 1_780_000_000
FINISHES = ("stop", "length", "tool_calls", "content_filter", "function_call")


def context(**fields: Any) -> ChatContext:
    """A ChatContext with plain defaults; `plan` may be a mapping of ChatPlan's fields."""
    plan = fields.pop("plan", {})
    if isinstance(plan, Mapping):
        stops = tuple(plan.get("stop_sequences", ()))
        plan = ChatPlan(**{"body": {}, "thinking": "off"} | dict(plan) | {"stop_sequences": stops})
    defaults: dict[str, Any] = {
        "message_id": "chatcmpl-golden",
        "model": "gpt-golden",
        "input_estimate": 100,
        "seal": SEAL,
        "betas": frozenset(),
        "count": words,
        "now": NOW,
        "window": 272_000,
        "created": CREATED,
    }
    return ChatContext(plan=plan, **defaults | fields)


@dataclass
class Answer:
    """What came of a run: the client's chunks, the bytes, and the automaton for its verdicts."""

    automaton: ResponsesToChat
    chunks: list[Event] = field(default_factory=list)

    @property
    def sse(self) -> bytes:
        return sse.encode_chunks(self.chunks)

    @property
    def deltas(self) -> list[Event]:
        return [choice["delta"] for chunk in self.chunks for choice in chunk.get("choices", ())]

    @property
    def finish(self) -> list[str]:
        choices = [choice for chunk in self.chunks for choice in chunk.get("choices", ())]
        return [choice["finish_reason"] for choice in choices if choice["finish_reason"] is not None]

    @property
    def text(self) -> str:
        return "".join(delta.get("content") or "" for delta in self.deltas)

    @property
    def completion(self) -> Event:
        fold = ChatFold()
        for chunk in self.chunks:
            fold.add(chunk)
        return fold.completion()

    @property
    def message(self) -> Event:
        message: Event = self.completion["choices"][0]["message"]
        return message


def run(
    events: Iterable[Event], frame: ChatContext | None = None, *, started: bool = False, close: bool = True
) -> Answer:
    """Feeds events and closes; `frame` is the context."""
    answer = Answer(ResponsesToChat(frame or context(), started=started))
    for event in events:
        answer.chunks += answer.automaton.feed(event)
    if close:
        answer.chunks += answer.automaton.close()
    return answer


def run_bytes(chunks: Iterable[bytes], frame: ChatContext | None = None, *, started: bool = False) -> Answer:
    """The same from the upstream's bytes, as a gateway does it."""
    decoder = sse.Decoder()
    answer = Answer(ResponsesToChat(frame or context(), started=started))
    for chunk in chunks:
        _feed(answer, decoder.feed(chunk))
    with contextlib.suppress(jsonio.InvalidJson):
        _feed(answer, decoder.flush())
    answer.chunks += answer.automaton.close()
    return answer


def _feed(answer: Answer, found: list[sse.Event]) -> None:
    for event in found:
        if event.data != b"[DONE]":
            answer.chunks += answer.automaton.feed(jsonio.parse_event(event.data))


def check(answer: Answer, *, started: bool = False) -> None:
    """The grammar of a stream: the role first, one finish reason or one error, nothing after but usage."""
    chunks = answer.chunks
    errors = [place for place, chunk in enumerate(chunks) if "error" in chunk]
    roles = [place for place, delta in enumerate(answer.deltas) if "role" in delta]
    assert roles == ([] if started or not answer.deltas else [0])
    if not chunks:
        assert answer.automaton.failure is not None
        return
    assert len(answer.finish) + len(errors) == 1
    assert set(answer.finish) <= set(FINISHES)
    assert errors in ([], [len(chunks) - 1])
    asked = answer.automaton.context.plan.include_usage
    after = [
        place
        for place, chunk in enumerate(chunks)
        if any(c["finish_reason"] for c in chunk.get("choices", ()))
    ]
    if after:
        rest = chunks[after[0] + 1 :]
        assert [chunk["choices"] for chunk in rest] == ([[]] if asked else [])
        assert all(chunk["usage"] for chunk in rest)
    for chunk in chunks:
        assert "error" in chunk or ("usage" in chunk) == asked
    _check_calls(answer)


def _check_calls(answer: Answer) -> None:
    """Calls are begun in order, and only the open one goes on."""
    begun = 0
    for delta in answer.deltas:
        for call in delta.get("tool_calls", ()):
            if "id" in call:
                assert call["index"] == begun
                assert call["type"] == "function"
                assert call["function"]["name"]
                begun += 1
            else:
                assert call["index"] == begun - 1
                assert set(call["function"]) == {"arguments"}


# -- requests --------------------------------------------------------------------------------------------


def tool(name: str, **fields: Any) -> dict[str, Any]:
    """A function tool with an open object schema."""
    function = {"name": name, "parameters": {"type": "object", "properties": {"a": {}}}, **fields}
    return {"type": "function", "function": function}


def request(messages: Any = "Hello.", **fields: Any) -> dict[str, Any]:
    """A small request; a string is one user message."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return {"model": "gpt-5.5", **fields, "messages": messages}


NAMES = st.sampled_from(["bash", "read", "files.read:v2", "mcp__srv__" + "long_" * 16, "gone"])
IMAGES = st.sampled_from(
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
    ]
)
FILES = st.just(
    {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}
)
TEXT_PARTS: st.SearchStrategy[Event] = TEXTS.map(lambda text: {"type": "text", "text": text})
PARTS = st.one_of(TEXT_PARTS, TEXT_PARTS, IMAGES, FILES)
CONTENTS: st.SearchStrategy[Any] = st.one_of(TEXTS, st.lists(PARTS, max_size=3))


class _Talk:
    """Draws a conversation message by message, so that results answer calls."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.count = 0
        self.open: list[str] = []

    def question(self) -> list[Event]:
        results: list[Event] = [
            {"role": "tool", "tool_call_id": call_id, "content": self.draw(CONTENTS)} for call_id in self.open
        ]
        self.open = []
        if self.draw(st.booleans()) and results:
            return results
        return [*results, {"role": "user", "content": self.draw(CONTENTS)}]

    def answer(self) -> Event:
        calls = []
        for _ in range(self.draw(st.integers(0, 2))):
            self.count += 1
            call_id = f"call_{self.count}"
            arguments = self.draw(st.sampled_from(["{}", '{"a": 1}', '{"a":"é"}', ""]))
            function = {"name": self.draw(NAMES), "arguments": arguments}
            calls.append({"id": call_id, "type": "function", "function": function})
            if self.draw(st.integers(0, 9)):
                self.open.append(call_id)
        message: Event = {"role": "assistant", "content": self.draw(st.none() | TEXTS)}
        if calls:
            message["tool_calls"] = calls
        elif message["content"] is None:
            message["content"] = "Yes."
        return message


@st.composite
def talks(draw: st.DrawFn, rounds: int = 3) -> list[list[Event]]:
    """A conversation as a list of turns' messages; the first n of them are what was sent in turn n."""
    talk = _Talk(draw)
    begin: list[Event] = []
    if draw(st.booleans()):
        begin.append({"role": draw(st.sampled_from(["system", "developer"])), "content": draw(TEXTS)})
    turns = [[*begin, {"role": "user", "content": "Go."}, *talk.question()]]
    for _ in range(draw(st.integers(0, rounds))):
        turns.append([talk.answer(), *talk.question()])
        if draw(st.integers(0, 3)) == 0:
            turns[-1].append({"role": "developer", "content": draw(TEXTS)})
    return turns


@st.composite
def requests(draw: st.DrawFn) -> Event:
    """Whole valid requests around a conversation."""
    made: Event = request([message for turn in draw(talks()) for message in turn])
    optional: dict[str, st.SearchStrategy[Any]] = {
        "tools": st.just([tool("bash"), tool("files.read:v2", strict=False, description="Reads.")]),
        "tool_choice": st.sampled_from(["auto", "none", "required"]),
        "response_format": st.sampled_from(
            [
                {"type": "text"},
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
            ]
        ),
        "reasoning_effort": st.sampled_from(["low", "xhigh", "none"]),
        "verbosity": st.sampled_from(["low", "high"]),
        "max_completion_tokens": st.integers(1, 200_000),
        "temperature": st.sampled_from([0, 1.5]),
        "logprobs": st.booleans(),
        "stop": st.sampled_from(["END", ["a", "b"], None]),
        "stream": st.booleans(),
        "something_new": st.just(1),
    }
    for name, strategy in optional.items():
        if draw(st.booleans()):
            made[name] = draw(strategy)
    return made


_OTHERS = st.sampled_from([None, True, 0, -1, 1.5, "", " ", "x", [], [None], {}, {"type": "x"}, {"type": 1}])


@st.composite
def spoilt(draw: st.DrawFn) -> Event:
    """A valid request with a random place replaced or removed."""
    made: Event = copy.deepcopy(draw(requests()))
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
