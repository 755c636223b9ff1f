"""Three processes on one PostgreSQL beside one on SQLite: CPU of a request, and whether a row is lost.

Both sides get the same clients: without pause on all processes at once, which then share one core and its
caches, and on one after the other while the others are idle; then a steady rate of requests of many sessions.
The CPU of all processes is summed; PostgreSQL's own is told apart and counts for nobody. Afterwards there
must be one row for each answer, sums of the hours that say the same, and no open request in any journal.
`python -m bench.shared` runs it alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import func, select

from bench import bodies, gateways, marks, sustained, tables
from bench.machine import Cores, Cpu, Processes, free_port
from bench.measure import Driver, Gateway, Row, Unusable, Upstream, build
from bench.postgres import Absent, Postgres
from bench.scenarios import Scenario
from bench.tables import ONE, THREE
from dragoman.store import journal
from dragoman.store.engine import Database, locate
from dragoman.store.tables import requests, usage_hours

FOLDER = gateways.ROOT / ".bench"
_CLIENTS = 3
_SESSIONS = 300
_SETTLE_SECONDS = 20.0
# So long after the last answer its row is still to be paid for.
_BEHIND_SECONDS = 0.45
_WARM_UP = Scenario("closed", "plain_1k", 16, requests=200)

Add = Callable[[str, str, int, Row], None]


class Plan(NamedTuple):
    """Repeats of the load without pause, and seconds: of it on all at once, on one after the other, of the
    steady rate, of idleness. 0 leaves one out.
    """

    repeats: int
    at_once: float
    in_turn: float
    steady: float
    idle: float


QUICK = Plan(repeats=2, at_once=1.0, in_turn=0, steady=0, idle=0)
FULL = Plan(repeats=3, at_once=2.1, in_turn=2.1, steady=10, idle=5)


@dataclass
class Side:
    """The processes on one database, and how many of their answers were good.

    server  the database's own processes, where it has any
    """

    name: str
    url: str
    server: Processes | None = None
    processes: list[Gateway] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    answered: int = 0

    @property
    def places(self) -> Sequence[Gateway]:
        """Where each client goes."""
        return [self.processes[number % len(self.processes)] for number in range(_CLIENTS)]

    def at_once(self, driver: Driver, scenario: Scenario) -> Row:
        """The load without pause, a client at each place."""
        before = self._cpu()
        row = driver.together(self.places, scenario)
        return row | self._used(before, row["ok"])

    def in_turn(self, driver: Driver, scenario: Scenario) -> Row:
        """The same on each process alone, one after the other; what the idle ones use counts, too."""
        before = self._cpu()
        rows = [driver.together([place] * _CLIENTS, scenario) for place in self.places]
        whole = {name: sum(row[name] for row in rows) for name in ("ok", "faults")}
        return whole | self._used(before, whole["ok"])

    def steady(self, seconds: float) -> Row:
        """Requests as they are due, each to the next place."""
        before = self._cpu()
        row = sustained.load(self.places, seconds, _SESSIONS)
        return row | self._used(before, row["requests"] - row["faults"])

    def idle(self, seconds: float) -> Row:
        """Processor time while nobody asks."""
        before = self._cpu()
        time.sleep(seconds)
        used = [after.since(then) for after, then in zip(self._cpu(), before, strict=True)]
        return {"cpu_percent": sum(used[1:]) / seconds * 100, "faults": 0}

    def rows(self) -> Row:
        """`lost`: how far log or sums are from the answers; waits until they agree or time is up."""
        end = time.monotonic() + _SETTLE_SECONDS
        while (lost := max(abs(self.answered - found) for found in asyncio.run(self._found()))) > 0:
            if time.monotonic() > end:
                break
            time.sleep(0.3)
        return {"answered": self.answered, "lost": lost, "faults": 0}

    def left_open(self) -> int:
        """Requests that the journals of these processes know to have begun and not how they ended."""
        count = 0
        for folder in self.folders:
            for found in journal.left(folder / "journal"):
                count += len(found.aborted)
                found.release()
        return count

    def _cpu(self) -> list[Cpu]:
        """Of the database's server, and of each process."""
        return [
            Cpu(0, 0) if self.server is None else self.server.cpu(),
            *(one.group.cpu() for one in self.processes),
        ]

    def _used(self, before: list[Cpu], good: int) -> Row:
        self.answered += good
        time.sleep(_BEHIND_SECONDS)
        database, *own = [after.since(then) for after, then in zip(self._cpu(), before, strict=True)]
        if not good:
            return {}
        used = {"cpu_ms_request": sum(own) / good * 1e3}
        return used if self.server is None else used | {"server_ms_request": database / good * 1e3}

    async def _found(self) -> tuple[int, int]:
        """Good answers in the log, and in the sums of the hours."""
        database = Database(locate(self.url, self.folders[0]))
        try:
            async with database.read() as connection:
                logged = select(func.count()).select_from(requests).where(requests.c.outcome == "ok")
                summed = select(func.coalesce(func.sum(usage_hours.c.requests), 0))
                summed = summed.where(usage_hours.c.outcome == "ok")
                return int(await connection.scalar(logged) or 0), int(await connection.scalar(summed) or 0)
        finally:
            await database.close()


