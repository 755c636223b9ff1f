"""Model names: resolution, aliases, what is published; efforts and the table of families."""

from __future__ import annotations

import pytest

from dragoman.translate.models import (
    EFFORTS,
    Alias,
    Resolution,
    clamp_effort,
    described,
    known_effort,
    parse_aliases,
    profile,
    published,
    resolve,
)
from dragoman.wire.errors import Kind, Refused

ALIASES = parse_aliases(
    {
        "claude-opus-4-8": "gpt-5.5@high",
        "claude-haiku-*": "gpt-5.4-mini",
        "claude-*": "gpt-5.5@medium",
    }
)


@pytest.mark.parametrize(
    ("requested", "listed", "expected"),
    [
        ("claude-opus-4-8", None, Resolution("gpt-5.5", "high", "alias")),
        ("claude-opus-4-8[1m]", None, Resolution("gpt-5.5", "high", "alias")),
        (" claude-opus-4-8 ", {"x"}, Resolution("gpt-5.5", "high", "alias")),
        ("claude-haiku-5-5", None, Resolution("gpt-5.4-mini", None, "glob")),
        ("claude-sonnet-5-5[1m]", {"x"}, Resolution("gpt-5.5", "medium", "glob")),
        ("claude-gpt-5.6", {"gpt-5.6"}, Resolution("gpt-5.6", None, "published")),
        ("claude-gpt-5.4-mini", None, Resolution("gpt-5.4-mini", None, "published")),
        ("claude-gpt-5.5", None, Resolution("gpt-5.5", "medium", "published")),
        ("gpt-5.2", {"gpt-5.2"}, Resolution("gpt-5.2", None, "listed")),
        ("gpt-9[1m]", None, Resolution("gpt-9", None, "pass-through")),
        ("[1m]", None, Resolution("[1m]", None, "pass-through")),
    ],
)
def test_names_are_resolved_in_order(requested: str, listed: set[str] | None, expected: Resolution) -> None:
    """Alias, published id, glob, listed, pass-through; a window suffix is cut off. behaviours C22"""
    assert resolve(requested, ALIASES, listed) == expected


def test_the_first_matching_glob_and_the_first_exact_alias_win() -> None:
    aliases = (Alias("a*", "one"), Alias("ab", "two"), Alias("ab", "three"), Alias("ab*", "four"))
    assert resolve("ab", aliases, None).model == "two"
    assert resolve("abc", aliases, None).model == "one"


def test_an_unknown_name_is_not_found_and_the_nearest_is_told() -> None:
    """Only where every account lists its models. B88, D32"""
    with pytest.raises(Refused) as refusal:
        resolve("gpt-5.55", (Alias("fast", "gpt-5.4"),), {"gpt-5.5", "gpt-4.1"})
    assert refusal.value.failure.kind is Kind.MODEL_NOT_FOUND
    assert refusal.value.failure.message == (
        "model: 'gpt-5.55' is not served here; the nearest name is 'gpt-5.5'"
    )
    with pytest.raises(Refused, match=r"^model: 'x' is not served here$"):
        resolve("x", (), set())


def test_aliases_keep_their_order_and_efforts() -> None:
    aliases = parse_aliases({"b": "gpt-5.5@HIGH", "a": " gpt-5.4 ", "c": "gpt-6@ultra", "d": "m@2026"})
    assert aliases == (
        Alias("b", "gpt-5.5", "high"),
        Alias("a", "gpt-5.4", None),
        Alias("c", "gpt-6", "max"),
        Alias("d", "m@2026", None),
    )
    assert [alias.is_glob for alias in ALIASES] == [False, True, True]


@pytest.mark.parametrize(
    "table", [{"a": "gpt-5.5@hgih"}, {" ": "gpt-5.5"}, {"a": " "}, {"a": "@high"}, {"a": "gpt-5.5@"}]
)
def test_a_wrong_alias_is_refused_by_name(table: dict[str, str]) -> None:
    with pytest.raises(Refused):
        parse_aliases(table)


def test_what_is_published() -> None:
    """Exact aliases, listed models as themselves and as claude-…, globs by target. behaviours E7, T12"""
    rows = published(ALIASES, {"gpt-5.5", "claude-x"})
    assert [(row.id, row.model, row.display_name) for row in rows] == [
        ("claude-opus-4-8", "gpt-5.5", "claude-opus-4-8 (gpt-5.5)"),
        ("claude-x", "gpt-5.5", "claude-x (gpt-5.5)"),
        ("gpt-5.5", "gpt-5.5", "gpt-5.5"),
        ("claude-gpt-5.5", "gpt-5.5", "gpt-5.5"),
        ("claude-gpt-5.4-mini", "gpt-5.4-mini", "gpt-5.4-mini"),
    ]
    assert rows[0].profile == profile("gpt-5.5")
    for row in rows:
        assert resolve(row.id, ALIASES, {"gpt-5.5", "claude-x"}).model == row.model


