"""The log: one line per event on standard error, for people or as JSON. Never prompt text, never keys.

Values are scrubbed by shape before they are written, so that a secret that slipped into a message of a
library does not reach the log either. A record is one line whatever it holds: characters that would end
the line, move a terminal's cursor or turn the direction of text are written as escapes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any, Literal, TextIO, cast

from dragoman.telemetry.imports import hidden

# structlog draws coloured tracebacks where it finds rich: 6 MB for what is never drawn here.
with hidden("rich"):
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
        processors += [_escape, structlog.dev.ConsoleRenderer(colors=out.isatty())]
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


def write_together(logger: Logger, event: str, records: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Records of one kind (level and fields), each in the shape of any other line, in one write.

    A line of its own through the logger costs twice as much: half of that is the way to the processors.
    """
    configured = structlog.get_config()
    lines: list[str] = []
    for level, fields in records:
        if logger.is_enabled_for(_LEVELS[level]):
            record: Any = {**fields, "event": event}
            for processor in configured["processors"]:
                record = processor(None, level, record)
            lines.append(record)
    if lines:
        configured["logger_factory"]().msg("\n".join(lines))


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
        # The first line says what happened; below it asyncio, for one, quotes exceptions with their text.
        message = record.getMessage().partition("\n")[0]
        with contextlib.suppress(Exception):  # a log that cannot be written stops no library
            self._logger.log(level, "library", source=record.name, message=message, **fields)


def _take_in_libraries(logger: Logger, level: int) -> None:
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _Libraries):
            root.removeHandler(handler)
    root.addHandler(_Libraries(logger))
    root.setLevel(max(level, logging.WARNING))


def _name_the_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A traceback is reduced to class and places: the message of an exception may quote a request."""
    for formatted in ("exc_info", "stack"):
        event.pop(formatted, None)
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
        if value.__class__ in _SCRUBBED and name not in _OURS:
            event[name] = _scrubbed(value)
    return event


def _scrubbed(value: Any) -> Any:
    """The value without what is shaped like a secret, however deep it lies."""
    if isinstance(value, str):
        return scrub(value) if len(value) > _SHORT or _is_suspect(value) else value
    if isinstance(value, list | tuple):
        return [_scrubbed(item) for item in value]
    if isinstance(value, dict):
        return {_scrubbed(name): _scrubbed(item) for name, item in value.items()}
    return value


_SCRUBBED = frozenset({str, list, tuple, dict})
# So short a text holds no secret, unless there is the beginning of one in it.
_SHORT = 24


def _is_suspect(text: str) -> bool:
    """Cheaper than a pattern, and a line has twenty of them."""
    return "k-" in text or "sess-" in text or "eyJ" in text or "gAAAA" in text or "earer" in text


# Made by this gateway, or made fit when they came in: maybe long, but no secrets.
_OURS = frozenset(
    {"timestamp", "event", "level", "at", "request_id", "client", "requested_model", "upstream_model"}
    | {"effort", "lineage", "session_hash", "conversation_hash", "lane", "route", "outcome", "error_type"}
    | {"stop_reason", "usage_source", "ignored_fields", "repaired", "cache_verdict", "cache_story"}
    | {"move"}
)


# Ends of lines, all control characters (a terminal obeys U+009B like ESC [), and what reorders text.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Everything on one line: what people read is not quoted as JSON is."""
    shown = {
        _escaped(name): _escaped(value) if isinstance(value, str) else value for name, value in event.items()
    }
    # The renderer would put an exception on lines of its own.
    return {"error" if name == "exception" else name: value for name, value in shown.items()}


def _to_json(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    try:
        line = jsonio.dump(dict(event)).decode()
    except jsonio.InvalidJson:  # a value that JSON has no form for is told as Python would
        plain = {
            str(name): value if isinstance(value, int | str) else repr(value) for name, value in event.items()
        }
        line = json.dumps(plain, ensure_ascii=True)
    return line if line.isascii() and "\x7f" not in line else _escaped(line)
