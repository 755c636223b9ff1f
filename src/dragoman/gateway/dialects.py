"""Which translator serves which door: what an exchange needs from a dialect.

A dialect admits a request (model access, resolution, identity) and returns its Turn. The Turn holds what
is true of the request whatever account serves it, and makes a new plan and a new answer automaton for
every attempt from the same untouched request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from dragoman.budget.terms import named
from dragoman.gateway.house import House
from dragoman.gateway.ports import Account, Answer, Principal, Row
from dragoman.routing.policy import Demand, refusal
from dragoman.translate.messages.failure import UpstreamFailure
from dragoman.translate.models import Resolution, resolve
from dragoman.wire.errors import Failure, Kind, Refused


class Turn(Protocol):
    """One request of a dialect on its way through the gateway.

    What it calls events is its own affair: it says how an answer is read (`read`), and encodes them itself.
    `suffix` is the operation below the upstream's path, mostly ""; `sealed` says whether the last attempt
    sent sealed reasoning.
    """

    requested: str
    model: str
    ping: bytes
    suffix: str
    sealed: bool

    @property
    def affinity(self) -> str | None:
        """Whose conversation it is, None where nobody can tell: a session's lanes stay on one account."""

    def cached_tokens(self) -> int:
        """Input tokens that are expected in the cache of the account that answered last; 0 where unknown."""

    def answered_on(self, account: Account) -> bool:
        """Whether an account answered this speaker lately: something of the prompt is cached there."""

    @property
    def over(self) -> bool: ...
    @property
    def complete(self) -> bool: ...
    @property
    def failure(self) -> UpstreamFailure | None: ...
    @property
    def client_failure(self) -> Failure | None: ...

    def bounds(self) -> tuple[int, int | None]:
        """The model's window, and the output limit that the client set, both in tokens."""

    def immediate(self) -> list[Any] | None: ...
    def prepare(
        self, account: Account, learnt: frozenset[str], without_reasoning: bool, *, started: bool
    ) -> tuple[bytes, dict[str, str]]: ...
    def read(self, answer: Answer) -> AsyncIterator[list[Any]]: ...
    def commit(self) -> None: ...
    def feed(self, events: list[Any]) -> list[Any]: ...
    def close(self) -> list[Any]: ...
    def begin(self) -> list[Any]: ...
    def break_off(self, failure: UpstreamFailure) -> list[Any]: ...
    def refuse(self, failure: Failure) -> list[Any]: ...
    def explain(self, failure: UpstreamFailure) -> Failure: ...
    def encode(self, events: list[Any]) -> bytes: ...
    def head(self) -> dict[str, str]: ...
    def collect(self, events: list[Any]) -> None: ...
    def fold(self, events: list[Any]) -> dict[str, Any]: ...
    def whole(self) -> dict[str, Any]: ...
    def distrust_reasoning(self) -> None: ...
    def settle(self, row: Row) -> None: ...


class Dialect(Protocol):
    """A door's language."""

    def admit(
        self,
        house: House,
        principal: Principal,
        headers: Mapping[str, str],
        request: dict[str, Any],
        row: Row,
    ) -> Turn: ...


def may_use(principal: Principal, requested: str) -> bool:
    """Whether a key's list of names and globs allows a requested name, with or without its suffix."""
    return principal.models is None or any(named(pattern, requested) for pattern in principal.models)


def who_counts(house: House, principal: Principal, model: str) -> Account | None:
    """The account whose counter a request would be counted with; it takes no place and no conversation."""
    demand = Demand(model, principal.groups)
    words = [(refusal(one, demand), one.name) for one in house.pool.candidates(house.clock.steady(), model)]
    serving = [(word, name) for word, name in words if word not in ("model", "scope")]
    # Who rests serves the model all the same: its kind says how to count.
    name = next((name for word, name in sorted(serving, key=lambda one: one[0] != "")), None)
    return None if name is None else house.accounts.get(name)


def others_serve(house: House, principal: Principal, model: str, account: Account) -> bool:
    """Whether anybody but this account could be asked now."""
    demand = Demand(model, principal.groups, tried=frozenset({account.name}))
    return any(not refusal(one, demand) for one in house.pool.candidates(house.clock.steady(), model))


def choose_model(house: House, principal: Principal, requested: str) -> Resolution:
    """Access on the requested name first, then the upstream model. Raises Refused (403, 404)."""
    if not may_use(principal, requested):
        sentence = f"This key may not use the model {requested!r}."
        raise Refused(Failure(Kind.PERMISSION, sentence, param="model"))
    accounts = house.accounts
    passes = accounts.listed() is None
    return resolve(requested, house.aliases, accounts.offered(), passes=passes)
