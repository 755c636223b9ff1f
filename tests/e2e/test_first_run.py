"""The first minute: `make run` in one terminal, the line it prints in another."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.claude import NEWEST, ROOT, Claude, binary
from tests.support.gateway import Spawned, await_ready, bare_environment, spawned
from tests.support.zygote import COMMAND


@contextmanager
def started(place: Path, argv: list[str | Path], cwd: Path) -> Iterator[tuple[Spawned, str]]:
    """A server on a free port with nothing configured; gives it and its address."""
    environment = bare_environment(
        place / "home", DRAGOMAN_SERVER__PORT="0", XDG_DATA_HOME=str(place / "data")
    )
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    with spawned("server", argv, place, environment, cwd=cwd) as run:
        url = run.await_line(r"listening\s+(http://\S+)").group(1)
        await_ready(url, run)
        yield run, url


def printed_command(said: str) -> str:
    """The command of the start block, with its continued lines."""
    found = re.search(r"^ *(ANTHROPIC_BASE_URL=(?:.*\\\n)*.*)$", said, re.MULTILINE)
    assert found is not None, said
    return found.group(1)


@pytest.mark.parametrize("way", ["make run", "dragoman serve"])
def test_the_printed_line_answers(tmp_path: Path, way: str) -> None:
    """Executed as it stands, by a shell that has `claude` on its path: the demo answers, clearly labelled."""
    tree = ROOT
    argv: list[str | Path] = [COMMAND, "serve"]
    if way == "make run":
        tree = copied(tmp_path / "tree")
        argv = ["make", "run"]
    with started(tmp_path / "server", argv, tree) as (run, url):
        said = run.said()
        assert "SIMULATED" in said
        key = re.search(r"sk-drg-\S+?(?=['\s])", said)
        assert key is not None
        client = Claude(url, "unused", tmp_path / "client")
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "claude").symlink_to(binary(f"claude-{NEWEST}"))
        environment = {
            name: value
            for name, value in client.environment.items()
            if not name.startswith(("ANTHROPIC", "CLAUDE"))
        }
        environment["PATH"] = f"{tmp_path / 'bin'}:/usr/bin:/bin"
        done = subprocess.run(
            ["/bin/sh", "-c", printed_command(said)],
            env=environment,
            cwd=client.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout.strip()
        kept = list((tmp_path / "server" / "data" / "dragoman").iterdir())
        assert kept and all(path.stat().st_mode & 0o077 == 0 for path in kept)


def copied(tree: Path) -> Path:
    """A copy of the sources with an environment of its own that borrows the installed packages.

    Nothing is downloaded again, the copy's own code runs, and what is borrowed is never written to.
    """
    skipped = shutil.ignore_patterns(".*", "__pycache__", "node_modules")
    shutil.copytree(ROOT, tree, ignore=skipped)
    lent = tree / ".venv"
    venv.create(lent, with_pip=False, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(lent)}))
    packages.joinpath("borrowed.pth").write_text(f"{tree / 'src'}\n{sysconfig.get_path('purelib')}\n")
    command = lent / "bin" / "dragoman"
    command.write_text(f"#!{lent / 'bin' / 'python'}\nfrom dragoman.cli.__main__ import main\nmain()\n")
    command.chmod(0o755)
    for stamp in (".python", ".runtime"):
        (lent / stamp).touch()
    return tree


def test_the_second_start_shows_the_same_key(tmp_path: Path) -> None:
    """The demo key is kept in a private file and printed at every start."""
    keys = []
    for _ in range(2):
        with started(tmp_path / "server", [COMMAND, "serve"], ROOT) as (run, _):
            keys.append(re.findall(r"sk-drg-[\w-]+", run.said())[0])
    assert keys[0] == keys[1]
