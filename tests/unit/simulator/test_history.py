"""Rules between items: calls and outputs, the place of reasoning."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator import history
from dragoman.simulator.refusal import Answer, Refused
from dragoman.simulator.sealing import Claims, Sealer
from tests.support.simulated import assistant, call, output, terms, user

SEALER = Sealer(1)


def sealed(seq: int, following: str = "message", scope: str = "org-1", **more: Any) -> dict[str, Any]:
    claims = Claims(f"rs_{seq}", "resp_1", seq, scope, "gpt-5.5", following, 64)
    item = {"type": "reasoning", "id": claims.item, "summary": [], "encrypted_content": SEALER.mint(claims)}
    return {**item, **more}


def check(*items: dict[str, Any], stored: frozenset[str] = frozenset()) -> None:
    history.check(items, terms(sealer=SEALER), stored)


def refused(*items: dict[str, Any]) -> Answer:
    with pytest.raises(Refused) as caught:
        check(*items)
    return caught.value.answer


def test_calls_with_their_outputs_pass_in_any_order_of_completion() -> None:
    check(user("a"), call("c1"), call("c2"), output("c2"), output("c1"), user("b"))
    check(call("c1"), output("c1"), call("c1"), output("c1"))
    check(
        {"type": "custom_tool_call", "call_id": "x", "name": "n", "input": ""},
        {"type": "custom_tool_call_output", "call_id": "x", "output": "y"},
    )


@pytest.mark.parametrize(
    ("items", "rule", "message"),
    [
        (
            [output("c9")],
            "orphan_output",
            "No tool call found for function call output with call_id c9.",
        ),
        ([output("c1"), call("c1")], "orphan_output", "call_id c1"),
        ([call("c1"), output("c1"), output("c1")], "orphan_output", "call_id c1"),
        (
            [call("c1"), {"type": "custom_tool_call_output", "call_id": "c1", "output": ""}],
            "orphan_output",
            "No tool call found for custom tool call output",
        ),
        (
            [{"type": "shell_call_output", "call_id": "s"}],
            "orphan_output",
            "No tool call found for shell call output",
        ),
        ([user("a"), call("c1")], "unanswered_call", "No tool output found for function call c1."),
        ([call("c1"), user("b"), call("c1"), output("c1")], "duplicate_call", "Duplicate call"),
        (
            [{**user("a"), "id": "msg_1"}, {**assistant("b"), "id": "msg_1"}],
            "duplicate_item",
            "Duplicate item found with id msg_1",
        ),
        ([{"type": "compaction_trigger"}, user("a")], "compaction_trigger", "must be the last item"),
        ([{"type": "item_reference", "id": "msg_9"}], "item_not_found", "Item with id 'msg_9' not found"),
    ],
)
def test_broken_pairs_are_refused(items: list[dict[str, Any]], rule: str, message: str) -> None:
    answer = refused(*items)
    assert answer.breach == rule
    assert message in answer.message


def test_genuine_reasoning_in_its_place_passes() -> None:
    check(
        user("a"),
        sealed(1, "function_call"),
        call("c"),
        output("c"),
        sealed(2),
        assistant("b"),
        user("c"),
        sealed(3, "reasoning"),
        sealed(4, "web_search_call"),
        {"type": "web_search_call", "id": "ws_1"},
        assistant("d"),
    )
    check(sealed(5, ""), assistant("whatever"))


@pytest.mark.parametrize(
    "items",
    [
        [user("a"), sealed(1)],
        [user("a"), sealed(1), user("b")],
        [sealed(1, "function_call"), assistant("a")],
        [sealed(1), output("c")],
    ],
)
def test_dangling_reasoning_is_refused(items: list[dict[str, Any]]) -> None:
    # Outputs without calls are refused too; the reasoning alone is meant here.
    with pytest.raises(Refused) as caught:
        history._check_sealed(items, terms(sealer=SEALER), frozenset())
    answer = caught.value.answer
    assert answer.breach == "dangling_reasoning"
    assert "of type 'reasoning' was provided without its required following item" in answer.message


def test_reasoning_out_of_order_or_twice_is_refused() -> None:
    assert refused(sealed(2), assistant("a"), sealed(1), assistant("b")).breach == "reasoning_order"
    twice = {key: value for key, value in sealed(1).items() if key != "id"}
    assert refused(twice, assistant("a"), twice, assistant("b")).breach == "reasoning_order"


@pytest.mark.parametrize(
    ("item", "rule"),
    [
        (sealed(1, scope="org-2"), "foreign_reasoning"),
        (sealed(1, encrypted_content="gAAAAAjunk"), "altered_reasoning"),
        (sealed(1, id="rs_2"), "altered_reasoning"),
    ],
)
def test_sealed_content_must_be_ones_own_and_unaltered(item: dict[str, Any], rule: str) -> None:
    answer = refused(item, assistant("a"))
    assert (answer.breach, answer.status) == (rule, 400)
    assert answer.body["error"]["code"] == "invalid_encrypted_content"


def test_an_omitted_id_is_no_alteration() -> None:
    item = {key: value for key, value in sealed(1).items() if key != "id"}
    check(item, assistant("a"))


def test_reasoning_without_content_is_known_only_where_it_was_stored() -> None:
    bare = {"type": "reasoning", "id": "rs_7", "summary": []}
    answer = refused(bare, assistant("a"))
    assert (answer.breach, answer.status) == ("item_not_found", 404)
    check(bare, assistant("a"), stored=frozenset({"rs_7"}))
    check({"type": "item_reference", "id": "rs_7"}, stored=frozenset({"rs_7"}))


def test_readable_reasoning_of_open_models_is_not_sealed() -> None:
    open_item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "t"}],
    }
    check(open_item, assistant("a"))


def test_compactions_are_sealed_too() -> None:
    claims = Claims("cmp_1", "resp_1", 3, "org-1", "gpt-5.5", "", 500, "compaction")
    compaction = {"type": "compaction", "id": "cmp_1", "encrypted_content": SEALER.mint(claims)}
    check(compaction, user("a"))
    as_reasoning = {**sealed(1), "encrypted_content": SEALER.mint(claims), "id": "cmp_1"}
    assert refused(as_reasoning, assistant("a")).breach == "altered_reasoning"
