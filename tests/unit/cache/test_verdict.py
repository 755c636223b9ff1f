"""Why a turn hit or missed, in words and as Anthropic's diagnostics."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from dragoman.cache.prefix import compare, digest
from dragoman.cache.turns import Turn
from dragoman.cache.verdict import (
    Contract,
    Name,
    Story,
    Verdict,
    asks,
    diagnostics,
    expected_tokens,
    judge,
    missed,
    read_story,
)
from tests.support.bodies import body, developer, reasoning, step, tool, user

TOTAL = 6000


def turn(sent: dict[str, Any], cached: int | None = 0, total: int | None = TOTAL, **fields: Any) -> Turn:
    settled: dict[str, Any] = {
        "at": 100.0,
        "account": "a1",
        "kind": "openai",
        "cache_key": "key",
        "lane_key": "lane",
        "input_tokens": total,
        "cached_tokens": cached,
        "written_tokens": 0,
    }
    return Turn("msg_1", digest(sent), **settled | fields)


def label(before: Turn | None, now: Turn, contract: Contract = "blocks") -> str:
    return judge(before, now, contract).label


# -- the prompt was repeated -------------------------------------------------------------------------


def test_a_first_turn_has_nothing_to_be_compared_with() -> None:
    verdict = judge(None, turn(body(0), cached=0), "blocks")
    assert (verdict.label, verdict.idle, verdict.expected) == ("first_turn", None, 0)
    assert verdict.sentence() == (
        "0 of 6000 input tokens read from cache: no earlier turn of this conversation is known"
    )


@pytest.mark.parametrize(
    ("contract", "cached", "expected"), [("blocks", 5888, 5888), ("breakpoints", 6000, 6000)]
)
def test_an_append_that_was_read_is_a_hit(contract: Contract, cached: int, expected: int) -> None:
    """B115: blocks of 128 are rounded down, breakpoints are exact."""
    verdict = judge(turn(body(2)), turn(body(3), cached=cached, total=6400), contract)
    assert (verdict.label, verdict.expected, verdict.estimated) == ("hit", expected, False)
    assert not verdict.inferred
    assert verdict.sentence() == (
        f"{cached} of 6400 input tokens read from cache ({expected} expected): "
        "the earlier prompt was repeated and read from cache"
    )


def test_a_comparison_that_was_made_before_gives_the_same_verdict() -> None:
    before, now = turn(body(2)), turn(body(3), cached=5888, total=6400)
    known = compare(before.prefix, now.prefix)
    assert judge(before, now, "blocks", known) == judge(before, now, "blocks")


def test_an_append_that_was_not_read_is_named_as_likely_server_side() -> None:
    """B115: with nothing changed on this side the miss is routing or eviction, and said to be inferred."""
    verdict = judge(turn(body(2)), turn(body(3), cached=0, total=6400), "blocks")
    assert (verdict.label, verdict.segment, verdict.inferred) == ("likely_server_side", "", True)
    assert verdict.sentence().startswith("0 of 6400 input tokens read from cache (5888 expected): inferred: ")


def test_a_short_read_is_partial_and_inferred() -> None:
    verdict = judge(turn(body(2)), turn(body(3), cached=2048, total=6400), "blocks")
    assert (verdict.label, verdict.inferred, verdict.cached) == ("partial", True, 2048)


@pytest.mark.parametrize(("contract", "lifetime"), [("blocks", 600), ("breakpoints", 1800)])
def test_after_the_promised_life_a_miss_is_expired(contract: Contract, lifetime: int) -> None:
    before = turn(body(2))
    in_time = turn(body(3), at=100.0 + lifetime)
    late = turn(body(3), at=101.0 + lifetime)
    assert label(before, in_time, contract) == "likely_server_side"
    verdict = judge(before, late, contract)
    assert (verdict.label, verdict.inferred, verdict.idle) == ("expired", True, lifetime + 1)
    assert label(before, turn(body(3), at=99999.0, cached=6000), contract) == "hit"


def test_another_account_explains_a_miss_but_not_a_hit() -> None:
    before = turn(body(2))
    assert label(before, turn(body(3), account="a2")) == "account_switch"
    assert label(before, turn(body(3), account="a2", cached=5888)) == "hit"


@pytest.mark.parametrize("field", ["cache_key", "lane_key"])
def test_another_key_or_header_explains_a_miss(field: str) -> None:
    other: dict[str, Any] = {field: "other"}
    assert label(turn(body(2)), turn(body(3), **other)) == "key_changed"


def test_a_short_prompt_cannot_be_cached() -> None:
    before = turn(body(0), total=1023)
    assert label(before, turn(body(1), total=1500)) == "below_minimum"
    assert label(before, turn(body(1), total=1500, account="a2")) == "below_minimum"
    assert label(before, turn(body(1), total=1500, cached=1024)) == "hit"


def test_without_reported_usage_nothing_is_claimed() -> None:
    verdict = judge(turn(body(2)), turn(body(3), cached=None, total=None), "blocks")
    assert verdict.label == "unreported"
    assert verdict.sentence() == "no usage was reported: the upstream reported no usage"


def test_expectations_are_marked_when_they_rest_on_bytes() -> None:
    before = turn(body(40), total=None)
    expected, estimated = expected_tokens(before, "blocks")
    assert estimated
    assert expected == before.prefix.tokens - before.prefix.tokens % 128
    verdict = judge(before, turn(body(41)), "blocks")
    assert "(about " in verdict.sentence()


@pytest.mark.parametrize("contract", ["blocks", "breakpoints"])
def test_after_an_answer_that_broke_off_the_figures_of_this_one_are_the_measure(contract: Contract) -> None:
    """Bytes alone may promise more than the whole prompt has: then all that was read looked like a part."""
    before, sent = turn(body(40), cached=None, total=None), body(41)
    total = digest(sent).tokens * 3 // 4  # of a text with long words
    verdict = judge(before, turn(sent, cached=total - 300, total=total), contract)
    assert (verdict.label, verdict.estimated) == ("hit", True)
    assert verdict.expected < total


def test_breakpoints_end_at_the_last_user_message_or_output() -> None:
    sent = body(2)
    sent["input"].append(developer("x" * 3000))
    expected, estimated = expected_tokens(turn(sent), "breakpoints")
    share = digest(sent).boundary_size / digest(sent).size
    assert (expected, estimated) == (round(TOTAL * share), True)
    assert expected_tokens(turn(sent), "blocks") == (5888, False)
    assert expected_tokens(turn(sent, total=1100), "breakpoints")[0] == 0


# -- the prompt was changed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model": "gpt-5.4"}, "model_changed"),
        ({"reasoning": {"effort": "high"}}, "settings_changed"),
        ({"instructions": "Be long."}, "system_changed"),
        ({"tools": [tool("Bash")]}, "tools_changed"),
    ],
)
def test_a_changed_head_is_named_whatever_was_read(change: dict[str, Any], expected: str) -> None:
    """B115."""
    verdict = judge(turn(body(2)), turn(body(3, **change), cached=0), "blocks")
    assert verdict.label == expected
    assert not verdict.inferred
    assert f"(first difference: {verdict.segment})" in verdict.sentence()


def test_a_rewritten_tail_is_counted() -> None:
    """B115: the client's own rewrite is not taken for a miss of the gateway."""
    now = body(4)
    now["input"][-2:] = [user("one"), user("two")]
    verdict = judge(turn(body(4)), turn(now, cached=4096), "blocks")
    assert (verdict.label, verdict.name, verdict.detail) == ("tail_replaced(2)", "tail_replaced", 2)
    assert verdict.segment == "input[11]"
    assert verdict.estimated
    assert 4096 < verdict.expected < TOTAL
    assert judge(turn(body(4)), turn(now, cached=4096), "breakpoints").expected == 0


