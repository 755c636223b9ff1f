"""Drives one scenario against one gateway and returns one row of figures.

A row counts its faults: failed, unfinished, short, disordered or unended answers and what the upstream
refused. A row with faults is no result, whatever its figures say.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from bench.bodies import BODIES, Body, Door
from bench.gateways import Spec
from bench.machine import Cores, Cpu, Group
from bench.scenarios import Scenario

Row = dict[str, Any]

_FAULTS = ("failed", "unfinished", "short", "disordered", "unended")
_PATIENCE = 60.0
# An account at its limit for a second rests that long and up to a fifth more.
_SPACE = 1.3
# How a good answer ends in each API, and how its stream does.
_ENDS: dict[Door, tuple[str, str]] = {
    "messages": ("end_turn", "message_stop"),
    "chat": ('"stop"', "[DONE]"),
    "responses": ("output_tokens", "total_tokens"),
}
# How often a stream of Responses says its text: in deltas, and whole in the four events behind them.
_ROUNDS = 5


class Unusable(RuntimeError):
    """The bench cannot go on; the message is for the person who started it."""


def build(folder: Path) -> dict[str, Path]:
    """Compiles the two C programs. Raises Unusable where there is no C compiler."""
    source = Path(__file__).parent / "src"
    folder.mkdir(parents=True, exist_ok=True)
    programs = {"upstream": ("upstream.c", "dialects.c", "websocket.c"), "load": ("load.c",)}
    made = {name: folder / name for name in programs}
    for name, files in programs.items():
        inputs = [str(source / file) for file in files]
        command = ["cc", "-O2", "-Wall", "-Wextra", "-o", str(made[name]), *inputs]
        try:
            subprocess.run(command, check=True)
        except FileNotFoundError:
            raise Unusable("the bench needs a C compiler named cc, and there is none") from None
        except subprocess.CalledProcessError:
            raise Unusable(f"{name} did not compile") from None
    return made


class Upstream:
    """The C upstream, running on the load core."""

    def __init__(self, program: Path, port: int, core: int) -> None:
        self.port = port
        self._group = Group([str(program), str(port)], core)
        wait_for(self._answers, 10)

    def stats(self) -> dict[str, int]:
        """Its counters."""
        status, body = ask("127.0.0.1", self.port, "GET", "/__stats")
        if status != 200:
            raise Unusable("the benchmark's upstream does not answer")
        counters: dict[str, int] = json.loads(body)
        return counters

    @property
    def group(self) -> Group:
        return self._group

    def stop(self) -> None:
        self._group.stop()

    def _answers(self) -> bool:
        try:
            return "requests" in self.stats()
        except OSError:
            return False


@dataclass
class Gateway:
    """A running gateway, or an entry without group that was never started."""

    spec: Spec
    port: int
    bodies: dict[str, Path]
    group: Group

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def url(self) -> str:
        return self.url_of("messages")

    def url_of(self, door: Door) -> str:
        """Where it answers this API."""
        return f"http://127.0.0.1:{self.port}{self.spec.path_of(door)}"

    def takes(self, name: str, scenario: Scenario) -> bool:
        """Whether it can be put to a scenario, and is to."""
        if scenario.only not in ("", self.name) or not self.spec.path_of(BODIES[scenario.body].door):
            return False
        if not self.spec.scenarios:
            return not scenario.pooled
        return name in self.spec.scenarios


def _of(spec: Spec, body: str) -> str:
    """The body for an API that the gateway has."""
    return body if spec.path else f"responses_{body}"


class Driver:
    """Runs scenarios with the C load client, which inherits the bench's own core: that of the load."""

    def __init__(self, load: Path, upstream: Upstream, cores: Cores) -> None:
        self._load = load
        self._upstream = upstream
        self._cores = cores
        self._kinds: dict[str, Callable[[Gateway, Scenario], Row]] = {
            "closed": self._loop,
            "paced": self._loop,
            "held": self._held,
            "burst": self._burst,
            "mixed": self._mixed,
            "flat": self._flat,
            "spaced": self._spaced,
        }

    def start(self, spec: Spec, port: int, folder: Path, bodies: dict[str, Path], log: IO[bytes]) -> Gateway:
        """Starts a gateway and waits for its first good answer. Raises Unusable."""
        spec.lay_out(folder)
        group = Group(spec.command, self._cores.gateway, env=spec.environment, output=log)
        gateway = Gateway(spec, port, bodies, group)
        said: Row = {}
        deadline = time.monotonic() + _PATIENCE
        prepared = not spec.prepare
        while group.running and time.monotonic() < deadline:
            if not prepared:
                done = subprocess.run(spec.prepare, capture_output=True, timeout=60, check=False)
                prepared = done.returncode == 0
                said = {"complaint": done.stderr.decode(errors="replace")[-200:]}
                time.sleep(0.2)
                continue
            said = self._finish(self._begin(gateway, _of(spec, "plain_1k"), 1, requests=1, seconds=3))
            if said.get("ok") == 1 and not _faults(said):
                return gateway
            time.sleep(0.2)
        group.stop()
        raise Unusable(f"{spec.name} did not come up: {said.get('complaint') or 'no answer'}")

    def warm_up(self, gateway: Gateway) -> None:
        """Some of everything, unmeasured; and the session of each client, where the gateway opens one."""
        if any("{client}" in header for header in gateway.spec.headers):
            self._finish(self._begin(gateway, _of(gateway.spec, "plain_1k"), 50, requests=50, seconds=30))
        for body in ("plain_1k", "full_1k"):
            self._finish(self._begin(gateway, _of(gateway.spec, body), 4, requests=60, seconds=3))
        large = "full_200k" if gateway.spec.path else "responses_plain_200k"
        self._finish(self._begin(gateway, large, 4, requests=60, seconds=3))

    def run(self, gateway: Gateway, scenario: Scenario) -> Row:
        """One repeat of a scenario."""
        before = self._upstream.stats()
        row = self._kinds[scenario.kind](gateway, scenario)
        after = self._upstream.stats()
        row |= {name: after[name] - before[name] for name in ("refused", "by_socket")}
        row["faults"] = _faults(row) + row["refused"]
        if scenario.kind != "held":
            wait_for(lambda: self._open(before["streams_open"]) <= 0, 2, pause=0.05)
            row["left"] = max(0, self._open(before["streams_open"]))
            row["faults"] += row["left"]
        if not gateway.group.running:
            raise Unusable(f"{gateway.name} ended in the middle of the run; its log is in .bench/")
        return row

    def together(self, gateways: Sequence[Gateway], scenario: Scenario) -> Row:
        """A client for each of these at the same time: `ok`, `requests_per_s` and CPU are of all together.

        One that is named more than once has as many clients.
        """
        refused = self._upstream.stats()["refused"]
        groups = list({gateway.name: gateway.group for gateway in gateways}.values())
        before = [group.cpu() for group in groups]
        clients = [
            self._begin(
                gateway,
                scenario.body,
                scenario.connections,
                requests=scenario.requests,
                seconds=scenario.seconds or _PATIENCE,
            )
            for gateway in gateways
        ]
        rows = [self._finish(client) for client in clients]
        used = sum(group.cpu().since(then) for group, then in zip(groups, before, strict=True))
        ok = sum(row["ok"] for row in rows)
        refused = self._upstream.stats()["refused"] - refused
        return {
            "ok": ok,
            "requests_per_s": sum(row["requests_per_s"] for row in rows),
            "cpu_s": used,
            "cpu_ms_request": used / ok * 1e3 if ok else None,
            "refused": refused,
            "faults": sum(map(_faults, rows)) + refused,
        }

    # -- kinds ---------------------------------------------------------------------------------------

    def _loop(self, gateway: Gateway, scenario: Scenario) -> Row:
        before = gateway.group.cpu()
        seconds = scenario.seconds or _PATIENCE
        row = self._finish(
            self._begin(
                gateway, scenario.body, scenario.connections, requests=scenario.requests, seconds=seconds
            )
        )
        _per_unit(row, gateway.group.cpu(), before)
        row["memory_mb"] = gateway.group.memory()
        return row

    def _burst(self, gateway: Gateway, scenario: Scenario) -> Row:
        """Short requests one after the other, just after many streams left their connections."""
        burst = self._finish(
            self._begin(
                gateway, scenario.body, scenario.connections, requests=scenario.requests, seconds=_PATIENCE
            )
        )
        time.sleep(0.3)
        row = self._loop(gateway, Scenario("closed", "plain_1k", 1, seconds=scenario.seconds))
        row["failed"] += _faults(burst)
        return row

    def _mixed(self, gateway: Gateway, scenario: Scenario) -> Row:
        """Paced streams while two clients send large bodies without pause."""
        beside = self._begin(gateway, scenario.beside, 2, requests=1_000_000, seconds=2.8)
        time.sleep(0.4)
        row = self._loop(gateway, scenario)
        large = self._finish(beside)
        row["beside_per_s"] = large["requests_per_s"]
        row["failed"] += _faults(large)
        return row

    def _flat(self, gateway: Gateway, scenario: Scenario) -> Row:
        """Memory before and after very many requests; a few thousand first fill what is bounded."""
        first = self._begin(gateway, scenario.body, scenario.connections, requests=5_000, seconds=_PATIENCE)
        self._finish(first)
        before = gateway.group.memory()
        row = self._loop(gateway, scenario)
        row["growth_mb"] = row["memory_mb"] - before
        return row

    def _spaced(self, gateway: Gateway, scenario: Scenario) -> Row:
        """Single requests so far apart that an account which refused the one before is asked again."""
        rows = []
        limited = self._upstream.stats()["limited"]
        for number in range(scenario.requests):
            # Each is a session of its own: one that knows its account would not ask the other.
            session = (f"x-claude-code-session-id: {scenario.body}-{number}",)
            client = self._begin(gateway, scenario.body, 1, requests=1, seconds=_PATIENCE, more=session)
            rows.append(self._finish(client))
            time.sleep(_SPACE)
        limited = self._upstream.stats()["limited"] - limited
        failed = sum(map(_faults, rows))
        if gateway.name == "failing":
            failed += abs(scenario.requests - limited)
        whole = statistics.median(row["whole"]["p50"] for row in rows)
        return {**dict.fromkeys(_FAULTS, 0), "failed": failed, "limited": limited, "whole": {"p50": whole}}

    def _held(self, gateway: Gateway, scenario: Scenario) -> Row:
        """Slow streams held open: memory and CPU; then the clients vanish and the upstream must notice."""
        idle = gateway.group.memory()
        others = self._upstream.stats()["streams_open"]
        client = self._begin(
            gateway, scenario.body, scenario.connections, requests=scenario.requests, seconds=_PATIENCE
        )
        try:
            began = time.monotonic()
            all_open = wait_for(lambda: self._open(others) >= scenario.connections, 30, pause=0.1)
            ramp = time.monotonic() - began
            time.sleep(2)
            before, since = gateway.group.cpu(), time.monotonic()
            memory = gateway.group.memory()
            time.sleep(4)
            used = gateway.group.cpu().since(before) / (time.monotonic() - since)
            held = self._open(others)
        finally:
            client.kill()
            client.communicate()
        vanished = time.monotonic()
        wait_for(lambda: self._open(others) <= 0, 2, pause=0.05)
        gone = time.monotonic() - vanished
        left = max(0, self._open(others))
        wait_for(lambda: self._open(others) <= 0, 10, pause=0.2)
        return {
            "held": held,
            "failed": 0 if all_open and held >= scenario.connections else scenario.connections - held,
            "ramp_s": ramp,
            "cpu_percent": used * 100,
            "memory_mb": memory,
            "kb_per_stream": (memory - idle) * 1000 / scenario.connections,
            "gone_s": gone,
            "left": left,
        }

    def _open(self, others: int) -> int:
        return self._upstream.stats()["streams_open"] - others

    # -- the load client -----------------------------------------------------------------------------

    def _begin(
        self,
        gateway: Gateway,
        body: str,
        connections: int,
        *,
        requests: int,
        seconds: float,
        more: Sequence[str] = (),
    ) -> subprocess.Popen[str]:
        described = BODIES[body]
        command: list[str] = [str(self._load), "-u", gateway.url_of(described.door)]
        command += ["-f", str(gateway.bodies[body]), "-c", str(connections), "-n", str(requests)]
        command += ["-T", str(seconds), "-e", str(described.answer.deltas), *_musts(described)]
        if described.door == "responses" and described.stream:
            command += ["-r", str(_ROUNDS)]
        for header in (*gateway.spec.headers, *more):
            command += ["-H", header]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _finish(self, client: subprocess.Popen[str]) -> Row:
        out, err = client.communicate()
        try:
            row: Row = json.loads(out)
        except ValueError:
            raise Unusable(f"the load client failed: {err.strip() or out[:200]}") from None
        return row


