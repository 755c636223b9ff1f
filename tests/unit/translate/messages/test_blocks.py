from __future__ import annotations

from typing import Any

import pytest

from dragoman.translate.messages.blocks import Blocks, GuardedBlocks, blocks
from tests.support.streams import words


def guarded(*stops: str, cap: int | None = None, prefix: str = "") -> GuardedBlocks:
    return GuardedBlocks(stops, cap, prefix, words)


def shown(writer: Blocks) -> str:
    """What was written, in short: `[text a b] [tool {..}`."""
    out = []
    for event in writer.out:
        if event["type"] == "content_block_start":
            out.append(f"[{event['index']}:{event['content_block']['type']}")
        elif event["type"] == "content_block_stop":
            out.append("]")
        else:
            delta: dict[str, Any] = event["delta"]
            out.append(str(next(value for key, value in delta.items() if key != "type")))
    return " ".join(out)


TOOL = {"type": "tool_use", "id": "c", "name": "n", "input": {}}


def test_nothing_is_watched_where_nothing_has_to_be() -> None:
    assert type(blocks((), None, "", words)) is Blocks
    watched = (blocks(("x",), None, "", words), blocks((), 3, "", words), blocks((), None, "p", words))
    assert [type(writer) for writer in watched] == [GuardedBlocks] * 3


@pytest.mark.parametrize("writer", [Blocks(), guarded("STOP")], ids=["plain", "guarded"])
def test_blocks_are_numbered_and_one_at_a_time(writer: Blocks) -> None:
    """behaviours S1, behaviours S2, behaviours S3."""
    writer.end_text()
    writer.text("a")
    writer.text("b")
    writer.start(TOOL)
    writer.json("{}")
    writer.stop()
    writer.settle()
    writer.text("c")
    writer.end_text()
    writer.cite({"type": "late"})
    assert shown(writer) == "[0:text a b ] [1:tool_use {} ] [2:text c ]"


THOUGHT = {"type": "thinking", "thinking": "", "signature": ""}


@pytest.mark.parametrize("make", [Blocks, lambda: guarded("STOP")], ids=["plain", "guarded"])
def test_a_thought_ends_with_what_follows_it(make: Any) -> None:
    """B26, B68: its seal and its end wait for the next block or a good end, and nothing else does."""
    writer = make()
    writer.start(THOUGHT)
    writer.delta({"type": "thinking_delta", "thinking": "hm"})
    writer.seal("s")
    assert shown(writer) == "[0:thinking hm"
    writer.text("a")
    assert shown(writer) == "[0:thinking hm s ] [1:text a"
    writer.start(THOUGHT)
    writer.seal("t")
    assert shown(writer) == "[0:thinking hm s ] [1:text a ] [2:thinking"
    writer.release()
    writer.release()
    assert shown(writer) == "[0:thinking hm s ] [1:text a ] [2:thinking t ]"


def test_a_thought_before_text_that_is_cut_at_once_has_its_end() -> None:
    """B26, B36."""
    writer = guarded("STOP")
    writer.start(THOUGHT)
    writer.seal("s")
    writer.text("STOP")
    assert writer.over
    writer.seal("late")
    writer.release()
    assert shown(writer) == "[0:thinking s ]"


class Page:
    """A block that is owed."""

    known = False

    def hear(self, citation: Any) -> None:
        self.known = True

    def block(self) -> dict[str, Any]:
        return {"type": "web_search_tool_result"}


@pytest.mark.parametrize(
    ("stops", "cap", "texts", "told"),
    [
        ((), None, ["a"], "[0:text a ] [1:web_search_tool_result ]"),
        (("STOP",), None, ["a ST"], "[0:text a  ST ] [1:web_search_tool_result ]"),
        (("STOP",), None, ["a STOP b"], "[0:text a  ] [1:web_search_tool_result ]"),
        ((), 1, ["a b"], "[0:text a  ] [1:web_search_tool_result ]"),
        # What a stop sequence held back is more than the cap allows, and is found out when the block is paid.
        (("a b c STOP",), 2, ["a b c"], "[0:text a b  ] [1:web_search_tool_result ]"),
        (("a b c STOP",), 1, ["a", " b c"], "[0:text a  ] [1:web_search_tool_result ]"),
    ],
)
def test_a_block_that_is_owed_comes_once_behind_the_text(
    stops: tuple[str, ...], cap: int | None, texts: list[str], told: str
) -> None:
    """B36, B37, B66: also where the answer is ended here."""
    writer = blocks(stops, cap, "", words)
    writer.owed = Page()
    for text in texts:
        writer.text(text)
    writer.end_text()
    writer.pay()
    writer.pay()
    assert shown(writer) == told
    if writer.over:
        writer.owed = Page()
        writer.pay()
        assert shown(writer) == told


def test_a_citation_needs_its_block() -> None:
    writer = Blocks()
    writer.cite({"type": "early"})
    writer.text("a")
    writer.cite({"type": "c"})
    assert shown(writer) == "[0:text a {'type': 'c'}"


