"""Probes and stubs: cheap answers that need no key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.web import live
from dragoman.web.incoming import Incoming
from dragoman.wire import jsonio


class Call:
    """One request and what was answered."""

    def __init__(
        self, parts: list[bytes] | None = None, *, method: str = "GET", leaves: bool = False
    ) -> None:
        self.sent: list[dict[str, Any]] = []
        self.received = 0
        self._parts = parts if parts is not None else [b""]
        self._leaves = leaves
        self.incoming = Incoming({"headers": []}, self._receive, self._send, "/", method, {}, "req_1")

    async def _receive(self) -> dict[str, Any]:
        if self._leaves:
            return {"type": "http.disconnect"}
        part = self._parts.pop(0)
        self.received += len(part)
        return {"type": "http.request", "body": part, "more_body": bool(self._parts)}

    async def _send(self, message: Any) -> None:
        self.sent.append(dict(message))

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def request_id(self) -> str:
        return str(dict(self.sent[0]["headers"])[b"request-id"].decode())

    @property
    def body(self) -> Any:
        return jsonio.parse(self.sent[1]["body"])


async def test_liveness_asks_nothing_but_the_loop() -> None:
    call = Call()
    await live.healthz(call.incoming)
    assert (call.status, call.body, call.request_id) == (200, {"status": "ok"}, "req_1")


async def test_readiness_names_what_is_not_well_while_requests_are_served() -> None:
    def told() -> tuple[bool, Mapping[str, object]]:
        return True, {"status": "ready", "db_write": "degraded"}

    call = Call()
    await live.readyz(told, call.incoming)
    assert (call.status, call.body) == (200, {"status": "ready", "db_write": "degraded"})


async def test_readiness_is_503_when_nothing_can_be_served() -> None:
    call = Call()
    await live.readyz(lambda: (False, {"status": "draining"}), call.incoming)
    assert (call.status, call.body) == (503, {"status": "draining"})


async def test_the_preconnect_call_gets_an_empty_200() -> None:
    """B117: `HEAD /` and `HEAD /api/hello`."""
    call = Call(method="HEAD")
    await live.hello(call.incoming)
    assert (call.status, call.sent[1]["body"], call.request_id) == (200, b"", "req_1")


async def test_telemetry_is_taken_and_dropped() -> None:
    """B117."""
    call = Call([b"[", b"]"], method="POST")
    await live.event_logging(call.incoming)
    assert (call.status, call.body) == (200, {"status": "ok"})


async def test_telemetry_beyond_a_bound_is_not_even_read() -> None:
    """B117, D42: the body of a caller without a key is bounded."""
    part = b"x" * 100_000
    call = Call([part] * 1000, method="POST")
    await live.event_logging(call.incoming)
    assert call.status == 200
    assert call.received <= 1024 * 1024 + len(part)


async def test_telemetry_of_a_client_that_left_is_not_answered() -> None:
    call = Call(leaves=True)
    await live.event_logging(call.incoming)
    assert call.sent == []
