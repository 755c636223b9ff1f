"""A forked command is what the installed one is: tests that fork say the same as tests that start anew."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import zygote
from tests.support.gateway import Spawned, bare_environment, spawned
from tests.support.zygote import COMMAND, Forked, run


@pytest.mark.parametrize(
    "verb",
    [
        ("version",),
        ("config", "show", "--origin"),
        ("key", "revoke", "nobody"),
        ("no-such-verb",),
        ("serve", "--port", "0", "--config", "absent.toml"),
    ],
    ids=lambda verb: verb[0],
)
def test_a_verb_says_what_the_installed_one_says(
    tmp_path: Path, verb: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its environment, in its folder, under its name: standard output, complaint and exit code."""
    environment = bare_environment(tmp_path / "home", DRAGOMAN_SERVER__QUEUE="3")
    forked = run([COMMAND, *verb], environment, cwd=tmp_path, timeout=60)
    monkeypatch.setattr(zygote, "wanted", False)
    installed = run([COMMAND, *verb], environment, cwd=tmp_path, timeout=60)
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        installed.returncode,
        installed.stdout,
        installed.stderr,
    )


@contextmanager
def simulator(place: Path, **more: str) -> Iterator[Spawned]:
    argv: list[str | Path] = [COMMAND, "simulate", "--port", "0"]
    with spawned("simulator", argv, place, bare_environment(place / "home", **more)) as run:
        run.await_line("http://")
        yield run


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_signals_reach_it_and_are_told(tmp_path: Path, by: signal.Signals) -> None:
    with simulator(tmp_path) as run:
        assert isinstance(run.process, Forked)
        assert os.getsid(run.process.pid) == run.process.pid
        with pytest.raises(subprocess.TimeoutExpired):
            run.process.wait(0.01)
        assert run.process.poll() is None
        codes: list[int] = []
        waiting = [threading.Thread(target=lambda: codes.append(run.process.wait(60))) for _ in range(3)]
        for one in waiting:
            one.start()
        run.process.send_signal(by)
        for one in waiting:
            one.join()
        assert codes == [0 if by == signal.SIGTERM else -signal.SIGKILL] * 3
        run.process.send_signal(by)  # to nobody


def test_no_file_of_a_sibling_or_of_the_zygote_is_open_in_it(tmp_path: Path) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    opened: list[list[str]] = []
    with simulator(tmp_path / "first") as first, simulator(tmp_path / "second") as second:
        for run in (first, second):
            place = Path(f"/proc/{run.process.pid}/fd")
            opened.append(sorted(str(file.readlink()).rstrip("0123456789[]") for file in place.iterdir()))
            assert len(list(Path(f"/proc/{run.process.pid}/task").iterdir())) == 1
    assert [name.replace("first", "second") for name in opened[0]] == opened[1]
    assert not [name for name in opened[1] if name.startswith("pipe:")]


def test_where_it_has_died_the_installed_command_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = zygote._Zygote()
    monkeypatch.setattr(zygote, "_started", [own])
    environment = bare_environment(tmp_path / "home")
    assert run([COMMAND, "version"], environment, timeout=60).returncode == 0
    own._process.kill()
    own._process.wait()
    assert run([COMMAND, "version"], environment, timeout=60).stdout.startswith("dragoman ")
    own.close()


def test_what_still_runs_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = zygote._Zygote()
    monkeypatch.setattr(zygote, "_started", [own])
    with simulator(tmp_path) as run:
        own.close()
        assert run.process.poll() == -signal.SIGKILL


@pytest.mark.installed
def test_who_wants_the_installed_command_gets_it(tmp_path: Path) -> None:
    with simulator(tmp_path) as run:
        assert isinstance(run.process, subprocess.Popen)


def test_what_could_bear_on_an_import_is_never_forked(tmp_path: Path) -> None:
    with simulator(tmp_path, SSL_CERT_FILE="/nowhere") as run:
        assert isinstance(run.process, subprocess.Popen)
