"""Options that several verbs share, and how a verb ends when it cannot do what was asked.

Typer needs these signatures when the command line is built, so nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

FAILED = 1  # the thing asked for failed or was not found
MISUSED = 2  # wrong use or configuration
NO_STORE = 3  # the store cannot be used
FINDINGS = 4  # doctor found an error

Config = Annotated[
    Path | None, typer.Option("--config", help="TOML file (also DRAGOMAN_CONFIG).", envvar="DRAGOMAN_CONFIG")
]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where keys and data are kept.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Url = Annotated[
    str | None,
    typer.Option("--url", help="Address of the gateway; otherwise `server.host` and `server.port`."),
]
KeyEnv = Annotated[
    str | None, typer.Option("--key-env", help="Environment variable that holds the client key.")
]
KeyFile = Annotated[Path | None, typer.Option("--key-file", help="File that holds the client key.")]


class Stop(Exception):
    """What was asked for cannot be done; the message is one sentence for the user."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def plainly() -> Iterator[None]:
    """Turns the failures that users cause into one line each on standard error, and an exit code."""
    from dragoman.settings import SettingsError

    try:
        yield
    except (Stop, SettingsError) as error:
        typer.echo("\n".join(f"dragoman: {line}" for line in str(error).splitlines()), err=True)
        raise typer.Exit(error.code if isinstance(error, Stop) else MISUSED) from None
