"""The log: one line, no secret, no message of a foreign exception."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable

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
