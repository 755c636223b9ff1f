from __future__ import annotations

from typing import Any

import pytest

from dragoman.wire.grammar import DELTAS, Grammar, GrammarError

Event = dict[str, Any]


def start(**message: Any) -> Event:
    whole: Event = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "output_tokens": 1,
            "cache_read_input_tokens": None,
            "service_tier": None,
        },
    }
    return {"type": "message_start", "message": whole | message}


def block(index: Any, kind: Any, **fields: Any) -> Event:
    blank: dict[Any, Event] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"id": "call_1", "name": "t", "input": {}},
        "server_tool_use": {"id": "srv_1", "name": "web_search", "input": {}},
        "redacted_thinking": {"data": "x"},
        "web_search_tool_result": {"tool_use_id": "srv_1", "content": []},
    }
    return {
        "type": "content_block_start",
        "index": index,
        "content_block": {"type": kind} | blank.get(kind, {}) | fields,
    }


def delta(index: int, kind: str, **fields: Any) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind} | fields}


def stop(index: int) -> Event:
    return {"type": "content_block_stop", "index": index}


def end(reason: Any = "end_turn", sequence: Any = None, **usage: Any) -> Event:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": sequence},
        "usage": {"output_tokens": 2} | usage,
    }


STOP: Event = {"type": "message_stop"}
PING: Event = {"type": "ping"}
ERROR: Event = {"type": "error", "error": {"type": "api_error", "message": "x"}}
TEXT = [block(0, "text"), delta(0, "text_delta", text="a"), stop(0)]


def tool(*parts: str) -> list[Event]:
    return [
        block(0, "tool_use"),
        *(delta(0, "input_json_delta", partial_json=part) for part in parts),
        stop(0),
    ]


