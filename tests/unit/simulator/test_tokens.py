"""The pseudo-tokenizer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.simulator import tokens
from tests.support.simulated import as_data_url, png, text_of_tokens

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("word", 1),
        ("words", 2),
        ("two words", 4),
        ("a.b", 3),
        ("häß", 2),
        ("日本語", 3),
        ("    \n", 2),
    ],
)
def test_each_piece_costs_a_token_per_four_bytes(text: str, expected: int) -> None:
    assert tokens.count(text) == expected


@given(_TEXTS)
def test_ends_and_count_agree_and_ends_rise_to_the_length(text: str) -> None:
    ends = tokens.ends(text)
    assert len(ends) == tokens.count(text)
    assert list(ends) == sorted(set(ends))
    assert (ends[-1] if ends else 0) == len(text.encode())


@given(_TEXTS, st.integers(0, 40))
def test_a_cut_is_a_prefix_within_its_budget(text: str, budget: int) -> None:
    shortened = tokens.cut(text, budget)
    assert text.startswith(shortened)
    assert tokens.count(shortened) <= budget or budget >= tokens.count(text)


def test_images_cost_by_tiles() -> None:
    assert tokens.image(as_data_url(png(512, 512))) == 85 + 170
    assert tokens.image(as_data_url(png(513, 1025))) == 85 + 170 * 2 * 3
    assert tokens.image(as_data_url(png(2000, 2000)), "low") == 85
    assert tokens.image("https://example.com/a.png") == 765
    assert tokens.image(None) == 765
    assert tokens.image(as_data_url(png(0, 0))) == 765


def test_files_cost_by_pages_or_by_text() -> None:
    assert tokens.file(as_data_url(b"%PDF-1.7 /Type /Page /Type /Page", "application/pdf")) == 3000
    assert tokens.file(as_data_url(b"two words", "text/plain")) == 4
    assert tokens.file(None) == 1500


def test_a_text_of_a_given_size_can_be_made() -> None:
    for wanted in (1, 2, 1024, 6001):
        assert tokens.count(text_of_tokens(wanted)) == wanted
