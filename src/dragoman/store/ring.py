"""Encryption at rest: a ring of keys, newest first, and values bound to the record they belong to.

The newest key seals, every key of the ring opens. A sealed value moved to another record does not open
there. The keys come from the secret file or variable, through a function; nothing here reads them itself.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dragoman.store.engine import StoreError


class Ring:
    """Seals and opens values. `texts` are the secret texts, newest first; at least one.

    `again` reads them anew, so that a process that runs follows a rotation; it never raises and gives
    nothing where they cannot be read. A text that was known stays good for opening.
    """

    def __init__(self, texts: Sequence[str], again: Callable[[], Sequence[str]] | None = None) -> None:
        if not texts:
            raise StoreError("the key ring is empty")
        self._again = again
        self._texts: tuple[str, ...] = ()
        self._take(texts)

    def _take(self, texts: Sequence[str]) -> None:
        self._texts = tuple(dict.fromkeys((*texts, *self._texts)))
        self._fernet = MultiFernet([Fernet(_key(text)) for text in self._texts])
        self._newest = Fernet(_key(self._texts[0]))

    def _follow(self) -> bool:
        """Whether there is a newest text that was not the newest before."""
        texts = () if self._again is None else self._again()
        if not texts or texts[0] == self._texts[0]:
            return False
        self._take(texts)
        return True

    def seal(self, record: str, value: bytes) -> str:
        """The value as ASCII text that opens for this record alone."""
        self._follow()
        return self._fernet.encrypt(_bound(record) + value).decode()

    def open(self, record: str, sealed: str) -> bytes:
        """The value. Raises StoreError where no key fits or the record is another."""
        try:
            opened = self._fernet.decrypt(sealed.encode())
        except InvalidToken:
            if self._follow():
                return self.open(record, sealed)
            raise StoreError(f"no key of the ring opens {record}") from None
        bound = _bound(record)
        if not opened.startswith(bound):
            raise StoreError(f"{record}: the sealed value belongs to another record")
        return opened[len(bound) :]

    def current(self, sealed: str) -> bool:
        """Whether the newest key sealed it."""
        try:
            self._newest.decrypt(sealed.encode())
        except InvalidToken:
            return False
        return True

    def renew(self, sealed: str) -> str:
        """The same value sealed by the newest key. Raises StoreError."""
        try:
            return self._fernet.rotate(sealed.encode()).decode()
        except InvalidToken:
            raise StoreError("no key of the ring opens a sealed value") from None


def _bound(record: str) -> bytes:
    name = record.encode()
    return len(name).to_bytes(2, "big") + name


def _key(text: str) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"dragoman store").derive(text.encode())
    return base64.urlsafe_b64encode(derived)