def test_after_the_end_nothing_is_written() -> None:
    writer = guarded("b")
    writer.text("abc")
    assert writer.over
    assert writer.stop_sequence == "b"
    writer.text("x")
    writer.end_text()
    writer.start(TOOL)
    writer.json("{}")
    writer.delta({"type": "any_delta"})
    writer.cite({"type": "c"})
    writer.stop()
    writer.settle()
    assert shown(writer) == "[0:text a ]"


def test_a_stop_sequence_reaches_over_two_borders() -> None:
    """behaviours C21."""
    writer = guarded("1234")
    for piece in ("a1", "2", "3"):
        writer.text(piece)
        writer.end_text()
    writer.text("4b")
    assert shown(writer) == "[0:text a ]"
    assert writer.stop_sequence == "1234"


def test_borders_are_kept_where_the_alarm_was_false() -> None:
    writer = guarded("1234")
    for piece in ("a1", "2", "3"):
        writer.text(piece)
        writer.end_text()
    writer.text("x")
    writer.end_text()
    assert shown(writer) == "[0:text a 1 ] [1:text 2 ] [2:text 3 ] [3:text x ]"


def test_a_partly_released_border_moves_along() -> None:
    writer = guarded("aab")
    writer.text("aa")
    writer.end_text()
    writer.text("a")
    assert shown(writer) == "[0:text a"
    writer.text("c")
    writer.settle()
    assert shown(writer) == "[0:text a a ] [1:text ac ]"


def test_what_is_held_back_is_shown_before_another_block() -> None:
    writer = guarded("STOP")
    writer.text("ST")
    writer.end_text()
    writer.start(TOOL)
    assert shown(writer) == "[0:text ST ] [1:tool_use"


def test_citations_wait_for_held_text_and_belong_to_their_block() -> None:
    writer = guarded("STOP")
    writer.text("ST")
    writer.cite({"n": 1})
    writer.end_text()
    writer.text("x")
    writer.cite({"n": 2})
    writer.settle()
    assert shown(writer) == "[0:text ST {'n': 1} ] [1:text x {'n': 2} ]"
    writer = guarded("STOP")
    writer.text("xST")
    writer.end_text()
    writer.cite({"n": 1})
    writer.text("Oy")
    writer.settle()
    assert shown(writer) == "[0:text x ST ] [1:text Oy {'n': 1} ]"
    writer = guarded("STOP")
    writer.text("S")
    writer.end_text()
    writer.text("T")
    writer.cite({"n": 1})
    writer.text("x")
    writer.settle()
    assert shown(writer) == "[0:text S ] [1:text Tx {'n': 1} ]"
    writer = guarded("STOP")
    writer.text("ST")
    writer.cite({"n": 1})
    writer.settle()
    assert shown(writer) == "[0:text ST {'n': 1} ]"


@pytest.mark.parametrize(
    ("cap", "text", "expected", "over"),
    [
        (3, "one two three", "one two three", False),
        (2, "one two three", "one two ", True),
        (0, "one", "", True),
        (1, " one two", " one ", True),
    ],
)
def test_the_cap_cuts_visible_text(cap: int, text: str, expected: str, over: bool) -> None:
    """B37."""
    writer = guarded(cap=cap)
    writer.text(text)
    writer.settle()
    written = "".join(event["delta"]["text"] for event in writer.out if "delta" in event)
    assert (written, writer.over, writer.capped, writer.stop_sequence) == (expected, over, over, None)


def test_the_cap_counts_the_same_however_the_text_was_cut() -> None:
    """B37: a token that spans two pieces is counted once, and each block for itself."""
    writer = guarded(cap=4)
    for piece in ("on", "e t", "wo", " th", "ree"):
        writer.text(piece)
    writer.end_text()
    writer.text("four")
    writer.text(" five")
    assert "".join(event["delta"]["text"] for event in writer.out if "delta" in event) == "one two threefour "
    assert (writer.over, writer.capped) == (True, True)


def test_the_cap_counts_tool_input_too() -> None:
    """B37."""
    writer = guarded(cap=3)
    writer.text("one two")
    writer.start(TOOL)
    writer.json("three ")
    writer.json("four")
    writer.json("five")
    assert shown(writer) == "[0:text one two ] [1:tool_use three  ]"
    assert writer.capped


def test_the_cap_comes_before_a_stop_sequence_behind_it() -> None:
    writer = guarded("END", cap=1)
    writer.text("one two END")
    assert (writer.over, writer.capped, writer.stop_sequence) == (True, True, None)


def test_a_prefill_is_cut_before_anything_is_counted_or_scanned() -> None:
    """B48."""
    writer = guarded("END", cap=2, prefix="END of")
    writer.text("END o")
    writer.end_text()
    assert shown(writer) == ""
    assert writer.stop_sequence == "END"
    writer = guarded("END", cap=2, prefix="END of")
    writer.start({"type": "thinking"})
    writer.stop()
    writer.text("END ")
    writer.text("of it")
    writer.settle()
    assert shown(writer) == "[0:thinking ] [1:text  it ]"
