"""Standard output that fails: one line and an exit code, and nothing is lost without a word."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.command import User, user
from tests.support.gateway import WAIT
from tests.support.zygote import COMMAND

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.fixture
def someone(tmp_path: Path) -> User:
    return user(tmp_path)


def into_full(someone: User, *arguments: str) -> tuple[int, str]:
    """Exit code and complaint of a verb that writes to a device without space."""
    with FULL.open("wb") as out:
        done = subprocess.run(
            [str(COMMAND), *arguments],
            env=someone.environment,
            cwd=someone.folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            timeout=2 * WAIT,
            check=False,
        )
    return done.returncode, done.stderr


def states(someone: User, *verb: str) -> dict[str, str]:
    listed = json.loads(someone.run(*verb, "--json").stdout)
    return {row["name"]: row["state"] for row in listed}


@pytest.mark.parametrize(
    "verb",
    [("log", "export", "--format", "csv"), ("config", "show"), ("key", "list"), ("version",), ("--help",)],
    ids=lambda verb: verb[0],
)
def test_a_full_disk_is_told_in_one_line(someone: User, verb: tuple[str, ...]) -> None:
    assert into_full(someone, *verb) == (1, "dragoman: standard output: No space left on device\n")


def test_a_key_that_nobody_saw_is_revoked(someone: User) -> None:
    code, told = into_full(someone, "key", "create", "laptop")
    assert code == 1
    assert told == (
        "dragoman: the key 'laptop' was made, but its text could not be delivered: standard output: "
        "No space left on device; it is revoked, make another under a new name\n"
    )
    assert states(someone, "key", "list", "--all")["laptop"] == "revoked"


def test_a_token_that_nobody_saw_is_revoked(someone: User) -> None:
    code, told = into_full(someone, "token", "create", "ci", "--role", "viewer")
    assert code == 1
    assert "the token ci was made, but its text could not be delivered" in told
    assert states(someone, "token", "list") == {}


def test_a_rotated_key_that_nobody_saw_keeps_its_old_text(someone: User) -> None:
    assert someone.run("key", "create", "laptop").returncode == 0
    code, told = into_full(someone, "key", "rotate", "laptop")
    assert code == 1
    assert "has a new text, which could not be delivered" in told
    assert "rotate it again. The old one works until" in told
    assert len(told.splitlines()) == 1


def test_what_a_terminal_cannot_show_becomes_a_question_mark(someone: User) -> None:
    assert someone.run("key", "create", "laptop").returncode == 0
    done = someone.run("key", "list", PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "laptop  ?" in done.stdout
