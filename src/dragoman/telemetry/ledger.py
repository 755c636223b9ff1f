"""Ledgers that keep nothing: one writes a log line per finished request, one tells several others.

They implement the gateway's Ledger port. Rows that end within a moment of each other are written together,
because a line costs a quarter when others were written just before it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any

from dragoman.gateway.ports import Ledger, Row
from dragoman.telemetry.logs import Logger, write_together

MOMENT_SECONDS = 0.02

_FIELDS = tuple(field.name for field in fields(Row) if field.name not in ("time", "uid"))
_MONEY = {"cost_nano": "cost_usd", "anthropic_cost_nano": "anthropic_cost_usd", "lost_nano": "lost_usd"}
_values = attrgetter(*_FIELDS)


class LogLedger:
    """Writes the row's non-empty fields; failures as warnings, faults of the gateway as errors.

    `later` calls a function after so many seconds, as an event loop's `call_later` does; without it every row
    is written at once. Whoever gave it calls `flush` at the end.
    """

    def __init__(
        self, logger: Logger, later: Callable[[float, Callable[[], None]], Any] | None = None
    ) -> None:
        self._logger = logger
        self._later = later
        self._rows: list[Row] = []

    def record(self, row: Row) -> None:
        if self._later is None:
            write_together(self._logger, "request", [_told(row)])
            return
        if not self._rows:
            self._later(MOMENT_SECONDS, self.flush)
        self._rows.append(row)

    def flush(self) -> None:
        """Writes the rows that wait."""
        rows, self._rows = self._rows, []
        write_together(self._logger, "request", map(_told, rows))


def _told(row: Row) -> tuple[str, dict[str, Any]]:
    """The level of a row's line, and its fields that say something."""
    told = {name: value for name, value in zip(_FIELDS, _values(row), strict=True) if value}
    if row.usage_source == "measured":
        told["cached_tokens"] = row.cached_tokens  # a measured zero is news
    for name, shown in _MONEY.items():
        if name in told:
            told[shown] = round(told.pop(name) / 1e9, 9)
    if row.status == 500:
        return "error", told
    return "warning" if row.outcome == "upstream_error" else "info", told


class Fanout:
    """Hands each row to every ledger in turn. One that raises stops neither the others nor the request."""

    def __init__(self, *ledgers: Ledger, logger: Logger) -> None:
        self._ledgers = ledgers
        self._logger = logger
        self._told: set[int] = set()

    def record(self, row: Row) -> None:
        for ledger in self._ledgers:
            try:
                ledger.record(row)
            except Exception as error:
                self._tell(ledger, error)

    def _tell(self, ledger: Ledger, error: Exception) -> None:
        """Once per ledger: a fault that every request meets must not fill the log."""
        if id(ledger) in self._told:
            return
        self._told.add(id(ledger))
        with contextlib.suppress(Exception):  # the log may be what is broken
            self._logger.error("ledger_fault", ledger=type(ledger).__name__, exc=error)
