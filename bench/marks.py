"""The figures to reach, P1 to P14, and how a run stands against them: must, goal, met or missed.

They are printed, never tested: a slow machine fails nobody. All but a few are ratios inside one run. Where a
peer is not in the run, its ratio is estimated through the bare relay, by what both needed in one earlier run
(RECORDED); such a line is marked with ≈. A peer that runs under other names (ROWS) has a line each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from bench.tables import BASE, ONE, THREE, Results, number

SUBJECT = "dragoman"


class Mark(NamedTuple):
    """One figure to reach: the value itself, or its ratio to or difference from that of a peer."""

    name: str
    figure: str
    scenario: str
    path: str
    must: float
    goal: float
    peer: str = ""
    how: Literal["ratio", "difference"] = "ratio"
    unit: str = ""
    of: str = SUBJECT


_P1 = ("P1", "CPU per 1 KB request, c=16", "plain_1k_c16", "cpu_ms_request")
_P2 = ("P2", "CPU per 200 KB request", "plain_200k_c8", "cpu_ms_request")
_P3 = ("P3", "CPU per event, 50 paced streams", "paced_c50", "cpu_us_event")
_P4 = ("P4", "CPU per event at full speed", "full_1k_c16", "cpu_us_event")

MARKS = (
    Mark(*_P1, 1 / 20, 1 / 40, "litellm"),
    Mark(*_P1, 1 / 3, 1 / 6, "ccr"),
    Mark(*_P1, 30, 15, "nginx"),
    Mark(*_P2, 1 / 10, 1 / 20, "litellm"),
    Mark(*_P2, 1 / 20, 1 / 40, "ccr"),
    Mark(
        "ledger",
        "CPU per 1 KB request, on to off",
        "plain_1k_c16",
        "cpu_ms_request",
        1.15,
        1.08,
        "unledgered",
    ),
    Mark(
        "ledger",
        "CPU per 200 KB request, on to off",
        "plain_200k_c8",
        "cpu_ms_request",
        1.15,
        1.08,
        "unledgered",
    ),
    Mark(*_P3, 1 / 5, 1 / 7, "litellm"),
    Mark(*_P3, 1 / 4, 1 / 6, "codex-lb"),
    Mark(*_P3, 5, 3.5, "nginx"),
    Mark(*_P4, 1 / 15, 1 / 40, "litellm"),
    Mark(*_P4, 3, 1.5, "nginx"),
    Mark(
        "P5",
        "first event over nginx, 1 KB",
        "one_1k_c1",
        "first_event.p50",
        1,
        0.4,
        "nginx",
        "difference",
        "ms",
    ),
    Mark(
        "P5",
        "first event over nginx, 200 KB",
        "one_200k_c1",
        "first_event.p50",
        3,
        1.5,
        "nginx",
        "difference",
        "ms",
    ),
    Mark("P6", "relay p50, 50 paced streams", "paced_c50", "relay.p50", 2, 1, "nginx"),
    Mark("P6", "relay p99, 50 paced streams", "paced_c50", "relay.p99", 5, 2, unit="ms"),
    Mark("P7", "idle memory", "idle", "memory_mb", 90, 60, unit="MB"),
    Mark("P7", "memory of a held stream", "held_1000", "kb_per_stream", 64, 40, unit="kB"),
    Mark("P7", "growth over 100,000 requests", "flat_100k", "growth_mb", 3, 1, unit="MB"),
    Mark("P8", "cold start to the first answer", "cold", "seconds", 1.5, 0.8, unit="s"),
    Mark("P8", "import of the command line", "import", "milliseconds", 250, 150, unit="ms"),
    Mark("P9", "CPU with 1,000 held streams", "held_1000", "cpu_percent", 5, 3, unit="%"),
    Mark("P9", "upstream streams left after 2 s", "held_1000", "left", 0, 0),
    Mark("P10", "relay p99 beside 200 KB bodies", "beside_200k", "relay.p99", 5, 2, unit="ms"),
    Mark("P10", "relay p99 beside 2 MB bodies", "beside_2000k", "relay.p99", 40, 20, unit="ms"),
    Mark("P14", "relay p99, 48 streams, 3 accounts", "paced_c48", "relay.p99", 50, 5, unit="ms", of="pool"),
    Mark("P14", "relay p99, 200 streams, 3 accounts", "paced_c200", "relay.p99", 50, 5, unit="ms", of="pool"),
    Mark("P14", "a held stream, 3 accounts", "pooled_1000", "kb_per_stream", 64, 40, unit="kB", of="pool"),
    Mark("P14", "failover, 1 KB", "failover_1k", "whole.p50", 5, 2, "pool", "difference", "ms", "failing"),
    Mark(
        "P14", "failover, 200 KB", "failover_200k", "whole.p50", 15, 8, "pool", "difference", "ms", "failing"
    ),
    Mark("P12", "CPU per 1 KB request, at once", "shared_at_once", "cpu_ms_request", 1.3, 1.1, ONE, of=THREE),
    Mark("P12", "the same, in turn", "shared_in_turn", "cpu_ms_request", 1.3, 1.1, ONE, of=THREE),
    Mark("P12", "the same, 200 requests/s", "shared_steady", "cpu_ms_request", 1.3, 1.1, ONE, of=THREE),
    Mark("P12", "rows lost or doubled by three processes", "shared_rows", "lost", 0, 0, of=THREE),
    Mark("P12", "requests that three processes left open", "shared_rows", "open", 0, 0, of=THREE),
    # At 1,000,000 rows in the full run; at fewer in the quick one.
    Mark("ledger", "rows lost at 200 requests/s", "sustained", "rows_lost", 0, 0),
    Mark(
        "ledger",
        "p99 that the ledger adds at 200 requests/s",
        "sustained",
        "p99",
        20,
        5,
        "unledgered",
        "difference",
        "ms",
    ),
    Mark("P13", "first page of the request log", "ledger", "first_page_ms", 50, 10, unit="ms"),
    Mark("P13", "slowest filter of the request log", "ledger", "slowest_filter_ms", 50, 25, unit="ms"),
)

# One run on 2 cores with raw ASGI + aiohttp as the bare relay; LiteLLM 1.106.2, claude-code-router 2.0.0,
# codex-lb 1.24.0. Only ratios inside a line mean anything elsewhere.
RECORDED: Mapping[str, Mapping[str, float]] = {
    "plain_1k_c16": {"bare": 0.11, "nginx": 0.016, "litellm": 11.0, "ccr": 1.6},
    "plain_200k_c8": {"bare": 0.67, "nginx": 0.081, "litellm": 19.2, "ccr": 46},
    "paced_c50": {"bare": 47, "nginx": 14.8, "litellm": 393, "ccr": 160, "codex-lb": 310},
    "full_1k_c16": {"bare": 3.4, "nginx": 3.9, "litellm": 209, "ccr": 30, "codex-lb": 168},
}

# Peers whose rows have other names, with what is put before a scenario's name: they have no Messages.
ROWS: Mapping[str, tuple[Sequence[str], str]] = {
    "codex-lb": (("codexlb-lean", "codexlb-default"), "responses_"),
}


def render(results: Results) -> str:
    """The table of marks, for the gateway of this repository."""
    return "\n".join(
        [
            "### Marks",
            "",
            "| mark | figure | measured | must | goal | |",
            "|---|---|---|---|---|---|",
            *(_line(results, mark) for mark in _of_run(results)),
            _faults(results),
            "",
        ]
    )


def lines(results: Results, name: str) -> list[str]:
    """The marks of that name alone, a line each."""
    return [_line(results, mark) for mark in MARKS if mark.name == name]


def _of_run(results: Results) -> Iterator[Mark]:
    """The marks, each against the rows of its peer that were measured."""
    for mark in MARKS:
        rows, prefix = ROWS.get(mark.peer, ((), ""))
        scenario = prefix + mark.scenario
        measured = [row for row in rows if results.figure(row, scenario, mark.path)]
        for row in measured:
            yield mark._replace(peer=row, scenario=scenario, figure=f"{mark.figure}, Responses")
        if not measured:
            yield mark


def _line(results: Results, mark: Mark) -> str:
    against = f" : {mark.peer}" if mark.peer and mark.how == "ratio" else ""
    head = f"| {mark.name} | {mark.figure}{against} |"
    value, estimated, why = _value(results, mark)
    must, goal = _limit(mark, mark.must), _limit(mark, mark.goal)
    if value is None:
        return f"{head} – | {must} | {goal} | {why} |"
    verdict = "goal met" if value <= mark.goal else "met" if value <= mark.must else "**missed**"
    return f"{head} {'≈ ' if estimated else ''}{_show(mark, value)} | {must} | {goal} | {verdict} |"


def _value(results: Results, mark: Mark) -> tuple[float | None, bool, str]:
    """The figure of the mark, whether it is an estimate, and why there is none."""
    own = results.figure(mark.of, mark.scenario, mark.path)
    if own is None:
        return None, False, results.missing(mark.of) or "not in this run"
    if own.faults:
        return None, False, "no result: faults"
    if not mark.peer:
        return own.median, False, ""
    other = results.figure(mark.peer, mark.scenario, mark.path)
    if other is not None and other.median and not other.faults:
        if mark.how == "difference":
            return own.median - other.median, False, ""
        return own.median / other.median, False, ""
    bare = results.figure(BASE, mark.scenario, mark.path)
    known = RECORDED.get(mark.scenario, {})
    if mark.how == "ratio" and bare is not None and bare.median and {BASE, mark.peer} <= known.keys():
        return own.median / bare.median * known[BASE] / known[mark.peer], True, ""
    return None, False, f"{mark.peer} is not in this run"


def _limit(mark: Mark, value: float) -> str:
    if mark.peer and mark.how == "ratio":
        return f"≤ 1/{1 / value:g}" if value < 1 else f"≤ {value:g}×"
    return f"≤ {value:g} {mark.unit}".rstrip()


def _show(mark: Mark, value: float) -> str:
    if mark.peer and mark.how == "ratio":
        return f"1/{number(1 / value)}" if value < 1 else f"{number(value)}×"
    return f"{number(value)} {mark.unit}".rstrip()


def _faults(results: Results) -> str:
    found = results.faults()
    if not found:
        return "| P11 | errors, short streams, lost events | 0 | 0 | 0 | goal met |"
    told = ", ".join(f"{gateway} {scenario}: {count}" for gateway, scenario, count in found)
    return f"| P11 | errors, short streams, lost events | {told} | 0 | 0 | **missed** |"


def unmet(results: Results) -> Iterator[str]:
    """The names of marks whose must is missed, for a last line."""
    for mark in _of_run(results):
        value, _, _ = _value(results, mark)
        if value is not None and value > mark.must:
            yield f"{mark.name} ({mark.figure}{' : ' + mark.peer if mark.peer else ''})"
