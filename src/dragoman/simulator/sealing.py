"""Sealed reasoning: opaque content that only the account which minted it can replay.

A seal is `gAAAAA` + base64url(nonce, JSON claims, padding, HMAC). The claims say which item it is, in which
order it was minted, for which account and model, what kind of item followed and how many tokens it stands
for. It decides whether a replayed seal is genuine and never whether its place in the history is right.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from dragoman.wire import jsonio

PREFIX = "gAAAAA"
_NONCE = 8
_MAC = 16
DEFAULT_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Claims:
    """What a seal vouches for. `next_kind` is the type of the item that followed, "" for none."""

    item: str
    response: str
    seq: int
    account: str
    model: str
    next_kind: str
    tokens: int
    kind: str = "reasoning"


class Sealer:
    """Mints and opens seals; one secret per account scope, derived from the simulator's own."""

    def __init__(self, seed: int) -> None:
        self._secret = hashlib.blake2b(f"simulator {seed}".encode()).digest()

    def mint(self, claims: Claims, size: int = DEFAULT_BYTES) -> str:
        """An encrypted_content of about `size` characters. Equal claims give equal seals."""
        raw = jsonio.dump(
            [
                claims.item,
                claims.response,
                claims.seq,
                claims.account,
                claims.model,
                claims.next_kind,
                claims.tokens,
                claims.kind,
            ]
        )
        nonce = hashlib.blake2b(raw, digest_size=_NONCE).digest()
        body = nonce + raw
        padding = size * 3 // 4 - len(body) - _MAC
        body += b" " * max(0, padding)
        sealed = body + self._mac(claims.account, body)
        return PREFIX + base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, sealed: str) -> Claims | None:
        """The claims of a genuine seal of any account; None when it was altered or is not ours."""
        if not sealed.startswith(PREFIX):
            return None
        text = sealed[len(PREFIX) :]
        try:
            content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            values: list[Any] = jsonio.parse(content[_NONCE:-_MAC])
            claims = Claims(*values)
        except (binascii.Error, jsonio.InvalidJson, TypeError, ValueError):
            return None
        expected = self._mac(claims.account, content[:-_MAC])
        # Written back and compared, because base64 has spare bits in which an edit would go unseen.
        canonical = base64.urlsafe_b64encode(content).decode().rstrip("=") == text
        return claims if canonical and hmac.compare_digest(expected, content[-_MAC:]) else None

    def tokens(self, sealed: str) -> int:
        """Tokens a seal stands for; 0 for one that does not open."""
        claims = self.open(sealed)
        return claims.tokens if claims else 0

    def mint_pin(self, account: str, machine: int) -> str:
        """An opaque turn state that names a cache machine."""
        raw = f"{machine}.{account}".encode()
        return f"ts_{machine}_{self._mac(account, raw).hex()[:16]}"

    def open_pin(self, account: str, pin: str) -> int | None:
        """The machine of a genuine turn state of this account."""
        number = pin.split("_")[1] if pin.count("_") == 2 else ""
        if number.isdecimal() and self.mint_pin(account, int(number)) == pin:
            return int(number)
        return None

    def _mac(self, account: str, body: bytes) -> bytes:
        secret = hmac.digest(self._secret, str(account).encode(), "sha256")
        return hmac.digest(secret, body, "sha256")[:_MAC]
