"""What `/metrics` tells: one table of names, and the ledger that fills it from finished requests.

Labels are bounded: models that neither the configuration nor a table knows are told as `other`, and so is
whatever comes after the first thousand combinations. No label is ever key text, prompt text or a word that
a client made up. How the figures are written down is decided in exposition.py.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, get_args

from dragoman.gateway.house import House
from dragoman.gateway.ports import Row
from dragoman.routing.policy import Move
from dragoman.telemetry.tally import OTHER, Counts, Histogram, Labels
from dragoman.translate.messages.failure import Cause
from dragoman.translate.models import profile
from dragoman.wire.errors import TABLE

MOST_COUNTS = 1000
MOST_HISTOGRAMS = 100
MOST_MODELS = 200
NONE = "none"
# Their values come from outside; what is left of a metric's labels comes from closed lists.
OPEN_LABELS = frozenset({"model", "key_id", "account_id", "window"})

Kind = Literal["counter", "gauge", "histogram"]

# The steps of the GenAI conventions, with some at the end: reasoning takes its time.
_DURATIONS = tuple(round(0.01 * 2**step, 2) for step in range(16))
_FIRST_TOKENS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0),
    *(2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0),
)
_OVERHEADS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table. `unit` is how many of what is counted make one of what is told."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    unit: int = 1


METRICS: tuple[Metric, ...] = (
    Metric(
        "dragoman_requests_total",
        "counter",
        "Finished generation requests, also refused ones; `error_type` by its Anthropic name, or `none`.",
        ("route", "status_class", "error_type", "model"),
    ),
    Metric(
        "dragoman_request_duration_seconds",
        "histogram",
        "From arrival to the end of the answer.",
        ("route", "stream"),
        _DURATIONS,
    ),
    Metric(
        "dragoman_time_to_first_token_seconds",
        "histogram",
        "From arrival to the first content for the client.",
        ("model",),
        _FIRST_TOKENS,
    ),
    Metric(
        "dragoman_overhead_seconds",
        "histogram",
        "Time spent here, not upstream: `admission` from arrival to a place (or its refusal), the upload"
        " included; `select` to an account, its waits included, and `translate` into the upstream's request,"
        " both per attempt; `settle` the row, costs and limits.",
        ("phase",),
        _OVERHEADS,
    ),
    Metric("dragoman_in_flight_requests", "gauge", "Requests that hold a place now."),
    Metric("dragoman_queued_requests", "gauge", "Requests that wait for a place now."),
    Metric("dragoman_in_flight_calls", "gauge", "Calls to accounts that are under way now."),
    Metric("dragoman_accounts", "gauge", "Accounts by what the pool thinks of them now.", ("state",)),
    Metric(
        "dragoman_account_quota_remaining_ratio",
        "gauge",
        "Share of an account's quota that is left in a window, as its upstream told last; of several meters"
        " of one length the least. `account_id` is the account's name.",
        ("account_id", "window"),
    ),
    Metric(
        "dragoman_account_selections_total",
        "counter",
        "Finished requests by why their last account was chosen: the routing strategy, and the word for the"
        " choice as in the log's `move`.",
        ("policy", "reason"),
    ),
    Metric(
        "dragoman_oauth_refresh_total",
        "counter",
        "Asked the issuer for new tokens of an account: `renewed`, or the kind of trouble.",
        ("outcome",),
    ),
    Metric(
        "dragoman_leaked_leases_total",
        "counter",
        "Places and calls that were held for nobody and taken back; anything but 0 is a fault to report.",
        ("kind",),
    ),
    Metric(
        "dragoman_tokens_total",
        "counter",
        "Tokens, measured or estimated. `input` has `cached_input` in it, `output` has `reasoning` in it;"
        " `key_id` is the client key's name.",
        ("kind", "model", "key_id"),
    ),
    Metric(
        "dragoman_cost_usd_total",
        "counter",
        "Cost at the upstream's prices, in US dollars; requests of unknown cost add nothing.",
        ("model", "key_id"),
        unit=1_000_000_000,
    ),
    Metric(
        "dragoman_cache_turns_total",
        "counter",
        "Answered turns by the verdict on their prompt cache.",
        ("verdict",),
    ),
    Metric(
        "dragoman_cached_token_ratio",
        "histogram",
        "Share of the input that was read from the upstream's cache, per measured request.",
        (),
        _SHARES,
    ),
    Metric(
        "dragoman_upstream_responses_total",
        "counter",
        "Attempts by the upstream's status; `none` where there was none, or it came inside a stream.",
        ("account_kind", "status"),
    ),
    Metric(
        "dragoman_failovers_total",
        "counter",
        "Failed attempts after which another account took over.",
        ("cause",),
    ),
    Metric(
        "dragoman_client_disconnects_total",
        "counter",
        "Clients that left early: before there was a place (`request`), before content (`waiting`), or"
        " while it came (`streaming`).",
        ("phase",),
    ),
    Metric(
        "dragoman_unknown_upstream_events_total",
        "counter",
        "Stream events of types that this version does not know; they were passed over.",
    ),
    Metric(
        "dragoman_event_loop_lag_seconds",
        "histogram",
        "How late a timer of one second came: what every stream waits for at such a moment.",
        (),
        _LAGS,
    ),
    Metric("dragoman_store_up", "gauge", "1 while the database takes what is written, else 0."),
    Metric("dragoman_ledger_spooled_rows", "gauge", "Rows that wait in the journal for the database."),
    Metric("dragoman_ledger_rows_written_total", "counter", "Rows that reached the database."),
    Metric(
        "dragoman_ledger_dropped_log_texts_total",
        "counter",
        "Optional texts of rows that were given up to keep the journal within its bound.",
    ),
    Metric("dragoman_build_info", "gauge", "Always 1; the label says which version runs.", ("version",)),
)

_STATUS_CLASSES = {number: f"{number}xx" for number in range(1, 6)}
_TRUTH = {True: "true", False: "false"}
_ERROR_TYPES = frozenset(row.anthropic for row in TABLE.values()) | {row.openai for row in TABLE.values()}
_CAUSES = frozenset(Cause)

# What accounts can be, see Pool.describe; those that nobody is in are told as 0.
_ACCOUNT_STATES = ("ok", "probing", "cooling", "paused", "needs_login", "dead")
_MOVES = frozenset({*get_args(Move), "failover"})

Probe = Callable[[], float | None]
Samples = Callable[[], Iterable[tuple[Labels, float]]]


class Metrics:
    """Implements the gateway's Ledger port; `store` is what a store reports to."""

    def __init__(self, version: str, kinds: Mapping[str, str] | None = None) -> None:
        """`kinds` gives an account's kind by its name; accounts it does not know are `other`."""
        self._kinds: Mapping[str, str] = kinds if kinds is not None else {}
        self._known: Callable[[str], bool] = lambda _: False
        self._models: dict[str, str] = {"": NONE}
        self._policy: Callable[[], str] = lambda: NONE
        self.probes: dict[str, Probe] = {}
        self.samples: dict[str, Samples] = {}
        self.counts: dict[str, Counts] = {}
        self.histograms: dict[str, Histogram] = {}
        for metric in METRICS:
            open_ends = [at for at, label in enumerate(metric.labels) if label in OPEN_LABELS]
            if metric.kind == "counter":
                self.counts[metric.name] = Counts(MOST_COUNTS, open_ends)
            elif metric.kind == "histogram":
                self.histograms[metric.name] = Histogram(metric.buckets, MOST_HISTOGRAMS, open_ends)
        self._requests = self.counts["dragoman_requests_total"]
        self._tokens = self.counts["dragoman_tokens_total"]
        self._cost = self.counts["dragoman_cost_usd_total"]
        self._turns = self.counts["dragoman_cache_turns_total"]
        self._answers = self.counts["dragoman_upstream_responses_total"]
        self._selections = self.counts["dragoman_account_selections_total"]
        self._failovers = self.counts["dragoman_failovers_total"]
        self._leaked = self.counts["dragoman_leaked_leases_total"]
        for what in ("place", "call"):
            self._leaked.add((what,), 0)
        self._left = self.counts["dragoman_client_disconnects_total"]
        self._durations = self.histograms["dragoman_request_duration_seconds"]
        self._first_tokens = self.histograms["dragoman_time_to_first_token_seconds"]
        self._overheads = self.histograms["dragoman_overhead_seconds"]
        self._shares = self.histograms["dragoman_cached_token_ratio"]
        self._lags = self.histograms["dragoman_event_loop_lag_seconds"]
        self._exposition: ModuleType | None = None
        self.version = version
        self.store = _Store(self)

    def watch(self, house: House) -> None:
        """Takes from the house what is asked for at the moment of a scrape, and which models it knows."""

        def known(model: str) -> bool:
            return model in (house.accounts.offered() or ()) or any(a.model == model for a in house.aliases)

        self._known = known
        self.probes["dragoman_in_flight_requests"] = lambda: house.gate.in_flight
        self.probes["dragoman_queued_requests"] = lambda: house.gate.waiting
        self.probes["dragoman_in_flight_calls"] = lambda: sum(house.pool.in_flight().values())
        self.probes["dragoman_unknown_upstream_events_total"] = lambda: house.unknown_events
        self.samples["dragoman_accounts"] = lambda: _states(house)
        self.samples["dragoman_account_quota_remaining_ratio"] = lambda: _quotas(house)
        self._policy = lambda: house.pool.strategy
        house.took = self._overheads.observe

    def lag(self, seconds: float) -> None:
        """The event loop was late by so much."""
        self._lags.observe((), seconds)

    def leaked(self, what: str) -> None:
        """A `place` or a `call` was held for nobody."""
        self._leaked.add((what,))

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """The figures as text, and its content type. `accept` is the reader's header, "" for none."""
        if self._exposition is None:
            # The first reading takes in the library, which takes long enough to be noticed by streams.
            self._exposition = await asyncio.to_thread(importlib.import_module, f"{__package__}.exposition")
        text, content_type = self._exposition.written(self, accept)
        return text, content_type

    # -- a finished request --------------------------------------------------------------------------

    def record(self, row: Row) -> None:
        """Counts one finished request: a few microseconds, no lock, nothing that waits."""
        name = row.upstream_model
        model = self._models.get(name) or self.model_label(name)
        error = row.error_type
        if error is None:
            error = NONE
        elif error not in _ERROR_TYPES:
            error = OTHER
        self._requests.add((row.route, _STATUS_CLASSES.get(row.status // 100, NONE), error, model))
        if (duration := row.duration_ms) is not None:
            self._durations.observe((row.route, _TRUTH[row.stream]), duration / 1000)
        if (first := row.first_token_ms) is not None:
            self._first_tokens.observe((model,), first / 1000)
        if (queued := row.queue_ms) is not None:
            self._overheads.observe(("admission",), queued / 1000)
        if row.usage_source != "none":
            self._used(row, model)
        if (verdict := row.cache_verdict) is not None:
            self._turns.add((verdict.partition("(")[0],))
        if row.account:
            move = row.move
            self._selections.add((self._policy(), move if move in _MOVES else OTHER))
            self._tried(row)
        if row.outcome == "client_gone":
            streaming = "streaming" if first is not None else "waiting"
            self._left.add((streaming if queued is not None else "request",))

    def _used(self, row: Row, model: str) -> None:
        key, tokens = row.key or NONE, self._tokens
        tokens.add(("input", model, key), row.input_tokens)
        tokens.add(("output", model, key), row.output_tokens)
        if row.cached_tokens:
            tokens.add(("cached_input", model, key), row.cached_tokens)
        if row.reasoning_tokens:
            tokens.add(("reasoning", model, key), row.reasoning_tokens)
        if row.cost_nano is not None:
            self._cost.add((model, key), row.cost_nano)
        if row.usage_source == "measured" and row.input_tokens:
            self._shares.observe((), row.cached_tokens / row.input_tokens)

    def _tried(self, row: Row) -> None:
        kinds, answers = self._kinds, self._answers
        if row.first_token_ms is not None:  # content came behind a 200
            answers.add((kinds.get(row.account, OTHER), "200"))
        if not row.attempts:
            return
        after = [*(attempt["account"] for attempt in row.attempts[1:]), row.account]
        # The last one, where it broke off behind its content, was a 200, which is counted above.
        counted = row.attempts[-1] if row.outcome != "ok" and row.first_token_ms is not None else None
        for attempt, next_account in zip(row.attempts, after, strict=True):
            account: str = attempt["account"]
            if attempt is not counted:
                answers.add((kinds.get(account, OTHER), _status_label(attempt["status"])))
            if account != next_account:
                cause = attempt["cause"]
                self._failovers.add((cause if cause in _CAUSES else OTHER,))

    def model_label(self, name: str) -> str:
        """What a model is called here: its name where the configuration has it, else its family's."""
        if (label := self._models.get(name)) is not None:
            return label
        if not self._known(name):
            return profile(name).family or OTHER  # not kept: a client may make up names without end
        if len(self._models) >= MOST_MODELS:
            return OTHER
        self._models[name] = name
        return name


def _states(house: House) -> list[tuple[Labels, float]]:
    found = dict.fromkeys(_ACCOUNT_STATES, 0)
    for account in house.pool.describe(house.clock.steady()):
        state: str = account["state"]
        state = state if state in _ACCOUNT_STATES else OTHER
        found[state] = found.get(state, 0) + 1
    return [((state,), count) for state, count in found.items()]


def _quotas(house: House) -> list[tuple[Labels, float]]:
    least: dict[Labels, float] = {}
    for account in house.pool.describe(house.clock.steady()):
        for window in account["windows"]:
            place = (account["name"], window["window"])
            if place in least or len(least) < MOST_COUNTS:
                least[place] = min(window["remaining"], least.get(place, 1.0))
    return list(least.items())


def _status_label(status: Any) -> str:
    if not isinstance(status, int):
        return NONE
    return str(status) if 100 <= status < 600 else OTHER


class _Store:
    """Implements the gateway's StoreFigures port; a figure that was never told is not shown."""

    def __init__(self, metrics: Metrics) -> None:
        self._gauges: dict[str, float] = {}
        for name in ("dragoman_store_up", "dragoman_ledger_spooled_rows"):
            metrics.probes[name] = lambda name=name: self._gauges.get(name)  # type: ignore[misc]
        self._written = metrics.counts["dragoman_ledger_rows_written_total"]
        self._dropped = metrics.counts["dragoman_ledger_dropped_log_texts_total"]

    def up(self, well: bool) -> None:
        self._gauges["dragoman_store_up"] = float(well)

    def spooled(self, rows: int) -> None:
        self._gauges["dragoman_ledger_spooled_rows"] = rows

    def written(self, rows: int) -> None:
        self._written.add((), rows)

    def dropped_texts(self, texts: int) -> None:
        self._dropped.add((), texts)
