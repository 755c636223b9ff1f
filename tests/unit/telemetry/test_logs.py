"""The log: one line, no secret, no message of a foreign exception."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import Literal

import pytest

from dragoman.gateway.ports import Row
from dragoman.telemetry import logs
from dragoman.telemetry.ledger import LogLedger
from dragoman.wire import jsonio


def written(out: io.StringIO) -> list[dict[str, object]]:
    return [jsonio.parse(line.encode()) for line in out.getvalue().splitlines()]


def test_a_line_is_json_where_nobody_watches() -> None:
    out = io.StringIO()
    logs.configure("auto", "info", out).info("started", port=1)
    (line,) = written(out)
    assert line["event"] == "started"
    assert line["port"] == 1
    assert line["level"] == "info"


def test_people_get_a_readable_line() -> None:
    out = io.StringIO()
    logs.configure("console", "info", out).info("started", port=1)
    assert "started" in out.getvalue()
    assert "port=1" in out.getvalue()


def test_the_level_is_obeyed() -> None:
    out = io.StringIO()
    logger = logs.configure("json", "warning", out)
    logger.info("quiet")
    logger.warning("loud")
    assert [line["event"] for line in written(out)] == ["loud"]


def test_a_key_shaped_value_is_scrubbed() -> None:
    out = io.StringIO()
    logs.configure("json", "info", out).info("odd", detail="the key sk-abcdefghijklmnop was refused")
    (line,) = written(out)
    assert "abcdefghijklmnop" not in str(line)


def test_an_exception_is_named_without_its_message() -> None:
    out = io.StringIO()
    logger = logs.configure("json", "info", out)
    try:
        raise ValueError("the user's prompt")
    except ValueError as error:
        logger.error("fault", exc=error)
    (line,) = written(out)
    assert line["exception"] == "ValueError"
    assert "test_an_exception_is_named_without_its_message" in str(line["at"])
    assert "prompt" not in out.getvalue()


def test_a_measured_cache_miss_is_told_as_zero() -> None:
    out = io.StringIO()
    ledger = LogLedger(logs.configure("json", "info", out))
    ledger.record(Row("req_1", 0.0, status=200, outcome="ok", usage_source="measured", input_tokens=9))
    ledger.record(Row("req_2", 0.0, status=200, outcome="ok", usage_source="estimated", input_tokens=9))
    first, second = written(out)
    assert first["cached_tokens"] == 0
    assert "cached_tokens" not in second


def test_rows_that_end_together_are_written_together() -> None:
    out = io.StringIO()
    asked: list[tuple[float, Callable[[], None]]] = []
    ledger = LogLedger(
        logs.configure("json", "info", out), lambda seconds, flush: asked.append((seconds, flush))
    )
    for name in ("req_1", "req_2"):
        ledger.record(Row(name, 0.0, status=200, outcome="ok"))
    ((seconds, flush),) = asked
    assert 0 < seconds < 1
    assert not out.getvalue()
    flush()
    assert [line["request_id"] for line in written(out)] == ["req_1", "req_2"]
    ledger.record(Row("req_3", 0.0, status=200, outcome="ok"))
    assert len(asked) == 2
    ledger.flush()
    asked[1][1]()  # comes too late and finds nothing
    assert len(written(out)) == 3


def test_what_libraries_log_is_taken_in_and_scrubbed() -> None:
    out = io.StringIO()
    logs.configure("json", "info", out)
    try:
        raise KeyError("the user's prompt")
    except KeyError:
        logging.getLogger("some.library").exception("failed with sk-abcdefghijklmnop")
    (line,) = written(out)
    assert line["source"] == "some.library"
    assert line["level"] == "error"
    assert line["exception"] == "KeyError"
    assert "prompt" not in out.getvalue()
    assert "abcdefghijklmnop" not in out.getvalue()


@pytest.mark.parametrize(
    ("status", "outcome", "level"),
    [
        (200, "ok", "info"),
        (502, "upstream_error", "warning"),
        (500, "upstream_error", "error"),
        (401, "refused", "info"),
    ],
)
def test_a_finished_request_is_one_line(status: int, outcome: str, level: str) -> None:
    out = io.StringIO()
    ledger = LogLedger(logs.configure("json", "info", out))
    ledger.record(Row("req_1", 0.0, requested_model="claude-x", status=status, outcome=outcome))
    (line,) = written(out)
    assert line["event"] == "request"
    assert line["level"] == level
    assert line["request_id"] == "req_1"
    assert "error_type" not in line


# What may not stand in a line as it is: ends of lines, terminal control, marks that reorder text.
INJECTIONS = {
    "a new line": "x\n2026-01-01 [error] forged",
    "a carriage return": "x\r[error] forged",
    "colours": "\x1b[31mx",
    "a window title": "\x1b]0;owned\x07",
    "an eight-bit control": "\x9b31mx",
    "a next line": "x\x85forged",
    "a line separator": "x\u2028forged",
    "a paragraph separator": "x\u2029forged",
    "a backspace": "ab\x08\x08",
    "a delete": "a\x7f",
    "a null": "a\x00b",
    "text turned around": "\u202egnp.exe",
    "an isolate": "\u2066x\u2069",
}
UNSAFE = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, 0x2028, 0x2029)]
UNSAFE += [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]


@pytest.mark.parametrize("style", ["console", "json"])
@pytest.mark.parametrize("name", INJECTIONS)
def test_one_record_is_one_line_whatever_it_holds(style: Literal["console", "json"], name: str) -> None:
    text = INJECTIONS[name]
    out = io.StringIO()
    logger = logs.configure(style, "debug", out)
    logger.info("request", requested_model=text, key=text, nested={"a": [text]}, **{f"field{text}": 1})
    logger.warning(text)
    try:
        raise ValueError(text)
    except ValueError as error:
        logger.error("fault", exc=error, stack=text, exc_info=False)
    logging.getLogger("library").warning("said %s", text)
    written = out.getvalue()
    assert written.count("\n") == 4
    assert not [char for char in UNSAFE if char in written.replace("\n", "")]


def test_a_value_without_a_form_in_json_is_told_as_text() -> None:
    out = io.StringIO()
    logs.configure("json", "info", out).info("odd", number=2**70, half="\ud800", path=io)
    (line,) = out.getvalue().splitlines()
    assert f'"number": {2**70}' in line
    assert "\\ud800" in line


def test_secrets_are_scrubbed_however_deep_and_however_short() -> None:
    out = io.StringIO()
    attempts = [{"account": "a", "code": "sk-1234", "more": ("Bearer abc", {"eyJhbGciOiJI": 1})}]
    logs.configure("json", "info", out).info("request", attempts=attempts, note="sk-short")
    (line,) = written(out)
    for secret in ("1234", "abc", "hbGciOiJI", "short"):
        assert secret not in str(line)
    assert line["attempts"][0]["account"] == "a"  # type: ignore[index]


def test_of_a_librarys_message_only_the_first_line_is_taken() -> None:
    """asyncio quotes below it the exception of a forgotten task, and that may quote a request."""
    out = io.StringIO()
    logs.configure("json", "info", out)
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: KeyError('the prompt')")
    (line,) = written(out)
    assert line["message"] == "Task exception was never retrieved"


def test_an_exception_is_told_to_people_too() -> None:
    out = io.StringIO()
    logger = logs.configure("console", "info", out)
    try:
        raise ValueError("the user's prompt")
    except ValueError as error:
        logger.error("fault", exc=error)
    assert "error=ValueError" in out.getvalue()
    assert "prompt" not in out.getvalue()
