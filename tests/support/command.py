"""Runs the product's verbs as a user would: in an empty home, with nothing of the developer's environment."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.gateway import WAIT, bare_environment
from tests.support.zygote import COMMAND, run


@dataclass
class User:
    """Somebody with a home, a working folder and an environment of their own."""

    home: Path
    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        """`dragoman ARGUMENTS`, with more variables."""
        return run([COMMAND, *arguments], {**self.environment, **more}, cwd=self.folder, timeout=2 * WAIT)


def user(place: Path) -> User:
    """A new one."""
    home, folder = place / "user-home", place / "project"
    folder.mkdir(parents=True)
    return User(home, folder, bare_environment(home))
