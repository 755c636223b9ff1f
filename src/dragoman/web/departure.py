"""Whether a client has left, or was sent away: told once, by a call, to whom asked for it.

A door that serves for long would need a task of its own to wait for `receive`; a call costs nothing until it
is made. It stands in the scope of every request, under EXTENSION.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dragoman.wire.errors import Failure

EXTENSION = "dragoman.departure"


class Departure:
    """One request's client on its way out. It holds neither request nor connection, so it closes no cycle.

    request_id  what the request is called, as soon as anybody has told the client or the log; "" before
    refusal     why the connection was closed to a client that had not left; it has been told
    """

    __slots__ = ("_heard", "_listen", "happened", "refusal", "request_id")

    def __init__(self, listen: Callable[[], Any]) -> None:
        self._listen = listen
        self._heard: Callable[[], Any] | None = None
        self.happened = False
        self.request_id = ""
        self.refusal: Failure | None = None

    def watch(self, heard: Callable[[], Any]) -> None:
        """Calls `heard` once when the client leaves, at once if it has left. The body must have been read.

        Whoever closes a connection is noticed only while it is read, so the reading is taken up again.
        """
        if self.happened:
            heard()
            return
        self._heard = heard
        self._listen()

    def forget(self) -> None:
        """From now on nobody is called."""
        self._heard = None

    def happen(self) -> None:
        """The client left."""
        self.happened = True
        heard, self._heard = self._heard, None
        if heard is not None:
            heard()
