"""What the dialects share that are translated: a plan for each attempt, an automaton that reads its answer.

A dialect adds its words: how its request becomes a plan, which automaton reads the answer, how events are
written. Plan and automaton are made anew per attempt from the same untouched request. The rest of a turn is
gateway/turn.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from dragoman.cache.lineage import lineage
from dragoman.cache.prefix import digest
from dragoman.gateway.house import House
from dragoman.gateway.ports import Account, Answer, Counter, Principal, Row
from dragoman.gateway.turn import DialectTurn
from dragoman.translate.messages.count import estimate
from dragoman.translate.messages.plan import Identity, Plan, Target
from dragoman.translate.messages.runs import joined
from dragoman.translate.messages.stream import ResponsesToMessages
from dragoman.translate.models import Resolution
from dragoman.wire import jsonio
from dragoman.wire.errors import Failure

BYTES_PER_TOKEN = 3.7
P = TypeVar("P", bound=Plan)


class TranslatedTurn(DialectTurn[ResponsesToMessages], Generic[P]):
    """One request of a translated dialect. `message_id` is the answer's own id, in the client's dialect."""

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
        line = lineage(
            headers,
            request,
            tenant=principal.tenant,
            secret=house.salt,
            model=resolution.model,
            per_lane_key=house.key_per_lane,
        )
        super().__init__(house, principal, request, row, resolution, line)
        self._message_id = message_id

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
    def encode(self, events: list[dict[str, Any]]) -> bytes:
        """Events as one piece of SSE."""

    @abstractmethod
    def collect(self, events: list[dict[str, Any]]) -> None:
        """Gathers the answer for a client that does not stream."""

    @abstractmethod
    def whole(self) -> dict[str, Any]:
        """The gathered answer."""

    # -- what the exchange asks ----------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """The upstream said its last word too, so its connection may be kept."""
        return self.over and self._answer is not None and not self._answer.wants_cancel

    def prepare(
        self, account: Account, learnt: frozenset[str], without_reasoning: bool, *, started: bool
    ) -> tuple[bytes, dict[str, str]]:
        """The upstream body and headers for an attempt on this account; a fresh automaton for its answer."""
        house = self._house
        target = self._target(account, learnt)
        plan = self._translated(target, self._tool_order(), bare=self._bare(without_reasoning))
        # What is sent once stays: a text that is said again in another phase must not change the history.
        house.phases.learn(self._principal.tenant, plan.phases)
        self._account = account
        self.sealed = plan.replayed_reasoning > 0
        self._prefix = digest(plan.body)
        if house.counter.exact and house.calibration.wants(self.model):
            self._tokens = estimate(plan.body, house.counter.count)
        self._note_sent(plan.body, plan.ignored, plan.dropped_reasoning)
        self._row.repaired = list(plan.repaired)
        self._answer = self._reader(plan, account, started=started)
        body = jsonio.dump(plan.body)
        plan.body.clear()  # the automaton has the plan for as long as the answer lasts
        return body, self._lane_headers(account)

    def read(self, answer: Answer) -> AsyncIterator[list[dict[str, Any]]]:
        """The answer's events, parsed."""
        self._note_state(answer)
        return answer.events()

    def feed(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The client's events that these upstream events become."""
        answer = self._automaton()
        answer.foresee(events)
        out: list[dict[str, Any]] = []
        for event in events if self._row.stream else joined(events):
            out += answer.feed(event)
        return out

    def close(self) -> list[dict[str, Any]]:
        """The upstream's bytes ended."""
        return self._automaton().close()

    def begin(self) -> list[dict[str, Any]]:
        """The answer's first event before there is content."""
        return self._automaton().begin()

    def refuse(self, failure: Failure) -> list[dict[str, Any]]:
        """The error event behind a head that is already out."""
        self._refusal = failure
        return self._automaton().fail(failure)

    def fold(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """One answer out of a complete list of events."""
        self.collect(events)
        return self.whole()

    def settle(self, row: Row) -> None:
        """Fills in what the answer used, and keeps what later turns draw on."""
        answer = self._answer
        if answer is None:
            return
        outcome = answer.outcome
        self._house.phases.learn(self._principal.tenant, outcome.phases)
        self._house.unknown_events += sum(outcome.ignored.values())
        row.repaired += outcome.repaired
        self._note_answer(row, outcome.usage, outcome.stop_reason, outcome.service_tier, self._message_id)

    # -- inside --------------------------------------------------------------------------------------

    @property
    def _phases(self) -> Mapping[str, str]:
        """The phases of texts that the tenant's models said."""
        return self._house.phases.of(self._principal.tenant)

    @property
    def _identity(self) -> Identity:
        return Identity(self._line.cache_key)

    def _tool_order(self) -> tuple[str, ...]:
        """The order in which this conversation's tools were sent last: the upstream's cache depends on it."""
        before = self._house.turns.last(self._thread, self._tool_names())
        return () if before is None else before.tool_names


def one_text(counter: Counter) -> Callable[[str], int]:
    """Counts one text. Bound to the turn it would close a cycle and leave every answer to the collector."""
    return lambda text: counter.count([text])
