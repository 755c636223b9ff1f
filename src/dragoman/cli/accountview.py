"""How accounts are shown: those of the configuration file and of the store, in words and as JSON.

No credential is ever in it. What an account of the file has in the store, its state and its tokens' end, is
shown with it, and so is what an upstream said of it that is not over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dragoman.cli.moments import iso, shown
from dragoman.routing.health import REMEDIES
from dragoman.routing.quota import QuotaRow, Quotas
from dragoman.routing.readings import MAIN, Window
from dragoman.serving.store import Store
from dragoman.settings import Account, Settings
from dragoman.store.accounts import StoredAccount
from dragoman.store.clientkeys import NotThere
from dragoman.store.quotas import Quotas as StoredQuotas
from dragoman.store.rests import Rest, Rests
from dragoman.translate.messages.causes import Cause

HEAD = (
    "name",
    "kind",
    "state",
    "left",
    "account",
    "plan",
    "weight",
    "priority",
    "group",
    "token until",
    "from",
)
STORE, CONFIG, GONE = "store", "config", "another config"
_STATES = {"active": "active", "paused": "paused", "needs_login": "needs login", "dead": "closed"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One account. `row` is what the file says of it, `kept` what the store does; one of them is there."""

    row: Account | None
    kept: StoredAccount | None
    quota: Sequence[QuotaRow] = ()
    rests: Sequence[Rest] = ()

    @property
    def name(self) -> str:
        return self.row.name if self.row is not None else self._kept.name

    @property
    def source(self) -> str:
        if self.row is not None:
            return CONFIG
        return GONE if self._kept.configured else STORE

    @property
    def state(self) -> str:
        """In a few words. What was said of single models is no state of the account."""
        if self.kept is not None and self.kept.status != "active":
            return _STATES[self.kept.status]
        whole = max((rest.until for rest in self.rests if not rest.model), default=None)
        return "active" if whole is None else f"rests until {shown(whole)}"

    @property
    def _kept(self) -> StoredAccount:
        assert self.kept is not None
        return self.kept

    def table(self) -> dict[str, Any]:
        """For programs."""
        row, kept = self.row, self.kept
        decided = row if row is not None else self._kept
        models = decided.models
        return {
            "name": self.name,
            "id": None if kept is None else kept.id,
            "kind": decided.kind,
            "source": self.source,
            "read_only": row is not None,
            "base_url": decided.base_url,
            "status": "active" if kept is None else kept.status,
            "note": None if kept is None else kept.note,
            "email": None if kept is None else kept.email,
            "plan": None if kept is None else kept.plan,
            "weight": decided.weight,
            "priority": decided.priority,
            "group": decided.group,
            "concurrency": decided.concurrency,
            "models": None if models is None else list(models),
            "created_at": None if kept is None else iso(kept.created_at),
            "last_refresh_at": None if kept is None else iso(kept.last_refresh),
            "access_expires_at": None if kept is None else iso(kept.access_expires_at),
            "rests": [
                {"model": rest.model or None, "reason": _reason(rest), "until": iso(rest.until)}
                for rest in self.rests
            ],
        }

    def line(self) -> tuple[str, ...]:
        """One line of a list; its head is HEAD."""
        told = self.table()
        return (
            self.name,
            told["kind"],
            self.state,
            self.left(),
            told["email"] or "",
            told["plan"] or "",
            f"{told['weight']:g}",
            str(told["priority"]),
            told["group"],
            "" if self.kept is None else shown(self.kept.access_expires_at),
            self.source if self.row is None else f"{self.source} (read-only)",
        )

    def worries(self) -> list[str]:
        """What somebody has to do about it, a sentence each."""
        if self.kept is None or self.kept.status not in ("needs_login", "dead"):
            return []
        what = "put a new login into its auth_file" if self.row is not None else self._again()
        said = f" {self.kept.note.rstrip('.')}" if self.kept.note else ""
        return [f"{self.name}: {self.state}:{said or ' its login is over'}: {what}"]

    def _again(self) -> str:
        if self._kept.status == "dead":
            return f"dragoman account remove {self.name}"
        return f"dragoman account login {self.name}"

    def fields(self) -> list[tuple[str, str]]:
        """Everything, for people."""
        told = self.table()
        found = [
            ("name", self.name),
            ("from", self.source if self.row is None else f"{self.source} (read-only)"),
            ("kind", told["kind"]),
            ("address", told["base_url"]),
            ("state", self.state),
        ]
        if self.kept is not None and self.kept.note:
            found.append(("because", self.kept.note))
        for rest in self.rests:
            found.append(
                ("rests", f"{rest.model or 'every model'} until {shown(rest.until)}: {_reason(rest)}")
            )
        found += [
            ("account", told["email"] or "-"),
            ("plan", told["plan"] or "-"),
            ("weight", f"{told['weight']:g}"),
            ("priority", str(told["priority"])),
            ("group", told["group"] or "-"),
            ("concurrency", "unbounded" if told["concurrency"] is None else str(told["concurrency"])),
            ("models", "any" if told["models"] is None else ", ".join(told["models"]) or "none"),
        ]
        if self.kept is not None:
            found += [("id", self.kept.id), ("added", shown(self.kept.created_at))]
            if self.kept.kind == "chatgpt":
                found += [
                    ("last refresh", shown(self.kept.last_refresh)),
                    ("token until", shown(self.kept.access_expires_at)),
                ]
        return found

    def quota_table(self) -> list[dict[str, Any]]:
        """What was last heard of its windows, for programs."""
        return [{**row, "resets_at": iso(row["resets_at"])} for row in self.quota]

    def quota_fields(self) -> list[tuple[str, str]]:
        """The same, for people."""
        return [
            (
                f"{row['window']} of {row['meter']}",
                f"{row['remaining']:.0%} left, reset {shown(row['resets_at'], 'not told')} "
                f"({row['confidence']}, heard {_length(int(row['age']))} ago)",
            )
            for row in self.quota
        ]

    def left(self) -> str:
        """The window that ends first, in a word."""
        rows = [row for row in self.quota if row["meter"] == MAIN]
        if not rows:
            return ""
        least = min(rows, key=lambda row: row["remaining"])
        return f"{least['remaining']:.0%} of {least['window']}"


