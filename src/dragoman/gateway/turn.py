"""What the turns of all dialects do alike: who is speaking, what was sent, how a turn is explained and kept.

Identity and model are decided once, whatever account serves the request. After the last event the turn leaves
what later turns draw on: calibration, and the prefix that was sent. No word of any dialect stands here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from dragoman.cache import verdict as verdicts
from dragoman.cache.lineage import Lineage
from dragoman.cache.prefix import Prefix
from dragoman.cache.turns import Thread, Turn
from dragoman.gateway.dialects import choose_model
from dragoman.gateway.house import House
from dragoman.gateway.identity import LANE_HEADERS, TURN_STATE, key_policy
from dragoman.gateway.ports import Account, Answer, Principal, Row
from dragoman.translate.capability import capability
from dragoman.translate.messages import usage as usages
from dragoman.translate.messages.failure import UpstreamFailure
from dragoman.translate.messages.plan import Policy, Target
from dragoman.translate.models import Resolution, profile
from dragoman.wire import scrub
from dragoman.wire.errors import Failure

DISTRUSTED = 4096
TIER = 16  # characters of the upstream's word for it
IGNORED = 32  # fields that are named in a row; a client may invent more


class Reader(Protocol):
    """What reads one attempt's answer.

    finished  nothing more will come of it
    failure   why the upstream's answer is no good
    told      what the client was told instead of a good end
    """

    finished: bool
    failure: UpstreamFailure | None
    told: Failure | None


R = TypeVar("R", bound=Reader)


def admitted(house: House, principal: Principal, requested: str, row: Row) -> Resolution:
    """The upstream model of a requested name, both noted in the row. Raises Refused (403, 404)."""
    row.requested_model = scrub.name(requested)
    resolution = choose_model(house, principal, requested)
    own_words = resolution.via == "pass-through"  # others stand in the configuration
    row.upstream_model = scrub.name(resolution.model) if own_words else resolution.model
    return resolution


class DialectTurn(ABC, Generic[R]):
    """One request on its way. See gateway/dialects.Turn for what an exchange asks of it."""

    ping: bytes
    suffix = ""
    sealed = False

    def __init__(
        self,
        house: House,
        principal: Principal,
        request: dict[str, Any],
        row: Row,
        resolution: Resolution,
        line: Lineage,
    ) -> None:
        self._house = house
        self._principal = principal
        self._request = request
        self._row = row
        self._alias_effort = resolution.effort
        self._profile = profile(resolution.model)
        self.requested: str = request["model"]
        self.model = resolution.model
        self._line = line
        row.lineage = line.lane_key or ""
        row.lane = line.lane
        row.session_hash = line.session_hash
        row.conversation_hash = line.conversation_hash
        self._thread = Thread(principal.tenant, line.conversation_hash or row.request_id)
        self._contract: verdicts.Contract = "breakpoints" if self._profile.breakpoints else "blocks"
        self._prefix: Prefix | None = None
        self._answer: R | None = None
        self._account: Account | None = None
        self._sent_at = 0.0  # when the last attempt began
        self._tokens = 0  # of the prompt by the tokenizer, where that is wanted
        self._refusal: Failure | None = None

    # -- what a dialect says in its own words ---------------------------------------------------------

    @abstractmethod
    def explain(self, failure: UpstreamFailure) -> Failure:
        """What the client is told about an upstream failure."""

    @abstractmethod
    def refuse(self, failure: Failure) -> list[Any]:
        """What stands behind a head that is already out: the stream's last word."""

    @abstractmethod
    def _output_limit(self) -> int | None:
        """Tokens of output that the client allows."""

    @abstractmethod
    def _goes_on(self) -> bool:
        """Whether the request brings results of tools: the user's turn is the one before."""

    def immediate(self) -> list[Any] | None:
        """The answer to a request that needs no generation."""
        return None

    # -- what the exchange asks ----------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Nothing more is to come for the client."""
        return self._answer is not None and self._answer.finished

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
        """What binds this conversation to an account; None where nobody can tell who is speaking."""
        return self._line.affinity

    def cached_tokens(self) -> int:
        """What a prompt that repeats the last turn of this conversation should read; 0 where unknown."""
        before = self._house.turns.last(self._thread)
        return 0 if before is None else verdicts.expected_tokens(before, self._contract)[0]

    def answered_on(self, account: Account) -> bool:
        """Whether it answered this speaker lately: then something of the prompt is cached there."""
        return self._house.turns.served(self._thread, account.tag)

    def bounds(self) -> tuple[int, int | None]:
        """The model's window, and the client's own limit of output."""
        return self._profile.context_window, self._output_limit()

    def commit(self) -> None:
        """Content went to the client: nothing will be sent again, so the prompt need not be held."""
        self._request = {}

    def break_off(self, failure: UpstreamFailure) -> list[Any]:
        """The stream broke after content had been sent."""
        return self.refuse(self.explain(failure))

    def head(self) -> dict[str, str]:
        """Response headers that tell what served the request; opaque names only."""
        told = {"x-dragoman-model": self.model}
        if self._account is not None:
            told["x-dragoman-account"] = self._account.tag
        return told

    def distrust_reasoning(self) -> None:
        """The upstream refused this lineage's sealed reasoning: it is left out from now on."""
        marks = self._house.without_reasoning
        marks[self._thread.conversation] = None
        while len(marks) > DISTRUSTED:
            marks.pop(next(iter(marks)))

    # -- inside --------------------------------------------------------------------------------------

    def _automaton(self) -> R:
        if self._answer is None:
            raise RuntimeError("no attempt was prepared")
        return self._answer

    def _policy(self) -> Policy:
        return key_policy(self._house.policy, self._principal)

    def _target(self, account: Account, learnt: frozenset[str]) -> Target:
        known = capability(account.kind, self._profile, learnt)
        return Target(account.kind, self.model, self._profile, known, account.tag, self._alias_effort)

    def _bare(self, without_reasoning: bool) -> bool:
        """Whether sealed reasoning stays out of this attempt."""
        return without_reasoning or self._thread.conversation in self._house.without_reasoning

    def _lane_headers(self, account: Account) -> dict[str, str]:
        """Who is speaking, where an upstream routes by header fields, and what it said in this turn."""
        lane = self._line.lane_key
        names = LANE_HEADERS.get(account.kind, ())
        if lane is None or not names:
            return {}
        told = dict.fromkeys(names, lane)
        house = self._house
        if self._goes_on():
            state = house.turn_states.get((account.name, lane), house.clock.monotonic())
            if state is not None:
                told[TURN_STATE] = state
        return told

    def _note_state(self, answer: Answer) -> None:
        """Keeps what the upstream wants to hear again inside this turn."""
        account, lane = self._account, self._line.lane_key
        if account is not None and lane is not None and LANE_HEADERS.get(account.kind):
            state = answer.headers.get(TURN_STATE)
            if state:
                house = self._house
                house.turn_states.put((account.name, lane), state, house.clock.monotonic())

    def _note_sent(self, body: dict[str, Any], ignored: Sequence[str], dropped_reasoning: int) -> None:
        """Notes in the row what was made of the request, and when."""
        self._sent_at = self._house.clock.monotonic()
        row = self._row
        row.effort = (body.get("reasoning") or {}).get("effort")
        row.ignored_fields = [scrub.name(path) for path in ignored[:IGNORED]]
        row.dropped_reasoning = dropped_reasoning

    def _note_answer(
        self, row: Row, usage: usages.Usage, stop_reason: str | None, tier: object, name: str
    ) -> None:
        """Notes in the row how the answer called `name` ended and what it used; keeps the turn."""
        row.stop_reason = stop_reason
        if row.outcome == "client_gone" and usage.source == "none" and row.first_byte_ms is not None:
            usage = usages.estimated(self._estimate(), 0)  # the upstream had begun on the prompt
        row.input_tokens, row.cached_tokens = usage.total_input, usage.cached
        row.written_tokens, row.output_tokens = usage.written, usage.output
        row.reasoning_tokens, row.usage_source = usage.reasoning, usage.source
        row.service_tier = tier[:TIER] if isinstance(tier, str) else None
        if self._prefix is not None and self._account is not None and usage.source != "none":
            self._remember(self._prefix, self._account, row, usage, name)

    def _estimate(self) -> int:
        """Input tokens of the prepared body, from its bytes and what was learnt of this model."""
        prefix = self._prefix
        return 0 if prefix is None else self._house.calibration.apply(self.model, prefix.tokens, "bytes")

    def _sent(self, name: str, prefix: Prefix, account: Account, *figures: int) -> Turn:
        """The turn; `figures` are the tokens that the upstream reported: input, cached, written."""
        line, at = self._line, self._house.clock.monotonic()
        return Turn(name, prefix, at, account.tag, account.kind, line.cache_key, line.lane_key, *figures)

    def _judged(self, turn: Turn) -> verdicts.Verdict:
        """Why the turn hit or missed."""
        turns = self._house.turns
        before, divergence = turns.predecessor(self._thread, turn.prefix)
        judged = verdicts.judge(before, turn, self._contract, divergence)
        if before is not None and judged.inferred and before.at > self._sent_at:
            # They were under way at the same time: what the other left could not be read yet.
            before, divergence = turns.predecessor(self._thread, turn.prefix, self._sent_at)
            judged = verdicts.judge(before, turn, self._contract, divergence)
        return judged

    def _remember(self, prefix: Prefix, account: Account, row: Row, usage: usages.Usage, name: str) -> None:
        """Explains the turn and keeps it for the next one, under the name of its answer."""
        house = self._house
        if usage.source == "measured":
            turn = self._sent(name, prefix, account, usage.total_input, usage.cached, usage.written)
            house.calibration.learn(self.model, prefix.tokens, usage.total_input, "bytes")
            house.calibration.learn(self.model, self._tokens, usage.total_input)
        else:
            turn = self._sent(name, prefix, account)
        judged = self._judged(turn)
        row.cache_verdict, row.cache_story = judged.label, judged.sentence()
        house.turns.remember(self._thread, turn)
