"""Looks for leases that nobody will give back: places at the gate and calls on accounts whose task is gone.

With leases as context managers there is never one. Should a fault of ours make one all the same, it must be
loud, and must not take a place away for ever: what was found twice in a row is told and given back. It
judges by who took a lease, never by how long it is held: a stream may last for hours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dragoman.gateway.beside import Beside

LOOK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Held:
    """An open lease: on what, of which key or account, by which task (None: not known).

    `lease` is the thing itself; `give_back` ends it and does nothing when it was given back meanwhile.
    """

    what: Literal["place", "call"]
    whose: str
    owner: asyncio.Future[Any] | None
    lease: object
    give_back: Callable[[], None]


def lost(held: Sequence[Held]) -> list[Held]:
    """Which leases are held for nobody.

    A lease whose task has ended is lost. A call is made by somebody who has a place: calls of unknown owners
    beyond the places are lost, the oldest first.
    """
    found = [one for one in held if one.owner is not None and one.owner.done()]
    places = sum(one.what == "place" for one in held)
    calls = [one for one in held if one.what == "call"]
    unknown = [one for one in calls if one.owner is None]
    return found + unknown[: min(len(unknown), max(0, len(calls) - places))]


class Janitor(Beside):
    """The job of one process. `open_leases` are those of the moment; `told` gets what a look gave back.

    `found` counts all of them since the start: anything but 0 is a fault of this gateway.
    """

    def __init__(
        self,
        open_leases: Callable[[], Iterable[Held]],
        told: Callable[[Sequence[Held]], None],
        *,
        seconds: float = LOOK_SECONDS,
    ) -> None:
        self._open = open_leases
        self._told = told
        self._seconds = seconds
        self._suspects: list[object] = []
        self.found = 0

    def look(self) -> list[Held]:
        """Gives back what was held for nobody at the last look already; returns and tells it.

        A generator that was dropped is closed by the loop a moment later: that is no leak yet.
        """
        now = lost(list(self._open()))
        sure = [one for one in now if any(one.lease is suspect for suspect in self._suspects)]
        self._suspects = [one.lease for one in now if one not in sure]
        for one in sure:
            one.give_back()
        if sure:
            self.found += len(sure)
            self._told(sure)
        return sure

    async def _loop(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            self.look()
