"""Tokens of the admin API for automation, and the one token that sets an installation up.

A token's text is shown once; the store keeps its digest. The set-up token (role `setup`) is no login: it
makes one admin, once, within a day. Making a new one ends the one before.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from dragoman.gateway.credentials import digest
from dragoman.store.clientkeys import NotThere, StoreConflict
from dragoman.store.core import AsyncConnection
from dragoman.store.engine import Database
from dragoman.store.tables import tokens

TOKEN_PREFIX = "drg-adm-"
SETUP_PREFIX = "drg-setup-"
SETUP = "setup"
SETUP_SECONDS = 86_400.0
# What tokens and users are called: the name stands in addresses and in the audit trail.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,47}")
# No name of an automation token can be this one.
_SETUP_NAME = ":setup"


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the store has it."""

    id: str
    name: str
    role: Literal["admin", "viewer"]
    created_at: float
    expires_at: float | None
    last_used_at: float | None


class Tokens:
    """The repository. Times in epoch seconds."""

    def __init__(self, database: Database, pepper: bytes) -> None:
        self._database = database
        self._pepper = pepper

    async def create(
        self, name: str, role: Literal["admin", "viewer"], now: float, expires_at: float | None = None
    ) -> tuple[Token, str]:
        """A new token and its text, which is not to be had again. Raises StoreConflict for a taken name."""
        text = TOKEN_PREFIX + secrets.token_urlsafe(32)
        made = Token(secrets.token_hex(8), name, role, now, expires_at, None)
        row = {
            "id": made.id,
            "name": name,
            "role": role,
            "digest": self._digest(text),
            "created_at": now,
            "expires_at": expires_at,
        }
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(tokens).values(row))
        except IntegrityError:
            raise StoreConflict(f"there is a token named {name!r} already") from None
        return made, text

    async def listed(self) -> list[Token]:
        """Every token of automation by name, expired ones too."""
        query = select(tokens).where(tokens.c.role != SETUP).order_by(tokens.c.name)
        async with self._database.read() as connection:
            return [_token(row) for row in (await connection.execute(query)).all()]

    async def get(self, name: str) -> Token:
        """The token of a name or id. Raises NotThere."""
        async with self._database.read() as connection:
            return await _one(connection, name)

    async def revoke(self, name: str) -> Token:
        """Ends the token of a name or id. Raises NotThere."""
        async with self._database.write() as connection:
            token = await _one(connection, name)
            await connection.execute(delete(tokens).where(tokens.c.id == token.id))
            return token

    async def find(self, text: str, now: float) -> Token | None:
        """The token with this text; None where there is none or it has expired."""
        query = select(tokens).where(
            tokens.c.digest == self._digest(text),
            tokens.c.role != SETUP,
            or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now),
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _token(row)

    async def used(self, token_id: str, now: float) -> None:
        """Notes when a token was used last."""
        async with self._database.write() as connection:
            await connection.execute(update(tokens).where(tokens.c.id == token_id).values(last_used_at=now))

    async def make_setup(self, now: float, text: str = "") -> str:
        """The set-up token, with a text that is given or made; an earlier one ends. Raises StoreConflict."""
        text = text or SETUP_PREFIX + secrets.token_urlsafe(24)
        row = {
            "id": SETUP,
            "name": _SETUP_NAME,
            "role": SETUP,
            "digest": setup_digest(self._pepper, text),
            "created_at": now,
            "expires_at": now + SETUP_SECONDS,
        }
        try:
            async with self._database.write() as connection:
                await connection.execute(delete(tokens).where(tokens.c.id == SETUP))
                await connection.execute(insert(tokens).values(row))
        except IntegrityError:
            raise StoreConflict("another process has made a set-up token at the same moment") from None
        return text

    async def setup_waits(self, now: float) -> bool:
        """Whether there is a set-up token that still works."""
        query = select(tokens.c.id).where(tokens.c.id == SETUP, tokens.c.expires_at > now)
        async with self._database.read() as connection:
            return await connection.scalar(query) is not None

    def _digest(self, text: str) -> bytes:
        return digest(self._pepper, f"token {text}")


def setup_digest(pepper: bytes, text: str) -> bytes:
    """What the store knows a set-up token by."""
    return digest(pepper, f"setup {text.strip()}")


async def _one(connection: AsyncConnection, name: str) -> Token:
    query = select(tokens).where(or_(tokens.c.name == name, tokens.c.id == name), tokens.c.role != SETUP)
    found = [_token(row) for row in (await connection.execute(query)).all()]
    if not found:
        raise NotThere(f"there is no token named {name!r}")
    return next((one for one in found if one.name == name), found[0])


def _token(row: Row[Any]) -> Token:
    return Token(row.id, row.name, row.role, row.created_at, row.expires_at, row.last_used_at)
