"""Accounts of the pool in the store: added once each, paused, changed, removed, and their sealed credentials.

It decides what makes an account the same one when it is seen again, and that tokens are never overwritten by
older ones. It talks to nobody: logging in and refreshing are done elsewhere. Credentials are in no repr, no
error and no entry of the audit trail. Every change bumps the revision.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from sqlalchemy import Row, case, delete, insert, null, or_, select, update
from sqlalchemy.exc import IntegrityError

from dragoman.gateway.credentials import digest
from dragoman.store import facts
from dragoman.store.clientkeys import NotThere, StoreConflict
from dragoman.store.core import AsyncConnection
from dragoman.store.engine import Database
from dragoman.store.ring import Ring
from dragoman.store.tables import accounts, quotas
from dragoman.wire import jsonio

Kind = Literal["openai", "responses", "chatgpt"]
Status = Literal["active", "paused", "needs_login", "dead"]
# The identity of an account of the configuration file; no other begins like this.
CONFIG = "config:"
_LONGEST_ID = 128
_NOTE = 256
_VERSION = 6


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an account is used with; which of them there are depends on its kind."""

    api_key: str | None = field(default=None, repr=False)
    organization: str | None = field(default=None, repr=False)
    project: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    account_id: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """What is decided about an account. Of `priority` the highest goes first; `group` "" for none."""

    name: str
    kind: Kind
    base_url: str
    email: str | None = None
    plan: str | None = None
    weight: float = 1.0
    priority: int = 0
    group: str = ""
    concurrency: int | None = None
    models: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account as the store has it, its credentials sealed. Times in epoch seconds.

    `version` is another number after every login and every change by an operator, not after a refresh.
    """

    id: str
    name: str
    kind: Kind
    base_url: str
    identity: str
    email: str | None
    plan: str | None
    status: Status
    weight: float
    priority: int
    group: str
    concurrency: int | None
    models: tuple[str, ...] | None
    created_at: float
    last_refresh: float | None
    access_expires_at: float | None
    note: str | None
    version: int = field(default=0, compare=False)
    sealed: str = field(default="", repr=False, compare=False)

    @property
    def configured(self) -> bool:
        """Whether it belongs to the configuration file, and only its tokens are kept here."""
        return self.identity.startswith(CONFIG)


class Added(NamedTuple):
    """The account, and whether it is new: one that was there keeps its name and what was decided about it."""

    account: StoredAccount
    created: bool


class Accounts:
    """The repository. `pepper` keys the marks that stand for keys and tokens."""

    def __init__(self, database: Database, ring: Ring, pepper: bytes) -> None:
        self._database = database
        self._ring = ring
        self._pepper = pepper

    def mark(self, token: str) -> bytes:
        """32 bytes that stand for a refresh token."""
        return digest(self._pepper, token)

    def identity(
        self, kind: Kind, base_url: str, credentials: Credentials, workspace: str | None = None
    ) -> str:
        """What an account is recognised by; `workspace` is the workspace, organisation or email of a plan.

        Raises StoreConflict for credentials that say too little.
        """
        if kind != "chatgpt":
            said = "\n".join((kind, base_url.rstrip("/"), credentials.api_key or ""))
            return f"{kind}:{digest(self._pepper, said).hex()}"
        account_id = credentials.account_id
        if not account_id:
            raise StoreConflict("the login names no account: sign in again and choose a workspace")
        if len(account_id) > _LONGEST_ID:
            account_id = hashlib.sha256(account_id.encode()).hexdigest()
        place = (workspace or "").strip().lower().encode()
        return f"chatgpt:{account_id}:{hashlib.sha256(place).hexdigest()[:32]}"

    async def add(
        self,
        spec: AccountSpec,
        credentials: Credentials,
        now: float,
        *,
        workspace: str | None = None,
        expires_at: float | None = None,
        last_refresh: float | None = None,
    ) -> Added:
        """Adds an account, or gives new credentials to the one that it is.

        One that waited for a login is active again, a paused one stays paused. `expires_at` is the access
        token's end, in epoch seconds like all times. Raises StoreConflict for a taken name.
        """
        identity = self.identity(spec.kind, spec.base_url, credentials, workspace or spec.email)
        tokens = {"last_refresh": last_refresh, "access_expires_at": expires_at, **_another_version()}
        for last in (False, True):
            try:
                async with self._database.write(durable=True) as connection:
                    found = await _by_identity(connection, identity)
                    if found is None:
                        added = await self._insert(connection, spec, identity, credentials, now, tokens)
                    else:
                        told = {"base_url": spec.base_url, "email": spec.email, "plan": spec.plan}
                        change = {name: value for name, value in told.items() if value is not None}
                        await self._renew(connection, found.id, credentials, {**change, **tokens})
                        added = Added(await _one(connection, found.id), created=False)
                    await facts.bump(connection)
                return added
            except IntegrityError:
                # Of two that add the same account at once, one finds it the second time.
                if last:
                    raise StoreConflict(f"there is an account named {spec.name!r} already") from None
        raise RuntimeError("not reached")

    async def upsert_shadow(
        self,
        spec: AccountSpec,
        credentials: Credentials,
        now: float,
        *,
        expires_at: float | None = None,
        last_refresh: float | None = None,
    ) -> Added:
        """Keeps the tokens of an account of the configuration file, which itself is never written to.

        `credentials` are the file's. What was refreshed since stays, unless the file has other tokens than it
        had: then somebody has logged in anew and these count. Raises StoreConflict for a name that an
        account of the store has.
        """
        identity = CONFIG + spec.name
        origin = self._origin(credentials)
        tokens = {"last_refresh": last_refresh, "access_expires_at": expires_at, "origin_mark": origin}
        decided = _columns(spec)
        for last in (False, True):
            try:
                async with self._database.write(durable=True) as connection:
                    found = await _by_identity(connection, identity)
                    if found is None:
                        added = await self._insert(connection, spec, identity, credentials, now, tokens)
                    else:
                        same = found.origin_mark is not None and bytes(found.origin_mark) == origin
                        if same and all(getattr(found, name) == value for name, value in decided.items()):
                            return Added(_account(found), created=False)
                        if same:
                            row = update(accounts).where(accounts.c.id == found.id).values(decided)
                            await connection.execute(row)
                        else:
                            await self._renew(connection, found.id, credentials, {**decided, **tokens})
                        added = Added(await _one(connection, found.id), created=False)
                    await facts.bump(connection)
                return added
            except IntegrityError:
                if last:
                    raise StoreConflict(
                        f"accounts.{spec.name}: the store has an account of this name: rename one of them"
                    ) from None
        raise RuntimeError("not reached")

    async def forget_shadows(self, keep: Collection[str]) -> int:
        """Removes what is kept of accounts that the configuration file no longer has; returns how many."""
        gone = [one for one in await self.listed(configured=True) if one.configured and one.name not in keep]
        for account in gone:
            async with self._database.write() as connection:
                await _drop(connection, account.id)
                await facts.bump(connection)
        return len(gone)

    async def listed(self, *, configured: bool = False) -> list[StoredAccount]:
        """Every account by name; `configured` also what is kept of those of the configuration file."""
        async with self._database.read() as connection:
            return [one for one in await read(connection) if configured or not one.configured]

    async def get(self, name: str) -> StoredAccount:
        """The account of a name or id. Raises NotThere."""
        async with self._database.read() as connection:
            return await _one(connection, name)

    async def credentials(self, account_id: str) -> Credentials:
        """What an account is used with. Raises NotThere, and StoreError where no key of the ring opens it."""
        return self.opened(await self.by_id(account_id))

    async def by_id(self, account_id: str) -> StoredAccount:
        """The account as it is now. Raises NotThere."""
        async with self._database.read() as connection:
            query = select(accounts).where(accounts.c.id == account_id)
            found = (await connection.execute(query)).first()
        if found is None:
            raise NotThere(f"there is no account {account_id!r}")
        return _account(found)

    def opened(self, account: StoredAccount) -> Credentials:
        """What an account that was read is used with. Raises StoreError where no key of the ring opens it."""
        told = jsonio.parse(self._ring.open(_record(account.id), account.sealed))
        return Credentials(**{name: told.get(name) for name in Credentials.__slots__})

    async def find(self, identity: str) -> StoredAccount | None:
        """The account of the store that `identity` recognises."""
        async with self._database.read() as connection:
            found = (
                await connection.execute(select(accounts).where(accounts.c.identity == identity))
            ).first()
        return None if found is None else _account(found)

    async def pause(self, name: str) -> StoredAccount:
        """Takes an account out until it is resumed.

        Raises NotThere, and StoreConflict for one that is out already because it needs more than that.
        """
        async with self._database.write() as connection:
            account = await _own(connection, name)
            _in_order(account)
            await _set(connection, account.id, {"status": "paused", **_another_version()})
            return await _one(connection, account.id)

    async def resume(self, name: str) -> StoredAccount:
        """Gives a paused account back to use; one that waits for a login goes on waiting.

        Raises NotThere, and StoreConflict for an account that needs more than that.
        """
        async with self._database.write() as connection:
            account = await _own(connection, name)
            _in_order(account)
            await _set(connection, account.id, {"status": "active", "note": None, **_another_version()})
            return await _one(connection, account.id)

    async def change(
        self,
        name: str,
        *,
        weight: float,
        priority: int,
        group: str,
        concurrency: int | None,
        models: Sequence[str] | None,
    ) -> StoredAccount:
        """Replaces what an operator decides about an account. Raises NotThere, StoreConflict."""
        values = {
            "weight": weight,
            "priority": priority,
            "group": group,
            "concurrency": concurrency,
            "models": _list(models),
        }
        return await self._operate(name, values)

    async def remove(self, name: str) -> StoredAccount:
        """Forgets an account and its credentials; rows of the log keep its name. Raises as `change`."""
        async with self._database.write() as connection:
            account = await _own(connection, name)
            await _drop(connection, account.id)
            await facts.bump(connection)
            return account

    async def set_status(
        self, account_id: str, status: Status, note: str | None, *, failed_refresh: bytes | None = None
    ) -> bool:
        """What the gateway found out about an account; `note` says why and holds no secret.

        With `failed_refresh`, the mark of the refresh token that was refused, only while that token is still
        the account's: another process may have got a new one meanwhile. A paused account stays paused.
        Returns whether it was set.
        """
        change = update(accounts).where(accounts.c.id == account_id, accounts.c.status != "paused")
        if failed_refresh is not None:
            change = change.where(accounts.c.refresh_mark == failed_refresh)
        values = {"status": status, "note": None if note is None else note[:_NOTE]}
        async with self._database.write() as connection:
            done = (await connection.execute(change.values(values))).rowcount > 0
            if done:
                await facts.bump(connection)
        return done

    async def save_tokens(
        self,
        account_id: str,
        credentials: Credentials,
        *,
        expires_at: float | None,
        last_refresh: float,
        expected_refresh: bytes,
        plan: str | None = None,
    ) -> bool:
        """Replaces the credentials where the account still has the refresh token that was used for them.

        `expected_refresh` is that token's mark. When this returns true they are on the disk itself and may be
        used; false says that somebody else has written newer ones, which are to be read instead. An account
        that waited for a login is active again. Raises NotThere, StoreDown.
        """
        values = {"last_refresh": last_refresh, "access_expires_at": expires_at}
        if plan is not None:
            values["plan"] = plan  # type: ignore[assignment]
        async with self._database.write(durable=True) as connection:
            done = await self._renew(connection, account_id, credentials, values, expected_refresh)
            if done:
                await facts.bump(connection)
            else:
                await _one(connection, account_id)
        return done

    async def _insert(
        self,
        connection: AsyncConnection,
        spec: AccountSpec,
        identity: str,
        credentials: Credentials,
        now: float,
        tokens: dict[str, Any],
    ) -> Added:
        made = secrets.token_hex(8)
        row = {
            **_columns(spec),
            **tokens,
            "id": made,
            "identity": identity,
            "status": "active",
            "created_at": now,
            **self._sealed(made, credentials),
        }
        await connection.execute(insert(accounts).values(row))
        return Added(await _one(connection, made), created=True)

    async def _renew(
        self,
        connection: AsyncConnection,
        account_id: str,
        credentials: Credentials,
        values: dict[str, Any],
        expected: bytes | None = None,
    ) -> bool:
        change = update(accounts).where(accounts.c.id == account_id)
        if expected is not None:
            change = change.where(accounts.c.refresh_mark == expected)
        paused = accounts.c.status == "paused"
        back = {
            "status": case((paused, "paused"), else_="active"),
            "note": case((paused, accounts.c.note), else_=null()),
        }
        change = change.values({**values, **self._sealed(account_id, credentials), **back})
        return (await connection.execute(change)).rowcount > 0

    def _sealed(self, account_id: str, credentials: Credentials) -> dict[str, Any]:
        said = {name: value for name, value in asdict(credentials).items() if value is not None}
        refresh = credentials.refresh_token
        return {
            "sealed": self._ring.seal(_record(account_id), jsonio.dump(said)),
            "refresh_mark": None if refresh is None else self.mark(refresh),
        }

    def _origin(self, credentials: Credentials) -> bytes:
        return self.mark(credentials.refresh_token or credentials.access_token or credentials.api_key or "")

    async def _operate(self, name: str, values: dict[str, Any]) -> StoredAccount:
        async with self._database.write() as connection:
            account = await _own(connection, name)
            await _set(connection, account.id, {**values, **_another_version()})
            return await _one(connection, account.id)


async def read(connection: AsyncConnection) -> list[StoredAccount]:
    """Every account by name, those of the configuration file too."""
    rows = (await connection.execute(select(accounts).order_by(accounts.c.name))).all()
    return [_account(row) for row in rows]


async def _by_identity(connection: AsyncConnection, identity: str) -> Row[Any] | None:
    query = select(accounts).where(accounts.c.identity == identity).with_for_update()
    return (await connection.execute(query)).first()


async def _one(connection: AsyncConnection, name: str) -> StoredAccount:
    query = select(accounts).where(or_(accounts.c.name == name, accounts.c.id == name))
    found = [_account(row) for row in (await connection.execute(query)).all()]
    if not found:
        raise NotThere(f"there is no account {name!r}")
    # A name may look like another account's id: the name counts.
    return next((one for one in found if one.name == name), found[0])


async def _own(connection: AsyncConnection, name: str) -> StoredAccount:
    account = await _one(connection, name)
    if account.configured:
        raise StoreConflict(f"the account {account.name!r} stands in the configuration file: change it there")
    return account


async def _set(connection: AsyncConnection, account_id: str, values: dict[str, Any]) -> None:
    await connection.execute(update(accounts).where(accounts.c.id == account_id).values(values))
    await facts.bump(connection)


async def _drop(connection: AsyncConnection, account_id: str) -> None:
    await connection.execute(delete(accounts).where(accounts.c.id == account_id))
    await connection.execute(delete(quotas).where(quotas.c.account_id == account_id))


def _columns(spec: AccountSpec) -> dict[str, Any]:
    return {**asdict(spec), "weight": float(spec.weight), "models": _list(spec.models)}


def _list(models: Sequence[str] | None) -> str | None:
    return None if models is None else jsonio.dump(list(models)).decode()


def _account(row: Row[Any]) -> StoredAccount:
    told = row._mapping
    values = {name: told[name] for name in StoredAccount.__slots__ if name not in ("models", "version")}
    models = None if row.models is None else tuple(jsonio.parse(row.models.encode()))
    version = int.from_bytes(bytes(row.origin_mark)[:_VERSION]) if row.origin_mark is not None else 0
    return StoredAccount(**values, models=models, version=version)


def _in_order(account: StoredAccount) -> None:
    if account.status not in ("paused", "active"):
        said = "needs a login" if account.status == "needs_login" else "is closed"
        raise StoreConflict(f"the account {account.name!r} {said}: sign in again")


def _another_version() -> dict[str, Any]:
    return {"origin_mark": secrets.token_bytes(32)}


def _record(account_id: str) -> str:
    return f"accounts:{account_id}"
