"""Traces of a whole gateway: spans around real requests, the header upstream, and nothing when off."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from dragoman.serving import assembly
from dragoman.settings import Settings, SettingsError
from dragoman.telemetry import semconv
from dragoman.telemetry.traces import Tracer
from tests.support import gateway as processes
from tests.support import house
from tests.support.inprocess import gateway
from tests.support.upstream import answer, status, upstream

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "tracestate": "a=b", "baggage": "c=d"}
QUESTION = {"model": "claude-x", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}


def account(url: str, name: str = "a") -> dict[str, Any]:
    return {"name": name, "kind": "openai", "base_url": url, "api_key": "sk-upstream"}


def of_kind(exporter: InMemorySpanExporter, kind: SpanKind) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.kind is kind]


async def test_one_trace_from_the_caller_to_the_upstream(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    async with upstream() as first, upstream() as second:
        first.play(status(503))
        table = {"accounts": [account(first.url, "a"), account(second.url, "b")]}
        tracer = Tracer("1", SimpleSpanProcessor(exporter))
        async with gateway(tmp_path, table, tracer=tracer) as house:
            reply = await house.post("/v1/messages", {**QUESTION, "stream": True}, PARENT)
            assert reply.status == 200
            await house.row()
    (server,) = of_kind(exporter, SpanKind.SERVER)
    calls = of_kind(exporter, SpanKind.CLIENT)
    assert server.parent is not None
    assert {format(span.context.trace_id, "032x") for span in (server, *calls)} == {TRACE}
    assert [(call.attributes or {})[semconv.ACCOUNT] for call in calls] == ["a", "b"]
    assert [(call.attributes or {}).get(semconv.ERROR_TYPE) for call in calls] == ["overloaded", None]
    assert (calls[1].attributes or {})[semconv.INPUT_TOKENS] == 10
    assert (server.attributes or {})[semconv.REQUEST_ID] == reply.headers["request-id"]
    sent = [first.seen[0].headers["traceparent"], second.seen[0].headers["traceparent"]]
    assert sent == [f"00-{TRACE}-{call.context.span_id:016x}-01" for call in calls]
    for seen in (first.seen[0], second.seen[0]):
        assert not {"tracestate", "baggage"} & set(seen.headers)


async def test_requests_over_one_connection_are_traces_of_their_own(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    async with upstream() as up:
        up.play(answer)
        tracer = Tracer("1", SimpleSpanProcessor(exporter))
        async with gateway(tmp_path, {"accounts": [account(up.url)]}, tracer=tracer) as house:
            for count in (1, 2, 3):
                await house.ask()
                await house.row(count)
                await house.get("/healthz")
                await house.post("/v1/messages/count_tokens", QUESTION)
    assert len({span.context.trace_id for span in of_kind(exporter, SpanKind.SERVER)}) == 3
    assert len(exporter.get_finished_spans()) == 6


async def test_without_traces_no_header_goes_upstream(tmp_path: Path) -> None:
    async with upstream() as up, gateway(tmp_path, {"accounts": [account(up.url)]}) as house:
        await house.post("/v1/messages", QUESTION, PARENT)
        assert not {"traceparent", "tracestate", "baggage"} & set(up.seen[0].headers)


def test_without_traces_nothing_of_the_extra_is_imported() -> None:
    """Nor is the library of the metrics, before somebody reads them."""
    code = (
        "import sys; from dragoman.serving import assembly; from dragoman.cli import serve;"
        "from dragoman.settings import Settings;"
        "assert assembly.tracer_of(Settings()) is None;"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'prometheus_client'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("missing", ["opentelemetry.sdk.trace", "opentelemetry"])
def test_a_missing_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "dragoman.telemetry.traces")
    for name in [name for name in sys.modules if name == missing or name.startswith(f"{missing}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SettingsError, match=r"telemetry\.traces: needs the extra otel"):
        assembly.tracer_of(Settings.model_validate({"telemetry": {"traces": True}}))


async def test_with_traces_the_address_of_each_account_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    rows = [account("https://api.openai.com/v1"), account("http://localhost:8000/v1", "b")]
    tracer = assembly.tracer_of(Settings.model_validate({"telemetry": {"traces": True}, "accounts": rows}))
    assert tracer is not None
    assert tracer._addresses == {"a": ("api.openai.com", 443), "b": ("localhost", 8000)}
    await tracer.close()


class Collector(BaseHTTPRequestHandler):
    """Takes spans as an OTLP collector would and keeps the bodies."""

    taken: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.taken.append((self.path, body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def collector() -> Iterator[str]:
    Collector.taken.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_served_request_reaches_the_collector_before_the_process_ends(
    tmp_path: Path, collector: str
) -> None:
    """The whole way: the setting, the endpoint from the environment, the last spans at SIGTERM."""
    config = '[server]\ndrain_seconds = 1\n[[keys]]\nname = "k"\nkey = "sk-drg-12345678"\n'
    environment = {"DRAGOMAN_TELEMETRY__TRACES": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": collector}
    with processes.gateway(tmp_path, config, environment) as served:
        house.fetch(f"{served.url}/v1/messages", QUESTION, {"x-api-key": "sk-drg-12345678"})
    assert served.faults() == []
    paths, bodies = zip(*Collector.taken, strict=True)
    assert set(paths) == {"/v1/traces"}
    spans = b"".join(bodies)
    assert b"POST /v1/messages" in spans
    assert b"chat gpt-5.5" in spans
    assert b"sk-drg" not in spans
