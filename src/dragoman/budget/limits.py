"""Limits of a key (placeholder until the room's own branch lands)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Limit:
    measure: str
    per: str
    max: int
    models: str | None = None
    id: str = ""

    def matches(self, requested: str) -> bool:
        return self.models is None or fnmatchcase(requested, self.models)

    def describe(self) -> str:
        return f"{self.max} {self.measure} a {self.per}"


class Amounts(NamedTuple):
    requests: int
    input_tokens: int
    output_tokens: int
    cost_nano: int

    def of(self, measure: str) -> int:
        return self.input_tokens + self.output_tokens if measure == "tokens" else self[0]


def start(per: str, now: float) -> float | None:
    return None


def ends(per: str, now: float) -> float | None:
    return None


def parse_limit(path: str, table: Mapping[str, Any]) -> Limit:
    return Limit(table["measure"], table["per"], table["max"], table.get("models"))


def limit_table(limit: Limit) -> dict[str, Any]:
    return {"measure": limit.measure, "per": limit.per, "max": limit.max, "models": limit.models}


class Spent(NamedTuple):
    limit: Limit
    remaining: int
    resets_at: float | None
    wait_seconds: float | None


class Reservation:
    def settle(self, actual: Amounts, now: float) -> None: ...
    def release(self) -> None: ...


class Meters:
    def __init__(self, limits: Iterable[Limit]) -> None: ...
    def reserve(self, requested: str, estimate: Amounts, now: float) -> Reservation | Spent:
        return Reservation()

    def counts_money(self, requested: str) -> bool:
        return False

    def lines(self, now: float) -> list[Any]:
        return []


def ratelimit_headers(lines: list[Any], now: float) -> dict[str, str]:
    return {}
