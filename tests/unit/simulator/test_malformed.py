"""Whatever a body looks like, it is answered or refused: nothing crashes the server."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.simulator.opening import open_exchange
from dragoman.simulator.refusal import Refused
from dragoman.simulator.state import State
from tests.support.simulated import (
    as_data_url,
    assistant,
    call,
    codex_request,
    output,
    png,
    request,
    tool,
    user,
)

_REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "x"}],
    "content": [{"type": "reasoning_text", "text": "t"}],
}
_IMAGE = {"type": "input_image", "image_url": as_data_url(png(9, 9)), "detail": "auto"}
_BODY = request(
    {"role": "developer", "content": "d"},
    user("run `ls`", prompt_cache_breakpoint={"mode": "explicit"}),
    {
        "type": "message",
        "role": "user",
        "content": [_IMAGE, {"type": "input_file", "file_url": "https://e.com/a"}],
    },
    _REASONING,
    call("c1"),
    output("c1", [{"type": "input_text", "text": "x"}]),
    {"type": "additional_tools", "role": "developer", "tools": [tool("Late")]},
    {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    },
    assistant("b"),
    user("again"),
    model="gpt-5.6",
    tools=[tool("Bash", command="string"), {"type": "web_search"}, {"type": "custom", "name": "x"}],
    tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "Bash"}]},
    reasoning={"effort": "low", "summary": "auto"},
    text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
    metadata={"a": "b"},
    include=["reasoning.encrypted_content"],
    prompt_cache_key="k",
    prompt_cache_options={"mode": "implicit"},
    stream_options={"include_obfuscation": False},
    context_management=[{"type": "compaction", "compact_threshold": 1000}],
    max_output_tokens=100,
)
_JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 2.5, "", "x", [], {}, [None], [[]], {"type": "x"}, {"type": None}, ["x"], [1]]
)


def _paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    if isinstance(value, dict):
        for key in value:
            found += _paths(value[key], (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += _paths(inner, (*at, index))
    return found


_PATHS = _paths(_BODY)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(_PATHS), _JUNK, st.booleans()), min_size=1, max_size=3), st.booleans()
)
def test_a_body_with_junk_in_it_is_answered_or_refused(
    changes: list[tuple[tuple[Any, ...], Any, bool]], codex: bool
) -> None:
    body: Any = copy.deepcopy(_BODY)
    for path, junk, drop in changes:
        holder = body
        for step in path[:-1]:
            if not isinstance(holder, dict | list) or (isinstance(holder, dict) and step not in holder):
                break
            if isinstance(holder, list) and (not isinstance(step, int) or step >= len(holder)):
                break
            holder = holder[step]
        else:
            _change(holder, path[-1], copy.deepcopy(junk), drop)
    if codex:
        body = {
            key: value
            for key, value in {**codex_request(), **body}.items()
            if key in codex_request() or key == "tools"
        }
    state = State()
    record = state.log.open(0, "POST", "/", [])
    try:
        outcome, _ = open_exchange(
            state, "codex" if codex else "api", body, {"authorization": "Bearer k"}, record
        )
        for _ in outcome.frames():  # type: ignore[union-attr]
            pass
    except Refused as refused:
        assert 400 <= refused.answer.status < 500


def _change(holder: Any, key: Any, junk: Any, drop: bool) -> None:
    fits = isinstance(holder, dict) and isinstance(key, str)
    if fits and drop:
        holder.pop(key, None)
    elif fits or (isinstance(holder, list) and isinstance(key, int) and key < len(holder)):
        holder[key] = junk
