"""Runs `dragoman` as a child that has its modules already: importing them costs more than most tests do.

This file is two things. Tests import it: `start` and `run` take what subprocess takes. As a program it is the
zygote, a process without threads or a loop that has imported the command line; asked over a socket it forks.
The child gets a session, environment, folder and standard files of its own, enters the command's `main` and
ends as an interpreter ends: whoever waits for it learns the exit code or the signal.

What a fork cannot show stays with the installed command: how the program starts, what it imports when, that
it becomes another program, or hands over to another process. Such tests are marked `installed`. tests/e2e has
no others, and an environment that could bear on an import is never forked. All children of a zygote share one
hash seed; everything else that is random is drawn anew. Where no zygote can be had, or it has died, the
installed command takes its place.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeAlias

COMMAND = Path(sys.executable).with_name("dragoman")
LOCALE = {"LC_ALL": "C.UTF-8"}
PLAIN = {"PATH", "HOME", *LOCALE}
# What verbs import when they are called.
LOADED = (
    "dragoman.cli.serve",
    "dragoman.simulator.server",
    "genai_prices.data_snapshot",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "uvloop",
)
_NUMBER = struct.Struct("i")

# Set by conftest.py for each test; whoever runs outside of pytest gets the installed command.
wanted = False


class Forked:
    """A child of the zygote, with what tests use of Popen. `told` is a pipe: pid first, exit code last."""

    def __init__(self, argv: Sequence[str], told: int) -> None:
        weakref.finalize(self, os.close, told)
        self._argv, self._told = argv, told
        self._code: int | None = None
        self._lock = threading.Lock()
        self.pid = 0
        self.pid = self._number()

    def _number(self) -> int:
        if data := os.read(self._told, _NUMBER.size):
            return int(_NUMBER.unpack(data)[0])
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        raise ConnectionError("the zygote has died")

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        waiting = select.poll()
        waiting.register(self._told, select.POLLIN)
        if self._code is None and not waiting.poll(None if timeout is None else timeout * 1000):
            raise subprocess.TimeoutExpired(list(self._argv), timeout or 0)
        with self._lock:
            if self._code is None:
                self._code = self._number()
            return self._code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process: TypeAlias = subprocess.Popen[bytes] | Forked


def start(
    argv: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    cwd: Path | None,
    stdout: IO[bytes],
    stderr: IO[bytes],
) -> Process:
    """Starts a command in a session of its own with nothing to read, forked where that is the same."""
    words, env = [str(part) for part in argv], dict(environment)
    if wanted and words[0] == str(COMMAND) and _plain(env):
        asked = {"argv": words, "environment": env, "cwd": str(cwd or Path.cwd())}
        with suppress(OSError):
            return _zygote().fork(asked, stdout.fileno(), stderr.fileno())
    nothing = subprocess.DEVNULL
    return subprocess.Popen(
        words, env=env, cwd=cwd, stdin=nothing, stdout=stdout, stderr=stderr, start_new_session=True
    )


def run(
    argv: Sequence[str | Path], environment: Mapping[str, str], *, cwd: Path | None = None, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end and returns what it wrote."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = start(argv, environment, cwd=cwd, stdout=out, stderr=err)
        try:
            code = process.wait(timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(argv), code, out.read().decode(), err.read().decode())


def _plain(environment: Mapping[str, str]) -> bool:
    """Whether nothing in it could bear on an import: those are over."""
    known = all(name in PLAIN or name.startswith("DRAGOMAN_") for name in environment)
    return known and all(environment.get(name) == value for name, value in LOCALE.items())


class _Zygote:
    """The test process's end of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(
                # -P: beside this file stand modules with the names of libraries.
                [sys.executable, "-P", __file__, str(its.fileno())],
                env={"PATH": os.defpath, **LOCALE},
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        atexit.register(self.close)

    def fork(self, asked: dict[str, Any], stdout: int, stderr: int) -> Forked:
        """Raises OSError when it is gone."""
        data = json.dumps(asked).encode()
        told, tell = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._control, [_NUMBER.pack(len(data))], [stdout, stderr, tell])
                self._control.sendall(data)
        except OSError:
            os.close(told)
            raise
        finally:
            os.close(tell)
        return Forked(asked["argv"], told)

    def close(self) -> None:
        """It ends what still runs, and itself."""
        self._control.close()
        self._process.wait()


_started: list[_Zygote] = []
_starting = threading.Lock()


def _zygote() -> _Zygote:
    with _starting:
        if not _started:
            _started.append(_Zygote())
        return _started[0]


# -- the program -------------------------------------------------------------------------------------------


def _serve(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Forks on demand until nobody can ask any more. Only children return, with what was asked for."""
    woken, wake = socket.socketpair()
    woken.setblocking(False)
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            woken.recv(4096)
            _reap(running, os.WNOHANG)
        if control not in ready:
            continue
        size, files, _, _ = socket.recv_fds(control, _NUMBER.size, 3)
        if not size:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            _reap(running, 0)
            sys.exit()
        asked = json.loads(control.recv(_NUMBER.unpack(size)[0], socket.MSG_WAITALL))
        *files, told = files
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (control, woken, wake):
                end.close()
            for file in (told, *running.values()):
                os.close(file)
            return asked, files
        running[pid] = told
        _tell(told, pid)
        for file in files:
            os.close(file)


def _reap(running: dict[int, int], how: int) -> None:
    while running:
        pid, status = os.waitpid(-1, how)
        if not pid:
            return
        told = running.pop(pid)
        _tell(told, os.waitstatus_to_exitcode(status))
        os.close(told)


def _tell(told: int, number: int) -> None:
    with suppress(BrokenPipeError):  # nobody waits for it
        os.write(told, _NUMBER.pack(number))


def _become(asked: dict[str, Any], files: Sequence[int]) -> None:
    """What exec would have done: this process is as if it had just been started."""
    os.setsid()
    for number, file in enumerate(files, start=1):
        os.dup2(file, number)
        os.close(file)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv[:] = asked["argv"]
    coding, errors = sys.stdout.encoding, sys.stdout.errors
    sys.stdout = os.fdopen(1, "w", -1, coding, errors, closefd=False)
    coding, errors = sys.stderr.encoding, sys.stderr.errors
    sys.stderr = os.fdopen(2, "w", 1, coding, errors, closefd=False)


if __name__ == "__main__":
    sys.path.insert(0, str(COMMAND.parent))
    for name in LOADED:
        importlib.import_module(name)
    from dragoman.cli.__main__ import application, main

    application()  # imports the verbs
    gc.freeze()  # what nobody walks through stays shared
    _become(*_serve(socket.socket(fileno=int(sys.argv[1]))))
    main()
