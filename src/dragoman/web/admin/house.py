"""What the admin API works with: handed over once by the composition root, read by every route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dragoman.gateway.house import House
from dragoman.settings import Settings
from dragoman.store.audit import Entry, NotingDatabase
from dragoman.store.clientkeys import ClientKeys
from dragoman.store.engine import Database
from dragoman.store.facts import Facts
from dragoman.store.health import Health
from dragoman.store.names import Aliases, PriceOverrides
from dragoman.store.people import People
from dragoman.store.ring import Ring
from dragoman.store.tokens import Tokens
from dragoman.store.writer import Writer
from dragoman.telemetry.live import Live
from dragoman.telemetry.logs import Logger
from dragoman.translate.models import Alias
from dragoman.web.admin.passwords import Passwords
from dragoman.web.admin.throttle import Throttle


def _nothing_to_show() -> list[dict[str, Any]]:
    return []


async def _nothing_to_read() -> None:
    return None


@dataclass(frozen=True, slots=True)
class AdminHouse:
    """`settings_view` tells each setting's value and origin, secrets masked. `refresh` makes this process
    read the store again at once after a change (others do within a second).
    `fixed` names the keys that exist beyond the configuration's table (the demo's), `file_aliases` are those
    that the house began with, before the store's.
    """

    house: House
    settings: Settings
    database: Database
    ring: Ring
    facts: Facts
    writer: Writer
    health: Health
    live: Live
    logger: Logger
    version: str
    started_at: float
    settings_view: Callable[[], Sequence[Mapping[str, Any]]] = _nothing_to_show
    refresh: Callable[[], Awaitable[None]] = _nothing_to_read
    fixed: tuple[str, ...] = ()
    file_aliases: tuple[Alias, ...] = ()
    passwords: Passwords = field(default_factory=Passwords)
    throttle: Throttle = field(default_factory=Throttle)

    @property
    def now(self) -> float:
        """Epoch seconds."""
        return self.house.clock.now()

    def noting(
        self, actor: str, action: str, subject: str, detail: Mapping[str, Any] | None = None
    ) -> Database:
        """The database; what is written next is noted in the audit trail."""
        return NotingDatabase(self.database, Entry(actor, action, subject, self.now, detail or {}))

    def keys(self, database: Database | None = None) -> ClientKeys:
        return ClientKeys(database or self.database, self.facts.pepper)

    def aliases(self, database: Database | None = None) -> Aliases:
        return Aliases(database or self.database)

    def prices(self, database: Database | None = None) -> PriceOverrides:
        return PriceOverrides(database or self.database)

    def people(self, database: Database | None = None) -> People:
        return People(database or self.database, self.ring, self.facts.pepper)

    def tokens(self, database: Database | None = None) -> Tokens:
        return Tokens(database or self.database, self.facts.pepper)

    async def changed(self) -> None:
        """Takes in what was just changed; where that fails now, the watch does it later."""
        try:
            await self.refresh()
        except Exception as error:
            # The change itself is done.
            self.logger.warning("refresh_failed", exc=error)
