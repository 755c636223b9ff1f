"""Turns of a dialect without doors, accounts or upstreams: a house of fakes, and an answer fed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from dragoman.gateway.dialects import Dialect
from dragoman.gateway.house import House
from dragoman.gateway.ports import Account, Principal, Row
from dragoman.translate.messages.plan import Policy
from dragoman.translate.models import Alias
from tests.support.upstream import completed, created, delta

SALT = b"a gateway secret of some length"
LAPTOP = Principal("laptop", tenant="laptop")
ACCOUNT = Account("a", "openai", "tag-a")


class _Clock:
    """Both clocks stand where a test puts them."""

    def __init__(self) -> None:
        self.at = 1000.0

    def monotonic(self) -> float:
        return self.at

    def now(self) -> float:
        return 1_780_000_000.5 + self.at

    def steady(self) -> float:
        return self.now()


class _Ids:
    """Numbers them."""

    def __init__(self) -> None:
        self._made = 0

    def _next(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}{self._made}"

    def request(self) -> str:
        return self._next("req_")

    def message(self) -> str:
        return self._next("msg_")

    def completion(self) -> str:
        return self._next("chatcmpl-")


class _Accounts:
    def get(self, name: str) -> Account | None:
        return ACCOUNT if name == ACCOUNT.name else None

    def offered(self) -> frozenset[str] | None:
        return None

    def candidates(self, model: str) -> Sequence[Account]:
        return [ACCOUNT]

    def listed(self) -> frozenset[str] | None:
        return None


class _Counter:
    """One token a character."""

    name = "characters"
    exact = True

    def count(self, texts: Sequence[str]) -> int:
        return sum(map(len, texts))

    async def count_async(self, texts: Sequence[str]) -> int:
        return self.count(texts)


def house(aliases: Sequence[Alias] = (), **policy: Any) -> House:
    """A house that can admit and settle; it has no door, no upstream and no ledger."""
    nothing = cast("Any", None)
    return House(
        clock=_Clock(),
        ids=_Ids(),
        keys=nothing,
        admission=nothing,
        accounts=_Accounts(),
        pool=nothing,
        upstream=nothing,
        ledger=nothing,
        counter=_Counter(),
        gate=nothing,
        limits=nothing,
        policy=Policy(seal_key=b"k" * 32, **policy),
        aliases=aliases,
        salt=SALT,
        jitter=lambda: 0.0,
    )


def row() -> Row:
    """An empty row."""
    return Row("req_test", 0.0)


def admit(dialect: Dialect, made: House, request: dict[str, Any], into: Row | None = None) -> Any:
    """A turn of the laptop's."""
    return dialect.admit(made, LAPTOP, {}, request, into or row())


def answered(
    dialect: Dialect, made: House, request: dict[str, Any], *, total: int = 10, cached: int = 0
) -> tuple[Any, Row]:
    """A turn that was served and settled, and its row."""
    into = row()
    turn = admit(dialect, made, request, into)
    turn.prepare(ACCOUNT, frozenset(), False, started=False)
    turn.commit()
    turn.feed([created(), delta("Hello"), completed(total=total, cached=cached)])
    turn.settle(into)
    return turn, into
