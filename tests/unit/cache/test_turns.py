"""The bounded memory of turns."""

from __future__ import annotations

from typing import Any

from dragoman.cache.prefix import digest
from dragoman.cache.turns import PAST, RECENT, Thread, Turn, Turns
from tests.support.bodies import body, tool

THREAD = Thread("laptop", "conversation")


def turn(message_id: str, sent: dict[str, Any] | None = None, at: float = 0.0) -> Turn:
    return Turn(message_id, digest(sent or body(1)), at, "a1", "openai")


def test_nothing_is_known_of_a_conversation_at_first() -> None:
    turns = Turns()
    assert turns.last(THREAD) is None
    assert turns.predecessor(THREAD, digest(body(0))) == (None, None)
    assert turns.named("laptop", "msg_1") is None
    assert len(turns) == 0


def test_the_last_turn_is_the_one_remembered_last() -> None:
    turns = Turns()
    for number in range(3):
        turns.remember(THREAD, turn(f"msg_{number}"))
    last = turns.last(("laptop", "conversation"))
    assert last is not None
    assert last.message_id == "msg_2"
    assert last.tool_names == ("Bash", "Read", "Write")


def test_a_turn_is_found_by_its_message_id_for_its_tenant_alone() -> None:
    """Another tenant that guesses an id learns nothing."""
    turns = Turns()
    turns.remember(THREAD, turn("msg_1"))
    assert turns.named("laptop", "msg_1") is not None
    assert turns.named("desktop", "msg_1") is None
    assert turns.last(("desktop", "conversation")) is None


def test_of_interleaved_speakers_each_finds_its_own_turn() -> None:
    """Sub-agents that a client does not name share a conversation; their turns do not."""
    turns = Turns()
    agent = body(0, instructions="You search.", tools=[tool("Grep"), tool("Read")])
    turns.remember(THREAD, turn("main", body(3)))
    turns.remember(THREAD, turn("agent", agent))
    found, _ = turns.predecessor(THREAD, digest(body(4)))
    assert found is not None
    assert found.message_id == "main"
    longer = {**agent, "input": [*agent["input"], *body(1)["input"][1:]]}
    found, _ = turns.predecessor(THREAD, digest(longer))
    assert found is not None
    assert found.message_id == "agent"
    for tools, expected in (
        (("Write", "Read", "Bash"), "main"),
        (("Read", "Grep"), "agent"),
        ((), "agent"),
        (("Other",), "agent"),
    ):
        last = turns.last(THREAD, tools)
        assert last is not None
        assert last.message_id == expected


def test_of_equal_predecessors_the_later_one_counts() -> None:
    turns = Turns()
    turns.remember(THREAD, turn("first"))
    turns.remember(THREAD, turn("retry"))
    found, _ = turns.predecessor(THREAD, digest(body(2)))
    assert found is not None
    assert found.message_id == "retry"


def test_what_was_answered_later_is_passed_over_where_that_is_asked() -> None:
    turns = Turns()
    turns.remember(THREAD, turn("first", at=1.0))
    turns.remember(THREAD, turn("sibling", body(2), at=3.0))
    for until, expected in ((3.0, "sibling"), (2.0, "first"), (0.5, None)):
        found, divergence = turns.predecessor(THREAD, digest(body(3)), until)
        assert (found and found.message_id) == expected
        assert (divergence is None) == (expected is None)


def test_who_answered_a_conversation_lately_is_known() -> None:
    turns = Turns()
    assert not turns.served(THREAD, "a1")
    turns.remember(THREAD, turn("first"))
    assert turns.served(THREAD, "a1") and not turns.served(THREAD, "a2")
    assert not turns.served(("laptop", "another"), "a1")


def test_a_conversation_keeps_its_few_latest_turns() -> None:
    turns = Turns()
    for number in range(RECENT + 2):
        turns.remember(THREAD, turn(f"msg_{number}"))
    assert len(turns) == RECENT


def test_a_turn_is_known_by_name_long_after_its_conversation_went_on() -> None:
    """decisions: a diagnosis compares with the very turn that is named, however many came after it."""
    turns = Turns()
    for number in range(20):
        turns.remember(THREAD, turn(f"msg_{number}", at=float(number)))
    for number in range(20):
        found = turns.named("laptop", f"msg_{number}")
        assert found is not None and found.at == number
    assert turns.named("desktop", "msg_0") is None


def test_older_turns_are_bounded_and_the_longest_unused_go_first() -> None:
    turns = Turns(entries=8 * PAST // 2)  # room for four of them
    for number in range(RECENT + 4):
        turns.remember(THREAD, turn(f"msg_{number}"))
    assert turns.named("laptop", "msg_0") is not None  # used just now
    turns.remember(THREAD, turn("next"))
    assert [turns.named("laptop", f"msg_{number}") is not None for number in range(3)] == [True, False, True]
    weight = digest(body(1)).weight
    small = Turns(size=2 * PAST * weight)
    for number in range(RECENT + 4):
        small.remember(THREAD, turn(f"msg_{number}"))
    assert [small.named("laptop", f"msg_{number}") is not None for number in range(4)] == [False] * 2 + [
        True
    ] * 2


def test_an_older_turn_whose_name_comes_again_is_replaced() -> None:
    turns = Turns()
    for at in (1.0, 2.0):
        turns.remember(THREAD, turn("msg", at=at))
        for number in range(RECENT):
            turns.remember(THREAD, turn(f"msg_{number}"))
    found = turns.named("laptop", "msg")
    assert found is not None and found.at == 2.0


def test_the_longest_unused_conversation_goes_first() -> None:
    turns = Turns(entries=3)
    for name in ("a", "b", "c"):
        turns.remember(("laptop", name), turn(f"msg_{name}"))
    assert turns.last(("laptop", "a")) is not None  # used just now
    turns.remember(("laptop", "d"), turn("msg_d"))
    assert turns.last(("laptop", "b")) is None
    assert turns.named("laptop", "msg_b") is None
    assert [turns.last(("laptop", name)) is not None for name in ("a", "c", "d")] == [True] * 3


def test_memory_is_bounded_in_bytes() -> None:
    weight = digest(body(30)).weight
    turns = Turns(size=3 * weight)
    for number in range(50):
        turns.remember(("laptop", f"c{number}"), turn(f"msg_{number}", body(30)))
    assert len(turns) == 3
    small = Turns(size=1)
    small.remember(THREAD, turn("msg_1"))
    assert small.last(THREAD) is not None  # the conversation at hand is kept, whatever its size


def test_a_message_id_that_is_used_again_names_the_later_turn() -> None:
    turns = Turns()
    turns.remember(("laptop", "a"), turn("msg", at=1.0))
    turns.remember(("laptop", "b"), turn("msg", at=2.0))
    for number in range(RECENT):
        turns.remember(("laptop", "a"), turn(f"msg_{number}"))
    found = turns.named("laptop", "msg")
    assert found is not None
    assert found.at == 2.0
