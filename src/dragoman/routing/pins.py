"""Which account each conversation belongs to.

It decides how long a conversation is remembered, how many there are at most, and what a store has to be
told of it. It never chooses an account.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

# A conversation counts as live on its account for as long as an upstream cache may live.
LIVE_SECONDS = 1800.0
# Somebody who comes back the next morning is still known, to save what may be left.
KEPT_SECONDS = 24 * 3600.0
# A store needs no write for every turn: the moment of last use may lag behind by so much.
TOUCH_SECONDS = 300.0
# What another process tells of comes behind what happened here meanwhile: so far may the order be wrong.
LATE_SECONDS = 10.0


class Kept(NamedTuple):
    """A pin as a store keeps it. `account` None: forget it. `used_at` in epoch seconds."""

    affinity: str
    account: str | None
    used_at: float


@dataclass(slots=True)
class Pin:
    """The account of one conversation.

    warm      it has answered there, so that something of it is cached
    stand_in  who helped out last
    away      the last turn went elsewhere because the account could not be asked, or failed
    failed    it failed a turn that nobody has answered since
    told_at   the moment of use that the store knows
    """

    account: str
    used_at: float
    warm: bool = False
    stand_in: str | None = None
    away: bool = False
    failed: bool = False
    told_at: float = 0.0


class Pins:
    """At most `size` pins; the longest unused ones go first. Times are epoch seconds of one clock."""

    def __init__(self, size: int = 20_000) -> None:
        self._size = size
        self._pins: OrderedDict[str, Pin] = OrderedDict()
        # The live ones, longest unused first, with the account they are counted under.
        self._live: OrderedDict[str, str] = OrderedDict()
        self.live: dict[str, int] = {}
        self.moved: set[str] = set()
        self._changed: dict[str, Kept] = {}

    def __len__(self) -> int:
        return len(self._pins)

    def get(self, affinity: str, now: float) -> Pin | None:
        """The pin of a conversation, as long as it is remembered."""
        pin = self._pins.get(affinity)
        if pin is not None and now - pin.used_at > KEPT_SECONDS:
            self._forget(affinity)
            return None
        return pin

    def use(self, affinity: str, now: float) -> None:
        """Notes a use of a pin that exists."""
        pin = self._pins[affinity]
        pin.used_at = max(pin.used_at, now)
        self._pins.move_to_end(affinity)
        self._count(affinity, pin.account)
        if pin.used_at - pin.told_at >= TOUCH_SECONDS:
            self._tell(affinity, pin)

    def put(self, affinity: str, account: str, now: float, *, warm: bool = False) -> Pin:
        """Gives a conversation to an account."""
        pin = self._pins[affinity] = Pin(account, now, warm)
        self._pins.move_to_end(affinity)
        self._count(affinity, account)
        self._tell(affinity, pin)
        while len(self._pins) > self._size:
            self._forget(next(iter(self._pins)))
        return pin

    def load(self, pins: Iterable[Kept], now: float) -> None:
        """Takes over what a store or another process knows; what is newer here stays."""
        for kept in sorted(pins, key=lambda kept: kept.used_at):
            known = self._pins.get(kept.affinity)
            used_at = min(kept.used_at, now)
            if kept.account is None or now - used_at > KEPT_SECONDS:
                continue
            if known is not None and known.used_at >= used_at:
                continue
            pin = Pin(kept.account, used_at, warm=True, told_at=used_at)
            if known is not None and known.account == kept.account:
                pin.stand_in, pin.away = known.stand_in, known.away
            self._pins[kept.affinity] = pin
            self._pins.move_to_end(kept.affinity)
            if now - used_at <= LIVE_SECONDS:
                self._count(kept.affinity, kept.account)
            self._changed.pop(kept.affinity, None)
        while len(self._pins) > self._size:
            self._forget(next(iter(self._pins)))

    def sweep(self, now: float) -> None:
        """Lets go of what was not used for long."""
        for affinity in self._unused(self._live, now - LIVE_SECONDS):
            self._uncount(affinity)
        for affinity in self._unused(self._pins, now - KEPT_SECONDS):
            self._forget(affinity)

    def _unused(self, order: Iterable[str], since: float) -> list[str]:
        """Those of an order, longest unused first, that were used last before `since`."""
        found = []
        for affinity in order:
            used_at = self._pins[affinity].used_at
            if used_at < since:
                found.append(affinity)
            elif used_at > since + LATE_SECONDS:
                break
        return found

    def changed(self) -> list[Kept]:
        """What a store has not been told yet; it counts as told from now on."""
        changes = list(self._changed.values())
        self._changed.clear()
        return changes

    def _tell(self, affinity: str, pin: Pin) -> None:
        pin.told_at = pin.used_at
        self._note(Kept(affinity, pin.account, pin.used_at))

    def _forget(self, affinity: str) -> None:
        pin = self._pins.pop(affinity)
        self._uncount(affinity)
        self._note(Kept(affinity, None, pin.used_at))

    def _note(self, kept: Kept) -> None:
        """Keeps a change until it is asked for; without a store nobody ever asks."""
        self._changed[kept.affinity] = kept
        if len(self._changed) > 2 * self._size:
            del self._changed[next(iter(self._changed))]

    def _count(self, affinity: str, account: str) -> None:
        if self._live.get(affinity) != account:
            self._uncount(affinity)
            self._live[affinity] = account
            self.live[account] = self.live.get(account, 0) + 1
            self.moved.add(account)
        self._live.move_to_end(affinity)

    def _uncount(self, affinity: str) -> None:
        account = self._live.pop(affinity, None)
        if account is not None:
            self.live[account] -= 1
            self.moved.add(account)
            if not self.live[account]:
                del self.live[account]
