"""Answers of a Responses server for tests: builders of events, contexts, and a run through the translator.

`run` is the way every test takes: bytes through the decoder, events through the automaton, the end
through close(). `sequences` are hypothesis strategies over whole answers, ordered and disordered.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from dragoman.translate.messages.fold import Fold
from dragoman.translate.messages.plan import Plan
from dragoman.translate.messages.reasoning import Seal
from dragoman.translate.messages.stream import AnswerContext, ResponsesToMessages
from dragoman.wire import jsonio, sse
from dragoman.wire.grammar import Grammar

Event = dict[str, Any]

NOW = 1_780_000_000.0
SEAL = Seal(b"golden-seal-key", "acct-tag", "gpt-test")
TUPLES = ("stop_sequences", "blocked_domains")


def words(text: str) -> int:
    """The tokenizer of the tests: one token for each word begun."""
    return len(text.split())


def context(**fields: Any) -> AnswerContext:
    """An AnswerContext with plain defaults; `plan` may be a mapping of Plan's fields."""
    plan = fields.pop("plan", {})
    if isinstance(plan, Mapping):
        known = dict(plan)
        for name in TUPLES:
            known[name] = tuple(known.get(name, ()))
        known["custom_tools"] = frozenset(known.get("custom_tools", ()))
        plan = Plan(**{"body": {}, "thinking": "shown"} | known)
    defaults: dict[str, Any] = {
        "message_id": "msg_golden",
        "model": "claude-golden",
        "input_estimate": 100,
        "seal": SEAL,
        "count": words,
        "now": NOW,
        "window": 272_000,
    }
    betas = frozenset(fields.pop("betas", ()))
    return AnswerContext(plan=plan, betas=betas, **defaults | fields)


@dataclass
class Answer:
    """What came of a run: the client's events, the bytes, and the automaton for its verdicts."""

    automaton: ResponsesToMessages
    events: list[Event] = field(default_factory=list)

    @property
    def sse(self) -> bytes:
        return sse.encode_all(self.events)

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def message(self) -> Event:
        fold = Fold()
        for event in self.events:
            fold.add(event)
        return fold.message()

    @property
    def content(self) -> list[Event]:
        content: list[Event] = self.message["content"]
        return content

    @property
    def text(self) -> str:
        deltas = [event["delta"] for event in self.events if event["type"] == "content_block_delta"]
        return "".join(delta["text"] for delta in deltas if delta["type"] == "text_delta")

    def checked(self) -> Answer:
        """Itself, once its grammar has been checked; an answer that began must have its end."""
        grammar = Grammar()
        for event in self.events:
            grammar.check(event)
        assert grammar.complete or not grammar.started, "the answer has no end"
        return self


def run(
    events: Iterable[Event], frame: AnswerContext | None = None, *, started: bool = False, close: bool = True
) -> Answer:
    """Feeds events and closes; `frame` is the context."""
    answer = Answer(ResponsesToMessages(frame or context(), started=started))
    for event in events:
        answer.events += answer.automaton.feed(event)
    if close:
        answer.events += answer.automaton.close()
    return answer


def run_bytes(
    chunks: Iterable[bytes],
    frame: AnswerContext | None = None,
    *,
    started: bool = False,
    foreseen: bool = False,
) -> Answer:
    """The same from the upstream's bytes; `foreseen`: each read is looked at first, as a gateway does."""
    decoder = sse.Decoder()
    answer = Answer(ResponsesToMessages(frame or context(), started=started))
    for chunk in chunks:
        _feed(answer, decoder.feed(chunk), foreseen=foreseen)
    with contextlib.suppress(jsonio.InvalidJson):  # several data lines, cut between two of them
        _feed(answer, decoder.flush())
    answer.events += answer.automaton.close()
    return answer


def _feed(answer: Answer, found: list[sse.Event], *, foreseen: bool = False) -> None:
    events = [jsonio.parse_event(event.data) for event in found if event.data != b"[DONE]"]
    if foreseen:
        answer.automaton.foresee(events)
    for event in events:
        answer.events += answer.automaton.feed(event)


# -- events ----------------------------------------------------------------------------------------------

USAGE = {
    "input_tokens": 1200,
    "input_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 0},
    "output_tokens": 50,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 1250,
}


def response(**fields: Any) -> Event:
    return {"id": "resp_1", "object": "response", "model": "gpt-test", "output": []} | fields