def test_a_tail_taken_back_is_a_replaced_tail() -> None:
    assert label(turn(body(9)), turn(body(2))) == "tail_replaced(21)"


def test_an_earlier_message_that_changed_is_named_by_its_place() -> None:
    now = body(5)
    now["input"][0] = user("Mend the other gate.")
    assert label(turn(body(4)), turn(now)) == "messages_changed(0)"
    now = body(5)
    now["input"][3] = user("Something else.")
    assert label(turn(body(4)), turn(now)) == "messages_changed(3)"


def test_messages_that_start_anew_are_a_compaction() -> None:
    now = body(0)
    now["input"] = [user("What was done so far."), developer("A note.")]
    assert label(turn(body(4)), turn(now)) == "compacted"
    with_head = {"model": "gpt-5.6", "input": [developer("Be brief."), *body(4)["input"]]}
    anew = {"model": "gpt-5.6", "input": [developer("Be brief."), user("So far."), *step(1)]}
    assert label(turn(with_head), turn(anew), "breakpoints") == "compacted"


def test_where_nothing_that_the_model_said_is_left_it_was_a_compaction() -> None:
    """Codex keeps its preamble and the user's own messages, and puts a summary behind them."""
    kept = [user("Where we are."), user("Mend the gate.")]
    before = body(3)
    before["input"][:1] = kept
    now = body(0)
    now["input"] = [*kept, user("Another model began; this is its summary."), user("Go on.")]
    assert label(turn(before), turn(now)) == "compacted"
    now["input"] = [*kept, {"type": "compaction", "encrypted_content": "seal"}, user("Go on.")]
    assert label(turn(before), turn(now)) == "compacted"
    now["input"][2:2] = step(9)
    assert label(turn(before), turn(now)) == "messages_changed(2)"
    before["input"] = [*kept, user("One."), user("Two.")]
    assert label(turn(before), turn({**now, "input": [*kept, user("Three.")]})) == "tail_replaced(2)"


