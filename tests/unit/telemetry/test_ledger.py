"""The fan-out of rows: everybody gets each row, whoever raises."""

from __future__ import annotations

import io
import logging

from dragoman.gateway.ports import Row
from dragoman.telemetry import logs
from dragoman.telemetry.ledger import Fanout
from dragoman.wire import jsonio


class Keeping:
    def __init__(self) -> None:
        self.rows: list[str] = []

    def record(self, row: Row) -> None:
        self.rows.append(row.request_id)


class Broken:
    def record(self, row: Row) -> None:
        raise ValueError("the user's prompt")


def test_one_that_raises_stops_neither_the_others_nor_the_request() -> None:
    out = io.StringIO()
    before, after = Keeping(), Keeping()
    fanout = Fanout(before, Broken(), after, logger=logs.configure("json", "info", out))
    for number in range(3):
        fanout.record(Row(f"req_{number}", 0.0))
    assert before.rows == after.rows == ["req_0", "req_1", "req_2"]
    (line,) = [jsonio.parse(line.encode()) for line in out.getvalue().splitlines()]
    assert (line["event"], line["level"], line["ledger"]) == ("ledger_fault", "error", "Broken")
    assert line["exception"] == "ValueError"
    assert "prompt" not in out.getvalue()


def test_two_broken_ledgers_are_told_once_each() -> None:
    out = io.StringIO()
    fanout = Fanout(Broken(), Broken(), logger=logs.configure("json", "info", out))
    for _ in range(3):
        fanout.record(Row("req_1", 0.0))
    assert len(out.getvalue().splitlines()) == 2


class Dead(io.StringIO):
    def write(self, text: str) -> int:
        raise RuntimeError("no log")


def test_a_broken_log_stops_nothing_either() -> None:
    kept = Keeping()
    fanout = Fanout(Broken(), kept, logger=logs.configure("json", "info", Dead()))
    fanout.record(Row("req_1", 0.0))
    assert kept.rows == ["req_1"]
    logging.getLogger("asyncio").error("what a library has to say")  # goes the same way, and on
