"""Laws of the pass-through: any JSON is refused by its path or served, and a stream is what it was."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dragoman.cache.prefix import digest
from dragoman.translate.capability import capability
from dragoman.translate.messages.count import estimate
from dragoman.translate.messages.plan import Policy, Target
from dragoman.translate.models import profile
from dragoman.translate.responses.frames import shell
from dragoman.translate.responses.relay import Relay
from dragoman.translate.responses.request import prepare, prompt_of, unfit
from dragoman.translate.responses.validate import read
from dragoman.wire import jsonio, sse
from dragoman.wire.errors import Refused

POLICY = Policy(b"k")
SCALARS = (
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.sampled_from(["", "x", "high", "auto", "message"])
)
ANY = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
PARTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["input_text", "output_text", "input_image", "input_file", "refusal"])
            | ANY,
            "text": ANY,
            "image_url": ANY,
            "file_id": ANY,
            "file_data": ANY,
            "cache_control": ANY,
            "prompt_cache_breakpoint": ANY,
        },
    )
    | ANY,
    max_size=3,
)
ITEMS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(
                ["message", "reasoning", "function_call", "function_call_output", "web_search_call"]
            )
            | ANY,
            "role": st.sampled_from(["user", "system", "assistant"]) | ANY,
            "id": ANY,
            "status": ANY,
            "content": PARTS | ANY,
            "output": PARTS | ANY,
            "encrypted_content": ANY,
            "cache_control": ANY,
            "arguments": ANY,
        },
    )
    | ANY,
    max_size=4,
)
FIELDS = (
    *("instructions", "text", "tool_choice", "include", "store", "stream", "service_tier", "temperature"),
    *("metadata", "max_output_tokens", "previous_response_id", "prompt", "prompt_cache_key", "truncation"),
    *("prompt_cache_retention", "parallel_tool_calls", "reasoning_effort", "background", "conversation"),
    *("client_metadata", "stream_options", "top_logprobs", "zap"),
)
REQUESTS = st.fixed_dictionaries(
    {"model": st.just("m")},
    optional={
        "input": ITEMS | ANY,
        "messages": ITEMS | ANY,
        "tools": st.lists(st.fixed_dictionaries({"type": st.sampled_from(["function", "mcp"])}), max_size=2)
        | ANY,
        "reasoning": st.fixed_dictionaries({}, optional={"effort": ANY, "summary": ANY}) | ANY,
        **dict.fromkeys(FIELDS, ANY),
    },
)


@given(
    REQUESTS,
    st.sampled_from(["openai", "responses", "chatgpt"]),
    st.sampled_from(["gpt-5.5", "gpt-5.6-sol", "gpt-4.1", "house-model"]),
    st.booleans(),
)
def test_any_request_is_refused_by_its_path_or_made_ready(
    request: dict[str, Any], kind: Any, model: str, bare: bool
) -> None:
    before = copy.deepcopy(request)
    try:
        asked = read(request)
    except Refused as refused:
        assert refused.failure.status == 400 and refused.failure.param
        return
    known = profile(model)
    target = Target(kind, model, known, capability(kind, known), "acct")
    if unfit(asked, target) is None:
        made = prepare(asked, target, POLICY, "key", without_reasoning=bare)
        assert made.body["stream"] is True and made.body["model"] == model
        assert jsonio.dump(made.body) == jsonio.dump(
            prepare(asked, target, POLICY, "key", without_reasoning=bare).body
        )
        assert not _marked(made.body.get("input"), "cache_control")
        if not target.capability.breakpoints:
            assert not _marked(made.body.get("input"), "prompt_cache_breakpoint")
        digest(prompt_of(made.body))
        estimate(made.body, lambda texts: len(texts))
    assert request == before


def _marked(items: Any, mark: str) -> bool:
    """Whether an item or a part of one has the mark."""
    for item in items if isinstance(items, list) else ():
        parts = [part for field in ("content", "output") if isinstance(part := item.get(field), list)]
        if mark in item or any(mark in part for some in parts for part in some):
            return True
    return False


NAMES = st.sampled_from(
    [
        "response.created",
        "response.in_progress",
        "response.output_text.delta",
        "response.zap",
        "house.zap",
        "codex.x",
    ]
)
FRAMES = st.lists(
    st.builds(lambda name, value: sse.encode({"type": name, "value": value}), NAMES, st.text(max_size=5)),
    max_size=12,
)


@given(FRAMES, st.integers(1, 40))
def test_a_stream_comes_out_as_it_went_in(frames: list[bytes], size: int) -> None:
    """However it is cut into pieces; what is not the account's own business is there, in order."""
    response = {**shell("r", 0, "m", "completed", {}), "output": [1], "usage": None}
    last = sse.encode({"type": "response.completed", "response": response})
    stream = b"".join(frames) + last
    decoder, relay = sse.Decoder(), Relay("m", identity="r", tokens=1, window=2, now=lambda: 0.0)
    out = b""
    for at in range(0, len(stream), size):
        if found := relay.feed(decoder.feed_frames(stream[at : at + size])):
            out += sse.join(found)
    assert out == stream
    assert relay.terminal
