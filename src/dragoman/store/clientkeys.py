"""Client keys in the store: made, listed, changed, rotated, revoked, with the limits that bind them.

A key's text is shown once, when it is made or rotated; the store keeps its digest. Every change bumps the
revision, so that all processes read the keys again. Checked values come in, refusals are StoreConflict.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from dragoman.budget.limits import Limit, limit_table
from dragoman.gateway.credentials import KEY_PREFIX, digest
from dragoman.store import facts
from dragoman.store.core import AsyncConnection
from dragoman.store.engine import Database, StoreError
from dragoman.store.tables import keys, limits
from dragoman.wire import jsonio


class StoreConflict(StoreError):
    """What was asked for cannot be done as things are: a name taken, a record that is not there."""


class NotThere(StoreConflict):
    """The record that was named does not exist."""


@dataclass(frozen=True, slots=True)
class KeySpec:
    """What an operator decides about a key. `expires_at` in epoch seconds."""

    name: str
    tags: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    default_effort: str | None = None
    enforced_effort: str | None = None
    max_effort: str | None = None
    concurrency: int | None = None
    expires_at: float | None = None
    limits: tuple[Limit, ...] = ()
    account_groups: tuple[str, ...] | None = None
    active: bool = True


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A key as the store has it; `hint` is what people recognise it by, never enough to use it.

    One that is not `active` may not be used: it is off by its spec, or revoked for good.
    """

    id: str
    spec: KeySpec
    hint: str
    active: bool
    created_at: float
    revoked_at: float | None
    last_used_at: float | None
    previous_until: float | None

    @property
    def revoked(self) -> bool:
        """Whether it has ended for good."""
        return self.revoked_at is not None


def described(spec: KeySpec) -> dict[str, Any]:
    """What was decided about a key, for the audit trail."""
    said = {
        "tags": list(spec.tags),
        "models": None if spec.models is None else list(spec.models),
        "default_effort": spec.default_effort,
        "enforced_effort": spec.enforced_effort,
        "max_effort": spec.max_effort,
        "concurrency": spec.concurrency,
        "expires_at": spec.expires_at,
        "limits": [limit_table(limit) for limit in spec.limits],
        "account_groups": None if spec.account_groups is None else list(spec.account_groups),
    }
    return {name: value for name, value in said.items() if value} | ({} if spec.active else {"active": False})


