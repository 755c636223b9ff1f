"""OpenTelemetry spans: one for each generation request, one below it for each attempt at an upstream.

They are written after the fact, when the row of the request is complete, from the row and from when each
attempt began and ended. A caller's `traceparent` is taken up and ours goes upstream; `tracestate` and
`baggage` are dropped, since they may say anything. No span holds content. The extra `otel` is imported by
this module alone, and this module only where traces are asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from dragoman.gateway.ports import Account, Answer, Row, Upstream, UpstreamError
from dragoman.telemetry import semconv

LAST_SPANS_SECONDS = 3.0

_PARENT = "traceparent"
_W3C = TraceContextTextMapPropagator()
_PATHS = {
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "compact": "/v1/responses/compact",
    "chat": "/v1/chat/completions",
}


class _Attempt:
    """One call of an upstream: its span, and what is known when it is over."""

    __slots__ = ("cause", "ended", "span", "started")

    def __init__(self, span: Span, started: int) -> None:
        self.span = span
        self.started = started
        self.ended: int | None = None
        self.cause: str | None = None


class _Request:
    """What is known of a request before its row: its caller's place in a trace, and when it came."""

    __slots__ = ("attempts", "parent", "span", "started")

    def __init__(self, parent: str | None, started: int) -> None:
        self.parent = parent
        self.started = started
        self.span: Span | None = None
        self.attempts: list[_Attempt] = []


# A request is served by one task, so its context tells attempts and row whose they are.
_current: ContextVar[_Request | None] = ContextVar("dragoman_request", default=None)


