"""List prices of vendors: known bills, names that are and are not in the table, and what is remembered."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import calc_price, data_snapshot
from genai_prices.types import (
    ClauseContains,
    ClauseEquals,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    Usage,
)

from dragoman.budget.pricing import Consumption, Price, Rates, cost
from dragoman.store.catalogue import Catalogue

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
SETTLED = Consumption(15_603, 15_104, 0, 900)


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(NOW.timestamp)


def price(catalogue: Catalogue, model: str) -> Price:
    """The price of an upstream model that must be known."""
    found = catalogue.price(model)
    assert found is not None, model
    return found


def test_a_known_bill(catalogue: Catalogue) -> None:
    """15,603 input tokens, 15,104 of them cached, and 900 of output cost $0.037047."""
    assert cost(price(catalogue, "gpt-5.5"), SETTLED) == 37_047_000
    assert cost(price(catalogue, "gpt-5.5-codex"), SETTLED) == 37_047_000
    assert price(catalogue, "gpt-5.5").source == "catalogue"


def test_long_requests_and_tiers_of_a_model(catalogue: Catalogue) -> None:
    found = price(catalogue, "gpt-5.5")
    assert found.base == Rates(5_000_000, 500_000, 5_000_000, 30_000_000)
    assert (found.long, found.long_from) == (Rates(10_000_000, 1_000_000, 10_000_000, 45_000_000), 272_000)
    assert found.tiers["flex"] == Rates(2_500_000, 250_000, 2_500_000, 15_000_000)
    assert found.long_tiers["flex"] == Rates(5_000_000, 500_000, 5_000_000, 22_500_000)
    assert found.tiers["priority"].output == 75_000_000
    assert "priority" not in found.long_tiers


def test_writing_to_the_cache_has_its_own_rate_where_the_vendor_asks_one(catalogue: Catalogue) -> None:
    assert price(catalogue, "gpt-5.6-sol").base.written == price(catalogue, "gpt-5.6-sol").base.input * 5 // 4
    assert price(catalogue, "gpt-5.1").base.written == price(catalogue, "gpt-5.1").base.input


MODELS = [
    "gpt-4.1", "gpt-4o", "gpt-5", "gpt-5-mini", "gpt-5-pro", "gpt-5.1", "gpt-5.2", "gpt-5.4", "gpt-5.4-pro",
    "gpt-5.5", "gpt-5.5-pro", "gpt-5.6-luna", "gpt-5.6-sol", "gpt-5.6-terra", "o3", "o4-mini",
]  # fmt: skip


@pytest.mark.parametrize("tier", [None, "flex", "priority"])
@pytest.mark.parametrize("model", MODELS)
def test_costs_are_those_of_the_library_itself(catalogue: Catalogue, model: str, tier: str | None) -> None:
    for used in (
        Consumption(1000, 400, 0, 77),
        Consumption(300_000, 1000, 0, 5),
        Consumption(272_000, 0, 0, 1),
    ):
        told = calc_price(
            Usage(
                input_tokens=used.input_tokens,
                cache_read_tokens=used.cached_tokens,
                output_tokens=used.output_tokens,
            ),
            model,
            provider_id="openai",
            genai_request_timestamp=NOW,
            price_context={"service_tier": tier} if tier else None,
        )
        assert cost(price(catalogue, model), used, tier) == round(told.total_price * 10**9)


@pytest.mark.parametrize(
    ("requested", "rates"),
    [
        ("claude-opus-4-20250514", (15, 1.5, 18.75, 75)),
        ("claude-opus-4-1", (15, 1.5, 18.75, 75)),
        ("claude-opus-4-1-20250805", (15, 1.5, 18.75, 75)),
        ("claude-opus-4-6", (5, 0.5, 6.25, 25)),
        ("claude-opus-4-6[1m]", (5, 0.5, 6.25, 25)),
        (" claude-opus-4-5-20251101 ", (5, 0.5, 6.25, 25)),
        ("claude-sonnet-4-5-20250929[1m]", (3, 0.3, 3.75, 15)),
        ("claude-sonnet-4@20250514", (3, 0.3, 3.75, 15)),
        ("claude-haiku-4-5", (1, 0.1, 1.25, 5)),
        ("claude-3-5-haiku-latest", (0.8, 0.08, 1, 4)),
    ],
)
def test_what_anthropic_asks(catalogue: Catalogue, requested: str, rates: tuple[float, ...]) -> None:
    found = catalogue.anthropic(requested)
    assert found is not None
    assert found.base == Rates(*(int(rate * 10**6) for rate in rates))


def test_a_long_request_at_anthropic(catalogue: Catalogue) -> None:
    found = catalogue.anthropic("claude-sonnet-4-5")
    assert found is not None
    assert (found.long, found.long_from) == (Rates(6_000_000, 600_000, 7_500_000, 22_500_000), 200_000)


@pytest.mark.parametrize(
    "requested",
    [
        "claude-opus-9",
        "claude-opus-9-20300101",
        # The table knows `claude-opus-4-1` by its beginning; these are other models.
        "claude-opus-4-10",
        "claude-opus-4-1-fast",
        "claude-sonnet-4-5-9",
        "claude-gpt-5.5",
        "gpt-5.5",
        "mystery",
        "",
        "[1m]",
        "claude-" + "x" * 1000,
    ],
)
def test_a_name_that_anthropic_does_not_list_has_no_price(catalogue: Catalogue, requested: str) -> None:
    assert catalogue.anthropic(requested) is None


@pytest.mark.parametrize(
    "model", ["mystery", "", "gpt-99", "text-embedding-3-large", "claude-opus-4-10", "x" * 500]
)
def test_an_unknown_model_has_no_price(catalogue: Catalogue, model: str) -> None:
    assert catalogue.price(model) is None


def test_another_vendor_is_known_by_its_names(catalogue: Catalogue) -> None:
    assert price(catalogue, "deepseek-chat").base.input == 270_000
    assert price(catalogue, "claude-opus-4-6").base.input == 5_000_000


def test_no_price_of_the_whole_table_is_nothing(catalogue: Catalogue) -> None:
    for provider in data_snapshot.get_snapshot().providers:
        for info in provider.models:
            found = catalogue.price(info.id)
            if found is not None:
                assert cost(found, Consumption(10**6, 0, 0, 10**6)) > 0
                assert min(found.base.input, found.base.cached, found.base.written, found.base.output) >= 0


def test_the_table_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys; from dragoman.store.catalogue import Catalogue; c = Catalogue();"
        "assert 'genai_prices' not in sys.modules; c.load(); assert 'genai_prices' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# A small table, to say what the real one does not hold now.

EIGHT = ModelPrice(input_mtok=Decimal(8), output_mtok=Decimal(9))


def info(name: str, prices: Any, **more: Any) -> ModelInfo:
    return ModelInfo(id=name, match=ClauseEquals(name), prices=prices, **more)


def provider(name: str, *models: ModelInfo, claims: Any = None) -> Provider:
    return Provider(id=name, name=name, api_pattern="x", models=list(models), model_match=claims)


class Small(Catalogue):
    """A catalogue of given vendors that counts how often it is searched."""

    def __init__(self, *providers: Provider, now: datetime = NOW) -> None:
        self.time = now.timestamp()
        super().__init__(lambda: self.time, self.search)
        self.vendors = [provider("anthropic"), *providers]
        self.searched = 0

    def search(self) -> list[Provider]:
        self.searched += 1
        return self.vendors


def test_openai_comes_first_then_who_claims_the_name_then_what_all_agree_on() -> None:
    seven = ModelPrice(input_mtok=Decimal(7), output_mtok=Decimal(9))
    small = Small(
        provider(
            "host", info("a", EIGHT), info("b", EIGHT), info("c", EIGHT), info("d", EIGHT), info("e", EIGHT)
        ),
        provider("vendor", info("b", seven), info("c", EIGHT), info("d", seven), claims=ClauseContains("b")),
        provider("openai", info("a", seven)),
    )
    assert price(small, "a").base.input == 7_000_000
    assert price(small, "b").base.input == 7_000_000
    assert price(small, "c").base.input == 8_000_000
    assert small.price("d") is None
    assert price(small, "E").base.input == 8_000_000


def test_a_claude_name_upstream_is_not_guessed_either() -> None:
    opus = ModelInfo(id="claude-opus", match=ClauseStartsWith("claude-opus-4-1"), prices=EIGHT)
    small = Small()
    small.vendors = [provider("anthropic", opus, claims=ClauseContains("claude"))]
    assert price(small, "claude-opus-4-1-20250805").base.input == 8_000_000
    assert small.price("claude-opus-4-10") is None


def test_prices_that_tokens_do_not_say_are_unknown() -> None:
    one = Decimal(1)
    small = Small(
        provider(
            "openai",
            info("no-output", ModelPrice(input_mtok=one)),
            info("no-input", ModelPrice(output_mtok=one)),
            info("per-request", ModelPrice(input_mtok=one, output_mtok=one, requests_kcount=one)),
            info("reasoning", ModelPrice(input_mtok=one, output_mtok=one, output_reasoning_mtok=one)),
            info("nothing", ModelPrice(input_mtok=Decimal(0), output_mtok=Decimal(0))),
            info("searches", ModelPrice(input_mtok=one, output_mtok=one, web_searches_kcount=one)),
        )
    )
    for name in ("no-output", "no-input", "per-request", "reasoning", "nothing"):
        assert small.price(name) is None, name
    assert price(small, "searches").base == Rates(10**6, 10**6, 10**6, 10**6)


def test_of_several_steps_the_first_is_kept() -> None:
    def steps(base: int, *above: tuple[int, int]) -> TieredPrices:
        return TieredPrices(Decimal(base), [Tier(start, Decimal(usd)) for start, usd in above])

    small = Small(
        provider(
            "openai",
            info("two", ModelPrice(input_mtok=steps(1, (32, 2), (128, 4)), output_mtok=Decimal(5))),
            info("none", ModelPrice(input_mtok=steps(1), output_mtok=steps(3, (10, 6)))),
        )
    )
    two, none = price(small, "two"), price(small, "none")
    assert (two.long_from, two.base.input, two.long and two.long.input) == (32, 10**6, 2 * 10**6)
    assert two.long is not None and two.long.output == 5 * 10**6
    assert (none.long_from, none.long) == (10, Rates(10**6, 10**6, 10**6, 6 * 10**6))


def test_a_tier_with_another_step_or_without_rates_is_left_flat() -> None:
    step = TieredPrices(Decimal(1), [Tier(100, Decimal(2))])
    other = TieredPrices(Decimal(3), [Tier(50, Decimal(4))])
    variants = [
        PriceVariant({"service_tier": "flex"}, ModelPrice(input_mtok=other, output_mtok=other)),
        PriceVariant({"service_tier": "priority"}, ModelPrice(requests_kcount=Decimal(1))),
    ]
    small = Small(
        provider("openai", info("m", ModelPrice(input_mtok=step, output_mtok=step), price_variants=variants))
    )
    found = price(small, "m")
    assert found.tiers == {"flex": Rates(*[3 * 10**6] * 4)}
    assert found.long_tiers == {}


def test_a_price_that_begins_on_a_day_is_taken_from_that_day() -> None:
    later = ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(1))
    prices = [
        ConditionalPrice(prices=EIGHT),
        ConditionalPrice(constraint=StartDateConstraint(date(2026, 11, 28)), prices=later),
    ]
    small = Small(provider("openai", info("m", prices)))
    assert price(small, "m").base.input == 8_000_000
    small.time = datetime(2026, 11, 28, tzinfo=UTC).timestamp()
    assert price(small, "m").base.input == 1_000_000


def test_the_table_can_be_loaded_before_the_first_request() -> None:
    small = Small()
    small.load()
    assert small.searched == 1


def test_what_was_found_and_what_was_not_is_remembered_within_bounds() -> None:
    small = Small(provider("openai", info("m", EIGHT)))
    for _ in range(3):
        assert small.price("m") == small.price("m")
        assert small.price("unknown") is None
        assert small.anthropic("m") is None
    assert small.searched == 3
    small.time += 1800
    small.price("m")
    assert small.searched == 4
    for number in range(3000):
        small.price(f"made-up-{number}")
    assert len(small._found) <= 1024


def test_a_finer_rate_than_the_unit_is_rounded() -> None:
    fine = ModelPrice(input_mtok=Decimal("0.0000015"), output_mtok=Decimal("0.0000014"))
    assert price(Small(provider("openai", info("m", fine))), "m").base == Rates(2, 2, 2, 1)
