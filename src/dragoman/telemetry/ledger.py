"""A ledger that keeps nothing: each finished request becomes one log line.

It implements the gateway's Ledger port. `record` formats and writes synchronously, one line a request.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter

from dragoman.gateway.ports import Row
from dragoman.telemetry.logs import Logger

_FIELDS = tuple(field.name for field in fields(Row) if field.name != "time")
_values = attrgetter(*_FIELDS)


class LogLedger:
    """Writes the row's non-empty fields; failures as warnings, faults of the gateway as errors."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def record(self, row: Row) -> None:
        told = {name: value for name, value in zip(_FIELDS, _values(row), strict=True) if value}
        if row.usage_source == "measured":
            told["cached_tokens"] = row.cached_tokens  # a measured zero is news
        if row.status == 500:
            self._logger.error("request", **told)
        elif row.outcome == "upstream_error":
            self._logger.warning("request", **told)
        else:
            self._logger.info("request", **told)
