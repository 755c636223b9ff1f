"""Spans of requests and attempts: their place in the caller's trace, their times, their attributes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from dragoman.gateway.ports import Account, Answer, Row, UpstreamError
from dragoman.telemetry import semconv
from dragoman.telemetry.traces import Tracer
from dragoman.translate.messages.failure import Cause, UpstreamFailure

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
WORK = Account("work", "openai", "tag")
SECOND = 1_000_000_000


class Silent:
    """The answer of an upstream that nobody reads."""

    headers: Mapping[str, str] = {}
    complete = True

    async def events(self) -> AsyncIterator[list[dict[str, Any]]]:
        yield []

    async def frames(self) -> AsyncIterator[list[bytes]]:
        yield []


class Scripted:
    """An upstream that fails as often as it is told and notes the header fields it was sent."""

    def __init__(self, *causes: Cause) -> None:
        self.causes = list(causes)
        self.seen: list[Mapping[str, str]] = []

    def open(
        self, account: Account, body: bytes, headers: Mapping[str, str], suffix: str = ""
    ) -> AbstractAsyncContextManager[Answer]:
        return self._open(headers)

    @asynccontextmanager
    async def _open(self, headers: Mapping[str, str]) -> AsyncIterator[Answer]:
        self.seen.append(headers)
        if self.causes:
            raise UpstreamError(UpstreamFailure(self.causes.pop(0)))
        yield Silent()

    async def count(self, account: Account, body: Mapping[str, Any]) -> int | None:
        return 7


class Clock:
    """Each look at it takes a second."""

    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def __call__(self) -> int:
        self.now += SECOND
        return self.now


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    yield InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> Tracer:
    return Tracer(
        "1.2.3",
        SimpleSpanProcessor(exporter),
        addresses={"work": ("api.openai.com", 443)},
        now=Clock(),
    )


def answered(**more: Any) -> Row:
    fields: dict[str, Any] = {
        "key": "laptop",
        "client": "claude-cli/2.1.0",
        "requested_model": "claude-x",
        "upstream_model": "gpt-5.5",
        "conversation_hash": "c0ffee",
        "status": 200,
        "outcome": "ok",
        "stop_reason": "end_turn",
        "input_tokens": 100,
        "cached_tokens": 80,
        "written_tokens": 5,
        "output_tokens": 20,
        "reasoning_tokens": 10,
        "usage_source": "measured",
        "first_token_ms": 3500.0,
        "cache_verdict": "hit",
        "stream": True,
    }
    return Row("req_1", 0.0, **(fields | more))


async def serve(tracer: Tracer, upstream: Scripted, row: Row, headers: Mapping[str, str]) -> None:
    """What the gateway does with a request, as far as a tracer sees it."""
    tracer.begin(headers)
    traced = tracer.upstream(upstream)
    for _ in range(len(upstream.causes) + 1):
        try:
            async with traced.open(WORK, b"{}", {"session-id": "s"}):
                pass
        except UpstreamError:
            continue
    tracer.record(row)


def by_kind(exporter: InMemorySpanExporter) -> tuple[list[ReadableSpan], ReadableSpan]:
    """The attempts in their order, and the request."""
    spans = exporter.get_finished_spans()
    (server,) = [span for span in spans if span.kind is SpanKind.SERVER]
    return [span for span in spans if span.kind is SpanKind.CLIENT], server


async def test_a_request_is_a_span_and_its_attempt_one_below(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    upstream = Scripted()
    await serve(tracer, upstream, answered(), {})
    (call,), server = by_kind(exporter)
    assert server.name == "POST /v1/messages"
    assert server.parent is None
    assert call.name == "chat gpt-5.5"
    assert call.parent is not None
    assert call.parent.span_id == server.context.span_id
    assert dict(server.attributes or {}) == {
        semconv.HTTP_METHOD: "POST",
        semconv.HTTP_ROUTE: "/v1/messages",
        semconv.HTTP_STATUS: 200,
        semconv.REQUEST_ID: "req_1",
        semconv.OUTCOME: "ok",
        semconv.KEY: "laptop",
        semconv.CLIENT: "claude-cli/2.1.0",
        semconv.CACHE_VERDICT: "hit",
    }
    assert dict(call.attributes or {}) == {
        semconv.OPERATION: "chat",
        semconv.PROVIDER: "openai",
        semconv.API_TYPE: "responses",
        semconv.ACCOUNT: "work",
        semconv.SERVER_ADDRESS: "api.openai.com",
        semconv.SERVER_PORT: 443,
        semconv.REQUEST_MODEL: "gpt-5.5",
        semconv.ORIGINAL_MODEL: "claude-x",
        semconv.STREAM: True,
        semconv.CONVERSATION: "c0ffee",
        semconv.FINISH_REASONS: ("end_turn",),
        semconv.TIME_TO_FIRST_CHUNK: 2.5,
        semconv.INPUT_TOKENS: 100,
        semconv.OUTPUT_TOKENS: 20,
        semconv.CACHE_READ_TOKENS: 80,
        semconv.CACHE_WRITTEN_TOKENS: 5,
        semconv.REASONING_TOKENS: 10,
    }
    assert call.status.status_code is StatusCode.UNSET
    # Arrival, attempt begins, attempt ends, row: a second each.
    begun, ended = server.start_time or 0, server.end_time or 0
    assert (call.start_time, call.end_time) == (begun + SECOND, begun + 2 * SECOND)
    assert ended == begun + 3 * SECOND


async def test_the_callers_trace_is_taken_up_and_ours_goes_upstream(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    upstream = Scripted()
    headers = {"traceparent": PARENT, "tracestate": "vendor=secret", "baggage": "user=me"}
    await serve(tracer, upstream, answered(), headers)
    (call,), server = by_kind(exporter)
    assert format(server.context.trace_id, "032x") == TRACE
    assert server.parent is not None
    assert format(server.parent.span_id, "016x") == "00f067aa0ba902b7"
    assert upstream.seen == [{"session-id": "s", "traceparent": f"00-{TRACE}-{call.context.span_id:016x}-01"}]


@pytest.mark.parametrize(
    "parent", ["", "sk-live-0123", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", PARENT + "-x", PARENT[:-3]]
)
async def test_a_parent_that_is_none_is_passed_over(
    tracer: Tracer, exporter: InMemorySpanExporter, parent: str
) -> None:
    await serve(tracer, Scripted(), answered(), {"traceparent": parent})
    _, server = by_kind(exporter)
    assert server.parent is None


async def test_a_trace_that_is_not_sampled_stays_so_and_goes_on(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    upstream = Scripted()
    await serve(tracer, upstream, answered(), {"traceparent": PARENT[:-2] + "00"})
    assert exporter.get_finished_spans() == ()
    assert upstream.seen[0]["traceparent"].startswith(f"00-{TRACE}-")
    assert upstream.seen[0]["traceparent"].endswith("-00")


async def test_each_attempt_has_its_span_and_its_cause(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    attempts = [{"account": "work", "cause": "overloaded"}, {"account": "work", "cause": "cut"}]
    upstream = Scripted(Cause.OVERLOADED, Cause.CUT)
    await serve(tracer, upstream, answered(attempts=attempts), {})
    calls, server = by_kind(exporter)
    assert [(call.attributes or {}).get(semconv.ERROR_TYPE) for call in calls] == ["overloaded", "cut", None]
    assert [call.status.status_code for call in calls] == [StatusCode.ERROR] * 2 + [StatusCode.UNSET]
    assert len({headers["traceparent"] for headers in upstream.seen}) == 3
    assert [semconv.INPUT_TOKENS in (call.attributes or {}) for call in calls] == [False, False, True]
    assert server.status.status_code is StatusCode.UNSET


async def test_a_failure_inside_a_200_is_told_by_the_row(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    row = answered(
        status=529,
        outcome="upstream_error",
        error_type="overloaded_error",
        usage_source="none",
        stop_reason=None,
        first_token_ms=None,
        attempts=[{"account": "work", "cause": "overloaded"}],
    )
    await serve(tracer, Scripted(), row, {})
    (call,), server = by_kind(exporter)
    assert (call.attributes or {})[semconv.ERROR_TYPE] == "overloaded"
    assert semconv.INPUT_TOKENS not in (call.attributes or {})
    assert server.status.status_code is StatusCode.ERROR
    assert (server.attributes or {})[semconv.ERROR_TYPE] == "overloaded_error"


async def test_a_refused_request_is_a_span_without_attempts(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    tracer.begin({})
    tracer.record(Row("req_1", 0.0, status=401, outcome="refused", error_type="authentication_error"))
    calls, server = by_kind(exporter)
    assert calls == []
    assert (server.attributes or {})[semconv.HTTP_STATUS] == 401
    assert server.status.status_code is StatusCode.UNSET


async def test_requests_of_one_loop_do_not_mix(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    async def one(number: int) -> None:
        tracer.begin({})
        await asyncio.sleep(0)
        async with tracer.upstream(Scripted()).open(WORK, b"", {}):
            await asyncio.sleep(0)
        tracer.record(answered(upstream_model=f"model-{number}"))

    await asyncio.gather(*(one(number) for number in range(20)))
    spans = exporter.get_finished_spans()
    traces: dict[int, list[str]] = {span.context.trace_id: [] for span in spans}
    for span in spans:
        traces[span.context.trace_id].append(span.name)
    assert len(traces) == 20
    assert sorted(names[0] for names in traces.values()) == sorted(f"chat model-{n}" for n in range(20))


async def test_outside_a_request_nothing_is_traced(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    upstream = Scripted()
    traced = tracer.upstream(upstream)
    async with traced.open(WORK, b"", {"a": "b"}):
        pass
    assert await traced.count(WORK, {}) == 7
    tracer.record(answered())
    assert upstream.seen == [{"a": "b"}]
    assert exporter.get_finished_spans() == ()


async def test_who_is_served_is_named_unless_the_environment_says_it(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await serve(Tracer("1.2.3", SimpleSpanProcessor(exporter)), Scripted(), answered(), {})
    resource = exporter.get_finished_spans()[0].resource.attributes
    assert (resource["service.name"], resource["service.version"]) == ("dragoman", "1.2.3")
    exporter.clear()
    monkeypatch.setenv("OTEL_SERVICE_NAME", "gateway-7")
    await serve(Tracer("1.2.3", SimpleSpanProcessor(exporter)), Scripted(), answered(), {})
    assert exporter.get_finished_spans()[0].resource.attributes["service.name"] == "gateway-7"


class Stuck(InMemorySpanExporter):
    """A collector that is away."""

    def __init__(self, until: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._until = until
        self._loop = loop

    def shutdown(self) -> None:
        asyncio.run_coroutine_threadsafe(self._until.wait(), self._loop).result(60)


async def test_a_collector_that_is_away_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragoman.telemetry.traces.LAST_SPANS_SECONDS", 0.05)
    back = asyncio.Event()
    tracer = Tracer("1.2.3", SimpleSpanProcessor(Stuck(back, asyncio.get_running_loop())))
    async with asyncio.timeout(30):
        await tracer.close()
    assert not back.is_set()
    back.set()
    await asyncio.sleep(0.1)


async def test_at_the_end_what_waits_is_sent() -> None:
    class Kept(InMemorySpanExporter):
        closed = False

        def shutdown(self) -> None:
            self.closed = True

    exporter = Kept()
    tracer = Tracer("1.2.3", SimpleSpanProcessor(exporter))
    await serve(tracer, Scripted(), answered(), {})
    await tracer.close()
    assert exporter.closed
    assert len(exporter.get_finished_spans()) == 2


def test_no_name_of_content_is_known() -> None:
    names = [value for name, value in vars(semconv).items() if name.isupper()]
    assert names
    for content in ("input.messages", "output.messages", "system_instructions", "tool.definitions", "prompt"):
        assert not [name for name in names if content in name]
