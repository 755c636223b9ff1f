"""Runs the real Claude Code, isolated: a home and a working folder of its own, no network, nothing inherited.

Every way out except the gateway leads to a dead proxy, so that non-essential traffic may be switched on.
The binaries come from `scripts/clients.sh`; nothing of what the client sends is ever written down here.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / ".e2e" / "bin"
NEWEST = "2.1.330"
OLDER = "2.1.197"
MCP_SERVER = ROOT / "tests" / "e2e" / "clients" / "mcp_server.py"
VERSIONS = (NEWEST, OLDER)
# A name both versions treat as a current model: mid-conversation system messages, adaptive thinking.
MODEL = "claude-sonnet-5-5"
# Tools that need no permission in these runs.
TOOLS = "Read Bash Write Edit Agent WebSearch"
DEAD_PROXY = "http://127.0.0.1:9"
PATIENCE = 120.0

_ESCAPES = re.compile(r"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)|\[[0-9;?>=<]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78])")


def binary(name: str) -> Path:
    """An installed client. A missing one is a failure, never a skip."""
    path = CLIENTS / name
    assert path.is_file(), f"{name} is not installed: run `make e2e`, which starts with scripts/clients.sh"
    return path


# How a test opens a client: `claude(version, NAME="value")`.
Open = Callable[..., "Claude"]


@dataclass(frozen=True)
class Finished:
    """One print-mode run that ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out.strip()

    def result(self) -> dict[str, Any]:
        """The last line of `--output-format json` or `stream-json`."""
        found: dict[str, Any] = json.loads(self.out.strip().splitlines()[-1])
        return found


class Claude:
    """One installation with one home and one working folder; several runs continue one another."""

    def __init__(
        self, base_url: str, key: str, place: Path, version: str = NEWEST, **environment: str
    ) -> None:
        self.version = version
        self.home = place / "home"
        self.work = place / "work"
        self.home.mkdir(parents=True, exist_ok=True)
        self.work.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
            "IS_SANDBOX": "1",
            "ANTHROPIC_BASE_URL": base_url,
            "ANTHROPIC_AUTH_TOKEN": key,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_AUTOUPDATER": "1",
            "HTTPS_PROXY": DEAD_PROXY,
            "HTTP_PROXY": DEAD_PROXY,
            "NO_PROXY": "127.0.0.1,localhost",
            **environment,
        }

    def with_nonessential_traffic(self) -> Claude:
        """The same client with titles, probes and discovery switched on."""
        del self.environment["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"]
        return self

    def run(
        self,
        prompt: str,
        *flags: str,
        model: str = MODEL,
        tools: str = TOOLS,
        patience: float = PATIENCE,
    ) -> Finished:
        """`claude -p PROMPT`; the tools named need no permission. Waits for the end."""
        argv = [str(binary(f"claude-{self.version}")), "-p", prompt, "--model", model, *flags]
        argv += ["--allowedTools", *tools.split()] if tools else []
        done = subprocess.run(
            argv,
            env=self.environment,
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience,
            check=False,
        )
        return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())

    @contextmanager
    def conversation(self, *flags: str, model: str = MODEL, tools: str = TOOLS) -> Iterator[Conversation]:
        """One process that is told one thing after the other (`--input-format stream-json`)."""
        argv = [str(binary(f"claude-{self.version}")), "-p", "--model", model, "--verbose", *flags]
        argv += ["--input-format", "stream-json", "--output-format", "stream-json"]
        argv += ["--allowedTools", *tools.split()]
        with tempfile.TemporaryFile() as err:
            process = subprocess.Popen(
                argv,
                env=self.environment,
                cwd=self.work,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                start_new_session=True,
            )
            try:
                yield Conversation(process)
            finally:
                with suppress(BrokenPipeError):
                    process.communicate(timeout=30)
                process.kill()

    @contextmanager
    def screen(self, model: str = MODEL) -> Iterator[Screen]:
        """The interactive client on a terminal of its own, past its first-start questions."""
        settings = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "projects": {str(self.work): {"hasTrustDialogAccepted": True}},
        }
        (self.home / ".claude.json").write_text(json.dumps(settings))
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 160, 0, 0))
        process = subprocess.Popen(
            [str(binary(f"claude-{self.version}")), "--model", model],
            env=self.environment,
            cwd=self.work,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        screen = Screen(master)
        try:
            yield screen
        finally:
            process.terminate()
            screen.look(0.5)
            process.kill()
            process.wait(30)
            os.close(master)


class Conversation:
    """A print-mode process that waits for what it is told next."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout

    def ask(self, text: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Says something and waits for the result of the whole turn."""
        message = {"type": "user", "message": {"role": "user", "content": [{"type": "text", "text": text}]}}
        self._stdin.write(json.dumps(message).encode() + b"\n")
        self._stdin.flush()
        watchdog = threading.Timer(patience, self._process.kill)
        watchdog.start()
        try:
            for line in self._stdout:
                event: dict[str, Any] = json.loads(line)
                if event.get("type") == "result":
                    return event
        finally:
            watchdog.cancel()
        raise AssertionError(f"the client ended, or said nothing for {patience} s, after {text!r}")


class Screen:
    """What a terminal shows, and its keyboard."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._seen = b""

    def look(self, seconds: float) -> None:
        """Reads what the client draws for some time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self._master], [], [], min(left, 0.1))[0]:
                continue
            try:
                self._seen += os.read(self._master, 65536)
            except OSError:  # the client closed its end
                return

    def text(self) -> str:
        """All that was drawn so far, without escape sequences and white space."""
        return re.sub(r"\s+", "", _ESCAPES.sub("", self._seen.decode(errors="replace")))

    def await_text(self, wanted: str, patience: float = PATIENCE) -> None:
        """Waits until a text was drawn; white space does not count."""
        shown = self._shows(wanted, patience)
        assert shown, f"{wanted!r} never appeared; the screen ends {self.text()[-1500:]!r}"

    def _shows(self, wanted: str, patience: float) -> bool:
        wanted = re.sub(r"\s+", "", wanted)
        end = time.monotonic() + patience
        while wanted not in self.text():
            if time.monotonic() > end:
                return False
            self.look(0.2)
        return True

    def type(self, line: str) -> None:
        """Types a line and, when it stands there, presses Enter.

        A client that is just starting may throw away what was typed: then it is typed again.
        """
        self.await_text("❯")
        for patience in (10.0, 10.0, PATIENCE):
            os.write(self._master, line.encode())
            if self._shows(line, patience):
                break
        self.await_text(line, 0)
        self.look(0.3)
        os.write(self._master, b"\r")
