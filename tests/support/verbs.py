"""Runs verbs on an installation of their own: in this process, or as the command itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dragoman.cli.__main__ import application
from tests.support.gateway import bare_environment
from tests.support.zygote import COMMAND, run

WAIT = 60.0


@dataclass(frozen=True)
class Said:
    """What a verb wrote, and its exit code."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Verbs:
    """An installation. Calling it runs a verb that must end with `code`."""

    place: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def config(self) -> Path:
        return self.place / "dragoman.toml"

    def configure(self, text: str) -> None:
        self.config.write_text(text)

    def where(self) -> list[str]:
        known = ["--config", str(self.config)] if self.config.exists() else []
        return [*known, "--data-dir", str(self.data)]

    def __call__(self, *arguments: str, code: int = 0, stdin: str | None = None) -> Said:
        environment: Mapping[str, str | None] = {"DRAGOMAN_CONFIG": None, **self.environment}
        command = application(arguments[0])  # as `main` does: all verbs take their time
        result = CliRunner().invoke(command, [*arguments, *self.where()], input=stdin, env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        said = Said(result.exit_code, result.stdout, result.stderr)
        assert said.code == code, said
        return said

    def command(self, *arguments: str, code: int = 0) -> Said:
        """The same as a process of its own."""
        environment = bare_environment(self.place / "home", **self.environment)
        done = run([COMMAND, *arguments, *self.where()], environment, timeout=WAIT)
        said = Said(done.returncode, done.stdout, done.stderr)
        assert said.code == code, said
        return said


@pytest.fixture
def verbs(tmp_path: Path) -> Iterator[Verbs]:
    """A fresh installation."""
    yield Verbs(tmp_path)
