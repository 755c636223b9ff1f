"""The Messages dialect: a client's request as a Turn of the exchange.

Identity, prefix and model are decided once; plan and automaton are made anew per attempt. After the last
event the turn leaves what later turns draw on: calibration, raw tool arguments, the prefix that was sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from dragoman.cache import verdict as verdicts
from dragoman.cache.lineage import lineage
from dragoman.cache.prefix import Prefix, digest
from dragoman.cache.turns import Thread, Turn
from dragoman.gateway.dialects import choose_model
from dragoman.gateway.house import House
from dragoman.gateway.identity import LANE_HEADERS, key_policy
from dragoman.gateway.ports import Account, Answer, Counter, Principal, Row
from dragoman.translate.capability import capability
from dragoman.translate.messages import failure as failures
from dragoman.translate.messages import usage as usages
from dragoman.translate.messages.count import estimate
from dragoman.translate.messages.failure import UpstreamFailure
from dragoman.translate.messages.fold import Fold
from dragoman.translate.messages.plan import Identity, Plan, Target
from dragoman.translate.messages.reasoning import Seal
from dragoman.translate.messages.request import translate
from dragoman.translate.messages.stream import AnswerContext, ResponsesToMessages
from dragoman.translate.models import profile
from dragoman.wire import jsonio, scrub, sse
from dragoman.wire.errors import Failure

BYTES_PER_TOKEN = 3.7
DISTRUSTED = 4096
TIER = 16  # characters of the upstream's word for it
IGNORED = 32  # fields that are named in a row; a client may invent more


class Messages:
    """Admits requests of the Messages door."""

    def admit(
        self,
        house: House,
        principal: Principal,
        headers: Mapping[str, str],
        request: dict[str, Any],
        row: Row,
    ) -> MessagesTurn:
        """Judges model access and finds out who is speaking. Raises Refused."""
        requested: str = request["model"]
        row.requested_model = scrub.name(requested)
        resolution = choose_model(house, principal, requested)
        own_words = resolution.via == "pass-through"  # others stand in the configuration
        row.upstream_model = scrub.name(resolution.model) if own_words else resolution.model
        return MessagesTurn(house, principal, headers, request, row, resolution.model, resolution.effort)


class MessagesTurn:
    """One Messages request on its way. See gateway/dialects.Turn for what an exchange asks of it."""

    ping = sse.PING
    suffix = ""

    def __init__(
        self,
        house: House,
        principal: Principal,
        headers: Mapping[str, str],
        request: dict[str, Any],
        row: Row,
        model: str,
        alias_effort: str | None,
    ) -> None:
        self._house = house
        self._principal = principal
        self._request = request
        self._row = row
        self._alias_effort = alias_effort
        self._profile = profile(model)
        self.requested: str = request["model"]
        self.model = model
        self._betas = frozenset(part.strip() for part in headers.get("anthropic-beta", "").split(",") if part)
        self._line = lineage(
            headers,
            request,
            tenant=principal.tenant,
            secret=house.salt,
            model=model,
            per_lane_key=house.key_per_lane,
        )
        row.lineage = self._line.lane_key or ""
        row.lane = self._line.lane
        row.session_hash = self._line.session_hash
        row.conversation_hash = self._line.conversation_hash
        self._message_id = house.ids.message()
        self._thread = Thread(principal.tenant, self._line.conversation_hash or row.request_id)
        self._contract: verdicts.Contract = "breakpoints" if self._profile.breakpoints else "blocks"
        self._prefix: Prefix | None = None
        self._answer: ResponsesToMessages | None = None
        self._account: Account | None = None
        self._fold = Fold()
        self._tokens = 0
        self._refusal: Failure | None = None

    # -- what the exchange asks ----------------------------------------------------------------------

    @property
    def affinity(self) -> str | None:
        """The session as a hash."""
        return self._line.affinity

    def cached_tokens(self) -> int:
        """What a prompt that repeats the last turn of this conversation should read."""
        before = self._house.turns.last(self._thread)
        return 0 if before is None else verdicts.expected_tokens(before, self._contract)[0]

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

    def bounds(self) -> tuple[int, int | None]:
        """The model's window, and `max_tokens`."""
        return self._profile.context_window, self._request.get("max_tokens")

    def immediate(self) -> list[dict[str, Any]] | None:
        """`max_tokens: 0` is answered without any generation: empty content, stop_reason max_tokens."""
        if self._request.get("max_tokens") != 0:
            return None
        size = len(jsonio.dump(self._request))
        estimate = self._house.calibration.apply(self.model, size / BYTES_PER_TOKEN, "bytes")
        usage = usages.final(usages.estimated(estimate, 0), 0, None)
        message = {
            "id": self._message_id,
            "type": "message",
            "role": "assistant",
            "model": self._request["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        self._row.stop_reason, self._row.usage_source = "max_tokens", "estimated"
        return [
            {"type": "message_start", "message": message},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
                "usage": usage,
            },
            {"type": "message_stop"},
        ]

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
        plan = translate(
            self._request,
            target,
            key_policy(house.policy, self._principal),
            Identity(line.cache_key),
            house.recall.of(self._principal.tenant),
            without_reasoning=bare,
            tool_order=self._tool_order(),
        )
        self._account = account
        self._prefix = digest(plan.body)
        self._row.effort = (plan.body.get("reasoning") or {}).get("effort")
        if house.counter.exact and house.calibration.wants(self.model):
            self._tokens = estimate(plan.body, house.counter.count)
        self._row.ignored_fields = [scrub.name(path) for path in plan.ignored[:IGNORED]]
        self._row.repaired = list(plan.repaired)
        self._row.dropped_reasoning = plan.dropped_reasoning
        self._answer = ResponsesToMessages(self._context(plan, account), started=started)
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
        """`message_start` before there is content."""
        return self._automaton().begin()

    def break_off(self, failure: UpstreamFailure) -> list[dict[str, Any]]:
        """The stream broke after content had been sent."""
        return self.refuse(self.explain(failure))

    def refuse(self, failure: Failure) -> list[dict[str, Any]]:
        """The error event behind a head that is already out."""
        self._refusal = failure
        return self._automaton().fail(failure)

    def explain(self, failure: UpstreamFailure) -> Failure:
        """What the client is told about an upstream failure."""
        return failures.to_client(failure, tokens=self._estimate(), window=self._profile.context_window)

    def encode(self, events: list[dict[str, Any]]) -> bytes:
        """Events as one piece of SSE."""
        return sse.encode_all(events)

    def head(self) -> dict[str, str]:
        """Response headers that tell what served the request; opaque names only."""
        told = {"x-dragoman-model": self.model, "x-dragoman-attempts": str(len(self._row.attempts) + 1)}
        if self._account is not None:
            told["x-dragoman-account"] = self._account.tag
        return told

    def collect(self, events: list[dict[str, Any]]) -> None:
        """Gathers the answer for a client that does not stream."""
        for event in events:
            self._fold.add(event)

    def fold(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """One message out of a complete list of events."""
        self.collect(events)
        return self._fold.message()

    def whole(self) -> dict[str, Any]:
        """The gathered answer."""
        return self._fold.message()

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
        self._house.recall.remember(self._principal.tenant, outcome.arguments)
        if self._prefix is not None and self._account is not None and usage.source != "none":
            self._remember(self._prefix, self._account, row, usage)

    # -- inside --------------------------------------------------------------------------------------

    def _automaton(self) -> ResponsesToMessages:
        if self._answer is None:
            raise RuntimeError("no attempt was prepared")
        return self._answer

    def _tool_order(self) -> tuple[str, ...]:
        """The order in which this conversation's tools were sent last: the upstream's cache depends on it."""
        tools = self._request.get("tools") or ()
        before = self._house.turns.last(self._thread, [str(tool.get("name")) for tool in tools])
        return () if before is None else before.tool_names

    def _estimate(self) -> int:
        """Input tokens of the prepared body, from its bytes and what was learnt of this model."""
        prefix = self._prefix
        return 0 if prefix is None else self._house.calibration.apply(self.model, prefix.tokens, "bytes")

    def _context(self, plan: Plan, account: Account) -> AnswerContext:
        house = self._house
        asked, previous = verdicts.asks(self._request)
        diagnosis = None
        if asked and previous is not None and self._prefix is not None:
            before = house.turns.named(self._principal.tenant, previous)
            now = self._sent(self._prefix, account)
            diagnosis = verdicts.diagnostics(previous, before, now, self._contract)
        return AnswerContext(
            message_id=self._message_id,
            model=self._request["model"],
            input_estimate=self._estimate(),
            plan=plan,
            seal=Seal(house.policy.seal_key, account.tag, self.model),
            betas=self._betas,
            count=_one_text(house.counter),
            diagnostics=diagnosis,
            diagnostics_asked=asked,
            window=self._profile.context_window,
            now=house.clock.now(),
            edits_asked="context_management" in self._request,
        )

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


def _one_text(counter: Counter) -> Callable[[str], int]:
    """Counts one text. Bound to the turn it would close a cycle and leave every answer to the collector."""
    return lambda text: counter.count([text])
