"""How a verb runs over the store: settings, data directory, one event loop, and how it ends.

Errors that users can do something about become one line on standard error and an exit code. What a verb
prints for people is aligned text, for programs JSON; both come through here.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dragoman.cli.options import NO_STORE, Stop, plainly

if TYPE_CHECKING:
    from dragoman.serving.store import Store
    from dragoman.settings import Settings


@dataclass(frozen=True, slots=True)
class Place:
    """The installation a verb works on."""

    settings: Settings
    data: Path


@contextmanager
def storing() -> Iterator[None]:
    """Turns what the store says into Stop: 1 where it refuses what was asked, 3 where it cannot be used."""
    from dragoman.store.clientkeys import StoreConflict
    from dragoman.store.engine import StoreError

    try:
        yield
    except StoreConflict as error:
        raise Stop(str(error)) from None
    except StoreError as error:
        raise Stop(str(error), NO_STORE) from None


def place(config: Path | None, data_dir: Path | None, variables: Iterable[str | None] = ()) -> Place:
    """Settings and data directory; `variables` are names that options refer to. Raises SettingsError."""
    from dragoman.serving.secret import data_directory
    from dragoman.settings import load

    return Place(load(config, variables=variables), data_directory(data_dir))


def run(
    config: Path | None,
    data_dir: Path | None,
    work: Callable[[Place], Awaitable[None]],
    *,
    variables: Iterable[str | None] = (),
) -> None:
    """Runs a verb on an installation whose store it does not open, or opens in its own way."""

    async def begin(here: Place) -> None:
        await work(here)

    with plainly(), storing():
        asyncio.run(begin(place(config, data_dir, variables)))


def over_store(
    config: Path | None,
    data_dir: Path | None,
    work: Callable[[Place, Store], Awaitable[None]],
    *,
    variables: Iterable[str | None] = (),
) -> None:
    """Runs a verb with the store open; `variables` are names that its options refer to."""

    async def begin(here: Place) -> None:
        from dragoman.serving.store import opened

        async with opened(here.settings, here.data, monotonic=time.monotonic) as store:
            await work(here, store)

    run(config, data_dir, begin, variables=variables)


def say(*lines: str) -> None:
    """Lines for people."""
    for line in lines:
        typer.echo(line)


@contextmanager
def handing_out() -> Iterator[list[str]]:
    """For what is shown once and never again. Where output fails the list gets why, and nothing is raised.

    What was made is then of no use to anybody: the caller undoes it and says so.
    """
    lost: list[str] = [] if hasattr(sys.stdout, "write") else ["it is closed"]
    try:
        yield lost
    except OSError as error:
        lost.append(error.strerror or type(error).__name__)


def warn(line: str) -> None:
    """A line beside the result."""
    typer.echo(f"dragoman: {line}", err=True)


def say_json(value: Any) -> None:
    """A result for programs."""
    typer.echo(json.dumps(value, indent=2))


def say_table(head: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> None:
    """Rows under their head, aligned; `empty` where there are none."""
    lines = [[cell or "-" for cell in row] for row in rows]
    if not lines:
        say(empty)
        return
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    for line in ([name.upper() for name in head], *lines):
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def say_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Names and values, one a line."""
    pairs = list(fields)
    width = max(len(name) for name, _ in pairs)
    say(*(f"{name.ljust(width)}  {value}".rstrip() for name, value in pairs))
