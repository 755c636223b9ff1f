"""What was received and how it ended: the request log and the list of contract breaches.

Both are bounded, by number and by bytes, so that a long run keeps its memory. The log keeps exact bytes and
headers: it is a test instrument and must never hold real credentials.
"""

from __future__ import annotations

import base64
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_BREACHES = 1000
_FORBIDDEN = frozenset({"x-api-key", "cookie"})
_FORBIDDEN_PREFIXES = ("anthropic-", "x-stainless-", "x-claude-code-")


@dataclass(slots=True)
class Record:
    """One request and its fate. `ended` is "" while it runs."""

    n: int
    at: float
    method: str
    path: str
    headers: list[tuple[str, str]]
    raw: bytes = b""
    body: bytes = b""  # decoded, where the request was compressed
    account: str = ""
    lineage: str = ""
    model: str = ""
    rule: str = ""
    status: int = 0
    ended: str = ""
    events: int = 0
    breach: str = ""
    usage: dict[str, Any] | None = None
    cache: dict[str, Any] | None = None

    def shown(self) -> dict[str, Any]:
        """The record as JSON; bytes that are not UTF-8 appear as base64."""
        row: dict[str, Any] = {
            name: getattr(self, name) for name in self.__slots__ if name not in ("raw", "body")
        }
        row["headers"] = [list(pair) for pair in self.headers]
        try:
            row["body"] = self.body.decode()
        except UnicodeDecodeError:
            row["body"] = None
        if row["body"] is None or self.raw != self.body:
            row["raw_base64"] = base64.b64encode(self.raw).decode()
        return row


@dataclass(slots=True)
class Breach:
    """One broken rule of the contract."""

    n: int
    at: float
    rule: str
    message: str
    account: str
    path: str
    param: str | None = None

    def shown(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Log:
    """The newest requests, within the bounds given."""

    max_requests: int
    max_bytes: int
    records: deque[Record] = field(default_factory=deque)
    breaches: deque[Breach] = field(default_factory=lambda: deque(maxlen=MAX_BREACHES))
    rules: Counter[str] = field(default_factory=Counter)
    total: int = 0
    active: int = 0
    most_active: int = 0
    _held: int = 0

    def open(self, at: float, method: str, path: str, headers: Iterable[tuple[str, str]]) -> Record:
        """Begins a record."""
        self.total += 1
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        record = Record(self.total, at, method, path, list(headers))
        self.records.append(record)
        self._drop()
        return record

    def keep(self, record: Record, raw: bytes, body: bytes) -> None:
        """Adds the body to a record and drops what no longer fits."""
        if self.records and record.n >= self.records[0].n:  # else it was dropped while its body came in
            record.raw, record.body = raw, body
            self._held += _weight(record)
            self._drop()

    def _drop(self) -> None:
        while self.records and (len(self.records) > self.max_requests or self._held > self.max_bytes):
            self._held -= _weight(self.records.popleft())

    def close(self, record: Record, ended: str) -> None:
        record.ended = ended
        self.active -= 1

    def breach(self, record: Record, rule: str, message: str, param: str | None = None) -> None:
        """Notes that a request broke a rule of the contract."""
        record.breach = record.breach or rule
        self.rules[rule] += 1
        self.breaches.append(Breach(record.n, record.at, rule, message, record.account, record.path, param))

    def since(self, number: int) -> list[Record]:
        return [record for record in self.records if record.n > number]


def forbidden(headers: Mapping[str, str]) -> list[str]:
    """Header names that a gateway must not pass on to its upstream."""
    return sorted(
        {
            name
            for name in (key.lower() for key in headers)
            if name in _FORBIDDEN or name.startswith(_FORBIDDEN_PREFIXES)
        }
    )


def _weight(record: Record) -> int:
    return len(record.raw) + (len(record.body) if record.body is not record.raw else 0)
