"""Results and calls that do not match."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.translate.pairing import Pairs, pair, refuse
from dragoman.wire.errors import Refused


def use(identity: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": identity, "name": "n", "input": {}}


def result(identity: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": identity}


def talk(*contents: Any) -> list[dict[str, Any]]:
    """Assistant and user in turn, beginning with the assistant."""
    return [
        {"role": "user" if number % 2 else "assistant", "content": content}
        for number, content in enumerate(contents)
    ]


def pairs(*contents: Any) -> Pairs:
    return pair(talk(*contents), lambda block: bool(block.get("content")))


def test_everything_matches() -> None:
    """B16"""
    made = pairs([use("a"), use("b")], [result("b"), result("a")], "Done.")
    assert made == Pairs(last_user=1)


def test_what_has_no_counterpart_is_found() -> None:
    """A result before its call is none. B17, B18, D28"""
    made = pairs([use("a")], [result("b")], [use("b")], "x")
    assert made.unanswered == {(0, 0), (2, 0)}
    assert made.orphans == {(1, 0)}


def test_a_second_result_is_an_orphan() -> None:
    assert pairs([use("a")], [result("a"), result("a")]).orphans == {(1, 1)}


def test_a_result_that_comes_after_the_next_answer_is_too_late() -> None:
    """Its call has been sent with another output by then. B17, B18, B103"""
    made = pairs([use("a")], "x", [use("a")], [result("a")])
    assert made.unanswered == {(0, 0)} and not made.orphans
    assert made.renamed == {(2, 0): "a_2", (3, 0): "a_2"}
    late = pairs([use("a")], "x", "y", [result("a")])
    assert late.unanswered == {(0, 0)} and late.orphans == {(3, 0)}


def test_results_may_be_spread_over_messages_before_the_next_answer() -> None:
    messages = talk([use("a"), use("b")], [result("b")])
    messages += [{"role": "system", "content": "x"}, {"role": "user", "content": [result("a")]}]
    messages += [{"role": "assistant", "content": "y"}]
    assert pair(messages, bool) == Pairs(last_user=3)


def test_an_id_used_twice_is_renamed_with_its_result() -> None:
    """A name that is taken already is not used."""
    made = pairs(
        [use("a"), use("a_2")], [result("a"), result("a_2")], [use("a"), use("a")], [result("a"), result("a")]
    )
    assert made.renamed == {(2, 0): "a_3", (2, 1): "a_4", (3, 0): "a_3", (3, 1): "a_4"}


def test_a_compaction_begins_the_conversation_anew() -> None:
    """Only one that can be used; ids before it do not count."""
    compacted = [{"type": "compaction", "content": "x"}, use("a")]
    made = pairs([use("a")], [result("b")], compacted, [result("a")])
    assert made == Pairs(start=(2, 0), last_user=3)
    useless = pairs([use("a")], [result("a")], [{"type": "compaction"}], "x")
    assert useless == Pairs(last_user=3)


def test_strictness_refuses_by_the_place() -> None:
    """B17, B18"""
    for contents, told in (
        (([use("a")], "x"), r"^messages\.0\.content\.0: tool_use without"),
        (("x", [result("a")]), r"^messages\.1\.content\.0: tool_result without"),
        (([use("a")], [result("a")], [use("a")], [result("a")]), r"^messages\.2\.content\.0: this tool_use"),
    ):
        with pytest.raises(Refused, match=told):
            refuse(talk(*contents), pairs(*contents))


def test_strictness_lets_pass_what_matches() -> None:
    matching = ([use("a")], [result("a")])
    refuse(talk(*matching), pairs(*matching))
    assert pairs(*matching) == Pairs(last_user=1)
