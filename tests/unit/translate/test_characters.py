from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.translate.characters import join


@pytest.mark.parametrize(
    ("half", "text", "expected"),
    [
        ("", "abc", ("abc", "")),
        ("", "", ("", "")),
        ("", "a\ud83d", ("a", "\ud83d")),
        ("\ud83d", "\ude00b", ("😀b", "")),
        ("\ud83d", "\ud83d", ("\ufffd", "\ud83d")),
        ("\ud83d", "b", ("\ufffdb", "")),
        ("", "\ude00b", ("\ufffdb", "")),
        ("\ud83d", "", ("", "\ud83d")),
        ("", "\ufeff\ude00", ("\ufeff\ufffd", "")),
    ],
)
def test_halves_wait_for_each_other(half: str, text: str, expected: tuple[str, str]) -> None:
    """B50."""
    assert join(half, text) == expected


@given(st.text(max_size=8), st.lists(st.integers(0, 16), max_size=5))
def test_a_text_cut_between_code_units_comes_out_whole(text: str, cuts: list[int]) -> None:
    """B70, behaviours S17."""
    units = text.encode("utf-16-le")
    places = sorted({min(2 * cut, len(units)) for cut in cuts})
    pieces = [units[a:b] for a, b in zip([0, *places], [*places, len(units)], strict=True)]
    half, out = "", ""
    for piece in pieces:
        done, half = join(half, piece.decode("utf-16-le", "surrogatepass"))
        out += done
    assert (out, half) == (text, "")
