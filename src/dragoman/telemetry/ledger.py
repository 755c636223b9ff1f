"""Each finished request as one log line, and a ledger that is several.

Both implement the gateway's Ledger port. `record` formats and writes synchronously, one line a request.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter

from dragoman.gateway.ports import Ledger, Row
from dragoman.telemetry.logs import Logger

_FIELDS = tuple(field.name for field in fields(Row) if field.name not in ("time", "uid"))
_MONEY = {"cost_nano": "cost_usd", "anthropic_cost_nano": "anthropic_cost_usd"}
_values = attrgetter(*_FIELDS)


class LogLedger:
    """Writes the row's non-empty fields; failures as warnings, faults of the gateway as errors."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def record(self, row: Row) -> None:
        told = {name: value for name, value in zip(_FIELDS, _values(row), strict=True) if value}
        if row.usage_source == "measured":
            told["cached_tokens"] = row.cached_tokens  # a measured zero is news
        for name, shown in _MONEY.items():
            if name in told:
                told[shown] = round(told.pop(name) / 1e9, 9)
        if row.status == 500:
            self._logger.error("request", **told)
        elif row.outcome == "upstream_error":
            self._logger.warning("request", **told)
        else:
            self._logger.info("request", **told)


class Fanout:
    """Hands each row to several ledgers, in order."""

    def __init__(self, *ledgers: Ledger) -> None:
        self._ledgers = ledgers

    def record(self, row: Row) -> None:
        for ledger in self._ledgers:
            ledger.record(row)
