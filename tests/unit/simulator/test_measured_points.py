"""Cache figures that others measured on the real service; each must come out of the simulator.

Sources: public issues and documents of router-for-me/CLIProxyAPI (#5727), damianvtran/local-operator,
BerriAI/litellm (#37628), openai/codex (#35300, #20301), ax-llm/ax (#573), thibautrey/multivibe. Figures are
theirs.
"""

from __future__ import annotations

from typing import Any

from dragoman.simulator.state import State
from tests.support.simulated import (
    answered,
    assistant,
    call,
    codex_request,
    output,
    request,
    text_of_tokens,
    user,
)

_OVERHEAD = 4


def usage(state: State, body: dict[str, Any], **more: Any) -> tuple[int, int, int]:
    """Input, cached and written tokens."""
    used = answered(state, body, **more)["usage"]
    details = used["input_tokens_details"]
    return used["input_tokens"], details["cached_tokens"], details["cache_write_tokens"]


def sized(tokens: int, seed: str = "a", **more: Any) -> dict[str, Any]:
    """A user message of exactly so many tokens."""
    return user(text_of_tokens(tokens - _OVERHEAD, seed), **more)


def developer(tokens: int, **more: Any) -> dict[str, Any]:
    return {**sized(tokens, "d", **more), "role": "developer"}


def test_identical_bodies_without_the_session_header_miss_and_with_it_hit() -> None:
    """local-operator: cached 0, 0, 0 without; 0, 6144, 6144 of 6,360 with the header."""
    body = codex_request(sized(6360))
    state = State({"machines": 64, "uncached_tail_blocks": 1})
    assert [usage(state, body, flavour="codex") for _ in range(3)] == [(6360, 0, 0)] * 3
    headers = {"session-id": "s", "thread-id": "s"}
    seen = [usage(state, body, flavour="codex", headers=headers)[1] for _ in range(3)]
    assert seen == [0, 6144, 6144]


def test_an_explicit_mark_is_written_once_and_read_after() -> None:
    """litellm#37628: writes 6001, 0, 0 and reads 0, 6001, 6001."""
    state = State()
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    found = [
        usage(
            state,
            request(
                developer(6001, **mark),
                sized(1494 + turn, "abc"[turn]),
                model="gpt-5.6",
                prompt_cache_key="k",
                prompt_cache_options={"mode": "explicit"},
            ),
        )
        for turn in range(3)
    ]
    assert [write for _, _, write in found] == [6001, 0, 0]
    assert [read for _, read, _ in found] == [0, 6001, 6001]


def test_without_marks_the_head_is_reused_and_the_tail_rewritten() -> None:
    """litellm#37628: writes 7495, 1479, 1514 and reads 0, 6002, 6002."""
    state = State()
    found = [
        usage(
            state,
            request(
                sized(tail, seed),
                model="gpt-5.6",
                prompt_cache_key="k",
                instructions=text_of_tokens(6002 - _OVERHEAD, "i"),
            ),
        )
        for tail, seed in ((1493, "a"), (1479, "b"), (1514, "c"))
    ]
    assert [write for _, _, write in found] == [7495, 1479, 1514]
    assert [read for _, read, _ in found] == [0, 6002, 6002]


def test_a_prefix_in_a_developer_message_is_not_found_again_without_a_mark() -> None:
    """openai/codex#35300: same 9K developer prefix, only the last user text differs: nothing is read."""
    state = State()
    for seed in "ab":
        total, read, write = usage(
            state, request(developer(9000), sized(50, seed), model="gpt-5.6", prompt_cache_key="k")
        )
        assert (total, read, write) == (9050, 0, 9050)


def test_only_pure_appends_hit_and_a_replaced_tail_falls_to_the_floor() -> None:
    """CLIProxyAPI#5727: appends read everything; a replaced tail reads tools and instructions (66,176)."""
    state = State()
    headers = {"session-id": "s"}
    instructions = text_of_tokens(66_176 - _OVERHEAD, "i")

    def turn(*items: dict[str, Any]) -> tuple[int, int, int]:
        body = codex_request(*items, model="gpt-5.6", instructions=instructions)
        return usage(state, body, flavour="codex", headers=headers)

    history = [sized(190_000), call("c1"), output("c1", text_of_tokens(3000, "o"))]
    before, _, _ = turn(*history)
    replaced = [*history[:-2], call("c1", "Other"), output("c1", text_of_tokens(2000, "p"))]
    assert turn(*replaced)[1] == 66_176
    known, read, written = turn(*replaced, assistant("done"), user("next"))
    assert read == known - 5 - 5 and read < before
    assert written == 0


def test_a_loop_whose_first_message_changes_is_stuck_at_the_system_prompt() -> None:
    """ax-llm/ax#573: 17 turns, 10,445 tokens read each time; openai/codex#20301: the floor exactly."""
    state = State({"rate_per_key": 0})
    instructions = text_of_tokens(10_445 - _OVERHEAD, "i")
    reads = []
    for turn in range(17):
        items = [user(f"now it is {turn}"), *(sized(200, seed) for seed in "abcdefghijklmnopq"[:turn])]
        body = request(*items, model="gpt-5.6", instructions=instructions, prompt_cache_key="k")
        reads.append(usage(state, body)[1])
    assert reads == [0] + [10_445] * 16


def test_a_native_codex_session_reads_more_than_nine_tenths_and_never_writes() -> None:
    """multivibe: 96.7 % over 73,386 calls of the native client; cache_write always 0 on that backend."""
    for model in ("gpt-5.5", "gpt-5.6"):
        state = State()
        items = [sized(8000)]
        total = cached = 0
        for turn in range(40):
            used, read, write = usage(
                state,
                codex_request(*items, model=model, instructions=text_of_tokens(9000, "i")),
                flavour="codex",
                headers={"session-id": "native"},
            )
            total, cached = total + used, cached + read
            assert write == 0
            items += [call(f"c{turn}"), output(f"c{turn}", text_of_tokens(300, "o"))]
        assert cached / total > 0.93


def test_the_header_alone_turns_a_lottery_into_hits() -> None:
    """opengeni#386 and others: about half or less without a stable header, 99 % with it."""
    body = codex_request(sized(20_000))
    state = State({"machines": 8, "seed": 3})
    without = [usage(state, body, flavour="codex")[1] for _ in range(10)]
    headers = {"session-id": "stable"}
    with_header = [usage(state, body, flavour="codex", headers=headers)[1] for _ in range(11)]
    assert sum(read > 0 for read in without) <= 7
    assert all(read / 20_000 > 0.99 for read in with_header[1:])


def test_a_new_header_value_each_turn_is_no_better_than_none() -> None:
    """llm-gateway#2891: fixed ids hit, rotating ids miss."""
    body = codex_request(sized(5000))
    state = State({"machines": 64})
    rotating = [
        usage(state, body, flavour="codex", headers={"session-id": f"s{turn}"})[1] for turn in range(6)
    ]
    assert rotating == [0] * 6
