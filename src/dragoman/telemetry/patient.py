"""Where log lines go: a stream whose reader may be slow, stuck or gone without anyone waiting for it.

A line is written at once where that cannot block. Otherwise it waits in a bounded memory for a thread of
its own; beyond the bound lines are dropped, counted, and the count is told once the reader is back. A full
disk or a closed pipe loses lines and nothing else. It knows no log format.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO

LIMIT_BYTES = 4 * 1024 * 1024
LAST_WORDS_SECONDS = 1.0
_PIECE = select.PIPE_BUF  # a pipe that polls as writable takes so much without blocking


class Patient:
    """The part of a text stream that a logger needs. `lost` words the line that tells of dropped ones."""

    def __init__(self, stream: TextIO, lost: Callable[[int], str], limit: int = LIMIT_BYTES) -> None:
        self._stream = stream
        self._lost = lost
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._thread: threading.Thread | None = None
        self._descriptor = _may_block(stream)
        if self._descriptor is not None:
            self._poll = select.poll()
            self._poll.register(self._descriptor, select.POLLOUT)
            atexit.register(self.finish)

    def write(self, text: str) -> int:
        """Takes whole lines. Never blocks for long, never raises."""
        if self._descriptor is None:
            with contextlib.suppress(OSError, ValueError):  # no space left; closed
                self._stream.write(text)
                self._stream.flush()
            return len(text)
        data = text.encode("utf-8", "replace")
        with self._lock:
            if self._thread is None:
                data = self._now(self._descriptor, data)
            if data:
                self._later(self._descriptor, data)
        return len(text)

    def flush(self) -> None:
        """Every write is flushed already."""

    def finish(self, seconds: float = LAST_WORDS_SECONDS) -> None:
        """Waits for the lines that wait, within a limit."""
        if (thread := self._thread) is not None:
            thread.join(seconds)

    def _now(self, descriptor: int, data: bytes) -> bytes:
        """Writes as much as cannot block; returns the rest."""
        try:
            while data and self._poll.poll(0):
                data = data[os.write(descriptor, data[:_PIECE]) :]
        except BlockingIOError:
            return data
        except OSError:  # the reader is gone
            return b""
        return data

    def _later(self, descriptor: int, data: bytes) -> None:
        if self._size + len(data) > self._limit:
            self._dropped += 1
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._drain, args=(descriptor,), name="log lines", daemon=True
            )
            self._thread.start()

    def _drain(self, descriptor: int) -> None:
        while True:
            with self._lock:
                if self._dropped and not self._waiting:
                    self._waiting.append(self._lost(self._dropped).encode("utf-8", "replace"))
                    self._size += len(self._waiting[0])
                    self._dropped = 0
                if not self._waiting:
                    self._thread = None
                    return
                data = self._waiting.popleft()
            self._wait_and_write(descriptor, data)
            with self._lock:
                self._size -= len(data)

    def _wait_and_write(self, descriptor: int, data: bytes) -> None:
        with contextlib.suppress(OSError):
            while data:
                self._poll_alone(descriptor)
                with contextlib.suppress(BlockingIOError):  # somebody else's bytes came first
                    data = data[os.write(descriptor, data[:_PIECE]) :]

    @staticmethod
    def _poll_alone(descriptor: int) -> None:
        # A poll object may not be used by two threads at once.
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        poll.poll()


def _may_block(stream: TextIO) -> int | None:
    """The descriptor of a pipe, socket or terminal; None for a file or memory, which do not wait."""
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError, io.UnsupportedOperation, AttributeError):
        return None
    return None if stat.S_ISREG(mode) else descriptor
