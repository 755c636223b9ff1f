"""What the kernel tells about processes: CPU time, memory, cores, versions of what runs. Linux only."""

from __future__ import annotations

import os
import platform
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
# Of a parent's environment only this reaches a gateway, so that no setting of the user's takes part.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE")


class Cores(NamedTuple):
    """One core for the gateway, one for upstream and load; the same one twice where there is only one."""

    gateway: int
    load: int

    @classmethod
    def choose(cls) -> Cores:
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[-1])


class Cpu(NamedTuple):
    """Processor seconds of a process group: by the scheduler (ns, living threads) and by clock ticks."""

    exact: float
    ticks: float

    def since(self, before: Cpu) -> float:
        """The exact figure, unless a thread has ended in between and taken its share with it."""
        exact, ticks = self.exact - before.exact, self.ticks - before.ticks
        return exact if abs(exact - ticks) <= 0.03 + 0.02 * abs(ticks) else ticks


class Processes:
    """Some processes that run, and what they use together."""

    def cpu(self) -> Cpu:
        """Processor time used so far, that of ended children included."""
        exact = ticks = 0.0
        for pid, fields in self._members():
            ticks += sum(map(int, fields[11:15])) / _TICKS_PER_SECOND
            for task in _list(_PROC / pid / "task"):
                if text := _read(task / "schedstat"):
                    exact += int(text.split()[0]) / 1e9
        return Cpu(exact, ticks)

    def memory(self) -> float:
        """Proportional set size in MB (10^6 bytes)."""
        kilobytes = 0
        for pid, _ in self._members():
            for line in _read(_PROC / pid / "smaps_rollup").splitlines():
                if line.startswith("Pss:"):
                    kilobytes += int(line.split()[1])
        return kilobytes * 1024 / 1e6

    def _members(self) -> Iterator[tuple[str, list[str]]]:
        """Their ids, with the fields of /proc/PID/stat from the state on."""
        raise NotImplementedError


class Family(Processes):
    """A process that others started, and its children: a server that makes a process for each connection."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def _members(self) -> Iterator[tuple[str, list[str]]]:
        return (found for found in _running() if self._pid in (int(found[0]), int(found[1][1])))


class Group(Processes):
    """A program started in a session of its own, pinned to a core, with all the children it makes."""

    def __init__(
        self,
        command: Sequence[str],
        core: int,
        *,
        env: Mapping[str, str] | None = None,
        output: IO[bytes] | int = subprocess.DEVNULL,
    ) -> None:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._process = subprocess.Popen(
            list(command),
            env=inherited | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def stop(self, grace: float = 3.0) -> None:
        """SIGTERM, then SIGKILL for what is still there."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + grace
        while self.running and time.monotonic() < deadline:
            time.sleep(0.02)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        for pid, _ in list(self._members()):
            try:
                os.kill(int(pid), number)
            except ProcessLookupError:
                continue

    def _members(self) -> Iterator[tuple[str, list[str]]]:
        """The processes of the session."""
        return (found for found in _running() if int(found[1][3]) == self.pid)


def _running() -> Iterator[tuple[str, list[str]]]:
    """All processes: ids, and the fields of /proc/PID/stat from the state on."""
    for folder in _list(_PROC):
        if folder.name.isdigit() and (text := _read(folder / "stat")):
            yield folder.name, text[text.rindex(")") + 2 :].split()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # it ended meanwhile


def _list(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError:
        return []


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def busy_seconds() -> float:
    """Processor time that all programs of the machine have used together."""
    user, nice, system, _, _, irq, softirq, steal = map(int, _read(_PROC / "stat").split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_SECOND


def own_seconds(groups: Sequence[Processes]) -> float:
    """What this program, its ended children and these running groups have used of it."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = resource.getrusage(resource.RUSAGE_SELF)
    return (
        sum(usage.ru_utime + usage.ru_stime for usage in (ended, own))
        + sum(group.cpu().ticks for group in groups)
    )  # fmt: skip


def describe() -> dict[str, Any]:
    """The machine, for the head of a report."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in _read(_PROC / "cpuinfo").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
