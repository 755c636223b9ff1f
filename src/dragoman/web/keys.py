"""The client keys of the configuration file: looked up by digest, so that timing tells nothing.

Implements the gateway's Keys port. `x-api-key` is preferred over `Authorization: Bearer`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from dragoman.gateway.ports import Principal
from dragoman.wire.errors import Failure, Kind, Refused

ANONYMOUS = Principal("", tenant="local")


class StaticKeys:
    """Pairs of key text and principal; with none at all every loopback caller is ANONYMOUS."""

    def __init__(self, keys: Iterable[tuple[str, Principal]], pepper: bytes) -> None:
        self._pepper = pepper
        self._by_digest = {self._digest(key): principal for key, principal in keys}

    @property
    def empty(self) -> bool:
        return not self._by_digest

    def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """The principal of the presented key. Raises Refused(AUTHENTICATION)."""
        if not self._by_digest:
            return ANONYMOUS
        presented = headers.get("x-api-key", "").strip() or _bearer(headers.get("authorization", ""))
        if not presented:
            raise _unknown("No API key was sent: use the x-api-key header or Authorization: Bearer.")
        principal = self._by_digest.get(self._digest(presented))
        if principal is None:
            raise _unknown("The API key is not known to this gateway.")
        return principal

    def _digest(self, key: str) -> bytes:
        return hmac.digest(self._pepper, key.encode("utf-8", "surrogateescape"), hashlib.sha256)


def _bearer(value: str) -> str:
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _unknown(message: str) -> Refused:
    return Refused(Failure(Kind.AUTHENTICATION, message, should_retry=False))
