"""Passwords are argon2id with our parameters, and nobody is told by the work which names exist."""

from __future__ import annotations

import asyncio
import threading

import pytest

from dragoman.web.admin.passwords import Passwords, hashed, matches
from dragoman.wire.errors import Kind, Refused


def test_a_hash_is_argon2id_with_its_own_salt() -> None:
    """reliability X7"""
    one, other = hashed("correct horse"), hashed("correct horse")
    assert one.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert one != other
    assert matches("correct horse", one)
    assert not matches("correct horse ", one)
    assert not matches("", one)


class Work:
    """Counts the work done, and in which thread."""

    def __init__(self) -> None:
        self.hashed: list[str] = []
        self.matched: list[tuple[str, str]] = []
        self.threads: set[str] = set()

    def hash(self, password: str) -> str:
        self.hashed.append(password)
        return f"h:{password}"

    def match(self, password: str, phc: str) -> bool:
        self.threads.add(threading.current_thread().name)
        self.matched.append((password, phc))
        return phc == f"h:{password}"


async def test_an_unknown_name_costs_the_same_work_as_a_known_one() -> None:
    """reliability X7: constant work, from the first attempt on."""
    for first in (None, "h:right"):
        work = Work()
        passwords = Passwords(work.hash, work.match)
        for phc in (first, None, "h:right", None):
            before = len(work.matched)
            await passwords.match("wrong", phc)
            assert len(work.matched) == before + 1
        assert len(work.hashed) == 1  # what stands in for nobody's hash
        assert threading.current_thread().name not in work.threads


async def test_nobody_has_no_password_that_fits() -> None:
    passwords = Passwords(lambda _: "h:x", lambda _, phc: True)
    assert not await passwords.match("x", None)
    assert await passwords.match("x", "h:x")


async def test_only_two_are_worked_on_at_once_and_not_everybody_may_wait() -> None:
    going = threading.Event()
    inside, most = 0, 0
    lock = threading.Lock()

    def slow(_: str) -> str:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        going.wait(30)
        with lock:
            inside -= 1
        return "h"

    passwords = Passwords(slow)
    crowd = [asyncio.ensure_future(passwords.hashed("x")) for _ in range(18)]
    await asyncio.sleep(0)
    with pytest.raises(Refused) as refused:
        await passwords.hashed("x")
    assert refused.value.failure.kind is Kind.RATE_LIMIT
    going.set()
    assert await asyncio.gather(*crowd) == ["h"] * 18
    assert most == 2
    assert await passwords.hashed("x") == "h"
