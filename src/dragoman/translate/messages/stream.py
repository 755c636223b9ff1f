"""Responses events to Anthropic Messages events: a table-driven automaton.

TRANSITIONS[state][event type] is (handler, next state). Types that no row names are counted and ignored;
a known type where its state has no row is a fault of the peer. The automaton decides order and endings:
blocks strictly one after the other, `message_start` with the first thing to show, the stop reason only
with the upstream's last word in hand, and never a good end after a cut. Whose turn it is stands in lineup,
what an item becomes in message, calls, thinking and citations, how blocks are written in blocks. Another
dialect of the same answer (chat/stream) says the same in its own words, which are a section of their own.
Contracts: OpenAI's Responses streaming events, Anthropic's Messages streaming events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

from dragoman.translate.messages.blocks import Blocks, blocks
from dragoman.translate.messages.calls import CustomCall, FunctionCall
from dragoman.translate.messages.context import WINDOW_BETA, AnswerContext
from dragoman.translate.messages.failure import Cause, UpstreamFailure, from_event, to_client
from dragoman.translate.messages.frame import closing, opening
from dragoman.translate.messages.items import Item, PeerError
from dragoman.translate.messages.lineup import KINDS, Lineup, name
from dragoman.translate.messages.message import Message
from dragoman.translate.messages.outcome import Outcome, tally
from dragoman.translate.messages.thinking import Reasoning
from dragoman.translate.messages.usage import estimated
from dragoman.translate.messages.usage import measured as measure
from dragoman.wire.errors import Failure

__all__ = ["TRANSITIONS", "AnswerContext", "ResponsesToMessages", "State"]

Event = dict[str, Any]


class State(StrEnum):
    """How far the upstream's response has come.

    WAITING    nothing of the response yet
    OPENED     the response is announced
    ANSWERING  its output arrives
    STOPPED    the client has its whole answer (stop sequence, cap); only usage is still of interest
    ENDED      the last word is in: nothing counts any more
    """

    WAITING = "waiting"
    OPENED = "opened"
    ANSWERING = "answering"
    STOPPED = "stopped"
    ENDED = "ended"


Handler = Callable[[Any, Event], None]
Transitions = dict[State, dict[str, tuple[Handler, State]]]


class ResponsesToMessages:
    """Translates one attempt's answer. `feed` every event, then `close` at the end of the bytes.

    started       `message_start` was written (by this automaton or by an earlier attempt's)
    finished      nothing more will come of this automaton
    wants_cancel  the client has its whole answer, the upstream's further work is for nobody
    failure       why the upstream's answer is no good; set before content too, when nothing was written
    told          the Failure that the client was told in an `error` event
    """

    def __init__(self, context: AnswerContext, *, started: bool = False) -> None:
        self.context = context
        self.started = started
        self.finished = False
        self.wants_cancel = False
        self.failure: UpstreamFailure | None = None
        self.told: Failure | None = None
        self.state = State.WAITING
        self._rows = self.transitions[State.WAITING]
        self._outcome = Outcome()
        self._blocks = self._writer()
        self._content = False  # something of the answer itself was written
        self._final = False  # the upstream's terminal event is in hand
        self._ahead: Event | None = None  # that event, where it was seen before its turn
        self._lineup = Lineup(context, self._blocks, self._outcome, self.kinds)

    # -- the client's dialect: what another one says in its own words ---------------------------------

    transitions: ClassVar[Transitions]
    kinds: ClassVar[Mapping[str, type[Item]]] = KINDS

    def _writer(self) -> Blocks:
        plan = self.context.plan
        return blocks(plan.stop_sequences, plan.visible_cap, plan.prefill, self.context.count)

    def _opening(self) -> Event:
        return opening(self.context, self._outcome.service_tier)

    def _closing(self, details: str | None) -> list[Event]:
        return closing(self.context, self._outcome, details)

    def _tell(self, failure: UpstreamFailure) -> Failure:
        return to_client(failure, tokens=self.context.input_estimate, window=self.context.window)

    def _error(self, failure: Failure) -> Event:
        return failure.anthropic(self.context.request_id)

    # -- the five doors ------------------------------------------------------------------------------

    def foresee(self, events: Sequence[Event]) -> None:
        """The batch that is fed next: an answer that is ended in it has its figures, if they are in it."""
        plan = self.context.plan
        if plan.stop_sequences or plan.visible_cap is not None:
            self._ahead = next((event for event in reversed(events) if event.get("type") in _LAST), None)

    def feed(self, event: Event) -> list[Event]:
        """What an upstream event becomes; [] until there is content or an end."""
        try:
            handler, state = self._rows[event["type"]]
        except (KeyError, TypeError):
            return self._other(event)
        if state is not self.state:
            self._enter(state)
        try:
            handler(self, event)
        except PeerError as error:
            self._break(UpstreamFailure(Cause.PROTOCOL, str(error)))
        return self._take()

    def begin(self) -> list[Event]:
        """`message_start` now, before there is anything to show. Idempotent.

        Also between a failed attempt and the next one: the client is only told that there is an answer.
        """
        if self.started or self.concluded:
            return []
        return [self._start()]

    @property
    def concluded(self) -> bool:
        """The client has the end of its answer, a good one or an error."""
        return self.told is not None or self._outcome.stop_reason is not None

    def fail(self, failure: Failure) -> list[Event]:
        """The gateway gives up: an error event, unless the answer already has its end."""
        if self.concluded:
            return []
        self.finished = True
        self.told = failure
        self._enter(State.ENDED)
        return [self._error(failure)]

    def close(self) -> list[Event]:
        """The upstream's bytes are at their end; without a terminal event that is a cut."""
        if not self.finished:
            self._break(UpstreamFailure(Cause.CUT, "the stream ended without its terminal event"))
        return self._take()

    @property
    def outcome(self) -> Outcome:
        """What the answer came to so far. Its usage is an estimate until the upstream has told the truth."""
        outcome = self._outcome
        if outcome.usage.source != "measured" and self._content:
            outcome.usage = estimated(self.context.input_estimate, outcome.output_bytes)
        return outcome

    # -- announcements -------------------------------------------------------------------------------

    def _created(self, event: Event) -> None:
        self._identify(_response(event))

    def _nothing(self, event: Event) -> None:
        """Progress that the client need not hear of: pings are the gateway's affair."""

    def _rate_limits(self, event: Event) -> None:
        self._outcome.rate_limits = event

    # -- items ---------------------------------------------------------------------------------------

    def _item_added(self, event: Event) -> None:
        self._lineup.added(event)

    def _item_done(self, event: Event) -> None:
        self._lineup.done(event)

    def _text_delta(self, event: Event) -> None:
        delta = _delta(event)
        item = self._lineup.head
        if not isinstance(item, Message) or item.item_id is None or item.item_id != event.get("item_id"):
            item = self._lineup.of(event, Message)
        item.delta(_part(event), delta)
        if item.waits:
            self._lineup.enqueue(item)

    def _text_done(self, event: Event) -> None:
        if (item := self._lineup.known(event, Message)) is not None:
            item.snapshot(_part(event), event.get("text"))
            self._lineup.enqueue(item)

    def _refusal_delta(self, event: Event) -> None:
        self._lineup.of(event, Message).part(_part(event)).refusal = True
        self._text_delta(event)

    def _refusal_done(self, event: Event) -> None:
        if (item := self._lineup.known(event, Message)) is not None:
            item.whole(_part(event), {"type": "refusal", "refusal": event.get("refusal")})
            self._lineup.enqueue(item)

    def _part_done(self, event: Event) -> None:
        part = event.get("part")
        if isinstance(part, dict) and part.get("type") in ("output_text", "text", "refusal"):
            item = self._lineup.known(event, Message)
            if item is not None:
                item.whole(_part(event), part)
                self._lineup.enqueue(item)

    def _annotation(self, event: Event) -> None:
        if (item := self._lineup.known(event, Message)) is not None:
            item.annotate(_part(event), event.get("annotation"))

    def _arguments_delta(self, event: Event) -> None:
        self._lineup.of(event, FunctionCall).delta(_delta(event))

    def _arguments_done(self, event: Event) -> None:
        if (item := self._lineup.known(event, FunctionCall)) is not None:
            item.added(event)
            item.snapshot(event.get("arguments"))
            self._lineup.advance()

    def _input_delta(self, event: Event) -> None:
        self._lineup.of(event, CustomCall).delta(_delta(event))

    def _input_done(self, event: Event) -> None:
        if (item := self._lineup.known(event, CustomCall)) is not None:
            item.snapshot(event.get("input"))
            self._lineup.advance()

    def _summary_delta(self, event: Event) -> None:
        key = ("summary", _part(event, "summary_index"))
        self._lineup.of(event, Reasoning).delta(key, _delta(event))

    def _summary_done(self, event: Event) -> None:
        if (item := self._lineup.known(event, Reasoning)) is not None:
            item.snapshot(("summary", _part(event, "summary_index")), event.get("text"))

    def _summary_part_done(self, event: Event) -> None:
        part = event.get("part")
        self._summary_done({**event, "text": part.get("text") if isinstance(part, dict) else None})

    def _reasoning_delta(self, event: Event) -> None:
        self._lineup.of(event, Reasoning).delta(("content", _part(event)), _delta(event))

    def _reasoning_done(self, event: Event) -> None:
        if (item := self._lineup.known(event, Reasoning)) is not None:
            item.snapshot(("content", _part(event)), event.get("text"))

    # -- ends ----------------------------------------------------------------------------------------

    def _completed(self, event: Event) -> None:
        response = _response(event)
        status = response.get("status")
        if status in ("failed", "cancelled"):
            self._failed(event)
        elif status == "incomplete" or isinstance(response.get("incomplete_details"), dict):
            self._incomplete(event)
        else:
            self._read(response)
            self._lineup.fill(response.get("output"), whole=True)
            self._lineup.drain(whole=True)
            self._conclude(response)

    def _conclude(self, response: Event) -> None:
        outcome, sequence = self._outcome, response.get("stop_sequence")
        if self._blocks.over:
            return
        if outcome.refusal is not None:
            self._end("refusal", details=outcome.refusal)
        elif isinstance(sequence, str) and sequence:
            self._end("stop_sequence", sequence)
        elif outcome.tool_calls:
            self._end("tool_use")
        elif outcome.spoke:
            self._end("end_turn")
        else:
            self._break(UpstreamFailure(Cause.EMPTY, "a completed response without text or tool call"))

    def _incomplete(self, event: Event) -> None:
        response = _response(event)
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        self._read(response)
        self._outcome.incomplete_reason = reason if isinstance(reason, str) else "unknown"
        self._lineup.fill(response.get("output"), whole=False)
        self._lineup.drain()
        if not self._blocks.over:
            refused = reason == "content_filter" or self._outcome.refusal is not None
            self._end("refusal" if refused else "max_tokens", details=self._outcome.refusal)

    def _failed(self, event: Event) -> None:
        response = event.get("response")
        if isinstance(response, dict):
            self._read(response)
        failure = from_event(event, now=self.context.now)
        if failure.cause is Cause.CONTEXT and self._content and WINDOW_BETA in self.context.betas:
            self._lineup.drain()
            if not self._blocks.over:
                self._end("model_context_window_exceeded")
            return
        self._break(failure)

    def _late(self, event: Event) -> None:
        """The terminal event behind an answer that was ended here: only its figures count."""
        response = event.get("response")
        if isinstance(response, dict):
            self._read(response)

    def _other(self, event: Event) -> list[Event]:
        """An event that has no row in this state."""
        kind = event.get("type")
        if self.finished:
            return []
        if kind is None and event.keys() & {"error", "detail", "message"}:
            self._enter(State.ENDED)
            self._failed(event)
        elif isinstance(kind, str) and kind in KNOWN:
            self._break(UpstreamFailure(Cause.PROTOCOL, f"{kind} while {self.state}"))
        else:
            tally(self._outcome.ignored, kind if isinstance(kind, str) else "(no type)")
        return self._take()

    # -- writing -------------------------------------------------------------------------------------

    def _take(self) -> list[Event]:
        """Everything that was written since, with `message_start` before the first of it."""
        writer = self._blocks
        if writer.over and not self.finished:
            self._cut_short()
        out = writer.out
        if not out:
            return []
        writer.out = []
        if not self._content:
            self._content = True
            if not self.started:
                out.insert(0, self._start())
        return out

    def _start(self) -> Event:
        self.started = True
        return self._opening()

    def _cut_short(self) -> None:
        """Visible output reached a stop sequence or the cap: the answer ends here, whatever comes."""
        # Behind a call that broke off it is no good end: clients would take the call for a whole one.
        sequence = None if self._outcome.broken_off else self._blocks.stop_sequence
        after = State.ENDED if self._final else State.STOPPED
        if self._ahead is not None:
            self._late(self._ahead)
        self.wants_cancel = not self._final
        self._end("max_tokens" if sequence is None else "stop_sequence", sequence)
        self._enter(after)

    def _end(self, reason: str, sequence: str | None = None, details: str | None = None) -> None:
        outcome = self._outcome
        outcome.stop_reason, outcome.stop_sequence = reason, sequence
        if outcome.usage.source != "measured":
            outcome.usage = estimated(self.context.input_estimate, outcome.output_bytes)
        self._blocks.release()
        self._blocks.out += self._closing(details)
        self.finished = True

    def _break(self, failure: UpstreamFailure) -> None:
        """The upstream's answer is no good: an error event, or, before content, nothing but the failure."""
        self.failure = failure
        self.finished = True
        self._enter(State.ENDED)
        if not self._content:
            self._blocks.out.clear()
            return
        self.told = self._tell(failure)
        self._blocks.out.append(self._error(self.told))

    def _enter(self, state: State) -> None:
        self.state = state
        self._rows = self.transitions[state]

    def _read(self, response: Event) -> None:
        self._final = True
        self._identify(response)
        measured = measure(response.get("usage"))
        if measured is not None:
            self._outcome.usage = measured

    def _identify(self, response: Event) -> None:
        outcome = self._outcome
        outcome.response_id = name(response.get("id")) or outcome.response_id
        outcome.response_model = name(response.get("model")) or outcome.response_model
        outcome.service_tier = name(response.get("service_tier")) or outcome.service_tier


class Row(NamedTuple):
    """One line of the table: an event type, what is done, in which states, and the state after it."""

    event: str
    handler: Handler
    states: tuple[State, ...]
    after: State | None = None  # None: the state stays


_NEW = (State.WAITING,)
_LIVE = (State.WAITING, State.OPENED, State.ANSWERING)
_ANY = (State.WAITING, State.OPENED, State.ANSWERING, State.STOPPED)
_TO = ResponsesToMessages
_LAST = ("response.completed", "response.incomplete", "response.failed")  # a tuple: a type may be anything

ROWS: tuple[Row, ...] = (
    Row("response.created", _TO._created, _NEW, State.OPENED),
    Row("response.queued", _TO._nothing, _LIVE),
    Row("response.in_progress", _TO._nothing, _LIVE),
    Row("codex.rate_limits", _TO._rate_limits, _ANY),
    Row("codex.response.metadata", _TO._nothing, _ANY),
    #
    Row("response.output_item.added", _TO._item_added, _LIVE, State.ANSWERING),
    Row("response.output_item.done", _TO._item_done, _LIVE, State.ANSWERING),
    Row("response.content_part.added", _TO._nothing, _LIVE, State.ANSWERING),
    Row("response.content_part.done", _TO._part_done, _LIVE, State.ANSWERING),
    Row("response.output_text.delta", _TO._text_delta, _LIVE, State.ANSWERING),
    Row("response.text.delta", _TO._text_delta, _LIVE, State.ANSWERING),
    Row("response.output_text.done", _TO._text_done, _LIVE, State.ANSWERING),
    Row("response.output_text.annotation.added", _TO._annotation, _LIVE, State.ANSWERING),
    Row("response.refusal.delta", _TO._refusal_delta, _LIVE, State.ANSWERING),
    Row("response.refusal.done", _TO._refusal_done, _LIVE, State.ANSWERING),
    #
    Row("response.function_call_arguments.delta", _TO._arguments_delta, _LIVE, State.ANSWERING),
    Row("response.function_call_arguments.done", _TO._arguments_done, _LIVE, State.ANSWERING),
    Row("response.custom_tool_call_input.delta", _TO._input_delta, _LIVE, State.ANSWERING),
    Row("response.custom_tool_call_input.done", _TO._input_done, _LIVE, State.ANSWERING),
    Row("response.web_search_call.in_progress", _TO._nothing, _LIVE, State.ANSWERING),
    Row("response.web_search_call.searching", _TO._nothing, _LIVE, State.ANSWERING),
    Row("response.web_search_call.completed", _TO._nothing, _LIVE, State.ANSWERING),
    #
    Row("response.reasoning_summary_part.added", _TO._nothing, _LIVE, State.ANSWERING),
    Row("response.reasoning_summary_text.delta", _TO._summary_delta, _LIVE, State.ANSWERING),
    Row("response.reasoning_summary_text.done", _TO._summary_done, _LIVE, State.ANSWERING),
    Row("response.reasoning_summary_part.done", _TO._summary_part_done, _LIVE, State.ANSWERING),
    Row("response.reasoning_text.delta", _TO._reasoning_delta, _LIVE, State.ANSWERING),
    Row("response.reasoning_text.done", _TO._reasoning_done, _LIVE, State.ANSWERING),
    #
    Row("response.completed", _TO._completed, _LIVE, State.ENDED),
    Row("response.incomplete", _TO._incomplete, _LIVE, State.ENDED),
    Row("response.failed", _TO._failed, _LIVE, State.ENDED),
    Row("error", _TO._failed, _LIVE, State.ENDED),
    Row("response.completed", _TO._late, (State.STOPPED,), State.ENDED),
    Row("response.incomplete", _TO._late, (State.STOPPED,), State.ENDED),
    Row("response.failed", _TO._late, (State.STOPPED,), State.ENDED),
)


def transitions(rows: Sequence[Row]) -> Transitions:
    """The table by state. Of two rows for one event and state the later counts."""
    return {
        state: {row.event: (row.handler, row.after or state) for row in rows if state in row.states}
        for state in State
    }


TRANSITIONS = transitions(ROWS)
ResponsesToMessages.transitions = TRANSITIONS

KNOWN = frozenset(row.event for row in ROWS)


def _response(event: Event) -> Event:
    response = event.get("response")
    if not isinstance(response, dict):
        raise PeerError(f"{event['type']} without a response")
    return response


def _delta(event: Event) -> str:
    delta = event.get("delta")
    if not isinstance(delta, str):
        raise PeerError(f"{event['type']} without text")
    return delta


def _part(event: Event, key: str = "content_index") -> int:
    index = event.get(key)
    return index if type(index) is int else 0
