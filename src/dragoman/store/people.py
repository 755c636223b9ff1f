"""People of the admin API: users, what proves who they are, and their sessions.

It stores password hashes as they come, second factors sealed, session tokens and recovery codes as digests.
What makes a good password or a right code is not decided here. Of everything that may be used once (a step of
a code, a recovery code, the set-up token) the database is the judge, so that two requests cannot share it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import Row, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from dragoman.gateway.credentials import digest
from dragoman.store.clientkeys import NotThere, StoreConflict
from dragoman.store.core import AsyncConnection
from dragoman.store.engine import Database
from dragoman.store.ring import Ring
from dragoman.store.tables import sessions, tokens, users
from dragoman.store.tokens import SETUP, setup_digest
from dragoman.wire import jsonio

Role = Literal["admin", "viewer"]
# A user who logs in again and again without leaving keeps the newest sessions.
SESSIONS = 20
_LOGIN_ID = 16


@dataclass(frozen=True, slots=True)
class User:
    """A user. `guarded`: a second factor is asked for at login; one that is only enrolled is not yet."""

    id: str
    name: str
    role: Role
    password: str = field(repr=False)
    totp: str | None = field(repr=False)
    totp_step: int | None
    recovery: tuple[str, ...] = field(repr=False)
    created_at: float

    @property
    def guarded(self) -> bool:
        return self.totp is not None and self.totp_step is not None


@dataclass(frozen=True, slots=True)
class Session:
    """A login. `mark` is the digest that the store knows it by."""

    user: User
    mark: bytes
    csrf: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Login:
    """A session as it is listed. `id` is a part of the mark, which opens nothing."""

    id: str
    user: str
    user_id: str
    mark: bytes = field(repr=False)
    created_at: float
    expires_at: float


class People:
    """The repository. Times in epoch seconds come with every call that needs one."""

    def __init__(self, database: Database, ring: Ring, pepper: bytes) -> None:
        self._database = database
        self._ring = ring
        self._pepper = pepper

    # -- users -------------------------------------------------------------------------------------------

    async def listed(self) -> list[User]:
        """Every user by name."""
        async with self._database.read() as connection:
            return [_user(row) for row in (await connection.execute(select(users).order_by(users.c.name)))]

    async def any(self) -> bool:
        """Whether there is a user at all."""
        async with self._database.read() as connection:
            return await connection.scalar(select(users.c.id).limit(1)) is not None

    async def get(self, name: str) -> User:
        """The user of a name or id. Raises NotThere."""
        async with self._database.read() as connection:
            return await _one(connection, name)

    async def named(self, name: str) -> User | None:
        """The user who logs in by this name."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(users).where(users.c.name == name))).one_or_none()
        return None if row is None else _user(row)

    async def create(self, name: str, role: Role, password: str, now: float) -> User:
        """A new user. Raises StoreConflict for a taken name."""
        async with self._database.write() as connection:
            return await _add(connection, name, role, password, now)

    async def first(self, token: str, name: str, password: str, now: float) -> User | None:
        """Makes an admin for the set-up token, which is used up; None where the token is not (or no more) it.

        Raises StoreConflict for a taken name; the token then stays.
        """
        spent = delete(tokens).where(
            tokens.c.role == SETUP,
            tokens.c.digest == setup_digest(self._pepper, token),
            or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now),
        )
        try:
            async with self._database.write() as connection:
                if (await connection.execute(spent)).rowcount == 0:
                    raise _NoToken
                return await _add(connection, name, "admin", password, now)
        except _NoToken:
            return None

    async def remove(self, name: str) -> User:
        """Ends a user with all sessions. Raises NotThere, and StoreConflict for the last admin."""
        async with self._database.write() as connection:
            user = await _one(connection, name)
            if user.role == "admin":
                await _not_the_last(connection, user)
            await connection.execute(delete(users).where(users.c.id == user.id))
            return user

    async def set_role(self, name: str, role: Role) -> User:
        """Another role, in force with the user's next request. Raises NotThere, and StoreConflict for the
        last admin."""
        async with self._database.write() as connection:
            user = await _one(connection, name)
            if user.role == "admin" and role != "admin":
                await _not_the_last(connection, user)
            await connection.execute(update(users).where(users.c.id == user.id).values(role=role))
        return replace(user, role=role)

    async def set_password(self, user_id: str, password: str, *, keep: bytes | None) -> None:
        """A new password hash; every session but the one of the mark `keep` ends. Raises NotThere."""
        async with self._database.write() as connection:
            changed = await connection.execute(
                update(users).where(users.c.id == user_id).values(password=password)
            )
            if changed.rowcount == 0:
                raise NotThere("the user does not exist any more")
            await _end_sessions(connection, user_id, keep)

    async def reset(self, name: str, password: str) -> User:
        """A new password, no second factor, no session: for who has lost them. Raises NotThere."""
        values = {"password": password, "totp": None, "totp_step": None, "recovery": "[]"}
        async with self._database.write() as connection:
            user = await _one(connection, name)
            await connection.execute(update(users).where(users.c.id == user.id).values(values))
            await _end_sessions(connection, user.id, None)
        return replace(user, password=password, totp=None, totp_step=None, recovery=())

    # -- second factor -----------------------------------------------------------------------------------

    async def enrol(self, user_id: str, secret: bytes) -> None:
        """Keeps a secret that still has to be confirmed. Raises StoreConflict where one is in use."""
        sealed = self._ring.seal(f"users:{user_id}", secret)
        change = update(users).where(users.c.id == user_id, users.c.totp_step.is_(None))
        async with self._database.write() as connection:
            if (await connection.execute(change.values(totp=sealed, recovery="[]"))).rowcount == 0:
                raise StoreConflict("a second factor is in use already; disable it first")

    def secret(self, user: User) -> bytes | None:
        """The shared secret of the second factor, enrolled or in use. Raises StoreError for a lost key."""
        return None if user.totp is None else self._ring.open(f"users:{user.id}", user.totp)

    async def confirm(self, user: User, step: int, codes: Sequence[str]) -> None:
        """From now on the second factor counts; `step` is used up. Raises StoreConflict."""
        marks = jsonio.dump([self._code(user, code) for code in codes]).decode()
        change = update(users).where(
            users.c.id == user.id, users.c.totp == user.totp, users.c.totp_step.is_(None)
        )
        async with self._database.write() as connection:
            changed = await connection.execute(change.values(totp_step=step, recovery=marks))
            if changed.rowcount == 0:
                raise StoreConflict("there is no second factor to confirm")

    async def disable(self, user_id: str) -> None:
        """Removes the second factor."""
        values = {"totp": None, "totp_step": None, "recovery": "[]"}
        async with self._database.write() as connection:
            await connection.execute(update(users).where(users.c.id == user_id).values(values))

    async def spend_step(self, user: User, step: int) -> bool:
        """Uses up a step of the second factor; False where it or a later one was used before."""
        change = update(users).where(users.c.id == user.id, users.c.totp_step < step)
        async with self._database.write() as connection:
            return bool((await connection.execute(change.values(totp_step=step))).rowcount)

    async def spend_code(self, user: User, code: str) -> bool:
        """Uses up a recovery code; False where it is none (any more)."""
        mark = self._code(user, code)
        if mark not in user.recovery:
            return False
        before, after = (
            jsonio.dump(list(marks)).decode()
            for marks in (user.recovery, [one for one in user.recovery if one != mark])
        )
        change = update(users).where(users.c.id == user.id, users.c.recovery == before)
        async with self._database.write() as connection:
            return bool((await connection.execute(change.values(recovery=after))).rowcount)

    # -- sessions ----------------------------------------------------------------------------------------

    async def open_session(
        self, user: User, now: float, seconds: float, *, instead_of: str = ""
    ) -> tuple[str, Session]:
        """A new session and its token; the one that the token `instead_of` belongs to ends."""
        token = secrets.token_urlsafe(32)
        made = Session(user, self._mark(token), secrets.token_urlsafe(24), now + seconds)
        row = {
            "digest": made.mark,
            "user_id": user.id,
            "csrf": made.csrf,
            "created_at": now,
            "expires_at": made.expires_at,
        }
        try:
            async with self._database.write() as connection:
                old = [sessions.c.expires_at <= now]
                if instead_of:
                    old.append(sessions.c.digest == self._mark(instead_of))
                await connection.execute(delete(sessions).where(or_(*old)))
                await connection.execute(insert(sessions).values(row))
                newest = (
                    select(sessions.c.digest)
                    .where(sessions.c.user_id == user.id)
                    .order_by(sessions.c.created_at.desc(), sessions.c.digest)
                )
                kept = list(await connection.scalars(newest.limit(SESSIONS)))
                await connection.execute(
                    delete(sessions).where(
                        sessions.c.user_id == user.id, sessions.c.digest.not_in([*kept, made.mark])
                    )
                )
        except IntegrityError:
            raise NotThere("the user does not exist any more") from None
        return token, made

    async def session(self, token: str, now: float) -> Session | None:
        """Whose session a token is; None where it is none or has ended."""
        query = (
            select(users, sessions.c.digest, sessions.c.csrf, sessions.c.expires_at)
            .join(sessions, sessions.c.user_id == users.c.id)
            .where(sessions.c.digest == self._mark(token), sessions.c.expires_at > now)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Session(_user(row), bytes(row.digest), row.csrf, row.expires_at)

    async def close_session(self, mark: bytes) -> None:
        """Ends one session."""
        async with self._database.write() as connection:
            await connection.execute(delete(sessions).where(sessions.c.digest == mark))

    async def logins(self, now: float, user_id: str | None = None) -> list[Login]:
        """The sessions that are open, the newest first: of one user, or of all."""
        query = (
            select(sessions, users.c.name)
            .join(users, sessions.c.user_id == users.c.id)
            .where(sessions.c.expires_at > now)
            .order_by(sessions.c.created_at.desc(), sessions.c.digest)
        )
        if user_id is not None:
            query = query.where(sessions.c.user_id == user_id)
        async with self._database.read() as connection:
            return [
                Login(
                    id=bytes(row.digest).hex()[:_LOGIN_ID],
                    user=row.name,
                    user_id=row.user_id,
                    mark=bytes(row.digest),
                    created_at=row.created_at,
                    expires_at=row.expires_at,
                )
                for row in (await connection.execute(query)).all()
            ]

    def _mark(self, token: str) -> bytes:
        return digest(self._pepper, f"session {token}")

    def _code(self, user: User, code: str) -> str:
        return digest(self._pepper, f"recovery {user.id} {code}").hex()


class _NoToken(Exception):
    """Rolls the transaction back."""


async def _add(connection: AsyncConnection, name: str, role: Role, password: str, now: float) -> User:
    made = User(secrets.token_hex(8), name, role, password, None, None, (), now)
    row = {"id": made.id, "name": name, "role": role, "password": password, "created_at": now}
    if await connection.scalar(select(func.count()).select_from(users).where(users.c.name == name)):
        raise StoreConflict(f"there is a user named {name!r} already")
    try:
        await connection.execute(insert(users).values(row))
    except IntegrityError:  # another process was first
        raise StoreConflict(f"there is a user named {name!r} already") from None
    return made


async def _not_the_last(connection: AsyncConnection, user: User) -> None:
    admins = select(users.c.id).where(users.c.role == "admin").order_by(users.c.id)
    if len((await connection.execute(admins.with_for_update())).all()) == 1:
        raise StoreConflict(f"{user.name!r} is the last admin")


async def _one(connection: AsyncConnection, name: str) -> User:
    query = select(users).where(or_(users.c.name == name, users.c.id == name))
    found = [_user(row) for row in (await connection.execute(query)).all()]
    if not found:
        raise NotThere(f"there is no user named {name!r}")
    return next((user for user in found if user.name == name), found[0])


async def _end_sessions(connection: AsyncConnection, user_id: str, keep: bytes | None) -> None:
    gone = delete(sessions).where(sessions.c.user_id == user_id)
    await connection.execute(gone if keep is None else gone.where(sessions.c.digest != keep))


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        name=row.name,
        role=row.role,
        password=row.password,
        totp=row.totp,
        totp_step=row.totp_step,
        recovery=tuple(jsonio.parse(row.recovery.encode())),
        created_at=row.created_at,
    )
