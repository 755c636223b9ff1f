"""What a request becomes as a prompt."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from dragoman.simulator import render as rendering
from dragoman.simulator import tokens
from dragoman.simulator.models import family
from dragoman.simulator.render import Prompt, Renderer, as_items
from tests.support.simulated import (
    as_data_url,
    assistant,
    call,
    output,
    png,
    request,
    text_of_tokens,
    tool,
    user,
)


def rendered(body: dict[str, Any], model: str = "gpt-5.5", **more: Any) -> Prompt:
    known = family(model)
    assert known is not None
    return Renderer().render({"model": model, **body}, known, sealed_tokens=lambda sealed: 100, **more)


def kinds(prompt: Prompt) -> list[str]:
    return [segment.kind for segment in prompt.segments]


def reasoning(sealed: str = "s", summary: str = "short") -> dict[str, Any]:
    return {
        "type": "reasoning",
        "id": "rs_1",
        "encrypted_content": sealed,
        "summary": [{"type": "summary_text", "text": summary}],
    }


def test_order_is_settings_tools_instructions_items() -> None:
    prompt = rendered(
        request(user("a"), assistant("b"), call("c1"), output("c1"), tools=[tool()], instructions="be good")
    )
    assert kinds(prompt) == ["settings", "tools", "instructions", "user", "assistant", "call", "output"]
    assert prompt.totals[-1] == prompt.tokens == sum(segment.tokens for segment in prompt.segments)


def test_settings_cost_nothing_but_change_every_prefix() -> None:
    low = rendered(request(user("a"), reasoning={"effort": "low"}))
    high = rendered(request(user("a"), reasoning={"effort": "high"}))
    assert low.tokens == high.tokens
    assert not set(low.prefixes) & set(high.prefixes)


def test_tool_choice_is_no_setting() -> None:
    assert rendered(request(tool_choice="auto")).prefixes == rendered(request(tool_choice="none")).prefixes


@pytest.mark.parametrize("bare", ["hello", [{"type": "input_text", "text": "hello"}]])
def test_two_spellings_of_a_message_render_the_same(bare: Any) -> None:
    easy = {"role": "user", "content": bare}
    assert rendered(request(easy)).prefixes == rendered(request(user("hello"))).prefixes


def test_a_bare_string_is_one_user_message() -> None:
    assert as_items("hi") == [{"type": "message", "role": "user", "content": "hi"}]
    assert as_items(None) == []
    assert rendered({"input": "hello"}).prefixes[1:] == rendered({"input": [user("hello")]}).prefixes[1:]


def test_call_ids_and_item_ids_do_not_render() -> None:
    one = rendered(request(call("c1"), output("c1")))
    other = rendered(request({**call("c2"), "id": "fc_1", "status": "completed"}, output("c2")))
    assert one.prefixes == other.prefixes


def test_arguments_render_verbatim() -> None:
    one = rendered(request(call("c1", arguments='{"a":1}'), output("c1")))
    other = rendered(request(call("c1", arguments='{"a": 1}'), output("c1")))
    assert one.prefixes[-1] != other.prefixes[-1]


def test_phase_and_role_render() -> None:
    plain, phased = assistant("a"), {**assistant("a"), "phase": "commentary"}
    as_user = {**assistant("a"), "role": "user"}
    ends = {rendered(request(item)).prefixes[-1] for item in (plain, phased, as_user)}
    assert len(ends) == 3


def test_boundaries_are_user_messages_outputs_marks_and_the_head() -> None:
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    developer = {"role": "developer", "content": [{"type": "input_text", "text": "d", **mark}]}
    prompt = rendered(
        request(
            developer, user("a"), assistant("b"), call("c"), output("c"), tools=[tool()], instructions="i"
        )
    )
    by_label = {segment.label: segment for segment in prompt.segments}
    assert by_label["input[0]"].marked and not by_label["input[0]"].ends_turn
    assert [segment.label for segment in prompt.segments if segment.ends_turn] == ["input[1]", "input[4]"]
    assert [segment.label for segment in prompt.segments if segment.ends_head] == ["instructions"]


def test_without_tools_and_instructions_there_is_no_head() -> None:
    assert not any(segment.ends_head for segment in rendered(request(user("a"))).segments)
    assert rendered(request(user("a"), tools=[tool()])).segments[1].ends_head


def test_parts_are_segments_of_their_own() -> None:
    many = {"role": "user", "content": [*user("a")["content"], *user("b")["content"]]}
    prompt = rendered(request(many))
    assert [segment.label for segment in prompt.segments[1:]] == [
        "input[0].content[0]",
        "input[0].content[1]",
    ]
    assert [segment.ends_turn for segment in prompt.segments[1:]] == [False, True]
    assert prompt.segments[2].overhead == 0


def test_images_and_files_cost_their_own_measure() -> None:
    image = {"type": "input_image", "image_url": as_data_url(png(512, 512)), "detail": "auto"}
    pdf = {
        "type": "input_file",
        "filename": "a.pdf",
        "file_data": as_data_url(b"%PDF-1 /Type /Page", "x/pdf"),
    }
    prompt = rendered(request({"role": "user", "content": [image, pdf]}))
    assert [segment.tokens for segment in prompt.segments[1:]] == [4 + 85 + 170, 1500]
    assert prompt.segments[1].token_end(3) <= prompt.segments[1].token_end(258) == len(prompt.segments[1].raw)


def test_other_parts_and_items_render_as_json() -> None:
    refusal = {
        "role": "assistant",
        "content": [{"type": "refusal", "refusal": "no"}, {"type": "odd", "x": 1}],
    }
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
    custom = {"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "text"}
    prompt = rendered(request(refusal, search, custom))
    assert kinds(prompt) == ["settings", "assistant", "assistant", "call", "call"]
    assert b"ws_1" not in prompt.segments[3].raw
    assert b"text" in prompt.segments[4].raw


def test_an_empty_list_and_a_structured_output_still_render() -> None:
    prompt = rendered(
        request({"role": "user", "content": []}, {"type": "shell_call_output", "output": {"a": 1}})
    )
    assert prompt.segments[1].tokens == 4
    assert b'{"a":1}' in prompt.segments[2].raw


def test_added_tools_render_where_they_stand() -> None:
    added = {"type": "additional_tools", "role": "developer", "tools": [tool("Later")]}
    prompt = rendered(request(user("a"), added))
    assert [segment.label for segment in prompt.segments[1:]] == ["input[0]", "input[1][0]"]


def test_sealed_reasoning_counts_what_it_stands_for() -> None:
    body = request(user("a"), reasoning(), assistant("b"))
    assert rendered(body).segments[2].tokens == 4 + 100 + 2
    assert rendered(body, render_summaries=False).segments[2].tokens == 4 + 100
    assert rendered(body).segments[2].token_end(0) == 0
    compaction = {"type": "compaction", "id": "cmp_1", "encrypted_content": "s"}
    assert rendered(request(compaction)).segments[1].tokens == 104


@pytest.mark.parametrize(
    ("model", "context", "kept"),
    [
        ("gpt-5.5", None, False),
        ("gpt-5.5", "all_turns", True),
        ("gpt-5.6", None, True),
        ("gpt-5.6", "current_turn", False),
    ],
)
def test_old_reasoning_leaves_the_prompt_by_context(model: str, context: str | None, kept: bool) -> None:
    items = (user("a"), reasoning(), assistant("b"), user("c"))
    body = request(*items, model=model, reasoning={"context": context})
    assert ("reasoning" in kinds(rendered(body, model))) is kept
    tool_loop = request(user("a"), reasoning(), call("c"), output("c"), model=model)
    assert "reasoning" in kinds(rendered(tool_loop, model))
    assert "reasoning" in kinds(rendered(request(reasoning(), call("c"), output("c")), model))


def test_blocks_depend_on_everything_before_them_only() -> None:
    long = text_of_tokens(1000)
    short = rendered(request(user(long)))
    longer = rendered(request(user(long), assistant("more"), user(text_of_tokens(300, "b"))))
    assert len(short.blocks()) == (1000 + 4) // 128
    assert longer.blocks()[: len(short.blocks())] == short.blocks()
    other = rendered(request(user("x" + long)))
    assert not set(other.blocks()) & set(short.blocks())


def test_blocks_cross_sealed_and_long_segments() -> None:
    body = request(user(text_of_tokens(100)), reasoning("s" * 1000), call("c"), output("c"))
    known = family("gpt-5.6")
    assert known is not None
    prompt = Renderer().render({"model": "gpt-5.6", **body}, known, sealed_tokens=lambda sealed: 600)
    assert len(prompt.blocks()) == prompt.tokens // 128
    assert len(set(prompt.blocks())) == len(prompt.blocks())


def test_the_head_hash_sees_about_256_tokens() -> None:
    head = text_of_tokens(400)
    one, other = (rendered(request(user(head), user(tail))) for tail in ("a", "b"))
    assert one.head_hash() == other.head_hash()
    assert rendered(request(user("x" + head))).head_hash() != one.head_hash()
    assert rendered(request(user("short"))).head_hash() != rendered(request(user("other"))).head_hash()
    exact = rendered(request(user(text_of_tokens(252)), user("tail")))
    assert exact.head_hash() == rendered(request(user(text_of_tokens(252)), user("more"))).head_hash()


def test_measured_texts_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    original = tokens.ends

    def counting(text: str) -> array[int]:
        counted.append(text)
        return original(text)

    monkeypatch.setattr(tokens, "ends", counting)
    memo = rendering.Memo(limit=200)
    memo.text("one two", b"k1")
    memo.text("one two", b"k1")
    assert counted == ["one two"]
    assert memo.fixed(b"k1", lambda: 7) == memo.fixed(b"k1", lambda: 8) == 7
    for number in range(9):
        memo.text("x " * 30, b"n%d" % number)
    memo.text("one two", b"k1")
    assert counted.count("one two") == 2
