"""What the admin API works with: handed over once by the composition root, read by every route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dragoman.gateway.house import House
from dragoman.onboarding.intake import Configured, Intake
from dragoman.onboarding.probe import Prober
from dragoman.settings import Settings
from dragoman.store.accounts import Accounts
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
from dragoman.upstream.oauth import Issuer
from dragoman.web.admin.passwords import Passwords
from dragoman.web.admin.throttle import Throttle
from dragoman.web.admin.underway import SignIns


def _nothing_to_show() -> list[dict[str, Any]]:
    return []


async def _nothing_to_read() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Onboarding:
    """Who logs accounts in and tries them, and the accounts that the configuration has."""

    issuer: Issuer
    prober: Prober
    configured: Configured


@dataclass(frozen=True, slots=True)
class AdminHouse:
    """`settings_view` tells each setting's value and origin, secrets masked. `refresh` makes this process
    read the store again at once after a change (others do within a second).
    `fixed` names the keys that exist beyond the configuration's table (the demo's), `file_aliases` are those
    that the house began with, before the store's. `pool_view` tells how this process's pool has each account,
    as routing.pool.Pool.describe does.
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
    onboarding: Onboarding
    version: str
    started_at: float
    settings_view: Callable[[], Sequence[Mapping[str, Any]]] = _nothing_to_show
    refresh: Callable[[], Awaitable[None]] = _nothing_to_read
    fixed: tuple[str, ...] = ()
    file_aliases: tuple[Alias, ...] = ()
    pool_view: Callable[[], list[dict[str, Any]]] = _nothing_to_show
    signins: SignIns = field(default_factory=SignIns)
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

    def accounts(self, database: Database | None = None) -> Accounts:
        return Accounts(database or self.database, self.ring, self.facts.pepper)

    def intake(self, actor: str) -> Intake:
        """Takes accounts in, noted as this actor's."""

        def noting(action: str, name: str, detail: Mapping[str, Any]) -> Accounts:
            return self.accounts(self.noting(actor, action, f"account:{name}", detail))

        return Intake(self.accounts(), noting, self.onboarding.configured)

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
