"""Runs the product's own command as processes: on free ports, in folders of their own.

Nothing of the developer's environment gets in (no HOME, no proxy, no DRAGOMAN_ variable), every wait has a
generous limit, and what a process wrote is shown when it fails.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.zygote import COMMAND, LOCALE, Process, start

WAIT = 60.0

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Died(AssertionError):
    """A process ended, or never said what it should."""


@dataclass
class Spawned:
    """One running command and the two files it writes to."""

    name: str
    process: Process
    out: Path
    err: Path

    def said(self) -> str:
        return self.out.read_text(errors="replace")

    def complained(self) -> str:
        return self.err.read_text(errors="replace")

    def await_line(self, pattern: str) -> re.Match[str]:
        """Waits until standard output matches."""
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            if found := re.search(pattern, self.said()):
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise Died(f"{self.name}: nothing like {pattern!r}\n{self.said()}\n{self.complained()[-4000:]}")

    def stop(self) -> int:
        """SIGTERM, then SIGKILL when that is ignored. Returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise Died(f"{self.name} ignored SIGTERM for 30 s\n{self.complained()[-4000:]}") from None


@contextmanager
def spawned(
    name: str,
    argv: Sequence[str | Path],
    place: Path,
    environment: Mapping[str, str],
    cwd: Path | None = None,
) -> Iterator[Spawned]:
    """Runs a command until the block ends. `place` receives NAME.out and NAME.err."""
    place.mkdir(parents=True, exist_ok=True)
    out, err = place / f"{name}.out", place / f"{name}.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = start(argv, environment, cwd=cwd, stdout=stdout, stderr=stderr)
    running = Spawned(name, process, out, err)
    try:
        yield running
    finally:
        running.stop()


def bare_environment(home: Path, **more: str) -> dict[str, str]:
    """What a process of ours gets: a path, a home and nothing else."""
    home.mkdir(parents=True, exist_ok=True)
    return {"PATH": os.defpath + ":/usr/local/bin", "HOME": str(home), **LOCALE, **more}


def status(url: str, timeout: float = 10.0) -> int:
    """The status of a GET, or 0 when nobody listens."""
    try:
        with _direct.open(url, timeout=timeout) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@dataclass
class Gateway:
    """A gateway that is ready."""

    url: str
    run: Spawned
    _read: int = 0

    def faults(self) -> list[str]:
        """Lines of its log, since the last call, that tell of a bug of its own."""
        lines = self.run.complained().splitlines()
        new, self._read = lines[self._read :], len(lines)
        return [line for line in new if _FAULT.search(line)]


_FAULT = re.compile(r'Traceback|"level": ?"(error|critical)"|Task exception|never awaited')


@contextmanager
def gateway(place: Path, config: str, environment: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    """Runs `dragoman serve` with this TOML until the block ends."""
    place.mkdir(parents=True, exist_ok=True)
    file = place / "dragoman.toml"
    file.write_text(config)
    argv: list[str | Path] = [COMMAND, "serve", "--port", "0", "--config", file, "--data-dir", place / "data"]
    with spawned("gateway", argv, place, bare_environment(place / "home", **(environment or {}))) as run:
        url = run.await_line(r"listening\s+(http://\S+)").group(1)
        await_ready(url, run)
        yield Gateway(url, run)


def await_ready(url: str, run: Spawned) -> None:
    """Waits until `/readyz` answers 200."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        if status(f"{url}/readyz") == 200:
            return
        if run.process.poll() is not None:
            break
        time.sleep(0.05)
    raise Died(f"{run.name} never became ready\n{run.complained()[-4000:]}")
