"""What models said and no client sends back as it was, so that the upstream gets its own bytes again.

One memory holds argument strings by call id: a client parses them and writes them anew (1.0 becomes 1,
escapes change). Another holds the phases of texts by their hash, for which clients have no word. Only the
model's own way matches what the upstream has cached. Bounded in entries and bytes, per tenant, gone with the
process: what is missing is made from the client's request, always in the same way.
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

    def remember(self, tenant: str, strings: Mapping[str, str]) -> None:
        """Keeps the strings of one answer, by name; the longest unused ones go."""
        for name, text in strings.items():
            key = (tenant, name)
            if (old := self._kept.pop(key, None)) is not None:
                self._held -= _weight(name, old)
            weight = _weight(name, text)
            if weight > self._size // 16:
                continue
            self._kept[key] = text
            self._held += weight
        while self._kept and (len(self._kept) > self._entries or self._held > self._size):
            (_, name), text = self._kept.popitem(last=False)
            self._held -= _weight(name, text)

    def learn(self, tenant: str, strings: Mapping[str, str]) -> None:
        """Keeps those strings whose names are new: what was sent once is sent like that again."""
        known = self._kept
        self.remember(tenant, {name: text for name, text in strings.items() if (tenant, name) not in known})

    def of(self, tenant: str) -> Mapping[str, str]:
        """What is remembered for a tenant, name -> string; reading renews an entry."""
        return _OfTenant(self._kept, tenant)


class _OfTenant(Mapping[str, str]):
    """A live view of one tenant's strings."""

    __slots__ = ("_kept", "_tenant")

    def __init__(self, kept: OrderedDict[tuple[str, str], str], tenant: str) -> None:
        self._kept = kept
        self._tenant = tenant

    def __getitem__(self, name: str) -> str:
        text = self._kept[self._tenant, name]
        self._kept.move_to_end((self._tenant, name))
        return text

    def __iter__(self) -> Iterator[str]:
        return iter([name for tenant, name in self._kept if tenant == self._tenant])

    def __len__(self) -> int:
        return sum(tenant == self._tenant for tenant, _ in self._kept)

    def __contains__(self, name: object) -> bool:
        return (self._tenant, name) in self._kept


def _weight(name: str, text: str) -> int:
    # A character may take four bytes in memory; one is typical of arguments.
    return len(name) + len(text) + _OVERHEAD