def test_where_nothing_of_the_conversation_is_left_no_tail_was_replaced() -> None:
    """A short one is compacted, too; with as many messages as before it is simply another one."""
    now = body(0)
    now["input"] = [user("What was done so far.")]
    assert label(turn(body(1)), turn(now)) == "compacted"
    now["input"] = [user("Another."), *step(7)]
    assert len(now["input"]) == len(body(1)["input"]) <= 4
    assert label(turn(body(1)), turn(now)) == "messages_changed(0)"


def test_reasoning_that_is_left_out_is_told_apart_from_a_rewrite() -> None:
    assert label(turn(body(6)), turn(body(7, sealed=False))) == "reasoning_dropped"
    now = body(7, sealed=False)
    now["input"][0] = user("Changed as well.")
    assert label(turn(body(6)), turn(now)) == "messages_changed(0)"


def test_another_account_explains_what_the_gateway_itself_changed() -> None:
    """Reasoning sealed for one account is not sent to another; another kind gets another translation."""
    before = turn(body(6))
    assert label(before, turn(body(7, sealed=False), account="a2")) == "account_switch"
    assert label(before, turn(body(2), account="a2")) == "account_switch"
    moved = turn(body(7, instructions=None), account="a2", kind="chatgpt")
    assert label(before, moved) == "account_switch"
    assert label(before, turn(body(7, instructions="x"), account="a2")) == "system_changed"
    assert label(before, turn(body(7, model="x"), account="a2", kind="chatgpt")) == "model_changed"


def test_without_measured_totals_the_bytes_are_taken() -> None:
    now = body(40)
    now["input"][-1:] = [user("one")]
    before = turn(body(40), total=None)
    verdict = judge(before, turn(now), "blocks")
    assert 0 < verdict.expected <= before.prefix.tokens


# -- diagnostics -------------------------------------------------------------------------------------


def miss(before: Turn | None, now: Turn, previous: str | None = "msg_1") -> Any:
    return diagnostics(previous, before, now, "breakpoints")


def test_diagnostics_are_given_to_those_who_ask() -> None:
    assert asks({}) == (False, None)
    assert asks({"diagnostics": None}) == (False, None)
    assert asks({"diagnostics": {}}) == (True, None)
    assert asks({"diagnostics": {"previous_message_id": None}}) == (True, None)
    assert asks({"diagnostics": {"previous_message_id": 7}}) == (True, None)
    assert asks({"diagnostics": {"previous_message_id": "msg_1"}}) == (True, "msg_1")


def test_there_is_nothing_to_say_without_an_earlier_message_or_a_difference() -> None:
    assert miss(None, turn(body(0)), previous=None) is None
    assert miss(turn(body(2)), turn(body(3))) is None
    assert miss(turn(body(2)), turn(body(2))) is None
    assert miss(turn(body(3)), turn(body(2))) is None


def test_an_unknown_message_is_not_found() -> None:
    assert miss(None, turn(body(1))) == {"cache_miss_reason": {"type": "previous_message_not_found"}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "gpt-5.4"}, "model_changed"),
        ({"tools": [tool("Bash")]}, "tools_changed"),
        ({"instructions": "x"}, "system_changed"),
        ({"model": "gpt-5.4", "tools": [], "instructions": "x"}, "model_changed"),
        ({"instructions": "x", "reasoning": {"effort": "high"}}, "system_changed"),
        ({"input": [user("Something else.")]}, "messages_changed"),
    ],
)
def test_a_change_is_named_as_anthropic_names_it(change: dict[str, Any], reason: str) -> None:
    found = miss(turn(body(2)), turn(body(3, **change)))
    assert list(found) == ["cache_miss_reason"]
    assert list(found["cache_miss_reason"]) == ["type", "cache_missed_input_tokens"]
    assert found["cache_miss_reason"]["type"] == reason
    assert 0 < found["cache_miss_reason"]["cache_missed_input_tokens"] <= TOTAL


