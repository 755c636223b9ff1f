"""One request's life: admit, choose, send, stream, settle.

An Exchange owns the ids, the timings and the one row of its request. It asks the attempts what to try,
lets the dialect translate, and writes what comes back. Whatever happens, `settle` runs once: a client
that leaves, a refusal and a fault of our own each end as a row that tells the story.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from dragoman.gateway.admission import Pass
from dragoman.gateway.attempts import Attempts, Step, failed_attempt
from dragoman.gateway.dialects import Dialect, Turn
from dragoman.gateway.house import House
from dragoman.gateway.pacing import Expired, Pacer
from dragoman.gateway.ports import Principal, Row, Sink, UpstreamError
from dragoman.gateway.route import LATE, Route
from dragoman.translate.messages.failure import Cause, UpstreamFailure
from dragoman.wire.errors import TABLE, Failure, Kind, Refused

_EXPIRED = {
    Expired.FIRST_EVENT: UpstreamFailure(Cause.TIMEOUT, "no answer within the first-event limit"),
    Expired.DEADLINE: LATE,
    Expired.IDLE: UpstreamFailure(Cause.TIMEOUT, "the stream fell silent beyond the idle limit"),
}
# How long the official SDKs wait, in seconds.
_PATIENCE = "x-stainless-timeout"
# For reservations: what a request of so many bytes may come to, before anything is known of it.
BYTES_PER_TOKEN = 3.7
# What of a request's time is told as spent here.
_SELECT, _TRANSLATE, _SETTLE = ("select",), ("translate",), ("settle",)
_INTERNAL = Failure(Kind.INTERNAL, "The gateway met an internal fault; the log names it by the request id.")


class Exchange:
    """Serves one generation request. `sink` is None for a client that wants one JSON answer."""

    def __init__(self, house: House, request_id: str, client: str = "") -> None:
        self._house = house
        self._clock = house.clock
        self._born = house.clock.monotonic()
        self._task: asyncio.Task[Any] | None = None
        self._sink: Sink | None = None
        self._started = False
        self._content = False  # something of the answer is with the client
        self._answering = False  # the attempt under way has brought content
        self._overhead_ms = 0.0
        self._size = 0  # of the request, in bytes
        self._begun = 0  # attempts
        self._left = False
        self._settled = False
        self._pass: Pass | None = None
        self._pacer: Pacer | None = None
        self._turn: Turn | None = None
        self._route: Route | None = None
        self.row = Row(request_id, house.clock.now(), client=client)

    # -- the client's side ---------------------------------------------------------------------------

    def leave(self) -> None:
        """The client is gone: the upstream is cancelled at once, the row says so, nothing is retried."""
        self._left = True
        if self._task is not None:
            self._task.cancel()

    def head(self) -> dict[str, str]:
        """Header fields of the answer: what served the request, and what is left of the key's limits."""
        told = {} if self._turn is None else self._turn.head()
        if self._turn is not None:
            told["x-dragoman-attempts"] = str(self._begun)
        told["x-dragoman-overhead-ms"] = str(self._overhead_ms)
        if self.row.cache_verdict is not None:
            told["x-dragoman-cache"] = self.row.cache_verdict
        return told if self._pass is None else told | self._pass.headers(self._clock.now())

    @property
    def gone(self) -> bool:
        """Whether the client left before the end."""
        return self._left

    @property
    def started(self) -> bool:
        """Whether a 200 head was sent: from then on a failure is an event, not a status."""
        return self._started

    # -- life ----------------------------------------------------------------------------------------

    def admit(
        self,
        dialect: Dialect,
        principal: Principal,
        headers: Mapping[str, str],
        request: dict[str, Any],
        size: int,
    ) -> None:
        """Takes a validated request of `size` bytes on. Raises Refused where key, model or limits forbid it.

        The caller should keep no reference to the request: a held stream must not hold a long prompt.
        """
        row, house = self.row, self._house
        self._size = size
        self._turn = dialect.admit(house, principal, headers, request, row)
        turn = self._turn
        window, max_tokens = turn.bounds()
        guess = min(window, int(size / BYTES_PER_TOKEN) + 1)
        self._pass = house.admission.enter(principal, turn.requested, turn.model, guess, max_tokens)
        self._route = Route(house, turn, principal, row, headers.get(_PATIENCE))
        house.journal.begin(row)

    async def run(self, sink: Sink | None) -> dict[str, Any] | None:
        """Serves the admitted request; returns the whole answer where there is no sink.

        Raises Refused as long as no head was sent; later failures become the stream's error event.
        """
        if self._turn is None:
            raise RuntimeError("nothing was admitted")
        if self._left:
            return None
        self._task = asyncio.current_task()
        self._sink = sink
        row, turn = self.row, self._turn
        row.stream = sink is not None
        try:
            async with self._house.gate.place(row.key):
                row.queue_ms = self._since()
                if (whole := turn.immediate()) is not None:
                    return await self._answer_at_once(turn, whole)
                self._pacer = Pacer(
                    self._house.limits,
                    self._commit if sink is not None else None,
                    self._ping if sink is not None else None,
                )
                try:
                    return await self._serve(turn, self._pacer)
                finally:
                    await self._pacer.close()
        except Refused:
            if row.queue_ms is None:
                row.queue_ms = self._since()  # it waited for a place and got none
            raise
        except asyncio.CancelledError:
            if not self._left:
                row.outcome = "aborted"
                raise
            if self._task is not None:
                self._task.uncancel()
            return None
        finally:
            self._task = None

    async def _answer_at_once(self, turn: Turn, events: list[Any]) -> dict[str, Any] | None:
        self.row.status, self.row.outcome = 200, "ok"
        if self._sink is None:
            return turn.fold(events)
        await self._write(turn, events)
        return None

    async def _serve(self, turn: Turn, pacer: Pacer) -> dict[str, Any] | None:
        attempts, route = Attempts(self._house.jitter), self._route
        if route is None:
            raise RuntimeError("nothing was admitted")
        while (step := await self._chosen(route, attempts)) is not None:
            if step.pause:
                await asyncio.sleep(step.pause)
            self.row.attempts = attempts.told()
            route.begin(step.account, attempts)
            try:
                failure = await self._attempt(turn, step, pacer, route.left)
                if failure is None:
                    return self._finish(turn)
                route.failed(failure)
            finally:
                route.end()
            pacer.rest()
            param = attempts.failed(failure, sealed=turn.sealed)
            self.row.attempts = attempts.told()
            if param is not None:
                self._house.learnt.add(step.account.name, turn.model, param, self._clock.monotonic())
            if attempts.without_reasoning and not step.without_reasoning:
                turn.distrust_reasoning()
        told = route.verdict(attempts)
        await self._fail(turn, told if isinstance(told, Failure) else turn.explain(told))
        return None

    async def _chosen(self, route: Route, attempts: Attempts) -> Step | None:
        began = self._clock.monotonic()
        step = await route.step(attempts)
        self._house.took(_SELECT, self._clock.monotonic() - began)
        return step

    async def _attempt(self, turn: Turn, step: Step, pacer: Pacer, left: float) -> UpstreamFailure | None:
        """Sends one attempt. Returns its failure if nothing of its content reached the client.

        `left` is the time that the request has, in seconds.
        """
        learnt = self._house.learnt.of(step.account.name, turn.model, self._clock.monotonic())
        self._begun += 1
        try:
            async with self._house.pieces.of(self._size):
                began = self._clock.monotonic()
                body, headers = turn.prepare(
                    step.account, learnt, step.without_reasoning, started=self._started
                )
                self._house.took(_TRANSLATE, self._clock.monotonic() - began)
        except UpstreamError as error:  # not for this account, whatever it would answer
            return error.failure
        pacer.attempt(left)
        self._overhead_ms = self._overhead_ms or self._since()
        self._answering, self.row.first_byte_ms, self.row.first_token_ms = False, None, None
        sent = self._clock.monotonic()
        try:
            async with self._house.upstream.open(step.account, body, headers, turn.suffix) as answer:
                self.row.connect_ms = _ms(self._clock.monotonic() - sent)
                async for events in turn.read(answer):
                    pacer.touch()
                    if await self._relay(turn, turn.feed(events)):
                        answer.complete = turn.complete
                        break
                else:
                    await self._relay(turn, turn.close())
        except UpstreamError as error:
            return await self._broken(turn, error.failure)
        except asyncio.CancelledError:
            if pacer.expired is None or self._left:
                raise
            if self._task is not None:
                self._task.uncancel()
            return await self._broken(turn, _EXPIRED[pacer.expired])
        failure = turn.failure
        if self._content and failure is not None and self._route is not None:
            self._route.failed(failure)  # the client was told; so is the pool
        return None if self._content else failure

    async def _relay(self, turn: Turn, events: list[Any]) -> bool:
        """Passes on what the upstream's last bytes became; true when nothing more is to come."""
        if self.row.first_byte_ms is None:
            self.row.first_byte_ms = self._since()
        if events:
            if not self._answering:
                self._answering = True
                if self._route is not None and turn.failure is None:
                    self._route.answered()
                self.row.first_token_ms = self._since()
            if self._sink is None and turn.failure is not None:
                return True  # nothing of it went out: somebody else may still answer
            if not self._content and (self._sink is not None or turn.over):
                self._content = True
                turn.commit()
            if turn.over:
                # What a client has seen the end of is counted and in the ledger, whatever happens next.
                if turn.failure is not None:
                    self._tell_broken(turn.failure)
                self._conclude(turn)
                self.settle()
            await self._write(turn, events)
        return turn.over

    def _tell_broken(self, failure: UpstreamFailure) -> None:
        """An attempt that broke off behind its content stands in the row like any other that failed."""
        self.row.attempts.append(failed_attempt(self.row.account, failure))

    async def _broken(self, turn: Turn, failure: UpstreamFailure) -> UpstreamFailure | None:
        """A stream that broke: before content the failure goes back to the attempts, later it is an event."""
        if not self._content:
            return failure
        if self._route is not None:
            self._route.failed(failure)
        self._tell_broken(failure)
        await self._write(turn, turn.break_off(failure))
        return None

    # -- writing -------------------------------------------------------------------------------------

    async def _write(self, turn: Turn, events: list[Any]) -> None:
        if self._sink is None:
            turn.collect(events)
            return
        pacer = self._pacer
        if pacer is not None and pacer.busy:
            await pacer.settled()
        if not self._started:
            await self._start(turn)
        if pacer is None:
            await self._sink.write(turn.encode(events))
            return
        pacer.writing = True
        await self._sink.write(turn.encode(events), last=turn.over)
        pacer.wrote()

    async def _start(self, turn: Turn) -> None:
        if self._pacer is not None:
            self._pacer.held()
        if self._sink is not None:
            await self._sink.start(self.head())
        self._started = True
        if not self._settled:
            self._house.pieces.streams += 1

    async def _commit(self) -> None:
        """The head was held back long enough: it goes out with `message_start` and a ping."""
        if self._turn is None or self._sink is None or self._started:
            return
        opening = self._turn.encode(self._turn.begin()) + self._turn.ping
        await self._start(self._turn)
        await self._sink.write(opening)

    async def _ping(self) -> None:
        if self._turn is not None and self._sink is not None:
            await self._sink.write(self._turn.ping)

    async def _fail(self, turn: Turn, failure: Failure) -> None:
        if not self._started:
            raise Refused(failure)
        self._note(failure)
        await self._write(turn, turn.refuse(failure))

    # -- the end -------------------------------------------------------------------------------------

    def _finish(self, turn: Turn) -> dict[str, Any] | None:
        self._conclude(turn)
        if self._sink is not None:
            return None
        if (failure := turn.client_failure) is not None:
            raise Refused(failure)
        return turn.whole()

    def _conclude(self, turn: Turn) -> None:
        if (failure := turn.client_failure) is not None:
            self._note(failure)
        else:
            self.row.status, self.row.outcome = 200, "ok"

    def _note(self, failure: Failure) -> None:
        row = self.row
        if self._settled:
            return  # the ledger has the row as it was
        row.status = failure.status
        row.error_type = TABLE[failure.kind].anthropic
        row.outcome = "upstream_error" if row.account and not _asked_nobody(row) else "refused"

    def refuse(self, failure: Failure) -> None:
        """Notes why the request got no answer; the door sends the failure itself."""
        self._note(failure)

    def fault(self) -> Failure:
        """Notes a fault of our own and returns what the client is told."""
        self._note(_INTERNAL)
        return _INTERNAL

    def last_word(self, failure: Failure) -> bytes | None:
        """What ends a stream that has begun, as its dialect ends one; None where that cannot be had."""
        turn = self._turn
        if turn is None:
            return None
        try:
            return b"" if turn.over else turn.encode(turn.refuse(failure))
        except Exception:  # it may be the very thing that is broken
            return None

    def settle(self) -> Row:
        """Completes the row, counts it and hands it to the ledger, once. Never raises, never waits."""
        row = self.row
        if not self._settled:
            self._settled = True
            if self._started:
                self._house.pieces.streams -= 1
            began = self._clock.monotonic()
            if self._left and row.outcome in ("", "ok"):
                row.status, row.outcome = 499, "client_gone"
            if self._turn is not None:
                self._turn.settle(row)
            row.duration_ms = _ms(began - self._born)
            self._house.admission.price(row)
            if self._pass is not None:
                self._pass.settle(row, self._clock.now())
            self._house.ledger.record(row)
            self._house.took(_SETTLE, self._clock.monotonic() - began)
        return row

    def _since(self) -> float:
        return _ms(self._clock.monotonic() - self._born)


def _asked_nobody(row: Row) -> bool:
    """Whether every account was found unfit before anything was sent."""
    return bool(row.attempts) and all(attempt["cause"] == Cause.UNFIT for attempt in row.attempts)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
