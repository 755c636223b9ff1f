"""Corners of what goes up that no fixture of its own needs."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.translate.capability import capability
from dragoman.translate.messages.plan import Policy, Target
from dragoman.translate.models import profile
from dragoman.translate.responses.request import prepare, prompt_of, unfit

POLICY = Policy(b"k")


def target(kind: Any = "openai", model: str = "gpt-5.5", *learnt: str) -> Target:
    known = profile(model)
    return Target(kind, model, known, capability(kind, known, frozenset(learnt)), "acct")


def test_ids_and_states_are_no_part_of_the_prompt() -> None:
    """Codex names an old item anew now and then; the upstream's cache does not mind."""
    one: dict[str, Any] = {
        "model": "m",
        "input": [{"type": "message", "id": "a", "status": "completed", "role": "user"}],
    }
    other = {"model": "m", "input": [{"type": "message", "id": "b", "role": "user"}]}
    assert prompt_of(one) == prompt_of(other)
    assert one["input"][0]["id"] == "a"


def test_codexs_note_of_the_turn_is_no_part_of_the_prompt() -> None:
    """After a compaction the same preamble is of another turn."""
    note = "internal_chat_message_metadata_passthrough"
    one, other = (
        {"model": "m", "input": [{"role": "developer", "content": "Calm.", note: {"turn_id": turn}}]}
        for turn in ("1", "2")
    )
    assert prompt_of(one) == prompt_of(other)
    made = prepare(one, target("chatgpt"), POLICY, None)
    assert made.body["input"][0][note] == {"turn_id": "1"}


def test_a_body_without_ids_is_the_prompt_itself() -> None:
    for items in ("Hello.", [{"role": "user", "content": "Hello."}]):
        body = {"model": "m", "input": items}
        assert prompt_of(body) is body


def test_reasoning_goes_to_no_model_that_has_none() -> None:
    items = [{"type": "reasoning", "id": "rs_1", "summary": []}, {"role": "user", "content": "Hello."}]
    made = prepare({"model": "m", "input": items}, target(model="gpt-4.1"), POLICY, None)
    assert made.body["input"] == items[1:]
    assert made.dropped_reasoning == 1


def test_an_empty_text_is_not_sent_twice() -> None:
    made = prepare({"model": "m", "input": "x", "text": {}}, target(), POLICY, None)
    assert made.body["text"] == {}


def test_a_tier_that_cannot_be_chosen_is_named() -> None:
    asked = {"model": "m", "input": "x", "service_tier": "priority"}
    made = prepare(asked, target("responses", "house-model"), POLICY, None)
    assert "service_tier" not in made.body and made.ignored == ("service_tier",)


def test_includes_are_asked_once() -> None:
    sealed = "reasoning.encrypted_content"
    asked = {"model": "m", "input": "x", "include": [sealed]}
    assert prepare(asked, target("chatgpt"), POLICY, None).body["include"] == [sealed]
    refused = prepare(asked, target("chatgpt", "gpt-5.5", "include"), POLICY, None)
    assert "include" not in refused.body


def test_everybody_can_do_what_asks_for_nothing_stored() -> None:
    request = {"model": "m", "input": "x", "tools": [{"type": "function"}]}
    assert unfit(request, target("chatgpt")) is None
    stored = {"model": "m", "input": [{"type": "item_reference", "id": "x"}], "tools": [{"type": "mcp"}]}
    assert unfit(stored, target("openai")) is None


def test_a_stored_file_in_an_output_is_found() -> None:
    item = {
        "type": "function_call_output",
        "call_id": "c",
        "output": [{"type": "input_file", "file_id": "f"}],
    }
    found = unfit({"model": "m", "input": [item]}, target("chatgpt"))
    assert found is not None and found[0] == "input.0.output.0.file_id"


def test_words_that_are_not_all_text_keep_their_parts() -> None:
    """What cannot be said as one text stays a list when the ids go."""
    parts = [{"type": "output_text", "text": "No."}, {"type": "refusal", "refusal": "No."}]
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": parts}
    made = prepare({"model": "m", "input": [item]}, target(), POLICY, None, without_reasoning=True)
    assert made.body["input"] == [{name: value for name, value in item.items() if name != "id"}]


@pytest.mark.parametrize("field", ["content", "output"])
@pytest.mark.parametrize("mark", ["cache_control", "prompt_cache_breakpoint"])
def test_one_mark_in_the_last_part_is_found(field: str, mark: str) -> None:
    """The others stay the very items that the client sent."""
    plain = {"role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
    parts: list[dict[str, Any]] = [{"type": "input_text"}, {"type": "input_text", mark: {}}]
    marked = {"type": "x", field: parts}
    made = prepare({"model": "m", "input": [plain, marked]}, target(), POLICY, None)
    assert made.body["input"] == [plain, {"type": "x", field: [{"type": "input_text"}] * 2}]
    assert made.body["input"][0] is plain and mark in parts[1]
    assert made.ignored == (f"input.{field}.{mark}",)


def test_a_compaction_stays_until_it_was_refused() -> None:
    """It holds what was said; reasoning only what was thought."""
    items = [
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "message", "role": "user", "content": "More"},
    ]
    asked = {"model": "m", "input": items}
    ways: tuple[dict[str, Any], ...] = (
        {},
        {"without_reasoning": True},
        {"without_reasoning": True, "without_sealed": True},
        {"unreadable": {"gAAAA"}},
        {"unreadable": {"another"}},
    )
    kinds = [
        [item["type"] for item in prepare(asked, target(), POLICY, None, **how).body["input"]] for how in ways
    ]
    whole = ["compaction", "reasoning", "message"]
    assert kinds == [whole, whole[::2], whole[2:], whole[1:], whole]
