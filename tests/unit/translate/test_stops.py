from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.translate.stops import PrefixStripper, StopScanner


def scan(sequences: tuple[str, ...], *pieces: str) -> tuple[str, str | None]:
    scanner = StopScanner(sequences)
    shown = "".join(scanner.feed(piece) for piece in pieces)
    return (shown if scanner.hit else shown + scanner.flush()), scanner.hit


@pytest.mark.parametrize(
    ("sequences", "pieces", "expected"),
    [
        (("END",), ("abE", "NDc", "d"), ("ab", "END")),
        (("END",), ("abEN", "x"), ("abENx", None)),
        (("END",), ("E", "E", "N", "D"), ("E", "END")),
        (("END",), ("EN",), ("EN", None)),
        (("aab",), ("aaa", "b"), ("a", "aab")),
        (("abcd", "bc"), ("abcd",), ("a", "bc")),
        (("bc", "abc"), ("xab", "c"), ("x", "abc")),
        (("", "x"), ("ax",), ("a", "x")),
        ((), ("abc",), ("abc", None)),
        (("\n\n",), ("a\n", "\nb"), ("a", "\n\n")),
        (("漢字",), ("a漢", "字b"), ("a", "漢字")),
    ],
)
def test_the_first_complete_sequence_ends_the_text(
    sequences: tuple[str, ...], pieces: tuple[str, ...], expected: tuple[str, str | None]
) -> None:
    """B36, behaviours C21."""
    assert scan(sequences, *pieces) == expected


def test_only_what_may_become_a_sequence_is_held_back() -> None:
    scanner = StopScanner(("STOP", "####"))
    assert scanner.feed("hello ST") == "hello "
    assert scanner.held == 2
    assert scanner.feed("A##") == "STA"
    assert scanner.feed("b") == "##b"
    assert scanner.held == 0


def test_nothing_is_released_after_a_hit() -> None:
    scanner = StopScanner(("x",))
    assert scanner.feed("axb") == "a"
    assert scanner.feed("c") == ""
    assert scanner.flush() == ""


@given(
    st.lists(st.text(alphabet="abc", min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.text(alphabet="abcd", max_size=5), max_size=8),
)
def test_the_result_does_not_depend_on_how_the_text_was_cut(needles: list[str], pieces: list[str]) -> None:
    """B36."""
    sequences = tuple(needles)
    text = "".join(pieces)
    shown, hit = scan(sequences, *pieces)
    assert (shown, hit) == scan(sequences, text) == scan(sequences, *text)
    if hit is None:
        assert shown == text
        assert not any(needle in text for needle in needles)
    else:
        assert text.startswith(shown + hit)


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (("Yes, ", "it is", " fine."), " fine."),
        (("Yes, it is fine.",), " fine."),
        (("Yes, it was.",), "Yes, it was."),
        (("Yes", "!"), "Yes!"),
        (("No.",), "No."),
        (("Yes, it is",), ""),
        (("Yes, it is", " Yes, it is"), " Yes, it is"),
        (("Yes",), "Yes"),
    ],
)
def test_a_repeated_prefill_is_taken_away_once(pieces: tuple[str, ...], shown: str) -> None:
    """B48, D39."""
    stripper = PrefixStripper("Yes, it is")
    assert "".join(stripper.feed(piece) for piece in pieces) + stripper.flush() == shown
    assert stripper.held == 0


def test_without_a_prefill_nothing_is_held() -> None:
    stripper = PrefixStripper("")
    assert stripper.feed("abc") == "abc"
    assert stripper.flush() == ""