RESULT = {"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "e", "page_age": None}
SEARCH = [
    block(0, "server_tool_use"),
    delta(0, "input_json_delta", partial_json='{"query":"x"}'),
    stop(0),
    block(1, "web_search_tool_result", content=[RESULT]),
    stop(1),
]
FAILED = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
CITATION = {"type": "web_search_result_location"}

GOOD: dict[str, list[Event]] = {
    "text": [start(), *TEXT, end(), STOP],
    "pings anywhere": [PING, start(), PING, TEXT[0], PING, *TEXT[1:], PING, end(), PING, STOP],
    "nothing said": [start(), end("max_tokens"), STOP],
    "thinking": [
        start(),
        block(0, "thinking"),
        delta(0, "thinking_delta", thinking="h"),
        delta(0, "signature_delta", signature="s"),
        stop(0),
        block(1, "text"),
        stop(1),
        end(),
        STOP,
    ],
    "thinking that is broken off": [
        start(),
        block(0, "thinking"),
        PING,
        delta(0, "thinking_delta", thinking="h"),
        PING,
        ERROR,
    ],
    "redacted": [start(), block(0, "redacted_thinking"), stop(0), end(), STOP],
    "tool": [start(), *tool('{"a"', ":1}"), end("tool_use"), STOP],
    "tool without input": [start(), *tool(), end("tool_use"), STOP],
    "tool cut by the limit": [start(), *tool('{"a'), end("max_tokens"), STOP],
    "search": [start(), *SEARCH, end(), STOP],
    "search answered behind the text": [
        start(),
        *SEARCH[:3],
        block(1, "text"),
        delta(1, "text_delta", text="t"),
        delta(1, "citations_delta", citation=CITATION),
        stop(1),
        block(2, "web_search_tool_result", content=[RESULT]),
        stop(2),
        end(),
        STOP,
    ],
    "failed search": [
        start(),
        *SEARCH[:3],
        block(1, "web_search_tool_result", content=FAILED),
        stop(1),
        end(),
        STOP,
    ],
    "citation": [
        start(),
        block(0, "text"),
        delta(0, "citations_delta", citation=CITATION),
        stop(0),
        end(),
        STOP,
    ],
    "stop sequence": [start(), end("stop_sequence", "END"), STOP],
    "error in a block": [start(), *TEXT[:2], ERROR],
    "error at once": [ERROR],
    "error after message_delta": [start(), end(), ERROR],
}

BAD: dict[str, tuple[list[Event], str]] = {
    "no start": ([TEXT[0]], "before message_start"),
    "stop first": ([STOP], "before message_start"),
    "two starts": ([start(), start()], "second"),
    "unknown event": ([start(), {"type": "content_block_nudge"}], "unknown event"),
    "no type": ([{}], "unknown event None"),
    "a type that is no text": ([{"type": ["x"]}], "unknown event"),
    "start without id": ([start(id="")], "message.id"),
    "start with a number as id": ([start(id=4)], "message.id"),
    "start with content": ([start(content=[1])], "message.content"),
    "start of a user": ([start(role="user")], "message.role"),
    "start without model": ([start(model=None)], "message.model"),
    "start with stop reason": ([start(stop_reason="end_turn")], "message.stop_reason"),
    "start without usage": ([start(usage=None)], "usage must be an object"),
    "start without input_tokens": ([start(usage={"output_tokens": 1})], "input_tokens is missing"),
    "negative usage": ([start(usage={"input_tokens": -1, "output_tokens": 1})], "must be a count"),
    "boolean usage": ([start(usage={"input_tokens": True, "output_tokens": 1})], "must be a count"),
    "null usage": ([start(usage={"input_tokens": None, "output_tokens": 1})], "must be a count"),
    "first index 1": ([start(), block(1, "text")], "expected 0"),
    "index gap": ([start(), *TEXT, block(2, "text")], "expected 1"),
    "index reused": ([start(), *TEXT, block(0, "text")], "expected 1"),
    "two blocks open": ([start(), TEXT[0], block(1, "text")], "while another is open"),
    "unknown block": ([start(), block(0, "poem")], "unknown block"),
    "a block type that is no text": ([start(), block(0, None)], "unknown block"),
    "text in the start": ([start(), block(0, "text", text="x")], "text.text"),
    "input in the start": ([start(), block(0, "tool_use", input={"a": 1})], "tool_use.input"),
    "tool without name": ([start(), block(0, "tool_use", name="")], "tool_use.name"),
    "tool id with a dot": ([start(), block(0, "tool_use", id="a.b")], "not an id"),
    "tool id too long": ([start(), block(0, "tool_use", id="a" * 65)], "not an id"),
    "tool id missing": ([start(), block(0, "tool_use", id=None)], "not an id"),
    "tool id twice": ([start(), *tool(), block(1, "tool_use")], "used twice"),
    "redacted without data": ([start(), block(0, "redacted_thinking", data=None)], "data"),
    "result without use": ([start(), block(0, "web_search_tool_result")], "waits for a result"),
    "result twice": ([start(), *SEARCH, block(2, "web_search_tool_result")], "waits for a result"),
    "result without content": (
        [start(), *SEARCH[:3], block(1, SEARCH[3]["content_block"]["type"], content=None)],
        "content",
    ),
    "result error without code": (
        [start(), *SEARCH[:3], block(1, "web_search_tool_result", content=FAILED | {"error_code": 1})],
        "error_code",
    ),
    "result that is neither": (
        [start(), *SEARCH[:3], block(1, "web_search_tool_result", content={"type": "x"})],
        "no error or list",
    ),
    "result item of another type": (
        [start(), *SEARCH[:3], block(1, "web_search_tool_result", content=[{"type": "x"}])],
        "not a search result",
    ),
    "result item without url": (
        [start(), *SEARCH[:3], block(1, "web_search_tool_result", content=[RESULT | {"url": None}])],
        "url",
    ),
    "delta without block": ([start(), TEXT[1]], "no block is open"),
    "delta of another block": ([start(), TEXT[0], delta(1, "text_delta", text="a")], "open is 0"),
    "delta without object": (
        [start(), TEXT[0], {"type": "content_block_delta", "index": 0}],
        "delta must be",
    ),
    "delta of another kind": (
        [start(), TEXT[0], delta(0, "thinking_delta", thinking="a")],
        "in a text block",
    ),
    "delta that is no text": ([start(), TEXT[0], delta(0, "text_delta", text=1)], "must be a string"),
    "citation that is no object": ([start(), TEXT[0], delta(0, "citations_delta", citation=1)], "citation"),
    "two signatures": (
        [start(), block(0, "thinking"), *[delta(0, "signature_delta", signature="s")] * 2],
        "after the signature",
    ),
    "thinking after the signature": (
        [
            start(),
            block(0, "thinking"),
            delta(0, "signature_delta", signature="s"),
            delta(0, "thinking_delta", thinking="s"),
        ],
        "after the signature",
    ),
    "an empty signature": (
        [start(), block(0, "thinking"), delta(0, "signature_delta", signature="")],
        "empty signature",
    ),
    "no signature": ([start(), block(0, "thinking"), stop(0)], "without signature"),
    "stop without block": ([start(), stop(0)], "no block is open"),
    "stop of another block": ([start(), TEXT[0], stop(1)], "open is 0"),
    "end inside a block": ([start(), TEXT[0], end()], "while a block is open"),
    "end without reason": ([start(), end(None)], "stop_reason None"),
    "end with an unknown reason": ([start(), end("stop")], "stop_reason 'stop'"),
    "end without usage": ([start(), end() | {"usage": None}], "usage must be"),
    "end without output_tokens": ([start(), end() | {"usage": {}}], "output_tokens is missing"),
    "sequence without its reason": ([start(), end("end_turn", "END")], "does not fit"),
    "reason without its sequence": ([start(), end("stop_sequence")], "does not fit"),
    "no sequence at all": ([start(), end() | {"delta": {"stop_reason": "end_turn"}}], "is missing"),
    "details of another kind": (
        [start(), end() | {"delta": end()["delta"] | {"stop_details": {"type": "x"}}}],
        "stop_details",
    ),
    "tool_use without tool": ([start(), *TEXT, end("tool_use")], "without a tool_use block"),
    "tool_use with a server tool": ([start(), *SEARCH, end("tool_use")], "without a tool_use block"),
    "end_turn with tool": ([start(), *tool(), end()], "with a tool_use block"),
    "search without result": ([start(), *SEARCH[:3], end()], "without result"),
    "half a call that looks finished": ([start(), *tool('{"a'), end("tool_use")], "does not parse"),
    "a call that is no object": ([start(), *tool("[]"), end("tool_use")], "does not parse"),
    "a call with half a character": ([start(), *tool('"\ud83d'), end("tool_use")], "does not parse"),
    "stop without end": ([start(), STOP], "without message_delta"),
    "block after end": ([start(), end(), TEXT[0]], "after message_delta"),
    "two ends": ([start(), end(), end()], "after message_delta"),
    "ping after stop": ([start(), end(), STOP, PING], "after message_stop"),
    "stop after error": ([start(), ERROR, STOP], "after error"),
    "error of an unknown type": ([{"type": "error", "error": {"type": "x", "message": "m"}}], "error type"),
    "error without message": (
        [{"type": "error", "error": {"type": "api_error", "message": ""}}],
        "without message",
    ),
    "error without object": ([{"type": "error", "error": "x"}], "error must be an object"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_stream_that_clients_read_alike_is_accepted(name: str) -> None:
    """behaviours S1, behaviours S15."""
    grammar = Grammar()
    for event in GOOD[name]:
        assert not grammar.complete
        grammar.check(event)
    assert grammar.complete
    assert grammar.ended == GOOD[name][-1]["type"]


@pytest.mark.parametrize("name", BAD)
def test_a_bent_stream_is_refused_at_the_event_that_bends_it(name: str) -> None:
    """behaviours S2, behaviours S3, behaviours S4, behaviours S9."""
    events, problem = BAD[name]
    grammar = Grammar()
    for event in events[:-1]:
        grammar.check(event)
    with pytest.raises(GrammarError, match=problem):
        grammar.check(events[-1])


def test_a_stream_without_end_is_not_complete() -> None:
    grammar = Grammar()
    for event in (start(), *TEXT, end()):
        grammar.check(event)
    assert not grammar.complete


def test_every_block_kind_knows_its_deltas() -> None:
    assert {kind for kind, deltas in DELTAS.items() if not deltas} == {
        "redacted_thinking",
        "web_search_tool_result",
        "mcp_tool_result",
    }
