"""Options that several verbs share, and how a verb ends when it cannot do what was asked.

Typer needs these signatures when the command line is built, so nothing heavy is imported here. Options that
come in groups are the fields of a dataclass, written once and taken by several verbs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

FAILED = 1  # the thing asked for failed or was not found
MISUSED = 2  # wrong use or configuration
NO_STORE = 3  # the store cannot be used
FINDINGS = 4  # doctor found an error

Config = Annotated[
    Path | None, typer.Option("--config", help="TOML file (also DRAGOMAN_CONFIG).", envvar="DRAGOMAN_CONFIG")
]


def _a_directory(text: str) -> Path:
    """An empty text would be the directory that the shell happens to be in."""
    if not text.strip():
        raise typer.BadParameter("must name a directory")
    return Path(text)


DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where keys and data are kept.", parser=_a_directory, metavar="PATH"),
]
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


def taking(group: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a verb the options of a dataclass in the place of its parameter `said`, which gets them all.

    Every field has a default, and an Annotated type that typer understands.
    """

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(verb, include_extras=True)
        options = get_type_hints(group, include_extras=True)
        named = inspect.signature(group).parameters
        signature: list[inspect.Parameter] = []
        for name, one in inspect.signature(verb).parameters.items():
            if name == "said":
                signature += [named[field].replace(annotation=options[field]) for field in named]
            else:
                signature.append(one.replace(annotation=hints[name]))
        # In their order, whichever has a default: typer calls by name.
        signature = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in signature]

        def called(**given: Any) -> None:
            said = group(**{name: given.pop(name) for name in named})
            verb(said=said, **given)

        called.__name__, called.__doc__ = verb.__name__, verb.__doc__
        called.__annotations__ = {one.name: one.annotation for one in signature}
        called.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
        return called

    return decorate
