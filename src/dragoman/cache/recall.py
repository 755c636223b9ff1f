"""The argument strings that models wrote, by call id, so that they can be sent back letter for letter.

A client parses arguments and writes them anew (1.0 becomes 1, escapes change); only the model's own spelling
matches what the upstream has cached. Bounded in entries and bytes, per tenant, gone with the process: what is
missing is spelled from the client's JSON, always in the same way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping

_OVERHEAD = 200


class Recall:
    """Remembers up to `entries` strings and `size` bytes; one string may take a sixteenth of that."""

    def __init__(self, entries: int = 20_000, size: int = 16 * 1024 * 1024) -> None:
        self._entries = entries
        self._size = size
        self._held = 0
        self._kept: OrderedDict[tuple[str, str], str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def held(self) -> int:
        """Bytes in use, roughly."""
        return self._held

    def remember(self, tenant: str, arguments: Mapping[str, str]) -> None:
        """Keeps the argument strings of one answer, by call id; the longest unused ones go."""
        for call_id, text in arguments.items():
            key = (tenant, call_id)
            if (old := self._kept.pop(key, None)) is not None:
                self._held -= _weight(call_id, old)
            weight = _weight(call_id, text)
            if weight > self._size // 16:
                continue
            self._kept[key] = text
            self._held += weight
        while self._kept and (len(self._kept) > self._entries or self._held > self._size):
            (_, call_id), text = self._kept.popitem(last=False)
            self._held -= _weight(call_id, text)

    def of(self, tenant: str) -> Mapping[str, str]:
        """What is remembered for a tenant, call id -> argument string; reading renews an entry."""
        return _OfTenant(self._kept, tenant)


class _OfTenant(Mapping[str, str]):
    """A live view of one tenant's strings."""

    __slots__ = ("_kept", "_tenant")

    def __init__(self, kept: OrderedDict[tuple[str, str], str], tenant: str) -> None:
        self._kept = kept
        self._tenant = tenant

    def __getitem__(self, call_id: str) -> str:
        text = self._kept[self._tenant, call_id]
        self._kept.move_to_end((self._tenant, call_id))
        return text

    def __iter__(self) -> Iterator[str]:
        return iter([call_id for tenant, call_id in self._kept if tenant == self._tenant])

    def __len__(self) -> int:
        return sum(tenant == self._tenant for tenant, _ in self._kept)

    def __contains__(self, call_id: object) -> bool:
        return (self._tenant, call_id) in self._kept


def _weight(call_id: str, text: str) -> int:
    # A character may take four bytes in memory; one is typical of arguments.
    return len(call_id) + len(text) + _OVERHEAD
