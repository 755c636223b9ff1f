"""Secret texts beside a backup: the passphrase opens them, nothing else does."""

from __future__ import annotations

import pytest

from dragoman.store import escrow
from dragoman.store.engine import StoreError
from dragoman.wire import jsonio

TEXTS = ["newest text", "older text"]


@pytest.fixture(scope="module")
def locked() -> bytes:
    return escrow.lock(TEXTS, "pass word ü")


def test_the_passphrase_opens_them(locked: bytes) -> None:
    assert escrow.unlock(locked, "pass word ü") == TEXTS
    assert b"newest" not in locked


def test_another_passphrase_does_not(locked: bytes) -> None:
    with pytest.raises(StoreError, match="passphrase does not open"):
        escrow.unlock(locked, "pass word u")


def test_every_lock_has_a_salt_of_its_own(locked: bytes) -> None:
    again = escrow.lock(TEXTS, "pass word ü")
    assert jsonio.parse(again)["salt"] != jsonio.parse(locked)["salt"]


def test_what_is_not_ours_is_told(locked: bytes) -> None:
    told = jsonio.parse(locked)
    for content in (b"", b"[]", b"null", b"SQLite format 3", b'{"format": 1}', locked[:50]):
        with pytest.raises(StoreError, match="holds no secrets"):
            escrow.unlock(content, "x")
    with pytest.raises(StoreError, match="holds no secrets"):
        escrow.unlock(jsonio.dump({**told, "salt": "ü"}), "x")
    for change in ({"format": "dragoman secrets 2"}, {"n": 2**30}):
        with pytest.raises(StoreError, match="does not know"):
            escrow.unlock(jsonio.dump({**told, **change}), "x")
