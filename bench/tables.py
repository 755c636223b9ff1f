"""Turns the rows of a run into Markdown: medians with range, ratios to the bare relay, wide cells marked.

A cell reads `median [min–max] (ratio×)`. A range wider than 30 % of the median is marked `~`: such a figure
says little. A cell with faults says so instead of a figure.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

Row = dict[str, Any]

WIDE = 0.30
BASE = "bare"
# What bench/shared.py compares.
ONE, THREE = "one on SQLite", "three on PostgreSQL"


class Metric(NamedTuple):
    """Where a figure stands in a row (dots go deeper) and how it is printed."""

    path: str
    heading: str
    ratio: bool = True


class Figure(NamedTuple):
    """A measured value over all repeats."""

    median: float
    low: float
    high: float
    faults: int

    @property
    def wide(self) -> bool:
        return self.median > 0 and (self.high - self.low) / self.median > WIDE


class Results:
    """All rows of a run, by gateway and scenario."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            self._rows.setdefault((row["gateway"], row["scenario"]), []).append(row)

    @property
    def gateways(self) -> list[str]:
        return list(dict.fromkeys(gateway for gateway, _ in self._rows))

    def figure(self, gateway: str, scenario: str, path: str) -> Figure | None:
        """The value at `path`, None where it was not measured."""
        rows = self._rows.get((gateway, scenario), [])
        values = [value for row in rows if (value := _at(row, path)) is not None]
        faults = sum(row.get("faults", 0) for row in rows)
        if not values:
            return None
        return Figure(statistics.median(values), min(values), max(values), faults)

    def missing(self, gateway: str) -> str:
        """Why this gateway was not measured, "" where nothing is known of that."""
        named = [row for (name, _), rows in self._rows.items() if name == gateway for row in rows]
        return next((row["missing"] for row in named if row.get("missing")), "")

    def faults(self) -> list[tuple[str, str, int]]:
        """Gateway, scenario and number of faults, where there are any."""
        counted = [(*key, sum(row.get("faults", 0) for row in rows)) for key, rows in self._rows.items()]
        return [found for found in counted if found[2]]


def _at(row: Row, path: str) -> float | None:
    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) else None


CPU_REQUEST = Metric("cpu_ms_request", "CPU ms a request")
CPU_EVENT = Metric("cpu_us_event", "CPU µs an event")

