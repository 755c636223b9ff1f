"""What a request's life needs from the outside, as protocols.

The gateway never names an implementation: clocks, keys, accounts, upstream clients, tokenizers and the
ledger are handed in by the composition root, and tests hand in their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from dragoman.translate.messages.failure import UpstreamFailure
from dragoman.translate.messages.plan import UpstreamKind


class Clock(Protocol):
    """Durations come from `monotonic`; `now` (epoch seconds) is for display.

    `steady` gives epoch seconds that never jump: the wall clock of the start and the time since. What was
    said of an account's future is kept by it.
    """

    def monotonic(self) -> float: ...

    def now(self) -> float: ...

    def steady(self) -> float: ...


class Ids(Protocol):
    """Source of identifiers: `request()` gives `req_…`, `message()` `msg_…`, `completion()` `chatcmpl-…`."""

    def request(self) -> str: ...

    def message(self) -> str: ...

    def completion(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose request this is. `tenant` separates cache keys and hashes of different keys.

    `expires_at` in epoch seconds; `concurrency` bounds what is in flight at the same time; `groups` are the
    account groups that serve it, None for all accounts.
    """

    name: str
    tenant: str
    models: tuple[str, ...] | None = None
    default_effort: str | None = None
    enforced_effort: str | None = None
    max_effort: str | None = None
    concurrency: int | None = None
    expires_at: float | None = None
    groups: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """One upstream as the gateway sees it; its secrets stay with the upstream client."""

    name: str
    kind: UpstreamKind
    tag: str
    models: frozenset[str] | None = None
    simulated: bool = False


class Keys(Protocol):
    """Client keys. `authenticate` raises Refused(AUTHENTICATION) for a missing or unknown key.

    `keyless` tells whether there is no key at all, so that every caller of this machine is served.
    """

    @property
    def keyless(self) -> bool: ...

    def authenticate(self, headers: Mapping[str, str]) -> Principal: ...


class Accounts(Protocol):
    """The accounts as they are known. `candidates` lists who serves a model, whatever their state."""

    def get(self, name: str) -> Account | None: ...

    def candidates(self, model: str) -> Sequence[Account]: ...

    def listed(self) -> frozenset[str] | None:
        """Every model that is decided to be served; None where an account takes any name."""

    def offered(self) -> frozenset[str] | None:
        """The same with what the accounts' own catalogues name; None where nothing is known."""


class UpstreamError(Exception):
    """No usable answer: connection refused, cut, timed out, malformed; carries the classified failure."""

    def __init__(self, failure: UpstreamFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Answer(Protocol):
    """An upstream's answer with status 200.

    `events` yields the events of each socket read together, parsed; `frames` the same as they came, each
    without the blank line that ends it. One of the two is read, once.
    """

    complete: bool

    @property
    def headers(self) -> Mapping[str, str]: ...
    def events(self) -> AsyncIterator[list[dict[str, Any]]]: ...
    def frames(self) -> AsyncIterator[list[bytes]]: ...


class Upstream(Protocol):
    """A client of Responses servers. Leaving the context cancels the upstream request at once.

    `open` raises UpstreamError for everything but a 200; `suffix` names an operation below the path where
    responses are made.
    """

    def open(
        self, account: Account, body: bytes, headers: Mapping[str, str], suffix: str = ""
    ) -> AbstractAsyncContextManager[Answer]: ...

    async def count(self, account: Account, body: Mapping[str, Any]) -> int | None: ...


class Counter(Protocol):
    """A tokenizer. `exact` says whether its figures are the vocabulary's own or an estimate."""

    name: str
    exact: bool

    def count(self, texts: Sequence[str]) -> int: ...

    async def count_async(self, texts: Sequence[str]) -> int: ...


@dataclass(slots=True)
class Row:
    """What is kept of one generation request: the names of the request log. Times in milliseconds.

    Costs are whole nano-USD and None where no price is known; `uid` names the settlement. `choice` says why
    this account, `move` the same in a word, `lost_nano` what it cost to leave another one's cache.
    """

    request_id: str
    time: float
    key: str = ""
    client: str = ""
    requested_model: str = ""
    upstream_model: str = ""
    effort: str | None = None
    account: str = ""
    attempts: list[dict[str, Any]] = field(default_factory=list)
    lineage: str = ""
    session_hash: str | None = None
    conversation_hash: str | None = None
    lane: str = ""
    status: int = 0
    outcome: str = ""
    error_type: str | None = None
    stop_reason: str | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    usage_source: str = "none"
    queue_ms: float | None = None
    connect_ms: float | None = None
    first_byte_ms: float | None = None
    first_token_ms: float | None = None
    duration_ms: float | None = None
    ignored_fields: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    dropped_reasoning: int = 0
    cache_verdict: str | None = None
    cache_story: str | None = None
    stream: bool = False
    cost_nano: int | None = None
    anthropic_cost_nano: int | None = None
    choice: str = ""
    move: str = ""
    lost_nano: int = 0
    route: str = "messages"
    uid: str = ""
    service_tier: str | None = None


class Ledger(Protocol):
    """Where finished requests are written. `record` never blocks and never raises."""

    def record(self, row: Row) -> None: ...


class Opening(Protocol):
    """Where a request is noted when it is accepted, so that it has a row whatever happens to the process."""

    def begin(self, row: Row) -> None: ...


class Unwritten:
    """Notes nothing: a gateway without a store."""

    def begin(self, row: Row) -> None:
        return


class StoreFigures(Protocol):
    """Where the store tells how it is doing. Nothing here waits or raises; any thread may call."""

    def up(self, well: bool) -> None:
        """Whether the last attempt to write succeeded."""

    def spooled(self, rows: int) -> None:
        """How many rows wait in the journal now."""

    def written(self, rows: int) -> None:
        """So many more rows are in the database."""

    def dropped_texts(self, texts: int) -> None:
        """So many more optional texts of the log were given up to keep the journal within its bound."""


class Sink(Protocol):
    """The client's side of one answer. `start` sends a 200 head; `write` sends bytes behind it.

    After the `last` bytes nothing follows.
    """

    async def start(self, headers: Mapping[str, str]) -> None: ...

    async def write(self, data: bytes, *, last: bool = False) -> None: ...
