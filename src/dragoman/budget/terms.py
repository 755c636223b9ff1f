"""What a limit says: which measure, how much, per which window, for which requested models.

It decides the table form of a limit in the configuration, the database and the API, and its words for people.
It never counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple, get_args

from dragoman.budget.reading import bare, nearest, needed, present, scaled, whole
from dragoman.budget.windows import Period

Measure = Literal["tokens", "input_tokens", "output_tokens", "requests", "cost_usd"]

MEASURES: tuple[Measure, ...] = get_args(Measure)
PERIODS: tuple[Period, ...] = get_args(Period)
_KEYS = ("measure", "per", "max", "models")
_NANO_DIGITS = 9
# A budget is written in millionths at the finest, so that its float says it exactly up to the maximum.
_BUDGET_DIGITS = 6
_MOST = 10**15
_MOST_USD = 10**9
_WORDS = {
    "minute": "a minute",
    "hour": "an hour",
    "5h": "in 5 hours",
    "day": "a day",
    "week": "a week",
    "month": "a month",
    "total": "in all",
}


class Amounts(NamedTuple):
    """What one request uses, or is expected to. Input includes cached tokens, output the reasoning."""

    requests: int
    input_tokens: int
    output_tokens: int
    cost_nano: int

    def of(self, measure: Measure) -> int:
        """The figure of one measure; of money in nano-USD."""
        if measure == "tokens":
            return self.input_tokens + self.output_tokens
        if measure == "requests":
            return self.requests
        if measure == "input_tokens":
            return self.input_tokens
        return self.output_tokens if measure == "output_tokens" else self.cost_nano


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `max` of a measure per window; money in nano-USD.

    models  glob of the requested names that it is for and counts, None for all
    id      the store's name of it, "" where it has none
    """

    measure: Measure
    per: Period
    max: int
    models: str | None = None
    id: str = ""

    def matches(self, requested: str) -> bool:
        """Whether a requested name falls under it, as it is or without a suffix such as `[1m]`."""
        return self.models is None or named(self.models, requested)

    def describe(self) -> str:
        """Short words: `1,000 tokens a day for claude-opus-*`."""
        words = _dollars(self.max) if self.measure == "cost_usd" else f"{self.max:,} {self._unit()}"
        return f"{words} {_WORDS[self.per]}" + (f" for {self.models}" if self.models is not None else "")

    def _unit(self) -> str:
        unit = self.measure.replace("_", " ")
        return unit.removesuffix("s") if self.max == 1 else unit


def named(pattern: str, requested: str) -> bool:
    """Whether a name or glob means a requested model, as it is or without a suffix such as `[1m]`.

    Globs are matched case-sensitively.
    """
    asked = requested.strip()
    # A suffix in brackets is a set of characters to a glob: who wrote it out meant the name.
    return asked == pattern or any(fnmatchcase(name, pattern) for name in (asked, bare(asked)))


def _dollars(nano: int) -> str:
    whole_dollars, rest = divmod(nano, 10**_NANO_DIGITS)
    decimals = f"{rest:0{_NANO_DIGITS}d}".rstrip("0")
    return f"${whole_dollars:,}.{decimals:0<2}"


def parse_limit(path: str, table: Mapping[str, Any]) -> Limit:
    """Reads `{ measure, per, max, models }`, a maximum of money in USD. Raises ValueError with the path."""
    table = present(path, table, _KEYS)
    needed(path, table, ("measure", "per", "max"))
    measure: Measure = _one_of(f"{path}.measure", table["measure"], MEASURES)
    per: Period = _one_of(f"{path}.per", table["per"], PERIODS)
    if measure == "cost_usd":
        most = scaled(f"{path}.max", table["max"], " of USD", _MOST_USD, _BUDGET_DIGITS)
        most *= 10 ** (_NANO_DIGITS - _BUDGET_DIGITS)
    else:
        unit = "requests" if measure == "requests" else "tokens"
        most = whole(f"{path}.max", table["max"], f" of {unit}", _MOST)
    return Limit(measure, per, most, _models(f"{path}.models", table.get("models")))


def _one_of(path: str, value: Any, known: tuple[Any, ...]) -> Any:
    if not isinstance(value, str):
        raise ValueError(f"{path}: must be one of {', '.join(known)}")
    if value not in known:
        raise ValueError(f"{path}: {value!r} is not known{nearest(value, known)}")
    return value


def _models(path: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(f"{path}: must be a model's name or a glob such as claude-opus-*")
    return value.strip()


def limit_table(limit: Limit) -> dict[str, Any]:
    """The form that `parse_limit` reads; without `models` where the limit is for all."""
    most = limit.max / 10**_NANO_DIGITS if limit.measure == "cost_usd" else limit.max
    table = {"measure": limit.measure, "per": limit.per, "max": most}
    return table if limit.models is None else table | {"models": limit.models}