def test_a_globs_target_is_requested_by_its_own_name_where_that_says_claude() -> None:
    aliases = (Alias("x*", "claude-y", "low"),)
    assert [row.id for row in published(aliases, set())] == ["claude-y"]
    assert resolve("claude-y", aliases, set()) == Resolution("claude-y", "low", "published")


def test_a_key_sees_only_what_it_may_request() -> None:
    rows = published(ALIASES, {"gpt-5.5"}, allowed=["claude-gpt-*"])
    assert [row.id for row in rows] == ["claude-gpt-5.5", "claude-gpt-5.4-mini"]
    assert published((), None) == []


@pytest.mark.parametrize(
    ("model", "family", "window", "output"),
    [
        ("gpt-5.6-sol", "gpt-5.6", 272_000, 128_000),
        ("gpt-5.10", "gpt-5.6", 272_000, 128_000),
        ("gpt-6", "gpt-5.6", 272_000, 128_000),
        ("openai/GPT-5.5-2026-02-01", "gpt-5.5", 272_000, 128_000),
        ("gpt-5.5-pro", "gpt-5.5-pro", 272_000, 128_000),
        ("gpt-5.3-codex", "gpt-5.3-codex", 272_000, 128_000),
        ("gpt-5-mini", "gpt-5", 272_000, 128_000),
        ("gpt-oss-120b", "gpt-oss", 131_072, 131_072),
        ("o3-mini", "o-mini", 200_000, 100_000),
        ("o3", "o", 200_000, 100_000),
        ("gpt-4.1-mini", "gpt-4.1", 1_047_576, 32_768),
        ("gpt-4o", "gpt-4", 128_000, 16_384),
        ("llama-9", "", 200_000, 128_000),
    ],
)
def test_the_table_of_families(model: str, family: str, window: int, output: int) -> None:
    """behaviours T12, T14"""
    known = profile(model)
    assert (known.name, known.family) == (model, family)
    assert (known.context_window, known.max_output_tokens) == (window, output)
    assert list(known.efforts) == sorted(known.efforts, key=EFFORTS.index)
    assert known.default_effort is None or known.default_effort in known.efforts


@pytest.mark.parametrize(
    ("wanted", "model", "expected"),
    [
        ("max", "gpt-5.6", "max"),
        ("max", "gpt-5.5", "xhigh"),
        ("xhigh", "gpt-5.1", "high"),
        ("minimal", "gpt-5.5", "none"),
        ("none", "gpt-5", "minimal"),
        ("low", "gpt-5-pro", "high"),
        ("high", "gpt-4.1", None),
        (None, "gpt-5.5", None),
    ],
)
def test_an_effort_is_clamped_downwards(wanted: str | None, model: str, expected: str | None) -> None:
    """The nearest lower level, else the lowest one. B32, behaviours C15, C16"""
    assert clamp_effort(wanted, profile(model)) == expected


def test_spellings_of_efforts() -> None:
    assert [known_effort(word) for word in (" High ", "ultra", "hgih", "")] == ["high", "max", None, None]


@pytest.mark.parametrize(
    ("requested", "listed", "model"),
    [
        ("claude-opus-4-8", None, "gpt-5.5"),
        ("claude-haiku-5-5", None, "gpt-5.4-mini"),
        ("claude-haiku-5-5[1m]", None, "gpt-5.4-mini"),
        ("gpt-5.4", {"gpt-5.4"}, "gpt-5.4"),
        ("claude-gpt-5.4", {"gpt-5.4"}, "gpt-5.4"),
        ("unheard-of", None, None),
        ("unheard-of", {"gpt-5.4"}, None),
    ],
)
def test_any_name_that_is_served_can_be_described(
    requested: str, listed: set[str] | None, model: str | None
) -> None:
    """Also one that only a glob stands for; nothing is claimed of a name that is merely passed on."""
    found = described(requested, ALIASES, listed)
    assert (found and found.model) == model
    assert found is None or (found.id, found.profile) == (requested, profile(found.model))
    assert described(requested, ALIASES, listed, allowed=["nothing-*"]) is None
