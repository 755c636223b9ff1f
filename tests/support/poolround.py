"""A round on a pool: real sessions work in parallel while accounts are revoked, overloaded and used up.

`play` drives the sessions and what happens to the accounts; `judge` holds the law of the round: no turn
fails at a client, nobody changes accounts without a reason in the log, whoever stays reads the cache, and
nothing is held at the end. A phase lasts until its time is up and every session has worked in it, so a slow
machine gets a longer round and not another one.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.claude import VERSIONS, Claude
from tests.support.gateway import bare_environment
from tests.support.house import WARM, House, call, rule, say, think
from tests.support.zygote import COMMAND

ACCOUNTS = ("alpha", "beta", "gamma")
# Why a session may be on another account than before.
MOVES = frozenset({"failover", "stand_in", "moved", "returned", "unfit"})
ANSWER = "All three parts are done."
PATIENCE = 300.0
ASKS = 8

_PACE = {"first_token_ms": 250, "per_chunk_ms": 40}
# What the model does with every question: two calls of a tool with thoughts before them, then words.
WORK = (
    rule(
        think("The first part comes first."),
        say("I begin.", phase="commentary"),
        call("Bash", command="echo part-one", description="First part"),
        match={"after_tool": False},
        pace=_PACE,
    ),
    rule(
        think("One part is left."),
        call("Bash", command="echo part-two", description="Second part"),
        match={"tool_output": "part-one"},
        pace=_PACE,
    ),
    rule(say(ANSWER), pace=_PACE),
)


def overloaded(account: str) -> list[dict[str, Any]]:
    """Every other call fails by its status, the ones between inside a 200 stream, before any content."""
    inside = {"name": "failed_midstream_overloaded", "after_events": 0}
    return [
        rule(match={"account": account, "nth": {"every": 2}}, preset=inside),
        rule(match={"account": account}, preset="503_overloaded"),
    ]


def used_up(account: str, seconds: float) -> list[dict[str, Any]]:
    """The account's limit is reached; it says for how long."""
    spent = {"name": "429_usage_limit_reached", "resets_in_seconds": round(seconds)}
    return [rule(match={"account": account}, preset=spent)]


@dataclass
class Asked:
    """One turn as its client saw it."""

    session: str
    well: bool
    text: str


