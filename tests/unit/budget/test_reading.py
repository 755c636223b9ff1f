"""Numbers, tables and names as people write them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.budget.reading import bare, needed, present, scaled, whole


@pytest.mark.parametrize(
    ("requested", "name"),
    [
        ("claude-opus-4-6", "claude-opus-4-6"),
        ("claude-opus-4-6[1m]", "claude-opus-4-6"),
        (" claude-opus-4-6[1m][fast] ", "claude-opus-4-6"),
        ("[1m]", "[1m]"),
        ("", ""),
    ],
)
def test_a_bare_name_has_no_suffix(requested: str, name: str) -> None:
    assert bare(requested) == name


@settings(deadline=None)
@given(st.integers(0, 10**12))
def test_a_number_with_six_decimals_is_read_exactly_as_written(millionths: int) -> None:
    assert scaled("p", millionths / 10**6, "", 10**6, 6) == millionths
    assert scaled("p", float(f"{Decimal(millionths) / 10**6}"), "", 10**6, 6) == millionths


@pytest.mark.parametrize(
    ("value", "millionths"),
    [(0, 0), (-0.0, 0), (1, 10**6), (1e-06, 1), (1.5e-05, 15), (2.5e5, 250_000_000_000), (0.1, 100_000)],
)
def test_numbers_are_scaled(value: float, millionths: int) -> None:
    assert scaled("p", value, "", 10**6, 6) == millionths


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, "p: must be a number of USD, 0 or more"),
        (None, "p: must be a number of USD, 0 or more"),
        ("1", "p: must be a number of USD, 0 or more"),
        (-0.5, "p: must be a number of USD, 0 or more"),
        (float("nan"), "p: must be a number of USD, 0 or more"),
        (float("inf"), "p: must be a number of USD, 0 or more"),
        (10**400, "p: must be a number of USD, at most 1,000,000"),
        (1e300, "p: must be a number of USD, at most 1,000,000"),
        (1e-7, "p: must be a number of USD, with at most 6 decimals"),
        (0.1234567, "p: must be a number of USD, with at most 6 decimals"),
    ],
)
def test_what_is_no_such_number_is_refused(value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=r"^p: must") as refused:
        scaled("p", value, " of USD", 10**6, 6)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (-1, "p: must be a whole number of tokens, 0 or more"),
        (1.0, "p: must be a whole number of tokens, 0 or more"),
        (True, "p: must be a whole number of tokens, 0 or more"),
        ("10", "p: must be a whole number of tokens, 0 or more"),
        (11, "p: must be a whole number of tokens, at most 10"),
    ],
)
def test_what_is_no_whole_number_is_refused(value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=r"^p: must") as refused:
        whole("p", value, " of tokens", 10)
    assert str(refused.value) == said


def test_whole_numbers_go_up_to_the_most() -> None:
    assert [whole("p", value, "", 10) for value in (0, 10)] == [0, 10]


def test_a_table_has_known_keys_and_null_is_absent() -> None:
    assert present("p", {"max": 1, "per": None}, ("max", "per")) == {"max": 1}
    with pytest.raises(ValueError, match=r"^p\.maxx: unknown key, did you mean max\?$"):
        present("p", {"maxx": 1}, ("max", "per"))
    with pytest.raises(ValueError, match=r"^p\.zzz: unknown key \(known: max, per\)$"):
        present("p", {"zzz": 1}, ("max", "per"))
    with pytest.raises(ValueError, match=r"^p: must be a table with the keys max, per$"):
        present("p", [1], ("max", "per"))


def test_the_first_missing_key_is_named() -> None:
    needed("p", {"a": 1}, ("a",))
    with pytest.raises(ValueError, match=r"^p\.b: is missing$"):
        needed("p", {"a": 1}, ("a", "b", "c"))
