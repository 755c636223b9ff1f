"""What was said about a key, read into what the store keeps; every error names its option."""

from __future__ import annotations

import pytest

from dragoman.budget.limits import Limit
from dragoman.cli import keyspec
from dragoman.cli.keyoptions import Said
from dragoman.cli.options import MISUSED, Stop
from dragoman.store.clientkeys import KeySpec

BASE = KeySpec(
    "laptop", ("old",), ("claude-*",), "low", None, "high", 2, 50.0, (Limit("requests", "day", 1),)
)


def test_only_what_is_said_changes() -> None:
    assert keyspec.over(Said(), BASE, 0.0) == BASE
    said = Said(models=["a", " b ", "a"], tags=["x"], default_effort="MEDIUM", concurrency=5, expires="1d")
    made = keyspec.over(said, BASE, 0.0)
    assert made == KeySpec(
        "laptop", ("x",), ("a", "b"), "medium", None, "high", 5, 86_400.0, (Limit("requests", "day", 1),)
    )


def test_what_is_cleared_is_no_more() -> None:
    assert keyspec.cleared(BASE, list(keyspec.CLEARABLE)) == KeySpec("laptop")
    assert keyspec.cleared(BASE, []) == BASE
    with pytest.raises(Stop, match="--clear 'name': must be one of models, tags"):
        keyspec.cleared(BASE, ["name"])


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("tokens/day=1000", Limit("tokens", "day", 1000)),
        ("requests/5h=1_000", Limit("requests", "5h", 1000)),
        ("cost_usd/month=20", Limit("cost_usd", "month", 20 * 10**9)),
        ("cost_usd/month=0.5@claude-opus-*", Limit("cost_usd", "month", 5 * 10**8, "claude-opus-*")),
        (" output_tokens / total = 7 @ a=b/c@d ", Limit("output_tokens", "total", 7, "a=b/c@d")),
        ('{"measure": "tokens", "per": "week", "max": 5, "models": "x"}', Limit("tokens", "week", 5, "x")),
        ("input_tokens/hour=0", Limit("input_tokens", "hour", 0)),
    ],
)
def test_limits_have_a_short_form_and_a_json_form(text: str, limit: Limit) -> None:
    assert keyspec.read_limits("--limit", [text]) == (limit,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tokens/day", "must be measure/per=max"),
        ("", "must be measure/per=max"),
        ("tokens=5", "must be measure/per=max"),
        ("tokens/day=", "must be measure/per=max"),
        ("tokens/day=many", "max: 'many' is no number"),
        ("tokens/day=-1", "max: must be a whole number of tokens, 0 or more"),
        ("tokens/day=1.5", "max: must be a whole number"),
        ("cost_usd/day=nan", "max: must be a number of USD, 0 or more"),
        ("cost_usd/day=1e300", "max: must be a number of USD, at most"),
        ("token/day=1", "measure: 'token' is not known, did you mean tokens"),
        ("tokens/year=1", "per: 'year' is not known"),
        ("{", "expected|unexpected|EOF"),
        ("{}", "measure: is missing"),
        (
            '{"measure": "tokens", "per": "day", "max": 1, "model": "x"}',
            "model: unknown key, did you mean models",
        ),
        (f"tokens/day=1@{'x' * 257}", "must be 1 to 256 printable"),
    ],
)
def test_a_wrong_limit_names_option_text_and_reason(text: str, why: str) -> None:
    with pytest.raises(Stop, match=why) as stop:
        keyspec.read_limits("--limit", [text])
    assert stop.value.code == MISUSED
    assert str(stop.value).startswith(f"--limit {text.strip()!r}")


def test_the_same_is_not_limited_twice() -> None:
    with pytest.raises(Stop, match="the same is limited twice"):
        keyspec.read_limits("--set", ["tokens/day=1", "tokens/day=2"])
    assert len(keyspec.read_limits("--set", ["tokens/day=1", "tokens/day=1@a", "tokens/week=1"])) == 3


@pytest.mark.parametrize("name", ["", " ", "a" * 65, "two\nlines", "\x1b[31m", "\udcff"])
def test_a_name_is_short_and_printable(name: str) -> None:
    with pytest.raises(Stop, match=r"NAME .*must be 1 to 64 printable characters"):
        keyspec.name_of(name)
    assert keyspec.name_of(" Büro 1 ") == "Büro 1"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Said(models=[""]), "--models ''"),
        (Said(tags=["\t"]), "--tag ''"),
        (Said(default_effort="hard"), "--default-effort 'hard': must be one of none, minimal"),
        (Said(enforced_effort="xhigh"), "--enforced-effort xhigh: is above --max-effort high"),
        (Said(expires="never"), "--expires 'never'"),
    ],
)
def test_a_wrong_value_names_its_option(said: Said, why: str) -> None:
    with pytest.raises(Stop, match=why):
        keyspec.over(said, BASE, 0.0)
