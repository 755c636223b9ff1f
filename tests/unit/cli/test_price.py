"""`dragoman price`: overrides go before the file and the catalogue; wrong rates name their option."""

from __future__ import annotations

import pytest

from tests.support.verbs import Verbs

CONFIG = """
[models]
"claude-*" = "gpt-5.5"
"own" = "own-model"

[prices]
"house-*" = { input = 1, output = 2 }

[[accounts]]
name = "main"
api_key = "sk-upstream-secret"
"""


@pytest.fixture
def configured(verbs: Verbs) -> Verbs:
    verbs.configure(CONFIG)
    return verbs


def test_a_price_is_set_shown_and_removed(configured: Verbs) -> None:
    rates = ["--input", "1.25", "--output", "10", "--cached", "0.125"]
    assert "$1.25" in configured("price", "set", "own-model", *rates).out
    shown = configured("price", "show", "own-model", "--json").json()
    assert shown["source"] == "store"
    assert shown["rates"] == {"input": 1.25, "cached": 0.125, "written": 1.25, "output": 10.0}
    configured("price", "set", "own-model", "--input", "2", "--output", "4")
    assert configured("price", "show", "own-model", "--json").json()["rates"]["cached"] == 2.0
    assert "it is now unknown" in configured("price", "remove", "own-model").out
    assert "price set own-model --input" in configured("price", "show", "own-model", code=1).err


def test_long_requests_and_tiers_have_rates_of_their_own(configured: Verbs) -> None:
    rates = [
        "--input",
        "1",
        "--output",
        "2",
        "--long-from",
        "200000",
        "--long-input",
        "2",
        "--long-output",
        "4",
    ]
    rates += ["--rate", "flex_input=0.5", "--rate", "flex_output=1"]
    assert "$2/$4 above 200,000" in configured("price", "set", "own-model", *rates).out
    kept = configured("price", "show", "own-model", "--json").json()["rates"]
    assert (kept["long_from"], kept["long_input"], kept["flex_input"]) == (200_000, 2.0, 0.5)


def test_the_stores_word_goes_before_the_file_and_the_catalogue(configured: Verbs) -> None:
    assert configured("price", "show", "gpt-5.5", "--json").json()["source"] == "catalogue"
    assert configured("price", "show", "house-1", "--json").json()["source"] == "config"
    for model in ("gpt-5.5", "house-*"):
        configured("price", "set", model, "--input", "7", "--output", "9")
    assert configured("price", "show", "gpt-5.5", "--json").json()["rates"]["input"] == 7
    assert configured("price", "show", "house-1", "--json").json()["source"] == "store"
    assert "it is now from the catalogue" in configured("price", "remove", "gpt-5.5").out


def test_the_list_has_what_is_set_and_what_is_served(configured: Verbs) -> None:
    configured("price", "set", "a", "--input", "0", "--output", "0")
    listed = configured("price", "list", "--json").json()
    assert [(row["model"], row["source"]) for row in listed] == [
        ("a", "store"),
        ("house-*", "config"),
        ("gpt-5.5", "catalogue"),
        ("own-model", None),
    ]
    assert listed[-1]["rates"] is None
    assert "unknown" in configured("price", "list").out.splitlines()[-1]


@pytest.mark.parametrize(
    ("rates", "why"),
    [
        (
            ["--input", "-1", "--output", "1"],
            "--input: must be a number of USD per million tokens, 0 or more",
        ),
        (["--input", "nan", "--output", "1"], "--input: must be a number"),
        (
            ["--input", "1", "--output", "1e9"],
            "--output: must be a number of USD per million tokens, at most",
        ),
        (["--input", "1", "--output", "1", "--long-from", "5"], "--long-input: is missing"),
        (["--input", "1", "--output", "1", "--long-input", "5"], "--long-"),
        (["--input", "1", "--output", "1", "--rate", "x"], "--rate 'x': must be KEY=USD"),
        (["--input", "1", "--output", "1", "--rate", "flex_input=a"], "must be KEY=USD"),
        (
            ["--input", "1", "--output", "1", "--rate", "flx_input=1"],
            "--rate flx_input: unknown key, did you mean",
        ),
        (["--input", "1", "--output", "1", "--rate", "flex_input=1"], "--rate flex_output: is missing"),
        (["--input", "1"], "--output"),
    ],
)
def test_wrong_rates_name_their_option(configured: Verbs, rates: list[str], why: str) -> None:
    assert why in configured("price", "set", "own-model", *rates, code=2).err
    assert "is not known" in configured("price", "show", "own-model", code=1).err


def test_a_model_has_a_name(configured: Verbs) -> None:
    for name in ("", "a\nb", "x" * 257):
        assert (
            "MODEL: must be" in configured("price", "set", name, "--input", "1", "--output", "1", code=2).err
        )


def test_what_is_not_the_stores_is_not_removed(configured: Verbs) -> None:
    assert "set in the configuration file" in configured("price", "remove", "house-*", code=1).err
    assert (
        "there is no price of 'gpt-5.5' in the store" in configured("price", "remove", "gpt-5.5", code=1).err
    )