def _musts(body: Body) -> Sequence[str]:
    """What the last bytes of a good answer hold."""
    words = _ENDS[body.door]
    return [word for end in words[: 1 + body.stream] for word in ("-m", end)]


def _faults(row: Row) -> int:
    return sum(int(row.get(name, 0)) for name in _FAULTS)


def _per_unit(row: Row, after: Cpu, before: Cpu) -> None:
    row["cpu_s"] = used = after.since(before)
    if row["ok"]:
        row["cpu_ms_request"] = used / row["ok"] * 1e3
    if row["events"]:
        row["cpu_us_event"] = used / row["events"] * 1e6


def wait_for(condition: Callable[[], bool], seconds: float, pause: float = 0.02) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def ask(
    host: str, port: int, method: str, path: str, body: bytes = b"", headers: Sequence[str] = ()
) -> tuple[int, bytes]:
    """One request on a connection of its own. Raises OSError."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        fields = dict(header.split(": ", 1) for header in headers)
        connection.request(method, path, body or None, {"content-type": "application/json", **fields})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def cold_start(spec: Spec, port: int, folder: Path, body: Path, core: int) -> Row:
    """From the start of the process to its first answered request."""
    spec.lay_out(folder)
    data = body.read_bytes()
    parts = urlsplit(f"http://127.0.0.1:{port}{spec.path}")
    began = time.monotonic()
    group = Group(spec.command, core, env=spec.environment)

    def answers() -> bool:
        try:
            status, answer = ask("127.0.0.1", port, "POST", parts.path, data, spec.headers)
        except OSError:
            return False
        return status == 200 and b"end_turn" in answer

    try:
        ok = wait_for(answers, _PATIENCE, pause=0.004)
        seconds = time.monotonic() - began
        return {
            "seconds": seconds,
            "cpu_s": group.cpu().ticks,
            "memory_mb": group.memory(),
            "faults": int(not ok),
        }
    finally:
        group.stop()


def import_time(module: str, core: int, repeats: int = 5) -> float:
    """Median seconds of importing a module in a fresh interpreter, without the interpreter's own start."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    times = []
    for _ in range(repeats + 1):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        times.append(float(ran.stdout))
    return statistics.median(times[1:])  # the first one reads the disk
