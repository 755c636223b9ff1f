"""What a finished request adds to the figures, and that labels stay bounded and clean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from dragoman.gateway.ports import Row, StoreFigures
from dragoman.telemetry.metrics import METRICS, MOST_COUNTS, MOST_MODELS, OPEN_LABELS, Metrics
from dragoman.translate.models import Alias

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def house(listed: Iterable[str] = (), aliases: Iterable[str] = ()) -> Any:
    return SimpleNamespace(
        accounts=SimpleNamespace(offered=lambda: frozenset(listed)),
        aliases=[Alias("claude-*", model) for model in aliases],
        gate=SimpleNamespace(in_flight=3, waiting=1),
        pool=SimpleNamespace(
            in_flight=lambda: {"work": 2, "local": 0}, strategy="affinity", describe=lambda now: accounts(now)
        ),
        clock=SimpleNamespace(steady=lambda: 5.0),
        took=None,
        unknown_events=7,
    )


def accounts(now: float) -> list[dict[str, Any]]:
    """What the pool tells of three accounts."""
    assert now == 5.0
    windows = [
        {"meter": "codex", "window": "5h", "remaining": 0.75},
        {"meter": "codex", "window": "7d", "remaining": 0.5},
        {"meter": "spark", "window": "5h", "remaining": 0.25},
    ]
    return [
        {"name": "work", "state": "ok", "windows": windows},
        {"name": "local", "state": "cooling", "windows": []},
        {"name": "odd", "state": "a new word", "windows": windows[1:2]},
    ]


def made(*, listed: Iterable[str] = ("gpt-5.5",), aliases: Iterable[str] = ()) -> Metrics:
    metrics = Metrics("1.2.3", {"work": "openai", "local": "responses"})
    metrics.watch(house(listed, aliases))
    return metrics


def row(**more: Any) -> Row:
    return Row("req_1", 0.0, **more)


def answered(**more: Any) -> Row:
    """A good streamed answer."""
    fields: dict[str, Any] = {
        "key": "laptop",
        "upstream_model": "gpt-5.5",
        "account": "work",
        "status": 200,
        "outcome": "ok",
        "input_tokens": 1000,
        "cached_tokens": 750,
        "output_tokens": 50,
        "reasoning_tokens": 20,
        "usage_source": "measured",
        "queue_ms": 2.0,
        "connect_ms": 20.0,
        "first_byte_ms": 30.0,
        "first_token_ms": 400.0,
        "duration_ms": 3000.0,
        "cache_verdict": "tail_replaced(2)",
        "move": "stayed",
        "stream": True,
        "cost_nano": 2_500_000_000,
    }
    return row(**(fields | more))


Sample = tuple[str, frozenset[tuple[str, str]]]


async def read(metrics: Metrics) -> dict[Sample, float]:
    """Every sample of the text format."""
    text, content_type = await metrics.scrape("")
    assert content_type.startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def at(name: str, **labels: str) -> Sample:
    return f"dragoman_{name}", frozenset(labels.items())


async def test_a_good_answer_is_counted_everywhere() -> None:
    metrics = made()
    metrics.record(answered())
    told = await read(metrics)
    request = {"route": "messages", "status_class": "2xx", "error_type": "none", "model": "gpt-5.5"}
    assert told[at("requests_total", **request)] == 1
    assert told[at("request_duration_seconds_sum", route="messages", stream="true")] == 3.0
    assert told[at("time_to_first_token_seconds_sum", model="gpt-5.5")] == 0.4
    assert told[at("time_to_first_token_seconds_bucket", model="gpt-5.5", le="0.25")] == 0
    assert told[at("time_to_first_token_seconds_bucket", model="gpt-5.5", le="0.5")] == 1
    assert told[at("time_to_first_token_seconds_bucket", model="gpt-5.5", le="+Inf")] == 1
    assert told[at("overhead_seconds_sum", phase="admission")] == 0.002
    for kind, tokens in (("input", 1000), ("cached_input", 750), ("output", 50), ("reasoning", 20)):
        assert told[at("tokens_total", kind=kind, model="gpt-5.5", key_id="laptop")] == tokens
    assert told[at("cost_usd_total", model="gpt-5.5", key_id="laptop")] == 2.5
    assert told[at("cache_turns_total", verdict="tail_replaced")] == 1
    assert told[at("cached_token_ratio_sum")] == 0.75
    assert told[at("account_selections_total", policy="affinity", reason="stayed")] == 1
    assert told[at("upstream_responses_total", account_kind="openai", status="200")] == 1
    assert not [sample for sample in told if sample[0] in ("dragoman_failovers_total",)]


async def test_a_refused_request_has_a_status_and_nothing_else() -> None:
    metrics = made()
    metrics.record(row(status=401, outcome="refused", error_type="authentication_error", duration_ms=1.0))
    told = await read(metrics)
    request = {"route": "messages", "status_class": "4xx", "error_type": "authentication_error"}
    assert told[at("requests_total", **request, model="none")] == 1
    names = {name for name, _ in told}
    assert not names & {
        "dragoman_tokens_total",
        "dragoman_upstream_responses_total",
        "dragoman_cost_usd_total",
    }


@pytest.mark.parametrize(
    ("times", "phase"),
    [
        ({}, "request"),
        ({"queue_ms": 1.0}, "waiting"),
        ({"queue_ms": 1.0, "first_token_ms": 9.0}, "streaming"),
    ],
)
async def test_a_client_that_left_is_counted_by_when(times: dict[str, float], phase: str) -> None:
    metrics = made()
    metrics.record(row(status=499, outcome="client_gone", **times))
    told = await read(metrics)
    assert told[at("client_disconnects_total", phase=phase)] == 1


async def test_failed_attempts_and_failovers_are_counted_by_cause() -> None:
    metrics = made()
    attempts = [
        {"account": "work", "cause": "overloaded", "status": 503, "code": None},
        {"account": "work", "cause": "transport", "status": None, "code": None},
    ]
    metrics.record(answered(attempts=attempts, account="local"))
    told = await read(metrics)
    assert told[at("upstream_responses_total", account_kind="openai", status="503")] == 1
    assert told[at("upstream_responses_total", account_kind="openai", status="none")] == 1
    assert told[at("upstream_responses_total", account_kind="responses", status="200")] == 1
    assert told[at("failovers_total", cause="transport")] == 1
    assert at("failovers_total", cause="overloaded") not in told


async def test_a_failure_that_nobody_took_over_is_no_failover() -> None:
    metrics = made()
    attempts = [{"account": "work", "cause": "request", "status": 400, "code": "x"}]
    metrics.record(
        row(account="work", attempts=attempts, status=502, outcome="upstream_error", error_type="api_error")
    )
    told = await read(metrics)
    assert told[at("upstream_responses_total", account_kind="openai", status="400")] == 1
    assert not [name for name, _ in told if name == "dragoman_failovers_total"]
    assert at("upstream_responses_total", account_kind="openai", status="200") not in told


async def test_an_answer_that_broke_off_was_one_response() -> None:
    metrics = made()
    broken = [{"account": "work", "cause": "cut"}]
    metrics.record(answered(attempts=broken, status=502, outcome="upstream_error", error_type="api_error"))
    told = await read(metrics)
    seen = {labels: value for (name, labels), value in told.items() if "upstream_responses" in name}
    assert seen == {at("", account_kind="openai", status="200")[1]: 1}
    assert not [name for name, _ in told if name == "dragoman_failovers_total"]


async def test_an_unknown_cost_adds_nothing_and_a_known_zero_is_told() -> None:
    metrics = made()
    metrics.record(answered(cost_nano=None))
    assert not [name for name, _ in await read(metrics) if name == "dragoman_cost_usd_total"]
    metrics.record(answered(cost_nano=0))
    assert (await read(metrics))[at("cost_usd_total", model="gpt-5.5", key_id="laptop")] == 0


async def test_billionths_add_up_exactly() -> None:
    metrics = made()
    for _ in range(1000):
        metrics.record(answered(cost_nano=1))
    assert (await read(metrics))[at("cost_usd_total", model="gpt-5.5", key_id="laptop")] == 1e-6


# -- labels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("gpt-5.5", "gpt-5.5"),
        ("my-own-model", "my-own-model"),
        ("vendor/served", "vendor/served"),
        ("gpt-5.4", "gpt-5.4"),
        ("gpt-5.4-sk-live-0123456789", "gpt-5.4"),
        ("openai/gpt-4.1-2026-01-01", "gpt-4.1"),
        ("made-up-by-a-client", "other"),
        ("", "none"),
    ],
)
def test_a_model_is_told_as_far_as_it_is_known(name: str, label: str) -> None:
    metrics = made(listed=["gpt-5.5", "my-own-model"], aliases=["vendor/served"])
    assert metrics.model_label(name) == label


async def test_made_up_names_never_become_labels() -> None:
    metrics = made()
    for number in range(3 * MOST_COUNTS):
        metrics.record(
            answered(upstream_model=f"made-up-{number}", error_type=f"odd-{number}", cache_verdict=None)
        )
    text, _ = await metrics.scrape("")
    assert b"made-up" not in text
    assert b"odd-" not in text


async def test_models_and_keys_of_the_configuration_are_bounded_too() -> None:
    models = [f"model-{number}" for number in range(3 * MOST_MODELS)]
    metrics = made(listed=models)
    for number, model in enumerate(models):
        for key in range(10):
            metrics.record(answered(upstream_model=model, key=f"key-{number}-{key}"))
    told = await read(metrics)
    seen = {labels for name, labels in told if name == "dragoman_tokens_total"}
    assert len(seen) <= MOST_COUNTS + 8
    total = sum(
        value
        for (name, labels), value in told.items()
        if name == "dragoman_tokens_total" and ("kind", "input") in labels
    )
    assert total == 1000 * 10 * len(models)


async def test_only_models_keys_and_accounts_come_from_outside() -> None:
    """Whoever adds a label has to say here how it is bounded."""
    closed = {"route", "status_class", "error_type", "stream", "phase", "kind", "verdict"}
    closed |= {"account_kind", "status", "cause", "version", "state", "policy", "reason", "outcome"}
    assert {label for metric in METRICS for label in metric.labels} == closed | OPEN_LABELS


# -- the text --------------------------------------------------------------------------------------------


async def test_every_metric_is_told_under_its_name_and_documented() -> None:
    metrics = made()
    metrics.record(answered(attempts=[{"account": "local", "cause": "server", "status": 500}]))
    metrics.record(row(status=499, outcome="client_gone"))
    metrics.lag(0.001)
    metrics.samples["dragoman_oauth_refresh_total"] = lambda: [(("renewed",), 2)]
    metrics.store.up(True)
    metrics.store.spooled(4)
    metrics.store.written(10)
    metrics.store.dropped_texts(1)
    text, content_type = await metrics.scrape(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    told = {}
    parse: Callable[[str], Iterator[Family]] = openmetrics.text_string_to_metric_families
    for family in parse(text.decode()):
        assert family.samples, family.name
        assert family.documentation
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        told[name] = (family.type, labels)
    assert told == {metric.name: (metric.kind, set(metric.labels)) for metric in METRICS}
    assert all(metric.meaning.endswith(".") for metric in METRICS)


async def test_what_the_store_never_told_is_not_shown() -> None:
    names = {name for name, _ in await read(made())}
    assert not names & {"dragoman_store_up", "dragoman_ledger_spooled_rows"}
    assert "dragoman_build_info" in names


async def test_the_store_reports_through_its_port() -> None:
    metrics = made()
    figures: StoreFigures = metrics.store
    figures.up(False)
    figures.spooled(4)
    figures.written(10)
    figures.written(5)
    figures.dropped_texts(2)
    told = await read(metrics)
    assert told[at("store_up")] == 0
    assert told[at("ledger_spooled_rows")] == 4
    assert told[at("ledger_rows_written_total")] == 15
    assert told[at("ledger_dropped_log_texts_total")] == 2


async def test_the_house_is_asked_at_the_moment_of_a_scrape() -> None:
    told = await read(made())
    assert told[at("in_flight_requests")] == 3
    assert told[at("queued_requests")] == 1
    assert told[at("in_flight_calls")] == 2
    assert told[at("unknown_upstream_events_total")] == 7
    assert told[at("build_info", version="1.2.3")] == 1


async def test_accounts_are_told_by_state_and_quota_as_they_are_at_a_scrape() -> None:
    told = await read(made())
    samples = {labels: value for (name, labels), value in told.items() if name == "dragoman_accounts"}
    states = {dict(labels)["state"]: value for labels, value in samples.items()}
    zeros = dict.fromkeys(("probing", "paused", "needs_login", "dead"), 0)
    assert states == {"ok": 1, "cooling": 1, "other": 1, **zeros}
    assert told[at("account_quota_remaining_ratio", account_id="work", window="5h")] == 0.25
    assert told[at("account_quota_remaining_ratio", account_id="work", window="7d")] == 0.5
    assert told[at("account_quota_remaining_ratio", account_id="odd", window="7d")] == 0.5


async def test_quotas_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [
        {"name": f"a{number}", "state": "ok", "windows": [{"window": "5h", "remaining": 1.0}]}
        for number in range(2 * MOST_COUNTS)
    ]
    monkeypatch.setitem(globals(), "accounts", lambda now: many)
    told = await read(made())
    assert sum(name == "dragoman_account_quota_remaining_ratio" for name, _ in told) == MOST_COUNTS


async def test_phases_of_a_request_are_told_apart() -> None:
    metrics, one = Metrics("1"), house()
    metrics.watch(one)
    for phase, seconds in (("select", 0.001), ("translate", 0.002), ("settle", 0.004)):
        one.took((phase,), seconds)
    told = await read(metrics)
    assert told[at("overhead_seconds_sum", phase="translate")] == 0.002
    assert told[at("overhead_seconds_count", phase="settle")] == 1
    assert told[at("overhead_seconds_bucket", phase="select", le="0.001")] == 1


async def test_a_word_for_a_choice_that_is_not_known_is_other() -> None:
    metrics = made()
    metrics.record(answered(move="a new word"))
    metrics.record(answered(move="failover"))
    told = await read(metrics)
    assert told[at("account_selections_total", policy="affinity", reason="other")] == 1
    assert told[at("account_selections_total", policy="affinity", reason="failover")] == 1


async def test_the_registry_of_the_library_is_left_alone() -> None:
    metrics = made()
    metrics.record(answered())
    await metrics.scrape("")
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("dragoman")]


async def test_two_gateways_in_one_process_do_not_share_figures() -> None:
    one, other = made(), made()
    one.record(answered())
    assert at("cached_token_ratio_sum") not in await read(other)


async def test_a_key_with_odd_characters_cannot_forge_a_sample() -> None:
    metrics = made()
    metrics.record(answered(key='x"} 1\ndragoman_store_up 1\n'))
    told = await read(metrics)
    assert at("store_up") not in told
    assert at("tokens_total", kind="input", model="gpt-5.5", key_id='x"} 1\ndragoman_store_up 1\n') in told


def test_a_row_of_an_unknown_shape_is_counted_without_a_fault() -> None:
    metrics = made()
    odd = [{"account": "gone", "cause": "no cause", "status": 42}]
    metrics.record(row(account="gone", attempts=odd, status=0, outcome="aborted"))
    assert metrics.counts["dragoman_upstream_responses_total"].read() == [(("other", "other"), 1)]
    assert metrics.counts["dragoman_requests_total"].read()[0][0][1] == "none"