def created() -> Event:
    return {"type": "response.created", "response": response(status="in_progress")}


def completed(output: list[Event] | None = None, **fields: Any) -> Event:
    whole = response(status="completed", output=output or [], usage=USAGE, service_tier="default")
    return {"type": "response.completed", "response": whole | fields}


def incomplete(reason: str | None, output: list[Event] | None = None, **fields: Any) -> Event:
    details = None if reason is None else {"reason": reason}
    whole = response(status="incomplete", incomplete_details=details, output=output or [], usage=USAGE)
    return {"type": "response.incomplete", "response": whole | fields}


def failed(code: str | None, message: str, **fields: Any) -> Event:
    error = {"code": code, "message": message} | fields
    return {"type": "response.failed", "response": response(status="failed", error=error)}


def added(index: int, item: Event) -> Event:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, item: Event) -> Event:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def delta(kind: str, item_id: str, index: int, text: str, **fields: Any) -> Event:
    return {
        "type": f"response.{kind}.delta",
        "item_id": item_id,
        "output_index": index,
        "delta": text,
    } | fields


def message(item_id: str, *texts: str, **fields: Any) -> Event:
    content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"type": "message", "id": item_id, "role": "assistant", "content": content} | fields


def call(n: int, name: str, arguments: str = "", **fields: Any) -> Event:
    return {
        "type": "function_call",
        "id": f"fc_{n}",
        "call_id": f"call_{n}",
        "name": name,
        "arguments": arguments,
    } | fields


def reasoning(item_id: str, *summary: str, **fields: Any) -> Event:
    parts = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": item_id, "summary": parts, "encrypted_content": "sealed"} | fields


