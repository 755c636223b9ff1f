"""Passwords: argon2id, in a thread, a few at a time, and the same work for a user who does not exist.

Hashes are PHC strings. 64 MiB, three rounds and four lanes take tens of milliseconds of a core and that
memory, so no more than two are worked on at once; who would have to wait long is told to come back.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from dragoman.wire.errors import Failure, Kind, Refused

MEMORY_KIB = 64 * 1024
ROUNDS = 3
LANES = 4
SHORTEST, LONGEST = 8, 256
_AT_ONCE = 2
_WAITING = 16

_T = TypeVar("_T")


def hashed(password: str) -> str:
    """The PHC string of a password. Takes tens of milliseconds."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    kdf = Argon2id(salt=os.urandom(16), length=32, iterations=ROUNDS, lanes=LANES, memory_cost=MEMORY_KIB)
    text: str = kdf.derive_phc_encoded(password.encode())
    return text


def matches(password: str, phc: str) -> bool:
    """Whether a password belongs to a PHC string. Takes as long as hashing does."""
    from cryptography.exceptions import InvalidKey
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    try:
        Argon2id.verify_phc_encoded(password.encode(), phc)
    except InvalidKey:
        return False
    return True


class Passwords:
    """Hashes and compares without holding the loop up. `hash_` and `match` are the two functions above."""

    def __init__(
        self,
        hash_: Callable[[str], str] = hashed,
        match: Callable[[str, str], bool] = matches,
    ) -> None:
        self._hash = hash_
        self._match = match
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._inside = 0
        self._nobody: str | None = None

    async def hashed(self, password: str) -> str:
        """The PHC string. Raises Refused(RATE_LIMIT) when too many wait."""
        async with self._place():
            return await asyncio.to_thread(self._hash, password)

    async def match(self, password: str, phc: str | None) -> bool:
        """Whether the password fits; without a hash (no such user) the same work ends in False."""
        async with self._place():
            if self._nobody is None:  # whoever comes first waits for it, known or not
                self._nobody = await asyncio.to_thread(self._hash, os.urandom(16).hex())
            fits = await asyncio.to_thread(self._match, password, phc or self._nobody)
            return fits and phc is not None

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._inside >= _AT_ONCE + _WAITING:
            raise Refused(Failure(Kind.RATE_LIMIT, "Too many people are logging in.", retry_after=5))
        self._inside += 1
        try:
            async with self._places:
                yield
        finally:
            self._inside -= 1