# Title of a table -> its columns: scenario and metric.
TABLES: dict[str, Sequence[tuple[str, Metric]]] = {
    "Plain requests, 1 KB": (
        ("plain_1k_c1", CPU_REQUEST._replace(heading="CPU ms a request, c=1")),
        ("plain_1k_c1", Metric("whole.p50", "p50 ms, c=1")),
        ("plain_1k_c16", CPU_REQUEST._replace(heading="CPU ms a request, c=16")),
        ("plain_1k_c16", Metric("requests_per_s", "requests/s, c=16")),
        ("burst_300", CPU_REQUEST._replace(heading="CPU ms, c=1, after 300 streams")),
        ("burst_300", Metric("whole.p50", "p50 ms, after 300 streams")),
    ),
    "Plain requests, 200 KB with 25 tools": (
        ("plain_200k_c1", CPU_REQUEST._replace(heading="CPU ms a request, c=1")),
        ("plain_200k_c8", CPU_REQUEST._replace(heading="CPU ms a request, c=8")),
        ("plain_200k_c8", Metric("requests_per_s", "requests/s, c=8")),
        ("plain_200k_c8", Metric("whole.p50", "p50 ms, c=8")),
    ),
    "Stream of one delta: time to the first event": (
        ("one_1k_c1", Metric("first_event.p50", "1 KB p50 ms")),
        ("one_1k_c1", Metric("first_event.p99", "p99 ms")),
        ("one_1k_c1", CPU_REQUEST),
        ("one_200k_c1", Metric("first_event.p50", "200 KB p50 ms")),
        ("one_200k_c1", Metric("first_event.p99", "p99 ms")),
        ("one_200k_c1", CPU_REQUEST),
    ),
    "Streams of 200 deltas at full speed": (
        ("full_1k_c16", CPU_EVENT._replace(heading="CPU µs an event, 1 KB c=16")),
        ("full_1k_c16", Metric("events_per_s", "events/s")),
        ("full_200k_c8", CPU_EVENT._replace(heading="CPU µs an event, 200 KB c=8")),
        ("full_200k_c8", Metric("events_per_s", "events/s")),
    ),
    "Chat Completions": (
        ("chat_1k_c16", CPU_REQUEST._replace(heading="CPU ms a request, 1 KB c=16")),
        ("chat_200k_c8", CPU_REQUEST._replace(heading="200 KB c=8")),
        ("chat_full_1k_c16", CPU_EVENT._replace(heading="CPU µs an event, full speed")),
        ("chat_full_1k_c16", Metric("events_per_s", "events/s")),
        ("chat_paced_c50", CPU_EVENT._replace(heading="CPU µs an event, 50 paced streams")),
        ("chat_paced_c50", Metric("relay.p99", "relay p99 ms")),
    ),
    "Responses, passed through": (
        ("responses_1k_c16", CPU_REQUEST._replace(heading="CPU ms a request, 1 KB c=16")),
        ("responses_200k_c8", CPU_REQUEST._replace(heading="200 KB c=8")),
        ("responses_full_1k_c16", CPU_EVENT._replace(heading="CPU µs an event, full speed")),
        ("responses_full_1k_c16", Metric("events_per_s", "events/s")),
        ("responses_paced_c50", CPU_EVENT._replace(heading="CPU µs an event, 50 paced streams")),
        ("responses_paced_c50", Metric("relay.p99", "relay p99 ms")),
    ),
    "Paced streams, a delta each 20 ms": (
        ("paced_c50", CPU_EVENT._replace(heading="CPU µs an event, 50 streams")),
        ("paced_c50", Metric("relay.p50", "relay p50 ms")),
        ("paced_c50", Metric("relay.p99", "relay p99 ms")),
        ("paced_c200", CPU_EVENT._replace(heading="CPU µs an event, 200 streams")),
        ("paced_c200", Metric("relay.p99", "relay p99 ms")),
    ),
    "Three accounts": (
        ("paced_c48", CPU_EVENT._replace(heading="CPU µs an event, 48 paced streams")),
        ("paced_c48", Metric("relay.p50", "relay p50 ms")),
        ("paced_c48", Metric("relay.p99", "relay p99 ms")),
        ("pooled_1000", Metric("kb_per_stream", "kB a held stream of 1,000", ratio=False)),
        ("failover_1k", Metric("whole.p50", "one request alone, 1 KB, ms", ratio=False)),
        ("failover_200k", Metric("whole.p50", "the same, 200 KB, ms", ratio=False)),
    ),
    "50 paced streams beside 2 clients with large bodies": (
        ("beside_200k", Metric("relay.p99", "relay p99 ms, 200 KB")),
        ("beside_200k", Metric("beside_per_s", "large bodies/s")),
        ("beside_2000k", Metric("relay.p99", "relay p99 ms, 2 MB")),
        ("beside_2000k", Metric("beside_per_s", "large bodies/s")),
    ),
    "1,000 held streams": (
        ("held_1000", Metric("held", "held", ratio=False)),
        ("held_1000", Metric("cpu_percent", "CPU %")),
        ("held_1000", Metric("kb_per_stream", "kB a stream")),
        ("held_1000", Metric("left", "upstream streams left 2 s after the clients", ratio=False)),
        ("held_1000", Metric("gone_s", "all gone after s", ratio=False)),
    ),
    "200 requests a second, as they come": (
        ("sustained", Metric("requests", "requests", ratio=False)),
        ("sustained", Metric("p50", "p50 ms", ratio=False)),
        ("sustained", Metric("p99", "p99 ms", ratio=False)),
        ("sustained", Metric("rows_lost", "rows lost", ratio=False)),
    ),
    "Three processes on one PostgreSQL, 1 KB": (
        ("shared_at_once", CPU_REQUEST._replace(heading="CPU ms a request, all at once, c=48")),
        ("shared_at_once", Metric("server_ms_request", "PostgreSQL's own", ratio=False)),
        ("shared_at_once", Metric("requests_per_s", "requests/s", ratio=False)),
        ("shared_in_turn", CPU_REQUEST._replace(heading="one after the other, c=48")),
        ("shared_steady", CPU_REQUEST._replace(heading="200 requests/s")),
        ("shared_steady", Metric("server_ms_request", "PostgreSQL's own", ratio=False)),
        ("shared_steady", Metric("p50", "p50 ms", ratio=False)),
        ("shared_steady", Metric("p99", "p99 ms", ratio=False)),
        ("shared_idle", Metric("cpu_percent", "idle CPU %", ratio=False)),
        ("shared_rows", Metric("answered", "answered", ratio=False)),
        ("shared_rows", Metric("lost", "rows lost", ratio=False)),
        ("shared_rows", Metric("open", "left open", ratio=False)),
    ),
    "Start and memory": (
        ("idle", Metric("memory_mb", "idle MB")),
        ("cold", Metric("seconds", "cold start s")),
        ("cold", Metric("cpu_s", "CPU s of it")),
        ("import", Metric("milliseconds", "import ms", ratio=False)),
        ("flat_100k", Metric("growth_mb", "MB more after 100,000 requests", ratio=False)),
    ),
    "Reading the request log (SQLite)": (
        ("ledger", Metric("rows", "rows", ratio=False)),
        ("ledger", Metric("first_page_ms", "first page ms", ratio=False)),
        ("ledger", Metric("page_of_500_ms", "500 rows ms", ratio=False)),
        ("ledger", Metric("slowest_filter_ms", "slowest filter ms", ratio=False)),
        ("ledger", Metric("facets_30d_ms", "facets ms, 30 days", ratio=False)),
        ("ledger", Metric("series_30d_ms", "series ms, 30 days by model", ratio=False)),
        ("ledger", Metric("series_7d_ms", "7 days by hour", ratio=False)),
        ("ledger", Metric("export_rows_per_s", "exported rows/s", ratio=False)),
        ("ledger", Metric("removing_batch_ms", "writer held by a batch of retention ms", ratio=False)),
    ),
    "TLS to the upstream": (
        ("tls_plain_1k_c16", CPU_REQUEST._replace(heading="CPU ms a request, 1 KB c=16")),
        ("tls_paced_c50", CPU_EVENT._replace(heading="CPU µs an event, 50 paced streams")),
    ),
}