def text_events(index: int, item_id: str, *deltas: str) -> list[Event]:
    """A message item with one text part, whole."""
    part = {"item_id": item_id, "output_index": index, "content_index": 0}
    text = "".join(deltas)
    return [
        added(index, message(item_id)),
        {"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}} | part,
        *(delta("output_text", item_id, index, piece, content_index=0) for piece in deltas),
        {"type": "response.output_text.done", "text": text} | part,
        {"type": "response.content_part.done", "part": {"type": "output_text", "text": text}} | part,
        done(index, message(item_id, text)),
    ]


def call_events(index: int, n: int, name: str, *deltas: str) -> list[Event]:
    """A function call, whole."""
    place = {"item_id": f"fc_{n}", "output_index": index}
    arguments = "".join(deltas)
    return [
        added(index, call(n, name)),
        *(delta("function_call_arguments", f"fc_{n}", index, piece) for piece in deltas),
        {"type": "response.function_call_arguments.done", "arguments": arguments} | place,
        done(index, call(n, name, arguments)),
    ]


def reasoning_events(index: int, item_id: str, *parts: str) -> list[Event]:
    """A reasoning item with summary parts, whole."""
    events = [added(index, reasoning(item_id, encrypted_content="half"))]
    for at, text in enumerate(parts):
        place = {"item_id": item_id, "output_index": index, "summary_index": at}
        part = {"type": "summary_text", "text": text}
        events += [
            {"type": "response.reasoning_summary_part.added", "part": {"type": "summary_text", "text": ""}}
            | place,
            *(
                delta("reasoning_summary_text", item_id, index, piece, summary_index=at)
                for piece in (text[:3], text[3:])
            ),
            {"type": "response.reasoning_summary_text.done", "text": text} | place,
            {"type": "response.reasoning_summary_part.done", "part": part} | place,
        ]
    return [*events, done(index, reasoning(item_id, *parts))]


def search_item(item_id: str, *urls: str, **fields: Any) -> Event:
    sources = [{"type": "url", "url": url} for url in urls]
    action = {"type": "search", "query": "q", "queries": ["q"], "sources": sources}
    return {"type": "web_search_call", "id": item_id, "status": "completed", "action": action} | fields


def search_events(index: int, item_id: str, *urls: str, **fields: Any) -> list[Event]:
    """A web search, whole."""
    place = {"item_id": item_id, "output_index": index}
    return [
        added(index, {"type": "web_search_call", "id": item_id, "status": "in_progress"}),
        *(
            {"type": f"response.web_search_call.{step}"} | place
            for step in ("in_progress", "searching", "completed")
        ),
        done(index, search_item(item_id, *urls, **fields)),
    ]


def citation(url: str, start: int, end: int, title: str = "T") -> Event:
    return {"type": "url_citation", "url": url, "title": title, "start_index": start, "end_index": end}


def cited_events(index: int, item_id: str, text: str, *citations: Event) -> list[Event]:
    """A message item with one text part that cites, whole."""
    part = {"item_id": item_id, "output_index": index, "content_index": 0}
    *events, last = text_events(index, item_id, text)
    told = [
        {"type": "response.output_text.annotation.added", "annotation_index": at, "annotation": note} | part
        for at, note in enumerate(citations)
    ]
    last["item"]["content"][0]["annotations"] = list(citations)
    return [*events[:3], *told, *events[3:], last]


# -- strategies ------------------------------------------------------------------------------------------

TEXTS = st.text(alphabet='abEND \n"\\{}é漢😀\u2028', max_size=12)
_JSON = st.dictionaries(
    TEXTS, st.one_of(st.integers(0, 9), TEXTS, st.none(), st.lists(TEXTS, max_size=2)), max_size=3
)


_ARGUMENTS = _JSON.map(jsonio.dump_text)
_PAGES = ("https://example.com/a", "https://example.org/b")


@st.composite
def _cut(draw: st.DrawFn, text: str) -> list[str]:
    """A text in pieces."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@st.composite
def _item(draw: st.DrawFn, index: int, arguments: st.SearchStrategy[str]) -> list[Event]:
    kind = draw(st.sampled_from(["text", "cited", "call", "call", "reasoning", "search"]))
    if kind == "cited":
        notes = draw(st.lists(st.sampled_from(_PAGES), max_size=3))
        return cited_events(index, f"msg_{index}", draw(TEXTS), *(citation(url, 0, 2) for url in notes))
    if kind == "text":
        return text_events(index, f"msg_{index}", *draw(_cut(draw(TEXTS))))
    if kind == "call":
        name = draw(st.sampled_from(["Read", "Bash"]))
        return call_events(index, index, name, *draw(_cut(draw(arguments))))
    if kind == "reasoning":
        return reasoning_events(index, f"rs_{index}", *draw(st.lists(TEXTS, max_size=3)))
    return search_events(index, f"ws_{index}", *draw(st.lists(st.just(_PAGES[0]), max_size=2)))


@st.composite
def answers(draw: st.DrawFn, arguments: st.SearchStrategy[str] = _ARGUMENTS) -> list[Event]:
    """A whole answer of a well-behaved server, its items possibly interleaved, with its end."""
    items = [draw(_item(index, arguments)) for index in range(draw(st.integers(0, 5)))]
    events = [created()]
    if draw(st.booleans()):
        waiting = [list(item) for item in items]
        while waiting:
            chosen = draw(st.integers(0, len(waiting) - 1))
            events.append(waiting[chosen].pop(0))
            waiting = [item for item in waiting if item]
    else:
        events += [event for item in items for event in item]
    whole = [item[-1]["item"] for item in items] if draw(st.booleans()) else []
    end = draw(st.sampled_from(["completed", "completed", "incomplete", "filtered", "failed", "cut"]))
    if end == "completed":
        events.append(completed(whole))
    elif end == "incomplete":
        events.append(incomplete("max_output_tokens", whole))
    elif end == "filtered":
        events.append(incomplete("content_filter"))
    elif end == "failed":
        events.append(failed("server_error", "broken"))
    return events


@st.composite
def garbage(draw: st.DrawFn) -> list[Event]:
    """Events of an answer in any order, some lost, doubled, bent or unknown."""
    events = draw(answers())
    events = draw(st.permutations(events)) if draw(st.booleans()) else events
    events = [event for event in events if draw(st.integers(0, 9))]
    for _ in range(draw(st.integers(0, 4))):
        if events:
            events.insert(draw(st.integers(0, len(events))), draw(_bent(draw(st.sampled_from(events)))))
    return events


_ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, 7, -1, "", "x", [], {}, True, 1.5, {"type": "message"}, {"type": "reasoning", "summary": 3}]
)


@st.composite
def _bent(draw: st.DrawFn, event: Event) -> Event:
    key = draw(
        st.sampled_from([*event, "type", "item", "delta", "output_index", "item_id", "text", "arguments"])
    )
    return event | {key: draw(_ODD)}