def test_missed_tokens_follow_the_measured_total() -> None:
    """The whole earlier prompt was lost: as many tokens as the upstream had counted for it."""
    found = miss(turn(body(2)), turn(body(2, model="x")))
    assert found["cache_miss_reason"]["cache_missed_input_tokens"] == TOTAL
    estimated = miss(turn(body(2), total=None), turn(body(2, model="x")))
    assert estimated["cache_miss_reason"]["cache_missed_input_tokens"] == digest(body(2)).tokens
    hidden = miss(turn(body(2), total=10**6), turn(body(2, model="x")))
    assert hidden["cache_miss_reason"]["cache_missed_input_tokens"] == 4 * digest(body(2)).tokens
    empty = miss(turn({"model": "m"}), turn({"model": "x"}))
    assert empty["cache_miss_reason"]["cache_missed_input_tokens"] == 0


@pytest.mark.parametrize(
    "now",
    [
        turn(body(3, reasoning={"effort": "high"})),
        turn(body(3, reasoning={"effort": "high"}, input=[user("x")])),
        turn(body(3), account="a2"),
        turn(body(3), at=100.0 + 1801),
        turn(body(3, sealed=False)),
        turn(body(3, sealed=False), account="a2"),
        turn(body(3, instructions=None), account="a2", kind="chatgpt"),
    ],
    ids=["setting", "setting and messages", "moved", "expired", "no reasoning", "moved, none", "kind"],
)
def test_what_has_no_name_or_was_not_the_client_is_unavailable(now: Turn) -> None:
    assert miss(turn(body(2)), now) == {"cache_miss_reason": {"type": "unavailable"}}


def test_a_move_does_not_hide_what_the_client_changed() -> None:
    before = turn(body(2))
    assert miss(before, turn(body(3, tools=[]), account="a2"))["cache_miss_reason"]["type"] == "tools_changed"
    other = turn(body(3, model="x"), account="a2", kind="chatgpt")
    assert miss(before, other)["cache_miss_reason"]["type"] == "model_changed"
    more = body(3)
    more["input"] = [*body(2)["input"][:-1], reasoning(7), user("x")]
    assert miss(before, turn(more))["cache_miss_reason"]["type"] == "messages_changed"


# -- the sentence read again -------------------------------------------------------------------------


@pytest.mark.parametrize("name", get_args(Name))
@pytest.mark.parametrize("segment", ["", "tools[3]", "instructions"])
@pytest.mark.parametrize(("expected", "estimated"), [(0, False), (5888, False), (5888, True)])
@pytest.mark.parametrize("cached", [None, 0, 128])
def test_a_sentence_can_be_taken_apart_again(
    name: Name, segment: str, expected: int, estimated: bool, cached: int | None
) -> None:
    """B115: whoever shows a row has the parts without keeping them twice."""
    verdict = Verdict(
        name, segment=segment, input=6000, cached=cached, expected=expected, estimated=estimated
    )
    story = read_story(verdict.sentence())
    assert story is not None
    assert (story.inferred, story.segment) == (verdict.inferred, segment)
    assert verdict.sentence().removesuffix(f" (first difference: {segment})").endswith(story.words)
    if cached is not None:
        assert (story.expected, story.estimated) == (expected, estimated and expected > 0)


def test_another_text_is_no_sentence_of_a_verdict() -> None:
    assert read_story("") is None
    assert read_story("something else") is None


SAME = Story("the same", inferred=False, expected=5000, estimated=False, segment="")
OTHER = Story("changed", inferred=False, expected=1024, estimated=True, segment="tools[3]")


@pytest.mark.parametrize(
    ("verdict", "story", "cached", "now", "before", "found"),
    [
        ("hit", SAME, 4900, 6000, 5000, None),
        ("first_turn", SAME, 0, 6000, None, None),
        ("compacted", OTHER, 0, 2000, 9000, None),
        ("partial", None, 100, 6000, 5000, None),
        # Repeated: what was expected is known.
        ("partial", SAME, 1000, 6000, None, (4000, False)),
        ("likely_server_side", SAME, 0, 6000, 5100, (5000, False)),
        ("account_switch", SAME, 5500, 6000, 5100, (0, False)),
        ("expired", Story("idle", True, 0, False, ""), 0, 6000, 5100, None),
        # Changed: the whole earlier prompt would have been there, as far as this one is as long.
        ("tools_changed", OTHER, 1024, 6000, 5000, (3976, True)),
        ("messages_changed(3)", OTHER, 1024, 3000, 5000, (1976, True)),
        ("tail_replaced(1)", OTHER, 4096, 3000, 5000, (0, True)),
        ("tools_changed", OTHER, 1024, 6000, None, None),
    ],
)
def test_what_a_miss_missed(
    verdict: str, story: Story | None, cached: int, now: int, before: int | None, found: Any
) -> None:
    assert missed(verdict, story, cached, now, before) == found
