"""Where two upstream bodies stop being the same prompt."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.cache.prefix import WIDTH, Divergence, Prefix, compare, continued, digest
from dragoman.wire import jsonio
from tests.support.bodies import MARK, body, data_url, developer, picture, png, reasoning, tool, user


def parted(before: dict[str, Any], now: dict[str, Any]) -> Divergence:
    return compare(digest(before), digest(now))


def test_ten_turns_extend_one_another() -> None:
    """B115: an append is seen as an append, with everything kept and nothing missed."""
    for turn in range(9):
        before, now = digest(body(turn)), digest(body(turn + 1))
        found = compare(before, now)
        assert found.kind == "extended"
        assert found.intact
        assert found.segment == ""
        assert found.index == len(before.item_sizes)
        assert (found.kept_tokens, found.missed_tokens, found.replaced_tail) == (before.tokens, 0, 0)
        assert found.changed == frozenset()


def test_the_same_body_again_is_the_same() -> None:
    found = parted(body(3), copy.deepcopy(body(3)))
    assert (found.kind, found.intact, found.missed_tokens) == ("same", True, 0)


@pytest.mark.parametrize(
    ("change", "kind", "segment", "index"),
    [
        ({"model": "gpt-5.4"}, "model", "model", 0),
        ({"reasoning": {"effort": "high"}}, "settings", "settings", 0),
        ({"reasoning": {"effort": "medium", "context": "all_turns"}}, "settings", "settings", 0),
        ({"text": {"verbosity": "low"}}, "settings", "settings", 0),
        ({"text": {"format": {"type": "json_schema"}}}, "settings", "settings", 0),
        ({"parallel_tool_calls": False}, "settings", "settings", 0),
        ({"context_management": [{"type": "compaction"}]}, "settings", "settings", 0),
        ({"tools": [tool("Bash"), tool("Write"), tool("Read")]}, "tools", "tools[1]", 1),
        ({"tools": [tool("Bash"), tool("Read", description="x"), tool("Write")]}, "tools", "tools[1]", 1),
        ({"tools": [tool("Bash"), tool("Read")]}, "tools", "tools[2]", 2),
        ({"tools": [tool(n) for n in ("Bash", "Read", "Write", "X")]}, "tools", "tools[3]", 3),
        ({"tools": []}, "tools", "tools[0]", 0),
        ({"instructions": "Be long."}, "system", "instructions", 0),
        ({"instructions": None}, "system", "instructions", 0),
    ],
)
def test_a_changed_part_is_named(change: dict[str, Any], kind: str, segment: str, index: int) -> None:
    """B115: model, settings, tools, instructions, in the order in which they are rendered."""
    found = parted(body(2), body(3, **change))
    assert (found.kind, found.segment, found.index) == (kind, segment, index)
    assert found.changed == {kind}
    assert not found.intact
    assert found.replaced_tail == 0
    assert found.missed_tokens > 0


@pytest.mark.parametrize(
    "change",
    [
        {"stream": False},
        {"store": True},
        {"max_output_tokens": 5},
        {"tool_choice": "required"},
        {"prompt_cache_key": "another"},
        {"include": []},
        {"reasoning": {"effort": "medium", "summary": "detailed"}},
        {"reasoning": {"effort": "medium"}, "text": {}},
    ],
)
def test_what_is_no_part_of_the_prompt_makes_no_difference(change: dict[str, Any]) -> None:
    assert parted(body(2), body(2, **change)).kind == "same"


def test_an_absent_parallel_flag_is_the_default() -> None:
    plain = body(1)
    del plain["parallel_tool_calls"]
    assert parted(body(1), plain).kind == "same"


def test_the_first_of_several_changes_is_the_divergence_and_all_are_listed() -> None:
    now = body(2, model="gpt-5.4", tools=[], instructions="x", reasoning={"effort": "low"})
    now["input"][0] = user("Something else.")
    found = parted(body(2), now)
    assert (found.kind, found.kept_tokens) == ("model", 0)
    assert found.changed == {"model", "settings", "tools", "system", "input"}


def test_replaced_items_are_counted_from_the_end() -> None:
    now = body(4)
    now["input"][-2:] = [user("one"), user("two"), user("three")]
    before = digest(body(4))
    found = compare(before, digest(now))
    assert (found.kind, found.segment, found.index) == ("input", "input[11]", 11)
    assert found.replaced_tail == 2
    assert found.kept_tokens + found.missed_tokens == pytest.approx(before.tokens, abs=1)
    assert found.missed_tokens == round(sum(before.item_sizes[-2:]) / 3.7)


def test_items_taken_back_are_no_change_of_what_is_left() -> None:
    found = parted(body(4), body(3))
    assert (found.kind, found.replaced_tail, found.index) == ("shortened", 3, 10)
    assert found.changed == frozenset()
    assert not found.intact


def test_a_leading_developer_message_is_the_system_prompt() -> None:
    one = {"model": "m", "input": [developer("Be brief."), user("Hi."), developer("Later.")]}
    two = {"model": "m", "input": [developer("Be long."), user("Hi."), developer("Later.")]}
    late = {"model": "m", "input": [developer("Be brief."), user("Hi."), developer("Other.")]}
    gone = {"model": "m", "input": [user("Hi."), developer("Later.")]}
    assert digest(one).head == 1
    assert (parted(one, two).kind, parted(one, two).segment) == ("system", "input[0]")
    assert parted(one, gone).kind == parted(gone, one).kind == "system"
    assert (parted(one, late).kind, parted(one, late).segment) == ("input", "input[2]")
    assert digest({"input": [developer("All of it.")]}).head == 1


def test_a_mark_that_moves_is_not_a_change() -> None:
    """Breakpoints say where to store; the model does not read them."""
    marked, unmarked = body(2), body(2)
    marked["input"][0] = user("Mend the gate. " * 40, **MARK)
    output = marked["input"][-1]
    output["output"] = [{"type": "input_text", "text": "x", **MARK}]
    unmarked["input"][-1]["output"] = [{"type": "input_text", "text": "x"}]
    assert parted(marked, unmarked).kind == "same"
    assert digest(marked).item_sizes == digest(unmarked).item_sizes


def test_a_text_that_names_the_mark_is_a_text() -> None:
    one = {"input": [user('"prompt_cache_breakpoint": one')]}
    two = {"input": [user('"prompt_cache_breakpoint": two')]}
    assert parted(one, two).kind == "input"
    # A message given as a string, and parts that are no list, stay what they are.
    plain = {"input": [{"role": "user", "content": "prompt_cache_breakpoint"}]}
    assert parted(plain, copy.deepcopy(plain)).kind == "same"


def test_the_boundary_is_the_last_place_where_an_entry_ends() -> None:
    items = [user("a"), {"type": "message", "role": "assistant", "content": "b"}]
    assert digest({"input": items}).boundary == 1
    assert digest({"input": [*items, developer("note")]}).boundary == 1
    output = {"type": "function_call_output", "call_id": "c", "output": "x"}
    assert digest({"input": [*items, output]}).boundary == 3
    custom = {**output, "type": "custom_tool_call_output"}
    assert digest({"input": [*items, custom]}).boundary == 3
    note = developer("note")
    note["content"][0].update(MARK)
    assert digest({"input": [*items, note]}).boundary == 3
    assert digest({"input": []}).boundary == 0


def test_what_the_upstream_keeps_of_a_prompt_stands_before_the_next() -> None:
    """previous_response_id: the prompt grows, although the request brings new items alone."""
    first, alone = body(3), {**body(0), "input": [user("And now?")]}
    whole = {**first, "input": first["input"] + alone["input"]}
    told = continued(digest(first), digest(alone))
    assert told == digest(whole)
    assert compare(digest(first), told).kind == "extended"
    other = continued(digest(first), digest({**alone, "instructions": "Else."}))
    assert compare(digest(first), other).kind == "system"


def test_a_prompt_that_is_continued_without_a_boundary_keeps_its_own() -> None:
    notes = {**body(0), "input": [developer("A note."), reasoning(1)]}
    first, second = digest(body(2)), digest(notes)
    told = continued(first, second)
    assert (told.head, told.boundary) == (0, first.boundary)
    assert told.sealed == (*first.sealed, len(body(2)["input"]) + 1)
    assert continued(second, second).head == 1
    heads = digest({**body(0), "input": [developer("A note.")]})
    assert continued(heads, heads).head == 2 and continued(heads, heads).answered


def test_a_string_as_input_is_one_user_message() -> None:
    prefix = digest({"model": "m", "input": "Hello."})
    assert (len(prefix.item_sizes), prefix.boundary, prefix.head) == (1, 1, 0)


def test_a_picture_weighs_what_it_costs_not_what_its_base64_takes() -> None:
    """D30: a megabyte of PNG is about a thousand tokens in every estimate."""
    shot = png(640, 480, padding=1_000_000)
    for item in (
        {"type": "message", "role": "user", "content": [picture(shot)]},
        {"type": "function_call_output", "call_id": "c", "output": [picture(shot)]},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_file", "file_data": data_url(shot, "application/pdf"), "filename": "a.pdf"}
            ],
        },
    ):
        assert 500 < digest({"input": [item]}).tokens < 3000
    by_address = {"type": "input_image", "image_url": "https://example.org/a.png"}
    long = {"type": "input_text", "text": "x" * 8000}
    item = {"type": "message", "role": "user", "content": [by_address, long]}
    assert digest({"input": [item]}).item_sizes[0] == len(jsonio.dump(item))
    huge = {"type": "message", "role": "user", "content": "x" * 8000}
    assert digest({"input": [huge]}).item_sizes[0] == len(jsonio.dump(huge))


def test_sealed_reasoning_can_be_left_out_of_a_comparison() -> None:
    sealed, bare = digest(body(3)), digest(body(3, sealed=False))
    assert sealed.sealed == (1, 4, 7)
    assert sealed.bare_items == bare.bare_items == bare.items
    assert digest({"input": [reasoning(0)]}).bare_items == b""


def test_tools_keep_their_names_in_order() -> None:
    tools = [tool("Bash"), {"type": "web_search"}]
    assert digest({"tools": tools}).tool_names == ("Bash", "web_search")


def test_equal_prompts_and_no_others_are_equal() -> None:
    base = digest(body(2))
    assert base == digest(copy.deepcopy(body(2)))
    others = [
        body(3),
        body(2, model="x"),
        body(2, tools=[]),
        body(2, instructions=""),
        body(2, reasoning={"effort": "low"}),
    ]
    assert base not in [digest(other) for other in others]


def test_a_prefix_holds_no_content_and_little_memory() -> None:
    secret = "a very particular sentence"
    prefix = digest(body(50, instructions=secret * 100))
    assert secret not in repr(prefix)
    assert len(prefix.items) == WIDTH * 151
    assert prefix.weight < 6000
    assert prefix.boundary_size == prefix.size


def test_a_body_is_not_changed_by_reading_it() -> None:
    marked = body(2)
    marked["input"][0] = user("x", **MARK)
    before = copy.deepcopy(marked)
    digest(marked)
    assert marked == before


def test_lists_of_nothing_but_separators_are_read_right() -> None:
    """The separator may stand in a value as an element of its own; the pieces still belong to their items."""
    nul = "\0" * 6
    odd = [{"role": "user", "content": [nul, nul, nul]}, {"role": "user", "content": "b"}]
    items = [{"type": "other", "list": ["a", nul, "b"]}, *odd[1:]]
    prefix = digest({"input": items})
    assert list(prefix.item_sizes) == [len(jsonio.dump(item)) for item in items]


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(), st.just("\0" * 6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)
ITEMS = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "developer"]), "extra": JSON}),
    max_size=8,
)


def _plain(prefix: Prefix) -> list[bytes]:
    return [prefix.items[WIDTH * i : WIDTH * (i + 1)] for i in range(len(prefix.item_sizes))]


@given(ITEMS, ITEMS)
def test_comparison_agrees_with_comparing_item_by_item(one: list[Any], two: list[Any]) -> None:
    before, now = digest({"input": one}), digest({"input": two})
    same = 0
    while same < min(len(one), len(two)) and jsonio.dump(one[same]) == jsonio.dump(two[same]):
        same += 1
    found = compare(before, now)
    assert found.replaced_tail == len(one) - same
    assert _plain(before)[:same] == _plain(now)[:same]
    if same == len(one):
        assert found.kind == ("same" if len(one) == len(two) else "extended")
    elif same == len(two):
        assert found.kind == "shortened"
    else:
        assert found.kind in ("system", "input")
        assert found.segment == f"input[{same}]"


@given(ITEMS, ITEMS)
def test_an_appended_turn_always_extends(one: list[Any], more: list[Any]) -> None:
    found = parted({"input": one}, {"input": one + more})
    assert found.intact
    assert found.missed_tokens == 0
