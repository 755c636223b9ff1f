"""`make profile`: where the gateway spends its processor time under one scenario.

With py-spy on the PATH it looks from outside; otherwise the sampler runs inside. Both leave collapsed stacks
in .bench/profile/, which any flame graph viewer reads, and print the functions that cost most. `--calls`
counts calls with cProfile instead.
"""

from __future__ import annotations

import argparse
import os
import pstats
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench import bodies, gateways
from bench.machine import Cores, free_port
from bench.measure import Driver, Gateway, Unusable, Upstream, build, wait_for
from bench.scenarios import SCENARIOS, Scenario

FOLDER = gateways.ROOT / ".bench"
_SECONDS = 8.0
_TOP = 45


def main(arguments: Sequence[str] | None = None) -> int:
    """Profiles each named scenario in turn; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.hotspots", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", default=["plain_1k_c16", "plain_200k_c8", "paced_c50", "full_1k_c16"]
    )
    parser.add_argument("--calls", action="store_true", help="count calls with cProfile")
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, {Cores.choose().load})
    (FOLDER / "profile").mkdir(parents=True, exist_ok=True)
    how = "calls" if options.calls else "py-spy" if shutil.which("py-spy") else "stacks"
    try:
        for name in options.scenarios:
            _profile(name, how)
    except KeyError as unknown:
        print(f"profile: no scenario {unknown} (known: {', '.join(SCENARIOS)})", file=sys.stderr)
        return 2
    except Unusable as problem:
        print(f"profile: {problem}", file=sys.stderr)
        return 1
    return 0


def _profile(name: str, how: str) -> None:
    scenario = SCENARIOS[name]
    output = FOLDER / "profile" / f"{name}.{'prof' if how == 'calls' else 'txt'}"
    output.unlink(missing_ok=True)
    cores = Cores.choose()
    programs = build(FOLDER / "bin")
    files = bodies.write(FOLDER / "bodies")
    with ExitStack() as stack:
        upstream = Upstream(programs["upstream"], free_port(), cores.load)
        stack.callback(upstream.stop)
        driver = Driver(programs["load"], upstream, cores)
        port, folder = free_port(), FOLDER / "gateways" / "profiled"
        spec = gateways.dragoman(port, upstream.port, folder)
        if how != "py-spy":
            command = (sys.executable, "-m", "bench.sampler", how, str(output), *spec.command[1:])
            spec = replace(spec, command=command, environment={"PYTHONPATH": str(gateways.ROOT)})
        log = stack.enter_context((FOLDER / "profiled.log").open("wb"))
        gateway = driver.start(spec, port, folder, files, log)
        stack.callback(gateway.group.stop)
        driver.warm_up(gateway)
        watch = _from_outside if how == "py-spy" else _from_inside
        done = watch(gateway, output, lambda: _load(driver, gateway, scenario))
    if not wait_for(output.exists, 5):
        raise Unusable("the profiler wrote nothing")
    print(f"\n### {name}: {done} answers, {output.relative_to(gateways.ROOT)}\n")
    if how == "calls":
        pstats.Stats(str(output)).sort_stats("tottime").print_stats(_TOP)
    else:
        print(_table(output))


def _load(driver: Driver, gateway: Gateway, scenario: Scenario) -> int:
    """Repeats the scenario for the profile's time; returns the number of answers."""
    until = time.monotonic() + _SECONDS
    done = 0
    while time.monotonic() < until:
        done += int(driver.run(gateway, scenario).get("ok", 0))
    return done


def _from_inside(gateway: Gateway, output: Path, load: Callable[[], int]) -> int:
    os.kill(gateway.group.pid, signal.SIGUSR1)
    done = load()
    os.kill(gateway.group.pid, signal.SIGUSR2)
    wait_for(lambda: output.exists() and output.stat().st_size > 0, 10)
    return done


def _from_outside(gateway: Gateway, output: Path, load: Callable[[], int]) -> int:
    command = [
        "py-spy",
        "record",
        "--pid",
        str(gateway.group.pid),
        "--format",
        "raw",
        "--output",
        str(output),
    ]
    spy = subprocess.Popen([*command, "--rate", "500", "--duration", str(int(_SECONDS))])
    done = load()
    spy.wait(timeout=60)
    return done


def _table(path: Path) -> str:
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for stack, count in _stacks(path):
        own[stack[-1]] += count
        for name in set(stack):
            whole[name] += count
    total = max(1, own.total())
    lines = ["| own % | with callees % | function |", "|---|---|---|"]
    for name, count in own.most_common(_TOP):
        lines.append(f"| {100 * count / total:.1f} | {100 * whole[name] / total:.1f} | {name} |")
    return "\n".join(lines)


def _stacks(path: Path) -> Iterator[tuple[list[str], int]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        if stack:
            yield stack.split(";"), int(count)


if __name__ == "__main__":
    sys.exit(main())
