"""The log: one line per event on standard error, for people or as JSON. Never prompt text, never keys.

Values are scrubbed by shape before they are written, so that a secret that slipped into a message of a
library does not reach the log either.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO, cast

import structlog

from dragoman.telemetry.patient import Patient
from dragoman.wire import jsonio
from dragoman.wire.scrub import scrub

Logger = structlog.typing.FilteringBoundLogger

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(
    style: Literal["auto", "console", "json"] = "auto", level: str = "info", stream: TextIO | None = None
) -> Logger:
    """Sets the log up and returns the logger that the composition root hands around."""
    out = stream or sys.stderr
    for_people = style == "console" or (style == "auto" and out.isatty())
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_the_exception,
        _scrub_values,
    ]
    if for_people:
        processors.append(structlog.dev.ConsoleRenderer(colors=out.isatty()))
    else:
        processors.append(_to_json)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", Patient(out, _lost))),
        cache_logger_on_first_use=False,
    )
    logger: Logger = structlog.get_logger().bind()  # bound once: unbound, it would be made anew for each line
    _take_in_libraries(logger, _LEVELS[level])
    return logger


def _lost(lines: int) -> str:
    return f'{{"event":"log_lines_lost","level":"warning","lines":{lines}}}\n'


class _Libraries(logging.Handler):
    """What the server and libraries log through the standard library, in the one log and its one shape."""

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        level = max(logging.INFO, record.levelno - record.levelno % 10)
        fields = {} if error is None else {"exc": error}
        self._logger.log(level, "library", source=record.name, message=record.getMessage(), **fields)


def _take_in_libraries(logger: Logger, level: int) -> None:
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _Libraries):
            root.removeHandler(handler)
    root.addHandler(_Libraries(logger))
    root.setLevel(max(level, logging.WARNING))


def _name_the_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A traceback is reduced to class and places: the message of an exception may quote a request."""
    error = event.pop("exc", None)
    if isinstance(error, BaseException):
        event["exception"] = type(error).__name__
        places: list[str] = []
        trace = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            places.append(
                f"{code.co_qualname if hasattr(code, 'co_qualname') else code.co_name}:{trace.tb_lineno}"
            )
            trace = trace.tb_next
        event["at"] = " > ".join(places[-12:])
    return event


def _scrub_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str) and len(value) > 24 and name not in _OURS:
            event[name] = scrub(value)
    return event


# Made by this gateway, never by a client or an upstream: long, but no secrets.
_OURS = frozenset(
    {"timestamp", "event", "request_id", "lineage", "session_hash", "conversation_hash", "cache_story", "at"}
)


def _to_json(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    return jsonio.dump_line(dict(event)).decode()
