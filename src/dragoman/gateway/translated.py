"""What all dialects share that are translated: who is speaking, what was sent, how a turn is kept.

A dialect adds its words: how its request becomes a plan, which automaton reads the answer, how events are
written. Identity, prefix and model are decided once; plan and automaton are made anew per attempt. After the
last event the turn leaves what later turns draw on: calibration, and the prefix that was sent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from dragoman.cache import verdict as verdicts
from dragoman.cache.lineage import lineage
from dragoman.cache.prefix import Prefix, digest
from dragoman.cache.turns import Thread, Turn
from dragoman.gateway.dialects import choose_model
from dragoman.gateway.house import House
from dragoman.gateway.identity import LANE_HEADERS, key_policy
from dragoman.gateway.ports import Account, Answer, Counter, Principal, Row
from dragoman.translate.capability import capability
from dragoman.translate.messages import usage as usages
from dragoman.translate.messages.count import estimate
from dragoman.translate.messages.failure import UpstreamFailure
from dragoman.translate.messages.plan import Identity, Plan, Policy, Target
from dragoman.translate.messages.stream import ResponsesToMessages
from dragoman.translate.models import Resolution, profile
from dragoman.wire import jsonio, scrub
from dragoman.wire.errors import Failure

BYTES_PER_TOKEN = 3.7
DISTRUSTED = 4096
TIER = 16  # characters of the upstream's word for it
IGNORED = 32  # fields that are named in a row; a client may invent more
P = TypeVar("P", bound=Plan)


def admitted(house: House, principal: Principal, requested: str, row: Row) -> Resolution:
    """The upstream model of a requested name, both noted in the row. Raises Refused (403, 404)."""
    row.requested_model = scrub.name(requested)
    resolution = choose_model(house, principal, requested)
    own_words = resolution.via == "pass-through"  # others stand in the configuration
    row.upstream_model = scrub.name(resolution.model) if own_words else resolution.model
    return resolution


class TranslatedTurn(ABC, Generic[P]):
    """One request of a translated dialect. See gateway/dialects.Turn for what an exchange asks of it.

    `message_id` is the answer's own id, in the client's dialect.
    """

    ping: bytes
    suffix = ""

    def __init__(
        self,
        house: House,
        principal: Principal,
        headers: Mapping[str, str],
        request: dict[str, Any],
        row: Row,
        resolution: Resolution,
        message_id: str,
    ) -> None:
        self._house = house
        self._principal = principal
        self._request = request
        self._row = row
        self._alias_effort = resolution.effort
        self._profile = profile(resolution.model)
        self.requested: str = request["model"]
        self.model = resolution.model
        self._line = lineage(
            headers,
            request,
            tenant=principal.tenant,
            secret=house.salt,
            model=self.model,
            per_lane_key=house.key_per_lane,
        )
        row.lineage = self._line.lane_key or ""
        row.lane = self._line.lane
        row.session_hash = self._line.session_hash
        row.conversation_hash = self._line.conversation_hash
        self._message_id = message_id
        self._thread = Thread(principal.tenant, self._line.conversation_hash or row.request_id)
        self._contract: verdicts.Contract = "breakpoints" if self._profile.breakpoints else "blocks"
        self._prefix: Prefix | None = None
        self._answer: ResponsesToMessages | None = None
        self._account: Account | None = None
        self._tokens = 0
        self._refusal: Failure | None = None

    # -- what a dialect says in its own words ---------------------------------------------------------

    @abstractmethod
    def _translated(self, target: Target, tool_order: Sequence[str], *, bare: bool) -> P:
        """The plan for a target; `bare` leaves sealed reasoning out."""

    @abstractmethod
    def _reader(self, plan: P, account: Account, *, started: bool) -> ResponsesToMessages:
        """The automaton that reads the answer to this plan."""

    @abstractmethod
    def _tool_names(self) -> list[str]:
        """The names of the tools that the client offers."""

    @abstractmethod
    def _output_limit(self) -> int | None:
        """Tokens of output that the client allows."""

    @abstractmethod
    def explain(self, failure: UpstreamFailure) -> Failure:
        """What the client is told about an upstream failure."""

    @abstractmethod
    def encode(self, events: list[dict[str, Any]]) -> bytes:
        """Events as one piece of SSE."""

    @abstractmethod
    def collect(self, events: list[dict[str, Any]]) -> None:
        """Gathers the answer for a client that does not stream."""

    @abstractmethod
    def whole(self) -> dict[str, Any]:
        """The gathered answer."""

    def immediate(self) -> list[dict[str, Any]] | None:
        """The answer to a request that needs no generation."""
        return None

    # -- what the exchange asks ----------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Nothing more is to come for the client."""
        return self._answer is not None and self._answer.finished

    @property
    def complete(self) -> bool:
        """The upstream said its last word too, so its connection may be kept."""
        return self.over and self._answer is not None and not self._answer.wants_cancel

    @property
    def failure(self) -> UpstreamFailure | None:
        """Why the attempt failed, if it did."""
        return None if self._answer is None else self._answer.failure

    @property
    def client_failure(self) -> Failure | None:
        """What the client was told instead of a good end."""
        return self._refusal or (None if self._answer is None else self._answer.told)

    @property
    def affinity(self) -> str | None:
        """The session as a hash."""
        return self._line.affinity

    def cached_tokens(self) -> int:
        """What a prompt that repeats the last turn of this conversation should read."""
        before = self._house.turns.last(self._thread)
        return 0 if before is None else verdicts.expected_tokens(before, self._contract)[0]

    def bounds(self) -> tuple[int, int | None]:
        """The model's window, and the client's own limit of output."""
        return self._profile.context_window, self._output_limit()

    def prepare(
        self, account: Account, learnt: frozenset[str], without_reasoning: bool, *, started: bool
    ) -> tuple[bytes, dict[str, str]]:
        """The upstream body and headers for an attempt on this account; a fresh automaton for its answer."""
        house, line = self._house, self._line
        target = Target(
            account.kind,
            self.model,
            self._profile,
            capability(account.kind, self._profile, learnt),
            account.tag,
            self._alias_effort,
        )
        bare = without_reasoning or self._thread.conversation in house.without_reasoning
        plan = self._translated(target, self._tool_order(), bare=bare)
        self._account = account
        self._prefix = digest(plan.body)
        self._row.effort = (plan.body.get("reasoning") or {}).get("effort")
        if house.counter.exact and house.calibration.wants(self.model):
            self._tokens = estimate(plan.body, house.counter.count)
        self._row.ignored_fields = [scrub.name(path) for path in plan.ignored[:IGNORED]]
        self._row.repaired = list(plan.repaired)
        self._row.dropped_reasoning = plan.dropped_reasoning
        self._answer = self._reader(plan, account, started=started)
        lane = line.lane_key
        names = LANE_HEADERS.get(account.kind, ()) if lane is not None else ()
        body = jsonio.dump(plan.body)
        plan.body.clear()  # the automaton has the plan for as long as the answer lasts
        return body, dict.fromkeys(names, lane or "")

    def read(self, answer: Answer) -> AsyncIterator[list[dict[str, Any]]]:
        """The answer's events, parsed."""
        return answer.events()

    def commit(self) -> None:
        """Content went to the client: nothing will be sent again, so the prompt need not be held."""
        self._request = {}

    def feed(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The client's events that these upstream events become."""
        answer = self._automaton()
        out: list[dict[str, Any]] = []
        for event in events:
            out += answer.feed(event)
        return out

    def close(self) -> list[dict[str, Any]]:
        """The upstream's bytes ended."""
        return self._automaton().close()

    def begin(self) -> list[dict[str, Any]]:
        """The answer's first event before there is content."""
        return self._automaton().begin()

    def break_off(self, failure: UpstreamFailure) -> list[dict[str, Any]]:
        """The stream broke after content had been sent."""
        return self.refuse(self.explain(failure))

    def refuse(self, failure: Failure) -> list[dict[str, Any]]:
        """The error event behind a head that is already out."""
        self._refusal = failure
        return self._automaton().fail(failure)

    def head(self) -> dict[str, str]:
        """Response headers that tell what served the request; opaque names only."""
        told = {"x-dragoman-model": self.model, "x-dragoman-attempts": str(len(self._row.attempts) + 1)}
        if self._account is not None:
            told["x-dragoman-account"] = self._account.tag
        return told

    def fold(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """One answer out of a complete list of events."""
        self.collect(events)
        return self.whole()

    def distrust_reasoning(self) -> None:
        """The upstream refused this lineage's sealed reasoning: it is left out from now on."""
        marks = self._house.without_reasoning
        marks[self._thread.conversation] = None
        while len(marks) > DISTRUSTED:
            marks.pop(next(iter(marks)))

    def settle(self, row: Row) -> None:
        """Fills in what the answer used, and keeps what later turns draw on."""
        answer = self._answer
        if answer is None:
            return
        outcome, usage = answer.outcome, answer.outcome.usage
        self._house.unknown_events += sum(outcome.ignored.values())
        row.stop_reason = outcome.stop_reason
        row.input_tokens, row.cached_tokens = usage.total_input, usage.cached
        row.written_tokens, row.output_tokens = usage.written, usage.output
        row.reasoning_tokens, row.usage_source = usage.reasoning, usage.source
        row.service_tier = None if outcome.service_tier is None else outcome.service_tier[:TIER]
        if self._prefix is not None and self._account is not None and usage.source != "none":
            self._remember(self._prefix, self._account, row, usage)

    # -- inside --------------------------------------------------------------------------------------

    @property
    def _identity(self) -> Identity:
        return Identity(self._line.cache_key)

    def _automaton(self) -> ResponsesToMessages:
        if self._answer is None:
            raise RuntimeError("no attempt was prepared")
        return self._answer

    def _policy(self) -> Policy:
        return key_policy(self._house.policy, self._principal)

    def _tool_order(self) -> tuple[str, ...]:
        """The order in which this conversation's tools were sent last: the upstream's cache depends on it."""
        before = self._house.turns.last(self._thread, self._tool_names())
        return () if before is None else before.tool_names

    def _estimate(self) -> int:
        """Input tokens of the prepared body, from its bytes and what was learnt of this model."""
        prefix = self._prefix
        return 0 if prefix is None else self._house.calibration.apply(self.model, prefix.tokens, "bytes")

    def _sent(self, prefix: Prefix, account: Account, *figures: int) -> Turn:
        """The turn; `figures` are the tokens that the upstream reported: input, cached, written."""
        line, at = self._line, self._house.clock.monotonic()
        keys = line.cache_key, line.lane_key
        return Turn(self._message_id, prefix, at, account.tag, account.kind, *keys, *figures)

    def _remember(self, prefix: Prefix, account: Account, row: Row, usage: usages.Usage) -> None:
        """Explains the turn and keeps it for the next one."""
        house = self._house
        if usage.source == "measured":
            turn = self._sent(prefix, account, usage.total_input, usage.cached, usage.written)
            house.calibration.learn(self.model, prefix.tokens, usage.total_input, "bytes")
            house.calibration.learn(self.model, self._tokens, usage.total_input)
        else:
            turn = self._sent(prefix, account)
        before, divergence = house.turns.predecessor(self._thread, prefix)
        judged = verdicts.judge(before, turn, self._contract, divergence)
        row.cache_verdict, row.cache_story = judged.label, judged.sentence()
        house.turns.remember(self._thread, turn)


def one_text(counter: Counter) -> Callable[[str], int]:
    """Counts one text. Bound to the turn it would close a cycle and leave every answer to the collector."""
    return lambda text: counter.count([text])