def of_store(account: StoredAccount) -> Shown:
    """An account of the store."""
    return Shown(None, account)


async def every(settings: Settings, store: Store, now: float) -> list[Shown]:
    """All accounts: the file's in its order, then the store's by name. Raises StoreError."""
    kept = await store.accounts.listed(configured=True)
    shadows = {one.name: one for one in kept if one.configured}
    rows = [Shown(row, shadows.pop(row.name, None)) for row in settings.accounts]
    rows += [of_store(one) for one in kept if not one.configured]
    rows += [of_store(one) for one in shadows.values()]
    heard: dict[str, list[Window]] = {}
    for quota in await StoredQuotas(store.database).load():
        if quota.seconds > 0:
            heard.setdefault(quota.account_id, []).append(
                Window(quota.meter, quota.seconds, quota.used, quota.resets_at, quota.seen_at, "header")
            )
    resting: dict[str, list[Rest]] = {}
    for rest in await Rests(store.database).load(now):
        resting.setdefault(rest.account, []).append(rest)
    return [replace(row, quota=_rows(row, heard, now), rests=resting.get(row.name, ())) for row in rows]


def _rows(row: Shown, heard: Mapping[str, Sequence[Window]], now: float) -> list[QuotaRow]:
    quotas = Quotas()
    for name in (f"config:{row.name}", "" if row.kept is None else row.kept.id):
        quotas.learn(heard.get(name, ()))
    return quotas.rows(now)


async def one(settings: Settings, store: Store, name: str, now: float) -> Shown:
    """One account with its quota. Raises NotThere, StoreError."""
    for row in await every(settings, store, now):
        if name in (row.name, row.kept.id if row.kept is not None else None):
            return row
    raise NotThere(f"there is no account {name!r}")


def _reason(rest: Rest) -> str:
    """The word that the log has for it, too."""
    try:
        return REMEDIES[Cause(rest.cause)].word
    except ValueError:  # a cause of a newer version
        return rest.cause


def _length(seconds: int) -> str:
    for unit, word in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit:
            return f"{seconds // unit}{word}"
    return f"{seconds}s"
