"""The request log and the breaches."""

from __future__ import annotations

import base64

from dragoman.simulator.log import MAX_BREACHES, Log, Record, forbidden


def entered(log: Log, body: bytes, raw: bytes | None = None) -> Record:
    record = log.open(1.0, "POST", "/v1/responses", [("Host", "x")])
    log.keep(record, body if raw is None else raw, body)
    log.close(record, "complete")
    return record


def test_keeps_exact_bytes_and_headers() -> None:
    log = Log(10, 1000)
    shown = entered(log, '{"a":"ä"}'.encode()).shown()
    assert shown["body"] == '{"a":"ä"}'
    assert shown["headers"] == [["Host", "x"]]
    assert "raw_base64" not in shown
    assert shown["ended"] == "complete"


def test_compressed_and_binary_bodies_come_as_base64_too() -> None:
    log = Log(10, 1000)
    assert base64.b64decode(entered(log, b"{}", b"zipped").shown()["raw_base64"]) == b"zipped"
    binary = entered(log, b"\xff\xfe").shown()
    assert binary["body"] is None
    assert base64.b64decode(binary["raw_base64"]) == b"\xff\xfe"


def test_is_bounded_by_number_and_by_bytes() -> None:
    log = Log(3, 100)
    for _ in range(5):
        entered(log, b"x")
    assert [record.n for record in log.since(0)] == [3, 4, 5]
    entered(log, b"y" * 99)
    assert [record.n for record in log.since(0)] == [5, 6]
    entered(log, b"z" * 500)
    assert log.since(0) == []
    assert log.total == 7


def test_requests_without_a_body_are_bounded_too() -> None:
    log = Log(3, 100)
    first = log.open(0, "GET", "/v1/models", [])
    for _ in range(5):
        log.open(0, "GET", "/v1/models", [])
    assert len(log.records) == 3
    log.keep(first, b"late", b"late")
    assert (first.body, log._held) == (b"", 0)


def test_since_gives_what_is_newer() -> None:
    log = Log(10, 1000)
    for _ in range(3):
        entered(log, b"x")
    assert [record.n for record in log.since(2)] == [3]


def test_counts_what_runs_at_once() -> None:
    log = Log(10, 1000)
    first, second = (log.open(0, "GET", "/", []) for _ in range(2))
    assert (log.active, log.most_active) == (2, 2)
    log.close(first, "complete")
    log.close(second, "complete")
    assert (log.active, log.most_active) == (0, 2)


def test_breaches_are_counted_by_rule_and_bounded() -> None:
    log = Log(10, 1000)
    record = entered(log, b"x")
    for _ in range(MAX_BREACHES + 5):
        log.breach(record, "strict", "missing", "tools[0].strict")
    log.breach(record, "other", "x")
    assert log.rules == {"strict": MAX_BREACHES + 5, "other": 1}
    assert len(log.breaches) == MAX_BREACHES
    assert record.breach == "strict"
    assert log.breaches[-1].shown()["rule"] == "other"


def test_headers_of_the_client_are_forbidden() -> None:
    headers = dict.fromkeys(
        [
            "X-Api-Key",
            "Cookie",
            "anthropic-version",
            "X-Stainless-OS",
            "x-claude-code-session-id",
            "user-agent",
        ],
        "v",
    )
    assert forbidden(headers) == [
        "anthropic-version",
        "cookie",
        "x-api-key",
        "x-claude-code-session-id",
        "x-stainless-os",
    ]