def number(value: float) -> str:
    """Three significant digits, without exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3}f}"


def render(results: Results) -> str:
    """All tables that have figures."""
    return "\n".join(text for title, columns in TABLES.items() if (text := _table(results, title, columns)))


def _table(results: Results, title: str, columns: Sequence[tuple[str, Metric]]) -> str:
    names = results.gateways
    present = [
        column for column in columns if any(results.figure(name, column[0], column[1].path) for name in names)
    ]
    if not present:
        return ""
    lines = [
        f"### {title}",
        "",
        "| gateway | " + " | ".join(metric.heading for _, metric in present) + " |",
        "|---|" + "---|" * len(present),
    ]
    for name in names:
        cells = [_cell(results, name, scenario, metric) for scenario, metric in present]
        if any(cell != "–" for cell in cells):
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _cell(results: Results, gateway: str, scenario: str, metric: Metric) -> str:
    figure = results.figure(gateway, scenario, metric.path)
    if figure is None:
        return "–"
    if figure.faults:
        return f"no result: {figure.faults} faults"
    text = number(figure.median)
    if figure.high > figure.low:
        text += f" [{number(figure.low)}–{number(figure.high)}]"
    if figure.wide:
        text += " ~"
    base = results.figure(BASE, scenario, metric.path)
    if metric.ratio and gateway != BASE and base is not None and base.median and not base.faults:
        text += f" ({number(figure.median / base.median)}×)"
    return text
