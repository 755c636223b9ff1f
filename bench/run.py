"""`make bench`: starts every gateway once, puts every scenario on each in turn, prints tables and marks.

One process of each gateway on one core, load and upstream on another, all alive at the same time. Repeats
are outermost and the order of the gateways turns with each, so that no drift of the machine favours one.
Rows go to .bench/runs/, one JSON line each; the report goes to standard output. Exit code 1 = no result.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import bodies, ledger, marks, shared, sustained, tables, tls
from bench.gateways import OWN, ROOT, Spec, peer
from bench.machine import Cores, Processes, busy_seconds, describe, free_port, own_seconds
from bench.measure import Driver, Gateway, Unusable, Upstream, build, cold_start, import_time
from bench.scenarios import FULL, QUICK, SCENARIOS

FOLDER = ROOT / ".bench"
_COLD = ("dragoman", "bare")
# Cores that others may use before the report says so.
_DISTURBED = 0.1


class Recorder:
    """Keeps the rows of the run and writes each to the file at once."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self.rows: list[dict[str, Any]] = []

    def add(self, gateway: str, scenario: str, repeat: int, row: dict[str, Any]) -> None:
        whole = {"gateway": gateway, "scenario": scenario, "repeat": repeat, **row}
        self.rows.append(whole)
        self._file.write(json.dumps(whole) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the bench; returns the exit code."""
    options = _options(arguments)
    _raise_file_limit()
    cores = Cores.choose()
    os.sched_setaffinity(0, {cores.load})
    began = time.monotonic()
    machine = describe()
    recorder = Recorder(FOLDER / "runs" / f"{time.strftime('%Y%m%d-%H%M%S')}.jsonl")
    try:
        versions, notes = _measure(options, cores, recorder)
    except Unusable as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 1
    finally:
        recorder.close()
    if cores.gateway == cores.load:
        notes.append("only one core was usable: gateway and load shared it, latencies mean little")
    results = tables.Results(recorder.rows)
    print(_head(machine, versions, notes, options.repeats, time.monotonic() - began))
    print(tables.render(results))
    print(marks.render(results))
    if faults := results.faults():
        print(f"NO RESULT: faults in {', '.join(f'{name} {scenario}' for name, scenario, _ in faults)}")
        return 1
    if missed := list(marks.unmet(results)):
        print("Missed: " + "; ".join(missed))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the short list of scenarios")
    parser.add_argument("--only", default="", help="gateways, by comma")
    parser.add_argument("--scenarios", default="", help="scenarios, by comma")
    parser.add_argument("--peers", default="", help="rows of bench/peers.toml to add, by comma")
    parser.add_argument("--repeats", type=int, default=0, help="repeats of every scenario")
    options = parser.parse_args(arguments)
    options.repeats = options.repeats or (2 if options.quick else 3 if options.peers else 5)
    names = [name for name in options.scenarios.split(",") if name] or list(QUICK if options.quick else FULL)
    if unknown := [name for name in names if name not in SCENARIOS]:
        parser.error(f"unknown scenario {unknown[0]} (known: {', '.join(SCENARIOS)})")
    options.scenarios = names
    return options


def _measure(
    options: argparse.Namespace, cores: Cores, recorder: Recorder
) -> tuple[dict[str, str], list[str]]:
    programs = build(FOLDER / "bin")
    files = bodies.write(FOLDER / "bodies")
    began, busy = time.monotonic(), busy_seconds()
    own = own_seconds([])
    with ExitStack() as stack:
        upstream = Upstream(programs["upstream"], free_port(), cores.load)
        stack.callback(upstream.stop)
        driver = Driver(programs["load"], upstream, cores)
        specs, notes = _specs(options, upstream.port)
        _starts(options, specs, files, cores, recorder)
        gateways = []
        for port, folder, spec in specs:
            _progress(f"starting {spec.name}")
            log = stack.enter_context((FOLDER / f"{spec.name}.log").open("wb"))
            gateway = driver.start(spec, port, folder, files, log)
            stack.callback(gateway.group.stop)
            time.sleep(0.5)
            recorder.add(spec.name, "idle", 0, {"memory_mb": gateway.group.memory(), "faults": 0})
            gateways.append(gateway)
        for gateway in gateways:
            driver.warm_up(gateway)
        _sustained(options, gateways, recorder)
        _rounds(options, driver, gateways, recorder)
        if not options.quick and not options.only:
            notes += tls.measure(driver, upstream, files, cores, recorder.add, FOLDER, stack)
        groups: list[Processes] = [upstream.group, *(gateway.group for gateway in gateways)]
        if not options.only:
            _progress("three processes on one PostgreSQL")
            plan = shared.QUICK if options.quick else shared.FULL
            more, processes = shared.measure(driver, upstream, files, recorder.add, stack, plan)
            notes += more
            groups += processes
        others = busy_seconds() - busy - (own_seconds(groups) - own)
        if (share := others / (time.monotonic() - began)) > _DISTURBED:
            notes.append(
                f"other programs used {share:.1f} cores meanwhile: figures are too high and spread wide"
            )
        return {gateway.name: gateway.spec.version for gateway in gateways}, notes


def _specs(options: argparse.Namespace, upstream_port: int) -> tuple[list[tuple[int, Path, Spec]], list[str]]:
    """Port, folder and description of every gateway of this run; and why others are not in it."""
    wanted = [name for name in options.only.split(",") if name]
    peers = [name for name in options.peers.split(",") if name]
    specs: list[tuple[int, Path, Spec]] = []
    notes: list[str] = []
    for name in [*OWN, *peers]:
        if wanted and name not in [*wanted, *peers]:
            continue
        port, folder = free_port(), FOLDER / "gateways" / name
        try:
            spec = (
                OWN[name](port, upstream_port, folder)
                if name in OWN
                else peer(name, port, upstream_port, folder)
            )
        except KeyError:
            raise Unusable(f"no peer {name} in bench/peers.toml") from None
        if spec.scenarios and not set(spec.scenarios) & set(options.scenarios):
            continue
        if not spec.missing:
            specs.append((port, folder, spec))
        elif name in OWN:
            notes.append(f"{name} left out: {spec.missing}")
        else:
            raise Unusable(f"{name}: {spec.missing}")
    return specs, notes


def _starts(
    options: argparse.Namespace,
    specs: list[tuple[int, Path, Spec]],
    files: dict[str, Path],
    cores: Cores,
    recorder: Recorder,
) -> None:
    """Cold starts and the import of the command line, while nothing else runs."""
    for repeat in range(options.repeats + 1):
        for port, folder, spec in specs:
            if spec.path and (spec.name not in OWN or spec.name in _COLD):
                _progress(f"cold start of {spec.name}")
                row = cold_start(spec, port, folder, files["plain_1k"], cores.gateway)
                if repeat:  # the first one reads the disk
                    recorder.add(spec.name, "cold", repeat, row)
    if any(spec.name == "dragoman" for _, _, spec in specs):
        seconds = import_time("dragoman.cli.__main__", cores.gateway)
        recorder.add("dragoman", "import", 0, {"milliseconds": seconds * 1000, "faults": 0})
        _progress("reading the request log")
        count = ledger.QUICK_ROWS if options.quick else ledger.FULL_ROWS
        recorder.add("dragoman", "ledger", 0, ledger.measure(count, cores.gateway))


def _sustained(options: argparse.Namespace, gateways: list[Gateway], recorder: Recorder) -> None:
    """A steady rate on dragoman with and without its ledger."""
    seconds = sustained.QUICK_SECONDS if options.quick else sustained.FULL_SECONDS
    for gateway in gateways:
        if gateway.name in ("dragoman", "unledgered"):
            _progress(f"{sustained.RATE} requests a second on {gateway.name}")
            folder = FOLDER / "gateways" / gateway.name
            recorder.add(gateway.name, "sustained", 0, sustained.measure(gateway, folder, seconds))


def _rounds(options: argparse.Namespace, driver: Driver, gateways: list[Gateway], recorder: Recorder) -> None:
    for repeat in range(options.repeats):
        for name in options.scenarios:
            scenario = SCENARIOS[name]
            if scenario.once and repeat:
                continue
            for gateway in _turned(gateways, repeat):
                if gateway.takes(name, scenario):
                    _progress(f"round {repeat + 1} of {options.repeats}: {name} on {gateway.name}")
                    recorder.add(gateway.name, name, repeat, driver.run(gateway, scenario))


def _turned(gateways: list[Gateway], by: int) -> Iterator[Gateway]:
    count = len(gateways)
    return (gateways[(position + by) % count] for position in range(count))


def _head(
    machine: dict[str, Any], versions: dict[str, str], notes: list[str], repeats: int, seconds: float
) -> str:
    compared = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [
        "## Benchmark",
        "",
        f"{machine['processor']}, {machine['cores']} cores, Linux {machine['kernel']}, "
        f"Python {machine['python']}; {compared}. "
        f"Medians of {repeats} [min–max], × = ratio to the bare relay, ~ = spread over 30 %. "
        f"{seconds:.0f} s.",
        *(f"{note[:1].upper()}{note[1:]}." for note in notes),
        "",
    ]
    return "\n".join(lines)


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _raise_file_limit() -> None:
    """1,000 streams need two sockets each in a gateway."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16384 if hard == resource.RLIM_INFINITY else min(16384, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
