"""The secret texts of an installation, locked by a passphrase, to lie beside a backup.

Without them a backup cannot be opened; with them in clear it would open for everybody. It reads and writes
no file and asks nobody.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from dragoman.store.engine import StoreError
from dragoman.wire import jsonio

SHORTEST = 8
_FORMAT = "dragoman secrets 1"
# 128 MB and a third of a second for each guess.
_N, _R, _P = 2**17, 8, 1
_MOST_BYTES = 1_000_000


def lock(texts: Sequence[str], passphrase: str) -> bytes:
    """The texts as one JSON object that opens with the passphrase alone."""
    salt = secrets.token_bytes(16)
    sealed = Fernet(_key(passphrase, salt)).encrypt("\n".join(texts).encode())
    told = {
        "format": _FORMAT,
        "kdf": "scrypt",
        "n": _N,
        "r": _R,
        "p": _P,
        "salt": base64.b64encode(salt).decode(),
        "sealed": sealed.decode(),
    }
    return jsonio.dump(told) + b"\n"


def unlock(content: bytes, passphrase: str) -> list[str]:
    """The texts, newest first. Raises StoreError for a wrong passphrase or another file."""
    try:
        told = jsonio.parse(content[:_MOST_BYTES])
        # The costs stand there for people and other programs; a file does not choose how long we work.
        if (told["format"], told["kdf"], told["n"], told["r"], told["p"]) != (_FORMAT, "scrypt", _N, _R, _P):
            raise StoreError("the secrets were written in a form that this version does not know")
        salt = base64.b64decode(told["salt"], validate=True)
        sealed = told["sealed"].encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StoreError("holds no secrets of dragoman") from None
    try:
        opened = Fernet(_key(passphrase, salt)).decrypt(sealed).decode()
    except (InvalidToken, UnicodeDecodeError):
        raise StoreError("the passphrase does not open the secrets") from None
    return opened.splitlines()


def _key(passphrase: str, salt: bytes) -> bytes:
    derived = Scrypt(salt=salt, length=32, n=_N, r=_R, p=_P).derive(
        passphrase.encode("utf-8", "surrogateescape")
    )
    return base64.urlsafe_b64encode(derived)