class Tracer:
    """Implements the gateway's Ledger port; `upstream` wraps an Upstream so that attempts are seen."""

    def __init__(
        self,
        version: str,
        processor: SpanProcessor | None = None,
        *,
        addresses: Mapping[str, tuple[str, int]] | None = None,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        """Without a processor spans go to the OTLP endpoint that OTEL_EXPORTER_OTLP_… names.

        `addresses` gives host and port by the account's name, `now` nanoseconds since the epoch.
        """
        ours = Resource({SERVICE_NAME: "dragoman", SERVICE_VERSION: version})
        # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say comes first.
        resource = Resource.create(ours.merge(OTELResourceDetector().detect()).attributes)
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("dragoman", version)
        self._addresses = addresses or {}
        self._now = now

    def begin(self, headers: Mapping[str, str]) -> None:
        """A request arrived in the current task. Costs next to nothing: most of them never get a span."""
        _current.set(_Request(headers.get(_PARENT), self._now()))

    def upstream(self, upstream: Upstream) -> Upstream:
        """The same upstream; each of its calls within a request becomes a span and carries its place."""
        return _TracedUpstream(upstream, self)

    def attempt(self, account: Account) -> tuple[_Attempt, dict[str, str]] | None:
        """Begins a call's span; returns it and the header fields that go with it. None outside a request."""
        request = _current.get()
        if request is None:
            return None
        within = set_span_in_context(self._server(request), Context())
        now = self._now()
        span = self._tracer.start_span(
            semconv.CHAT, within, SpanKind.CLIENT, self._of_account(account), start_time=now
        )
        attempt = _Attempt(span, now)
        request.attempts.append(attempt)
        fields: dict[str, str] = {}
        _W3C.inject(fields, set_span_in_context(span, Context()))
        return attempt, {_PARENT: fields[_PARENT]} if _PARENT in fields else {}

    def finished(self, attempt: _Attempt, cause: str | None) -> None:
        """A call is over; `cause` says why it failed, None where it did not or nobody can tell yet."""
        attempt.ended, attempt.cause = self._now(), cause

    def record(self, row: Row) -> None:
        """Completes and ends the spans of the current task's request."""
        request = _current.get()
        if request is None:
            return
        _current.set(None)
        server = self._server(request)
        path = _PATHS.get(row.route, row.route)
        server.update_name(f"POST {path}")
        server.set_attributes(_of_request(row, path))
        end = self._now()
        for number, attempt in enumerate(request.attempts):
            _complete(attempt, number, row)
        if request.attempts:
            answered = request.attempts[-1]
            answered.span.set_attributes(_of_answer(row, request.started - answered.started))
        for attempt in request.attempts:
            attempt.span.end(attempt.ended or end)
        if row.status >= 500:
            server.set_status(Status(StatusCode.ERROR))
        server.end(end)

    async def close(self) -> None:
        """Sends what waits, for a few seconds at most: a collector that is away must not hold us up."""
        loop, sent = asyncio.get_running_loop(), asyncio.Event()

        def send() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop did not wait so long
                loop.call_soon_threadsafe(sent.set)

        threading.Thread(target=send, name="last spans", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_SPANS_SECONDS):
                await sent.wait()

    def _server(self, request: _Request) -> Span:
        if request.span is None:
            # A context of its own: whatever else the process traces is no parent of ours.
            carrier = {} if request.parent is None else {_PARENT: request.parent}
            within = _W3C.extract(carrier, Context())
            request.span = self._tracer.start_span(
                "POST", within, SpanKind.SERVER, start_time=request.started
            )
        return request.span

    def _of_account(self, account: Account) -> dict[str, AttributeValue]:
        told: dict[str, AttributeValue] = {
            semconv.OPERATION: semconv.CHAT,
            semconv.PROVIDER: semconv.OPENAI,
            semconv.API_TYPE: semconv.RESPONSES,
            semconv.ACCOUNT: account.name,
        }
        if (address := self._addresses.get(account.name)) is not None:
            told[semconv.SERVER_ADDRESS], told[semconv.SERVER_PORT] = address
        return told


class _TracedUpstream:
    """Implements the gateway's Upstream port around another one."""

    def __init__(self, upstream: Upstream, tracer: Tracer) -> None:
        self._upstream = upstream
        self._tracer = tracer

    def open(
        self, account: Account, body: bytes, headers: Mapping[str, str], suffix: str = ""
    ) -> AbstractAsyncContextManager[Answer]:
        begun = self._tracer.attempt(account)
        if begun is None:
            return self._upstream.open(account, body, headers, suffix)
        attempt, fields = begun
        return self._watched(attempt, self._upstream.open(account, body, {**headers, **fields}, suffix))

    @asynccontextmanager
    async def _watched(
        self, attempt: _Attempt, call: AbstractAsyncContextManager[Answer]
    ) -> AsyncIterator[Answer]:
        cause: str | None = None
        try:
            async with call as answer:
                yield answer
        except UpstreamError as error:
            cause = str(error.failure.cause)
            raise
        finally:
            self._tracer.finished(attempt, cause)

    async def count(self, account: Account, body: Mapping[str, Any]) -> int | None:
        return await self._upstream.count(account, body)


def _complete(attempt: _Attempt, number: int, row: Row) -> None:
    """Adds what the row knows of an attempt; `number` counts the attempts of the request from 0."""
    span = attempt.span
    span.update_name(f"{semconv.CHAT} {row.upstream_model}")
    span.set_attributes(_of_call(row))
    cause = attempt.cause
    if cause is None and number < len(row.attempts):  # it failed inside a 200, or took too long
        cause = str(row.attempts[number].get("cause"))
    elif cause is None and row.outcome != "ok":
        cause = row.error_type or row.outcome
    if cause is not None:
        span.set_attribute(semconv.ERROR_TYPE, cause)
        span.set_status(Status(StatusCode.ERROR))


def _of_request(row: Row, path: str) -> dict[str, AttributeValue]:
    told: dict[str, AttributeValue] = {
        semconv.HTTP_METHOD: "POST",
        semconv.HTTP_ROUTE: path,
        semconv.REQUEST_ID: row.request_id,
        semconv.OUTCOME: row.outcome,
    }
    optional: dict[str, AttributeValue | None] = {
        semconv.HTTP_STATUS: row.status or None,
        semconv.ERROR_TYPE: row.error_type,
        semconv.KEY: row.key or None,
        semconv.CLIENT: row.client or None,
        semconv.CACHE_VERDICT: row.cache_verdict,
    }
    return told | {name: value for name, value in optional.items() if value is not None}


def _of_call(row: Row) -> dict[str, AttributeValue]:
    told: dict[str, AttributeValue] = {
        semconv.REQUEST_MODEL: row.upstream_model,
        semconv.ORIGINAL_MODEL: row.requested_model,
        semconv.STREAM: row.stream,
    }
    if row.conversation_hash is not None:
        told[semconv.CONVERSATION] = row.conversation_hash
    return told


def _of_answer(row: Row, waited: int) -> dict[str, AttributeValue]:
    """`waited` is from the attempt back to the request's arrival, in nanoseconds: zero or less."""
    told: dict[str, AttributeValue] = {}
    if row.stop_reason is not None:
        told[semconv.FINISH_REASONS] = (row.stop_reason,)
    if row.first_token_ms is not None:
        told[semconv.TIME_TO_FIRST_CHUNK] = max(0.0, row.first_token_ms / 1000 + waited / 1e9)
    if row.usage_source != "none":
        told |= {
            semconv.INPUT_TOKENS: row.input_tokens,
            semconv.OUTPUT_TOKENS: row.output_tokens,
            semconv.CACHE_READ_TOKENS: row.cached_tokens,
            semconv.CACHE_WRITTEN_TOKENS: row.written_tokens,
            semconv.REASONING_TOKENS: row.reasoning_tokens,
        }
    return told
