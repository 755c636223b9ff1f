"""From steps to Responses stream events, in the order that the API documents.

created, in_progress, then per item: added, its parts and deltas, done; then exactly one terminal event. It
assigns ids, indexes and sequence numbers and collects the output; it never touches a socket (faults.py) and
never decides what is said (scenario.py, generative.py).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dragoman.simulator.sealing import DEFAULT_BYTES
from dragoman.simulator.steps import Step

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """A scripted silence."""

    ms: float


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Bytes that go out as they are: comments and deliberately broken frames."""

    raw: bytes


Frame = Event | Pause | Verbatim


class Mint:
    """Ids, deterministic per simulator and long enough to look like the service's."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._counter = itertools.count(1)

    def new(self, prefix: str, length: int = 32) -> str:
        made = hashlib.blake2b(f"{self._seed}:{next(self._counter)}".encode(), digest_size=32).hexdigest()
        return f"{prefix}_{made[:length]}"


@dataclass(slots=True)
class Voice:
    """How this request wants to be answered, beyond the steps."""

    mint: Mint
    seal: Callable[[str, str, int, int], str]  # item id, next item's type, tokens, size -> encrypted_content
    seal_compaction: Callable[[str, int, int], str]
    summaries: bool = True
    encrypted: bool = True
    sources: bool = True
    obfuscate: bool = False
    chunk_chars: int = 16
    done_items: bool = True
    output: list[Event] = field(default_factory=list)


def items(steps: Sequence[Step], voice: Voice) -> Iterator[Frame]:
    """All frames between in_progress and the terminal event; finished items land in `voice.output`."""
    index = 0
    pending: list[Event] = []  # annotations of a search, for the message that follows
    for number, step in enumerate(steps):
        if step.kind == "interleave":
            group: Sequence[Step] = step.args["steps"]
            yield from _interleaved(group, index, voice)
            index += len(group)
        elif step.item:
            if step.kind == "message" and pending and not step.args.get("annotations"):
                step = Step(step.kind, {**step.args, "annotations": pending}, step.cut)
                pending = []
            pending = list(step.args.get("annotations", ())) if step.kind == "web_search" else pending
            following = next((later for later in steps[number + 1 :] if _item_of(later)), None)
            yield from _item(step, index, _item_of(following) if following else "", voice)
            index += 1
        else:
            yield _disturbance(step)


def _item_of(step: Step) -> str:
    if step.kind == "interleave":
        group: Sequence[Step] = step.args["steps"]
        return group[0].item if group else ""
    return step.item


def _interleaved(group: Sequence[Step], index: int, voice: Voice) -> Iterator[Frame]:
    """Several items at once: one event of each in turn, as some servers send parallel calls."""
    streams = [_item(step, index + number, "", voice) for number, step in enumerate(group)]
    while streams:
        for stream in list(streams):
            frame = next(stream, None)
            if frame is None:
                streams.remove(stream)
            else:
                yield frame


def _disturbance(step: Step) -> Frame:
    match step.kind:
        case "sleep_ms":
            return Pause(float(step.args["ms"]))
        case "comment":
            return Verbatim(b": " + step.text().encode() + b"\n\n")
        case "keepalive":
            return {"type": "keepalive"}
    event = step.args["event"]
    return Verbatim(event.encode()) if isinstance(event, str) else dict(event)


def _item(step: Step, index: int, following: str, voice: Voice) -> Iterator[Frame]:
    maker = _MAKERS[step.kind]
    item: Event = {}
    for event in maker(step, index, following, voice):
        if event["type"] == "response.output_item.done":
            item = event["item"]
            if not voice.done_items:
                continue
        yield event
    voice.output.append(item)


def _pieces(text: str, args: Mapping[str, Any], voice: Voice) -> list[str]:
    """A text in the chunks asked for: at given offsets, in a given number, or of the usual size."""
    if not text:
        return []
    if split := args.get("split"):
        edges = [0, *(int(edge) for edge in split), len(text)]
        return [text[a:b] for a, b in itertools.pairwise(edges) if text[a:b]]
    size = voice.chunk_chars
    if chunks := int(args.get("chunks") or 0):
        size = -(-len(text) // chunks)
    return [text[at : at + size] for at in range(0, len(text), max(1, size))]


def _status(step: Step) -> str:
    return "incomplete" if step.cut else str(step.args.get("status", "completed"))


def _delta(kind: str, place: Event, delta: str, voice: Voice, **more: Any) -> Event:
    event = {"type": kind, **place, "delta": delta, **more}
    if voice.obfuscate:
        event["obfuscation"] = "x" * (16 - len(delta) % 16)
    return event


def _message(step: Step, index: int, following: str, voice: Voice) -> Iterator[Event]:
    refusal = step.kind == "refusal"
    text = step.text()
    item_id = voice.mint.new("msg")
    item: Event = {
        "type": "message",
        "id": item_id,
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    if phase := step.args.get("phase"):
        item["phase"] = phase
    yield {"type": "response.output_item.added", "output_index": index, "item": dict(item)}
    place = {"item_id": item_id, "output_index": index, "content_index": 0}
    yield {"type": "response.content_part.added", **place, "part": _part("", [], refusal)}
    kind = "response.refusal" if refusal else "response.output_text"
    more: Event = {} if refusal else {"logprobs": []}
    for piece in _pieces(text, step.args, voice):
        yield _delta(f"{kind}.delta", place, piece, voice, **more)
    notes = [_annotation(note, text) for note in step.args.get("annotations", ())]
    for number, note in enumerate(notes):
        yield {
            "type": "response.output_text.annotation.added",
            **place,
            "annotation_index": number,
            "annotation": note,
        }
    yield {"type": f"{kind}.done", **place, "refusal" if refusal else "text": text, **more}
    part = _part(text, notes, refusal)
    yield {"type": "response.content_part.done", **place, "part": part}
    done = {**item, "status": _status(step), "content": [part]}
    yield {"type": "response.output_item.done", "output_index": index, "item": done}


def _part(text: str, notes: list[Event], refusal: bool) -> Event:
    if refusal:
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": notes, "logprobs": []}


def _annotation(note: Mapping[str, Any], text: str) -> Event:
    """A URL citation: by offsets, or by the words it quotes."""
    quoted = str(note.get("text", ""))
    at = max(0, text.find(quoted)) if quoted else 0
    return {
        "type": "url_citation",
        "url": str(note["url"]),
        "title": str(note.get("title", note["url"])),
        "start_index": int(note.get("start_index", at)),
        "end_index": int(note.get("end_index", at + len(quoted) if quoted else len(text))),
    }


def _reasoning(step: Step, index: int, following: str, voice: Voice) -> Iterator[Event]:
    item_id = voice.mint.new("rs")
    spent = int(step.args.get("tokens") or 64)
    size = int(step.args.get("seal_bytes") or DEFAULT_BYTES)
    item: Event = {"type": "reasoning", "id": item_id, "summary": []}
    sealed = voice.encrypted and step.args.get("sealed", step.kind == "reasoning")
    content = voice.seal(item_id, following, spent, size) if sealed else None
    added = dict(item)
    if content is not None:
        added["encrypted_content"] = content[: len(content) // 2]  # only `done` has the whole of it
    yield {"type": "response.output_item.added", "output_index": index, "item": added}
    summary = list(step.args.get("summary", ())) if voice.summaries else []
    for number, text in enumerate(summary):
        yield from _summary_part(item_id, index, number, str(text), step, voice)
    done = {**item, "summary": [{"type": "summary_text", "text": text} for text in summary]}
    if raw := step.args.get("text"):
        yield from _reasoning_text(item_id, index, str(raw), step, voice)
        done["content"] = [{"type": "reasoning_text", "text": raw}]
    if content is not None:
        done["encrypted_content"] = content
    if step.cut:
        done["status"] = "incomplete"
    yield {"type": "response.output_item.done", "output_index": index, "item": done}


def _summary_part(
    item_id: str, index: int, number: int, text: str, step: Step, voice: Voice
) -> Iterator[Event]:
    place = {"item_id": item_id, "output_index": index, "summary_index": number}
    kind = "response.reasoning_summary_text"
    yield {
        "type": "response.reasoning_summary_part.added",
        **place,
        "part": {"type": "summary_text", "text": ""},
    }
    for piece in _pieces(text, {}, voice):
        yield _delta(f"{kind}.delta", place, piece, voice)
    yield {"type": f"{kind}.done", **place, "text": text}
    yield {
        "type": "response.reasoning_summary_part.done",
        **place,
        "part": {"type": "summary_text", "text": text},
    }


def _reasoning_text(item_id: str, index: int, text: str, step: Step, voice: Voice) -> Iterator[Event]:
    place = {"item_id": item_id, "output_index": index, "content_index": 0}
    for piece in _pieces(text, step.args, voice):
        yield _delta("response.reasoning_text.delta", place, piece, voice)
    yield {"type": "response.reasoning_text.done", **place, "text": text}


def _function_call(step: Step, index: int, following: str, voice: Voice) -> Iterator[Event]:
    name, arguments = str(step.args["name"]), step.text()
    item: Event = {
        "type": "function_call",
        "id": voice.mint.new("fc"),
        "call_id": step.args.get("call_id") or voice.mint.new("call", 24),
        "name": name,
        "arguments": "",
        "status": "in_progress",
    }
    if namespace := step.args.get("namespace"):
        item["namespace"] = namespace
    yield {"type": "response.output_item.added", "output_index": index, "item": dict(item)}
    place = {"item_id": item["id"], "output_index": index}
    if step.args.get("deltas", True):
        for piece in _pieces(arguments, step.args, voice):
            yield _delta("response.function_call_arguments.delta", place, piece, voice)
    yield {"type": "response.function_call_arguments.done", **place, "name": name, "arguments": arguments}
    done = {**item, "arguments": arguments, "status": _status(step)}
    yield {"type": "response.output_item.done", "output_index": index, "item": done}


def _custom_tool_call(step: Step, index: int, following: str, voice: Voice) -> Iterator[Event]:
    text = step.text()
    item: Event = {
        "type": "custom_tool_call",
        "id": voice.mint.new("ctc"),
        "call_id": step.args.get("call_id") or voice.mint.new("call", 24),
        "name": str(step.args["name"]),
        "input": "",
    }
    yield {"type": "response.output_item.added", "output_index": index, "item": dict(item)}
    place = {"item_id": item["id"], "output_index": index}
    for piece in _pieces(text, step.args, voice):
        yield _delta("response.custom_tool_call_input.delta", place, piece, voice)
    yield {"type": "response.custom_tool_call_input.done", **place, "input": text}
    done = {**item, "input": text}
    yield {"type": "response.output_item.done", "output_index": index, "item": done}


def _web_search(step: Step, index: int, following: str, voice: Voice) -> Iterator[Event]:
    item: Event = {
        "type": "web_search_call",
        "id": voice.mint.new("ws"),
        "status": "in_progress",
        "action": _search_action(step.args, with_sources=False),
    }
    yield {"type": "response.output_item.added", "output_index": index, "item": dict(item)}
    place = {"output_index": index, "item_id": item["id"]}
    for phase in ("in_progress", "searching", "completed"):
        yield {"type": f"response.web_search_call.{phase}", **place}
    done = {**item, "status": _status(step), "action": _search_action(step.args, with_sources=voice.sources)}
    yield {"type": "response.output_item.done", "output_index": index, "item": done}


def _search_action(args: Mapping[str, Any], *, with_sources: bool) -> Event:
    kind = args.get("action", "search")
    if kind == "open_page":
        return {"type": kind, "url": str(args.get("url", "https://example.com/"))}
    queries = [str(query) for query in args.get("queries", ())] or ["example"]
    if kind == "find_in_page":
        return {"type": kind, "url": str(args.get("url", "https://example.com/")), "pattern": queries[0]}
    action: Event = {"type": "search", "query": queries[0], "queries": queries}
    if with_sources:
        sources = args.get("sources", ())
        action["sources"] = [
            {"type": "url", "url": source if isinstance(source, str) else str(source["url"])}
            for source in sources
        ]
    return action


def _image_generation(step: Step, index: int, following: str, voice: Voice) -> Iterator[Event]:
    item: Event = {
        "type": "image_generation_call",
        "id": voice.mint.new("ig"),
        "status": "in_progress",
        "result": None,
    }
    yield {"type": "response.output_item.added", "output_index": index, "item": dict(item)}
    place = {"output_index": index, "item_id": item["id"]}
    yield {"type": "response.image_generation_call.in_progress", **place}
    yield {"type": "response.image_generation_call.generating", **place}
    for number, partial in enumerate(step.args.get("partial_images", ())):
        yield {
            "type": "response.image_generation_call.partial_image",
            **place,
            "partial_image_index": number,
            "partial_image_b64": str(partial),
        }
    yield {"type": "response.image_generation_call.completed", **place}
    done = {**item, "status": "completed", "result": str(step.args.get("result", ""))}
    yield {"type": "response.output_item.done", "output_index": index, "item": done}


def _compaction(step: Step, index: int, following: str, voice: Voice) -> Iterator[Event]:
    item_id = voice.mint.new("cmp")
    spent = int(step.args.get("tokens", 500))
    content = voice.seal_compaction(item_id, spent, int(step.args.get("seal_bytes", DEFAULT_BYTES)))
    item = {"type": "compaction", "id": item_id, "encrypted_content": content}
    yield {"type": "response.output_item.added", "output_index": index, "item": item}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


_MAKERS: dict[str, Callable[[Step, int, str, Voice], Iterator[Event]]] = {
    "message": _message,
    "refusal": _message,
    "reasoning": _reasoning,
    "reasoning_text": _reasoning,
    "function_call": _function_call,
    "custom_tool_call": _custom_tool_call,
    "web_search": _web_search,
    "image_generation": _image_generation,
    "compaction": _compaction,
}
