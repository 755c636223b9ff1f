"""The client keys a process knows: those of the configuration, and the store's as last read.

The whole list is in memory, so no request waits for the store, and a key that is not in it is unknown. While
the store is not well, what is known stays good (for a while, where it does not even answer) and what ended
stays ended; what is unknown is then not judged: 503.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from dragoman.gateway.credentials import digest, presented, refused
from dragoman.gateway.ports import Principal
from dragoman.wire.errors import Failure, Kind, Refused

ANONYMOUS = Principal("", tenant="local")
STALE_SECONDS = 15 * 60.0
# The list is read again twice a second: two missed readings in a row are no accident.
DOUBT_SECONDS = 5.0
_LATER = Failure(
    Kind.UNAVAILABLE, "Client keys cannot be checked now: the store does not answer.", retry_after=5
)


class KnownKeys:
    """Implements the gateway's Keys port. `fixed` are pairs of key text and principal from the configuration.

    `now` is the wall clock (keys expire by date), `monotonic` times the age of what was read. Without a store
    (`stored` false) nothing ages. `unwell` tells whether the store is in trouble; it is asked only about keys
    that are not known.
    """

    def __init__(
        self,
        fixed: Iterable[tuple[str, Principal]],
        pepper: bytes,
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        stored: bool = False,
        serve_known: bool = True,
    ) -> None:
        self._pepper = pepper
        self._now = now
        self._monotonic = monotonic
        self._fixed = {digest(pepper, key): principal for key, principal in fixed}
        self._stored: dict[bytes, Principal] = {}
        self._ended: frozenset[bytes] = frozenset()
        self.unwell: Callable[[], bool] = lambda: False
        self._keyed = bool(self._fixed)
        self._ages = stored
        self._patience = STALE_SECONDS if serve_known else DOUBT_SECONDS
        self._read_at = monotonic()

    @property
    def keyless(self) -> bool:
        """Whether there never was a key: then every caller of this machine is served."""
        return not self._keyed

    def read(
        self,
        principals: Mapping[bytes, Principal] | None = None,
        *,
        ended: Collection[bytes] = (),
        keyed: bool = False,
    ) -> None:
        """The store answered: here is its list, by digest; None when it has not changed.

        `ended` are digests of keys that were valid once. `keyed` says that keys were made, even if all were
        revoked: to revoke the last one must not open the door to everybody.
        """
        self._read_at = self._monotonic()
        if principals is not None:
            self._stored = dict(principals)
            self._ended = frozenset(ended)
            self._keyed = bool(self._fixed) or keyed or bool(principals)

    def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """The principal of the presented key. Raises Refused(AUTHENTICATION or UNAVAILABLE)."""
        if not self._keyed and not self._aged(DOUBT_SECONDS):
            return ANONYMOUS
        key = presented(headers)
        if not key:
            raise refused()
        mark = digest(self._pepper, key)
        principal = self._fixed.get(mark)
        if principal is None:
            principal = self._stored.get(mark)
            if principal is None:
                raise self._stranger(mark)
            if self._aged(self._patience):
                raise Refused(_LATER)
        if principal.expires_at is not None and principal.expires_at <= self._now():
            raise refused()
        return principal

    def _stranger(self, mark: bytes) -> Refused:
        """Nobody is told that a key is wrong while it might be one that could not be stored or read."""
        if self._aged(DOUBT_SECONDS) or (mark not in self._ended and self.unwell()):
            return Refused(_LATER)
        return refused()

    def _aged(self, seconds: float) -> bool:
        return self._ages and self._monotonic() - self._read_at > seconds