def new_key() -> str:
    """A client key: 32 random bytes behind the product's prefix."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


class ClientKeys:
    """The repository. `pepper` keys the digests; `now` in epoch seconds comes with every change."""

    def __init__(self, database: Database, pepper: bytes) -> None:
        self._database = database
        self._pepper = pepper

    async def create(self, spec: KeySpec, now: float) -> tuple[ClientKey, str]:
        """A new key and its text, which is not to be had again. Raises StoreConflict for a taken name."""
        text = new_key()
        made = ClientKey(secrets.token_hex(8), spec, _hint(text), spec.active, now, None, None, None)
        row = {
            "id": made.id,
            "digest": digest(self._pepper, text),
            "hint": made.hint,
            "created_at": now,
            **_columns(spec),
        }
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(keys).values(row))
                await _put_limits(connection, made.id, spec.limits)
                await facts.bump(connection)
        except IntegrityError:
            raise StoreConflict(f"there is a key named {spec.name!r} already") from None
        return made, text

    async def listed(self) -> list[ClientKey]:
        """Every key, newest first, revoked ones too."""
        async with self._database.read() as connection:
            return await read(connection)

    async def get(self, name: str) -> ClientKey:
        """The key of a name or id. Raises StoreConflict."""
        async with self._database.read() as connection:
            return await _one(connection, name)

    async def change(self, name: str, spec: KeySpec) -> ClientKey:
        """Replaces what an operator decides about a key; its name stays. Raises StoreConflict."""
        async with self._database.write() as connection:
            key = await _one(connection, name)
            if spec.name != key.spec.name:
                raise StoreConflict("a key keeps its name: rows and counters of the past are found by it")
            columns = _columns(spec) | ({"active": False} if key.revoked else {})
            await connection.execute(update(keys).where(keys.c.id == key.id).values(columns))
            await connection.execute(delete(limits).where(limits.c.key_id == key.id))
            await _put_limits(connection, key.id, spec.limits)
            await facts.bump(connection)
            return await _one(connection, key.id)

    async def rotate(self, name: str, overlap_seconds: float, now: float) -> tuple[ClientKey, str]:
        """A new text for a key; the old one works for `overlap_seconds` more. Raises StoreConflict."""
        text = new_key()
        async with self._database.write() as connection:
            key = await _one(connection, name)
            if key.revoked:
                raise StoreConflict(f"the key {key.spec.name!r} is revoked")
            change: dict[str, Any] = {"digest": digest(self._pepper, text), "hint": _hint(text)}
            kept = overlap_seconds > 0
            change["previous_digest"] = keys.c.digest if kept else None
            change["previous_until"] = now + overlap_seconds if kept else None
            await connection.execute(update(keys).where(keys.c.id == key.id).values(change))
            await facts.bump(connection)
            return await _one(connection, key.id), text

    async def revoke(self, name: str, now: float) -> ClientKey:
        """Ends a key for good; its rows stay. Raises StoreConflict."""
        async with self._database.write() as connection:
            key = await _one(connection, name)
            ended = {"active": False, "revoked_at": now, "previous_digest": None, "previous_until": None}
            if not key.revoked:
                await connection.execute(update(keys).where(keys.c.id == key.id).values(ended))
                await facts.bump(connection)
            return await _one(connection, key.id)

    async def used(self, times: Mapping[str, float]) -> None:
        """Notes when keys (by name) were used last. Not a change that anybody has to read again."""
        async with self._database.write() as connection:
            for name, at in times.items():
                await connection.execute(update(keys).where(keys.c.name == name).values(last_used_at=at))


async def read(connection: AsyncConnection) -> list[ClientKey]:
    """Every key with its limits, newest first."""
    rows = (await connection.execute(select(keys).order_by(keys.c.created_at.desc(), keys.c.id))).all()
    return _keys(rows, (await connection.execute(select(limits).order_by(limits.c.id))).all())


async def digests(connection: AsyncConnection, now: float) -> list[tuple[bytes, float | None, ClientKey]]:
    """What may be presented: digest, until when by rotation (None: no end), and whose it is."""
    found: list[tuple[bytes, float | None, ClientKey]] = []
    by_id = {key.id: key for key in await read(connection)}
    query = select(keys.c.id, keys.c.digest, keys.c.previous_digest, keys.c.previous_until)
    for row in (await connection.execute(query.where(keys.c.active))).all():
        found.append((bytes(row.digest), None, by_id[row.id]))
        if row.previous_digest is not None and (row.previous_until or 0) > now:
            found.append((bytes(row.previous_digest), row.previous_until, by_id[row.id]))
    return found


async def ended(connection: AsyncConnection, now: float) -> list[bytes]:
    """Digests that were good once: of keys that are revoked or off, and those that a rotation replaced."""
    idle = select(keys.c.digest).where(~keys.c.active)
    replaced = select(keys.c.previous_digest).where(keys.c.previous_until <= now)
    found = (await connection.execute(idle.union_all(replaced))).all()
    return [bytes(mark) for (mark,) in found if mark is not None]


async def ever(connection: AsyncConnection) -> bool:
    """Whether any key was ever made; revoked ones are kept."""
    return await connection.scalar(select(keys.c.id).limit(1)) is not None


async def _one(connection: AsyncConnection, name: str) -> ClientKey:
    rows = (await connection.execute(select(keys).where(or_(keys.c.name == name, keys.c.id == name)))).all()
    if not rows:
        raise NotThere(f"there is no key named {name!r}")
    ids = [row.id for row in rows]
    bound = await connection.execute(select(limits).where(limits.c.key_id.in_(ids)).order_by(limits.c.id))
    found = _keys(rows, bound.all())
    # A name may look like another key's id: the name counts.
    return next((key for key in found if key.spec.name == name), found[0])


def _keys(rows: Iterable[Row[Any]], bound: Sequence[Row[Any]]) -> list[ClientKey]:
    by_key: dict[str, list[Limit]] = {}
    for row in bound:
        by_key.setdefault(row.key_id, []).append(
            Limit(row.measure, row.per, row.max, row.models, str(row.id))
        )
    return [
        ClientKey(
            id=row.id,
            spec=KeySpec(
                name=row.name,
                tags=tuple(jsonio.parse(row.tags.encode())),
                models=_texts(row.models),
                default_effort=row.default_effort,
                enforced_effort=row.enforced_effort,
                max_effort=row.max_effort,
                concurrency=row.concurrency,
                expires_at=row.expires_at,
                limits=tuple(by_key.get(row.id, ())),
                account_groups=_texts(row.account_groups),
                active=row.active or row.revoked_at is not None,
            ),
            hint=row.hint,
            active=row.active,
            created_at=row.created_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
            previous_until=row.previous_until,
        )
        for row in rows
    ]


def _texts(column: str | None) -> tuple[str, ...] | None:
    return None if column is None else tuple(jsonio.parse(column.encode()))


def _column(texts: tuple[str, ...] | None) -> str | None:
    return None if texts is None else jsonio.dump(list(texts)).decode()


def _columns(spec: KeySpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "tags": jsonio.dump(list(spec.tags)).decode(),
        "models": _column(spec.models),
        "account_groups": _column(spec.account_groups),
        "default_effort": spec.default_effort,
        "enforced_effort": spec.enforced_effort,
        "max_effort": spec.max_effort,
        "concurrency": spec.concurrency,
        "expires_at": spec.expires_at,
        "active": spec.active,
    }


async def _put_limits(connection: AsyncConnection, key_id: str, bound: Sequence[Limit]) -> None:
    if bound:
        rows = [
            {"key_id": key_id, "measure": one.measure, "per": one.per, "max": one.max, "models": one.models}
            for one in bound
        ]
        await connection.execute(insert(limits), rows)


def _hint(text: str) -> str:
    return f"…{text[-4:]}"