def measure(
    driver: Driver,
    upstream: Upstream,
    files: dict[str, Path],
    add: Add,
    stack: ExitStack,
    plan: Plan,
) -> tuple[list[str], list[Processes]]:
    """Adds rows of both sides. Returns a note where PostgreSQL cannot be had, and its processes where it can.

    The server runs until the stack unwinds, so that what it used can still be told.
    """
    try:
        server = Postgres(stack)
    except Absent as why:
        add(THREE, "shared_at_once", 0, {"missing": str(why), "faults": 0})
        return [f"three processes on one PostgreSQL left out: {why}"], []
    sides = [Side(ONE, "sqlite:///dragoman.db"), Side(THREE, server.url, server.processes)]
    for side, count in zip(sides, (1, _CLIENTS), strict=True):
        for number in range(count):
            _start(side, f"shared-{side.name[:3].strip()}-{number}", driver, upstream, files, stack)
        side.at_once(driver, _WARM_UP)
    for repeat in range(plan.repeats):
        for side in sides[:: 1 if repeat % 2 else -1]:
            add(side.name, "shared_at_once", repeat, side.at_once(driver, _load(plan.at_once)))
        for side in sides[:: 1 if repeat % 2 else -1]:
            if plan.in_turn:
                add(side.name, "shared_in_turn", repeat, side.in_turn(driver, _load(plan.in_turn / _CLIENTS)))
    for side in sides:
        if plan.steady:
            add(side.name, "shared_steady", 0, side.steady(plan.steady))
        if plan.idle:
            add(side.name, "shared_idle", 0, side.idle(plan.idle))
    for side in sides:
        row = side.rows()
        for one in side.processes:
            one.group.stop(grace=10)
        add(side.name, "shared_rows", 0, row | {"open": side.left_open()})
    return [], [server.processes]


def _load(seconds: float) -> Scenario:
    return Scenario("closed", "plain_1k", 16, seconds=seconds)


def _start(
    side: Side, name: str, driver: Driver, upstream: Upstream, files: dict[str, Path], stack: ExitStack
) -> None:
    port, folder = free_port(), FOLDER / "gateways" / name
    log = stack.enter_context((FOLDER / f"{name}.log").open("wb"))
    spec = gateways.sharing(name, port, upstream.port, folder, side.url)
    one = driver.start(spec, port, folder, files, log)
    stack.callback(one.group.stop)
    side.processes.append(one)
    side.folders.append(folder)
    side.answered += 1  # it was asked once, to see whether it is up


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures this alone; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.shared", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the short plan of `make bench`")
    plan = QUICK if parser.parse_args(arguments).quick else FULL
    cores = Cores.choose()
    os.sched_setaffinity(0, {cores.load})
    rows: list[dict[str, Any]] = []

    def add(gateway: str, scenario: str, repeat: int, row: Row) -> None:
        rows.append({"gateway": gateway, "scenario": scenario, "repeat": repeat, **row})

    try:
        with ExitStack() as stack:
            programs = build(FOLDER / "bin")
            files = bodies.write(FOLDER / "bodies")
            upstream = Upstream(programs["upstream"], free_port(), cores.load)
            stack.callback(upstream.stop)
            notes, _ = measure(Driver(programs["load"], upstream, cores), upstream, files, add, stack, plan)
    except Unusable as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 1
    results = tables.Results(rows)
    print("\n".join([*notes, tables.render(results), *marks.lines(results, "P12")]))
    return 1 if results.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
