"""Client keys as they are shown: those of the store and, read-only, those of the configuration file.

It shows what recognises a key, never what would open anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dragoman.budget.limits import Limit, Meter, limit_table, reset_text
from dragoman.cli.moments import iso, shown
from dragoman.cli.served import CONFIG, DEMO, STORE
from dragoman.serving import configured
from dragoman.settings import Key, Settings
from dragoman.store import usage
from dragoman.store.clientkeys import ClientKey, KeySpec
from dragoman.store.engine import Database

DEMO_NAME = "demo"
HEAD = ("name", "key", "state", "models", "limits", "expires", "last used", "from")
_NANO = 10**9


@dataclass(frozen=True, slots=True)
class Shown:
    """A key of any place. `stored` is None for one that is not of the store, and read-only here."""

    spec: KeySpec
    stored: ClientKey | None
    source: str

    def state(self, now: float) -> str:
        """active, off, revoked or expired."""
        if self.stored is not None and not self.stored.active:
            return "revoked" if self.stored.revoked else "off"
        ended = self.spec.expires_at is not None and self.spec.expires_at <= now
        return "expired" if ended else "active"

    def table(self, now: float) -> dict[str, Any]:
        """For programs."""
        spec, stored = self.spec, self.stored
        return {
            "name": spec.name,
            "id": None if stored is None else stored.id,
            "source": self.source,
            "read_only": stored is None,
            "hint": None if stored is None else stored.hint,
            "state": self.state(now),
            "tags": list(spec.tags),
            "models": None if spec.models is None else list(spec.models),
            "default_effort": spec.default_effort,
            "enforced_effort": spec.enforced_effort,
            "max_effort": spec.max_effort,
            "concurrency": spec.concurrency,
            "account_groups": None if spec.account_groups is None else list(spec.account_groups),
            "limits": [limit_table(limit) for limit in spec.limits],
            "expires_at": iso(spec.expires_at),
            "created_at": None if stored is None else iso(stored.created_at),
            "revoked_at": None if stored is None else iso(stored.revoked_at),
            "last_used_at": None if stored is None else iso(stored.last_used_at),
            "previous_until": iso(self.previous(now)),
        }

    def previous(self, now: float) -> float | None:
        """Until when the text before the last rotation works."""
        until = None if self.stored is None else self.stored.previous_until
        return until if until is not None and until > now else None

    def line(self, now: float) -> tuple[str, ...]:
        """One line of a list; its head is HEAD."""
        spec, stored = self.spec, self.stored
        return (
            spec.name,
            "" if stored is None else stored.hint,
            self.state(now),
            "all" if spec.models is None else ", ".join(spec.models),
            "; ".join(limit.describe() for limit in spec.limits),
            shown(spec.expires_at),
            "" if stored is None else shown(stored.last_used_at, "never"),
            self.source if stored is not None else f"{self.source} (read-only)",
        )

    def fields(self, now: float) -> list[tuple[str, str]]:
        """Everything, for people."""
        spec, stored = self.spec, self.stored
        efforts = {"default": spec.default_effort, "enforced": spec.enforced_effort, "max": spec.max_effort}
        found = [
            ("name", spec.name),
            ("from", self.source if stored is not None else f"{self.source} (read-only)"),
            ("state", self.state(now)),
            ("models", "all" if spec.models is None else ", ".join(spec.models)),
            ("limits", "; ".join(limit.describe() for limit in spec.limits) or "none"),
            ("effort", ", ".join(f"{name} {level}" for name, level in efforts.items() if level) or "-"),
            ("concurrency", "unbounded" if spec.concurrency is None else str(spec.concurrency)),
            ("accounts", _served_by(spec)),
            ("tags", ", ".join(spec.tags) or "-"),
            ("expires", shown(spec.expires_at, "never")),
        ]
        if stored is None:
            return found
        found += [
            ("id", stored.id),
            ("ends with", stored.hint),
            ("created", shown(stored.created_at)),
            ("last used", shown(stored.last_used_at, "never")),
        ]
        if stored.revoked:
            found.append(("revoked", shown(stored.revoked_at)))
        if (until := self.previous(now)) is not None:
            found.append(("old key until", shown(until)))
        return found


def of_store(key: ClientKey) -> Shown:
    """A key of the store."""
    return Shown(key.spec, key, STORE)


def of_file(settings: Settings) -> list[Shown]:
    """The keys of the configuration, and the demo's where there is nothing else. Raises SettingsError."""
    if configured.is_demo(settings):
        return [Shown(KeySpec(DEMO_NAME), None, DEMO)]
    return [Shown(_spec(row), None, CONFIG) for row in settings.keys]


def _spec(row: Key) -> KeySpec:
    return KeySpec(
        name=row.name,
        tags=tuple(row.tags),
        models=None if row.models is None else tuple(row.models),
        default_effort=row.default_effort,
        enforced_effort=row.enforced_effort,
        max_effort=row.max_effort,
        concurrency=row.concurrency,
        expires_at=None if row.expires_at is None else row.expires_at.timestamp(),
        limits=configured.limits(row),
        account_groups=None if row.account_groups is None else tuple(row.account_groups),
    )


def _served_by(spec: KeySpec) -> str:
    return "all" if spec.account_groups is None else f"of group {', '.join(spec.account_groups)}"


@dataclass(frozen=True, slots=True)
class Standing:
    """A limit as the store's sums have it; what open requests hold is known to the gateway alone."""

    limit: Limit
    used: int
    remaining: int
    resets_at: float | None

    def table(self) -> dict[str, Any]:
        """For programs; money in USD."""
        return {
            **limit_table(self.limit),
            "used": self._figure(self.used),
            "remaining": self._figure(self.remaining),
            "resets_at": None if self.resets_at is None else reset_text(self.resets_at),
        }

    def line(self) -> tuple[str, ...]:
        """For people, under LIMITS_HEAD."""
        return (
            self.limit.describe(),
            self._text(self.used),
            self._text(self.remaining),
            shown(self.resets_at, "never" if self.limit.per == "total" else "-"),
        )

    def _figure(self, amount: int) -> float | int:
        return amount / _NANO if self.limit.measure == "cost_usd" else amount

    def _text(self, amount: int) -> str:
        return f"${amount / _NANO:,.4f}" if self.limit.measure == "cost_usd" else f"{amount:,}"


LIMITS_HEAD = ("limit", "used", "remaining", "resets")


async def standing(database: Database, spec: KeySpec, now: float) -> list[Standing]:
    """Each limit of a key with what was settled under it. Raises StoreError."""
    found = []
    async with database.read() as connection:
        for limit in spec.limits:
            meter = Meter(limit)
            meter.load(await usage.settled(connection, spec.name, limit, now))
            line = meter.line(now)
            found.append(Standing(limit, line.used, line.remaining, line.resets_at))
    return found
