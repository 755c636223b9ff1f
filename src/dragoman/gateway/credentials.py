"""What a client shows of its key: which header counts, what a key looks like, how it is looked up.

Keys are known by a digest under the installation's pepper: nothing in memory or in the store gives one back,
and looking one up takes the same time whether it exists or not.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from dragoman.wire.errors import Failure, Kind, Refused

KEY_PREFIX = "sk-drg-"
# Without the name of the header field, at which Claude Code would only say that it is not logged in.
_NEEDED = "A valid API key of this gateway is needed; this one is missing, unknown, revoked or expired."


def presented(headers: Mapping[str, str]) -> str:
    """The key a client sent, or "". `x-api-key` goes before `Authorization: Bearer`."""
    return headers.get("x-api-key", "").strip() or bearer(headers.get("authorization", ""))


def bearer(value: str) -> str:
    """The token of an `Authorization: Bearer` value, or ""."""
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def digest(pepper: bytes, key: str) -> bytes:
    """32 bytes that stand for a key."""
    return hmac.digest(pepper, key.encode("utf-8", "surrogateescape"), hashlib.sha256)


def refused() -> Refused:
    """401, the same for missing, unknown, revoked, expired and altered keys."""
    return Refused(Failure(Kind.AUTHENTICATION, _NEEDED, should_retry=False))
