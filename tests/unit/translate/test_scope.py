"""What globs over requested names can mean, judged against what is served."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.translate import scope
from dragoman.translate.models import Alias, parse_aliases

ALIASES = parse_aliases(
    {"fast": "gpt-5.5-mini", "claude-opus-*": "gpt-5.5@high", "claude-*": "local", "claude-haiku-*": "tiny"}
)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("claude-opus-4-8", "claude-opus-*", True),
        ("claude-*", "claude-opus-*", True),
        ("*-opus-*", "claude-*", True),
        ("claude-[os]*", "claude-opus", True),
        ("claude-[!o]*", "claude-opus", False),
        ("claude-?", "claude-[ab]", True),
        ("claude-?", "claude-ab", False),
        ("a*b*c", "abc", True),
        ("a*b*c", "a*", True),
        ("a*b", "*c", False),
        ("", "", True),
        ("", "*", True),
        ("", "a", False),
        ("a", "", False),
        ("**", "x", True),
        ("[", "[", True),
        ("[a", "[*", True),
        ("[]a]", "]", True),
        ("[!]a]", "]", False),
        ("gpt-*", "claude-*", False),
    ],
)
def test_two_globs_meet_where_a_name_matches_both(one: str, other: str, expected: bool) -> None:
    assert scope.meet(one, other) is expected
    assert scope.meet(other, one) is expected


@given(st.text("ab", max_size=6), st.text("ab*?", max_size=6))
def test_a_plain_name_meets_a_glob_exactly_when_it_matches(name: str, glob: str) -> None:
    assert scope.meet(name, glob) == fnmatchcase(name, glob)


@given(st.text("ab", max_size=5), st.text("ab*?", max_size=5), st.text("ab*?", max_size=5))
def test_globs_that_share_a_name_meet(name: str, one: str, other: str) -> None:
    if fnmatchcase(name, one) and fnmatchcase(name, other):
        assert scope.meet(one, other)


@given(st.text("ab", max_size=5), st.text("ab*?", max_size=5), st.text("ab*?", max_size=5))
def test_a_covered_glob_has_no_name_of_its_own(name: str, one: str, other: str) -> None:
    if scope.covers(one, other) and fnmatchcase(name, other):
        assert fnmatchcase(name, one)


def test_what_covers_is_told_only_where_it_is_certain() -> None:
    assert scope.covers("claude-*", "claude-opus-*")
    assert scope.covers("claude-[ab]", "claude-[ab]")
    assert not scope.covers("claude-opus-*", "claude-*")
    assert not scope.covers("claude-?", "claude-*")
    assert not scope.covers("*]", "x[a]")


def test_a_glob_that_matches_nothing_gets_the_nearest_name() -> None:
    assert scope.nearest_instead("cluade-opus-*", ALIASES, None) == "claude-opus-*"
    assert scope.nearest_instead("gpt-4.1", ALIASES, frozenset({"gpt-4.1-mini"})) == "gpt-4.1-mini"


@pytest.mark.parametrize("glob", ["claude-opus-4-8", "claude-*", "fast", "claude-gpt-5.5", "f*"])
def test_aliases_and_published_names_are_known(glob: str) -> None:
    assert scope.nearest_instead(glob, ALIASES, None) is None


@pytest.mark.parametrize("glob", ["listed-1", "claude-listed-1", "listed-*"])
def test_models_of_accounts_are_known_by_both_names(glob: str) -> None:
    assert scope.nearest_instead(glob, (), frozenset({"listed-1"})) is None


def test_a_vendors_name_means_something_only_where_names_are_passed_on() -> None:
    assert scope.nearest_instead("gpt-*", ALIASES, None) is None
    assert scope.nearest_instead("o3-*", ALIASES, None) is None
    assert scope.nearest_instead("o3-*", ALIASES, frozenset({"local"})) is not None


def test_without_anything_known_nothing_is_judged() -> None:
    assert scope.nearest_instead("whatever-*", (), None) is None
    assert scope.nearest_instead("whatever-*", (), frozenset()) is None


def test_what_is_behind_a_glob_is_found_through_every_rule() -> None:
    every = scope.behind(None, None, ALIASES, frozenset({"listed-1"}))
    assert set(every) == {"gpt-5.5-mini", "gpt-5.5", "local", "tiny", "listed-1"}
    assert every["gpt-5.5-mini"] == "fast"
    assert every["tiny"] == "claude-tiny"


def test_a_glob_that_an_earlier_one_covers_leads_nowhere() -> None:
    """`claude-haiku-*` stands after `claude-*`, so no name ever gets there but the published one."""
    assert scope.behind(("claude-haiku-*",), None, ALIASES, None) == {"local": "claude-*"}
    assert scope.behind(("claude-tiny",), None, ALIASES, None) == {"tiny": "claude-tiny"}


def test_models_and_limit_narrow_each_other() -> None:
    assert scope.behind(("claude-opus-*",), "gpt-*", ALIASES, None) == {}
    assert scope.behind(("claude-*",), "claude-opus-4-8", ALIASES, None) == {"gpt-5.5": "claude-opus-4-8"}
    assert scope.behind(("claude-opus-4-8", "fast"), None, ALIASES, None) == {
        "gpt-5.5": "claude-opus-4-8",
        "gpt-5.5-mini": "fast",
    }


def test_a_spelled_name_that_is_passed_on_is_found() -> None:
    assert scope.behind(None, "gpt-4.1", (), None) == {"gpt-4.1": "gpt-4.1"}
    assert scope.behind(None, "gpt-4.1", (), frozenset({"other"})) == {}
    assert scope.behind(None, None, (), None) == {}


def test_names_are_known_once() -> None:
    twice = (Alias("fast", "a"), Alias("fast", "b"), Alias("x*", "a"))
    assert scope.known(twice, None) == ["fast", "claude-a", "x*"]