@dataclass
class Findings:
    """What a round left behind."""

    asked: list[Asked] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    conversations: list[dict[str, Any]] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    calm: int = 0

    def moves(self) -> Counter[str]:
        """How often each reason was given."""
        return Counter(row["move"] for row in self.rows)

    def causes(self) -> Counter[str]:
        """What went wrong with single attempts."""
        return Counter(attempt["cause"] for row in self.rows for attempt in row["attempts"])

    def changes(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Each request that another account served than the one before it in its session, behind that one."""
        latest: dict[str, dict[str, Any]] = {}
        for row in self.rows:
            before = latest.get(row["session_hash"])
            if before is not None and before["account"] != row["account"]:
                yield before, row
            latest[row["session_hash"]] = row

    def warm(self) -> list[dict[str, Any]]:
        """The turns that had something to read on the account which served the turn before them."""
        return [
            now
            for one in self.conversations
            for before, now in itertools.pairwise(one["rows"])
            if now["account"] == before["account"] and now["cacheable"]
        ]

    def share(self) -> float:
        """What warm turns read of what there was to read."""
        warm = self.warm()
        read = sum(min(row["read"], row["cacheable"]) for row in warm)
        return float(read / sum(row["cacheable"] for row in warm))

    def slope(self, warm_up: float) -> float:
        """Growth of the gateway's resident memory in MiB over the round without its beginning (0 to 1)."""
        start = self.memory[-1][0] * warm_up
        points = [(at, kib) for at, kib in self.memory if at >= start]
        middle = sum(at for at, _ in points) / len(points)
        level = sum(kib for _, kib in points) / len(points)
        spread = sum((at - middle) ** 2 for at, _ in points)
        rise = sum((at - middle) * (kib - level) for at, kib in points) / spread
        return float(rise * (points[-1][0] - points[0][0]) / 1024)

    def told(self) -> str:
        """The figures in a few lines."""
        moved = ", ".join(f"{name} {count}" for name, count in self.moves().most_common())
        causes = ", ".join(f"{name} {count}" for name, count in self.causes().most_common())
        return (
            f"{len(self.asked)} turns of {len({one.session for one in self.asked})} clients, "
            f"{len(self.rows)} requests in {len({row['session_hash'] for row in self.rows})} sessions\n"
            f"moves: {moved}; changes of account: {sum(1 for _ in self.changes())}\n"
            f"failed attempts that no client saw: {causes or 'none'}\n"
            f"warm turns on one account: {len(self.warm())}, read {self.share():.4f} of what was cacheable\n"
            f"resident memory: {self.memory[0][1] / 1024:.0f} MiB at the start, "
            f"{max(kib for _, kib in self.memory) / 1024:.0f} at most, "
            f"{self.memory[-1][1] / 1024:.0f} at the end"
        )


class Round:
    """Sessions at work on the pool of a house, each client with a home of its own."""

    def __init__(self, house: House, place: Path, clients: int) -> None:
        self._house = house
        self._clients = [
            Claude(house.url, house.key, place / f"client-{number}", VERSIONS[number % len(VERSIONS)])
            for number in range(clients)
        ]
        self._over = threading.Event()
        self._turns = [0] * clients
        self._began = time.monotonic()
        self.findings = Findings()

    # -- the clients ---------------------------------------------------------------------------------

    def _work(self, number: int) -> None:
        """Conversations of several turns, continued the next morning; then something new."""
        client = self._clients[number]
        for task in itertools.count(1):
            with client.conversation() as talk:
                for part in range(ASKS):
                    self._tell(
                        number, talk.ask(f"Do part {part} of task {task} of client {number}.", PATIENCE)
                    )
                    if self._over.is_set():
                        return
            done = client.run(
                "Do the rest of it.", "--continue", "--output-format", "json", patience=PATIENCE
            )
            assert done.code == 0, (done.code, done.out[-2000:], done.err[-2000:])
            self._tell(number, done.result())
            if self._over.is_set():
                return

    def _tell(self, number: int, result: dict[str, Any]) -> None:
        text = str(result.get("result"))
        well = result.get("subtype") == "success" and not result.get("is_error") and text == ANSWER
        self.findings.asked.append(Asked(self._clients[number].home.parent.name, well, text[:500]))
        self._turns[number] += 1

    # -- the accounts --------------------------------------------------------------------------------

    def play(self, seconds: float, cycle: float = 60.0) -> Findings:
        """Works for so long: calm, one account revoked, then by turns one overloaded and one used up."""
        sim, revoked, *others = self._house.sim, *ACCOUNTS
        with ThreadPoolExecutor(len(self._clients)) as pool:
            working = [pool.submit(self._work, number) for number in range(len(self._clients))]
            try:
                sim.scenario(*WORK)
                self._phase(cycle * 0.2, working)
                self.findings.calm = len(self._rows())
                sim.account(revoked, revoked=True, refresh_fails="refresh_token_invalidated")
                self._phase(cycle * 0.15, working)
                for number in itertools.count():
                    busy, spent = others if number % 2 == 0 else reversed(others)
                    self._act(overloaded(busy), cycle * 0.2, working)
                    self._act([], cycle * 0.1, working)
                    self._act(used_up(spent, cycle * 0.2), cycle * 0.1, working)
                    self._act([], cycle * 0.25, working)
                    if time.monotonic() - self._began >= seconds:
                        break
            finally:
                self._over.set()
        for one in working:
            one.result()
        return self._found()

    def _act(self, faults: Sequence[dict[str, Any]], seconds: float, working: Sequence[Future[None]]) -> None:
        self._house.sim.scenario(*faults, *WORK)
        self._phase(seconds, working)

    def _phase(self, seconds: float, working: Sequence[Future[None]]) -> None:
        """Until the time is up and every client has come to the end of a turn that it began meanwhile."""
        start, turns = time.monotonic(), list(self._turns)
        while True:
            for one in working:
                if one.done():
                    one.result()
                    raise AssertionError("a client stopped working")
            self._sample()
            past = time.monotonic() - start
            if past >= seconds and all(now > before for now, before in zip(self._turns, turns, strict=True)):
                return
            assert past < seconds + PATIENCE, f"a client came to no end within {past:.0f} s: {self._turns}"
            time.sleep(0.25)

    def _sample(self) -> None:
        text = Path(f"/proc/{self._house.gate.run.process.pid}/status").read_text()
        resident = re.search(r"VmRSS:\s+(\d+) kB", text)
        assert resident is not None
        self.findings.memory.append((time.monotonic() - self._began, int(resident.group(1))))

    # -- what is left --------------------------------------------------------------------------------

    def _found(self) -> Findings:
        until(lambda: figure(self._house, "dragoman_ledger_spooled_rows") == 0)
        self._sample()
        self.findings.rows = self._rows()
        self.findings.conversations = self._house.sim.report()["conversations"]
        return self.findings

    def _rows(self) -> list[dict[str, Any]]:
        place = self._house.gate.run.out.parent
        argv: list[str | Path] = [COMMAND, "log", "export", "--data-dir", place / "data"]
        done = subprocess.run(
            [*argv, "--config", place / "dragoman.toml"],
            env=bare_environment(place / "home"),
            capture_output=True,
            timeout=120,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]


def judge(house: House, found: Findings) -> None:
    """The law of a round."""
    assert [one for one in found.asked if not one.well] == []
    assert [row for row in found.rows if (row["status"], row["outcome"]) != (200, "ok")] == []
    unexplained = [row for _, row in found.changes() if row["move"] not in MOVES or not row["choice"]]
    assert unexplained == []
    # Nobody moves while all is well.
    assert {row["move"] for row in found.rows[: found.calm]} <= {"new", "stayed"}
    cold = [row for row in found.warm() if row["read"] < WARM * row["cacheable"]]
    assert cold == [], (cold, found.told())
    assert house.breaches() == []
    assert house.gate.faults() == []
    assert house.sim.report()["active"] == 0
    for name in ("dragoman_in_flight_requests", "dragoman_in_flight_calls", "dragoman_leaked_leases_total"):
        assert figure(house, name) == 0, name


def figure(house: House, name: str) -> float:
    """A metric, summed over its labels."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{house.url}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
    assert found, name
    return sum(float(value) for value in found)


def until(true: Callable[[], bool], patience: float = 60.0) -> None:
    """Waits for something to come true."""
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)
