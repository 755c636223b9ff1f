"""Standard output that may fail: a full disk, a terminal that has gone, characters that it cannot show.

A failure is told once, as Undelivered, and what comes after it goes nowhere, so that the interpreter does
not complain at its end. A reader that has seen enough (BrokenPipeError) stays what it is. It prints nothing.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Undelivered(OSError):
    """What was to be written to standard output did not get there."""

    def __str__(self) -> str:
        return f"standard output: {self.strerror}"


class _Sink(io.FileIO):
    """Standard output's file."""

    _lost = False

    def write(self, data: ReadableBuffer, /) -> int:
        if self._lost:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as error:
            self._lost = True
            if isinstance(error, BrokenPipeError):
                raise
            raise Undelivered(error.errno, error.strerror) from None


def prepare() -> None:
    """Makes standard output one that fails in words, and shows `?` for what it cannot show."""
    out = sys.stdout
    if not isinstance(out, io.TextIOWrapper):  # closed from the beginning, or somebody else's
        return
    if os.name != "posix":  # a console of Windows is no file
        out.reconfigure(errors="replace")
        return
    out.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Sink(out.fileno(), "wb", closefd=False)),
        encoding=out.encoding,
        errors="replace",
        line_buffering=out.line_buffering or out.write_through,
    )


def finish() -> None:
    """Sends what still waits. Raises Undelivered."""
    if hasattr(sys.stdout, "flush"):
        with suppress(BrokenPipeError):
            sys.stdout.flush()
