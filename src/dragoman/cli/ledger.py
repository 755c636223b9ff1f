"""What the verbs that read the request log share: the open store, moments in options, output that may end.

Nothing heavy is imported before a verb runs. A reader of standard output that has seen enough is no failure.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dragoman.cli import errand
from dragoman.cli.options import MISUSED, Stop
from dragoman.cli.past import moment

if TYPE_CHECKING:
    from dragoman.serving.store import Store


def over_store(
    config: Path | None,
    data_dir: Path | None,
    work: Callable[[Store], Awaitable[None]],
    *,
    endless: bool = False,
) -> None:
    """Runs a verb that reads the open store; who reads its output may leave.

    `endless` work is done when somebody interrupts it.
    """

    async def begin(_: errand.Place, store: Store) -> None:
        await work(store)

    with _output():
        try:
            errand.over_store(config, data_dir, begin)
        except KeyboardInterrupt:
            raise typer.Exit(0 if endless else 130) from None


def at(option: str, text: str | None) -> float | None:
    """The moment of an option in epoch seconds. Raises Stop naming the option."""
    if text is None:
        return None
    try:
        return moment(text, time.time())
    except ValueError as error:
        raise Stop(f"{option}: {error}", MISUSED) from None


def write(data: bytes) -> None:
    """Sends bytes to standard output now."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def write_lines(lines: Iterable[str]) -> None:
    """Sends lines of text; characters that the terminal cannot show become `?`."""
    text = "".join(f"{line}\n" for line in lines)
    write(text.encode(sys.stdout.encoding or "utf-8", "replace"))


def printable(text: str) -> str:
    """Text of clients without what would move a terminal's cursor or colour it."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


@contextmanager
def _output() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        # The interpreter flushes once more at its end: into nothing, so that it does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
