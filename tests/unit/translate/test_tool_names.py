"""Tool names that the upstream takes, told back to the client."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from dragoman.translate.tool_names import LIMIT, Names, short_name

LONG = "mcp__server__" + "x" * 80
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100)


def test_a_name_that_fits_is_left_alone() -> None:
    for name in ("Bash", "mcp__a__b", "x" * LIMIT):
        assert short_name(name) == name


def test_the_short_name_keeps_what_speaks() -> None:
    """behaviours C1, C2"""
    assert short_name("files.read:v2/now").startswith("files_read_v2_now_")
    assert short_name("mcp__" + "s" * 70 + "__find").startswith("mcp__find_")
    assert short_name("mcp__" + "s" * 70 + "__").startswith("mcp__ssss")


@given(NAMES)
def test_every_name_becomes_one_that_fits_and_always_the_same(name: str) -> None:
    """B42, D40"""
    made = short_name(name)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", made)
    assert made == short_name(name) == short_name(made)


@given(st.lists(NAMES, unique=True, max_size=8))
def test_different_tools_stay_different_and_are_told_back(names: list[str]) -> None:
    """Also for a client that imitates our short names. B42, D40"""
    table = Names()
    made = [table.add(name) for name in [*names, *(short_name(name) for name in names)]]
    given_names = dict(zip([*names, *(short_name(name) for name in names)], made, strict=False))
    assert len(set(given_names.values())) == len(given_names)
    for name, upstream in given_names.items():
        assert table.of(name) == upstream
        assert table.changed.get(upstream, upstream) == name


def test_a_clash_gets_a_longer_mark() -> None:
    """B42"""
    table = Names()
    taken = table.add(short_name(LONG))
    other = table.add(LONG)
    assert taken != other and len(other) <= LIMIT
    assert table.changed == {other: LONG}


def test_adding_twice_changes_nothing() -> None:
    table = Names()
    assert table.add("a.b") == table.add("a.b")
    assert table.knows("a.b") and not table.knows("c")
    assert table.of("gone.tool") == short_name("gone.tool")
