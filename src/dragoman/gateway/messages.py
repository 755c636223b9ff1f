"""The Messages dialect: a client's request as a Turn of the exchange.

Identity, prefix and model are decided once; plan and automaton are made anew per attempt. After the last
event the turn leaves what later turns draw on: calibration, raw tool arguments, the prefix that was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.cache.lineage import lineage
from dragoman.cache.prefix import Prefix, digest
from dragoman.gateway.dialects import choose_model
from dragoman.gateway.house import House
from dragoman.gateway.ports import Account, Principal, Row
from dragoman.translate.capability import capability
from dragoman.translate.messages import failure as failures
from dragoman.translate.messages.failure import Cause, UpstreamFailure
from dragoman.translate.messages.fold import Fold
from dragoman.translate.messages.plan import Identity, Plan, Target
from dragoman.translate.messages.reasoning import Seal
from dragoman.translate.messages.request import translate
from dragoman.translate.messages.stream import AnswerContext, ResponsesToMessages
from dragoman.translate.models import profile
from dragoman.wire import jsonio, sse
from dragoman.wire.errors import Failure

BYTES_PER_TOKEN = 3.7
DISTRUSTED = 4096


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
        row.requested_model = requested
        resolution = choose_model(house, principal, requested)
        row.upstream_model = resolution.model
        return MessagesTurn(house, principal, headers, request, row, resolution.model, resolution.effort)


class MessagesTurn:
    """One Messages request on its way. See gateway/dialects.Turn for what an exchange asks of it."""

    ping = sse.PING

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
        self._plan: Plan | None = None
        self._prefix: Prefix | None = None
        self._answer: ResponsesToMessages | None = None
        self._account: Account | None = None
        self._fold = Fold()
        self._sent_bytes = 0
        self.client_failure: Failure | None = None

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

    def immediate(self) -> list[dict[str, Any]] | None:
        """`max_tokens: 0` is answered without any generation: empty content, stop_reason max_tokens."""
        if self._request.get("max_tokens") != 0:
            return None
        estimate = self._estimate(len(jsonio.dump(self._request)))
        usage = {
            "input_tokens": estimate,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 0,
        }
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
        bare = without_reasoning or (line.lane_key or "") in house.without_reasoning
        before = house.turns.last(self._tenant_key())
        plan = translate(
            self._request,
            target,
            self._policy(),
            Identity(line.cache_key),
            house.recall.of(self._principal.tenant),
            without_reasoning=bare,
            tool_order=before.tool_names if before is not None else (),
        )
        body = jsonio.dump(plan.body)
        self._plan, self._account, self._sent_bytes = plan, account, len(body)
        self._prefix = digest(plan.body)
        self._row.effort = (plan.body.get("reasoning") or {}).get("effort")
        self._row.ignored_fields, self._row.repaired = list(plan.ignored), list(plan.repaired)
        self._answer = ResponsesToMessages(self._context(plan, account), started=started)
        return body, self._headers(target)

    def answered(self, headers: Mapping[str, str]) -> None:
        """The upstream answered 200; its headers may tell the model it really used."""

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
        self.client_failure = failure
        return self._automaton().fail(failure)

    def explain(self, failure: UpstreamFailure) -> Failure:
        """What the client is told about an upstream failure."""
        return failures.to_client(
            failure, tokens=self._estimate(self._sent_bytes), window=self._profile.context_window
        )

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
        marks[self._line.lane_key or ""] = None
        while len(marks) > DISTRUSTED:
            marks.pop(next(iter(marks)))

    def settle(self, row: Row) -> None:
        """Fills in what the answer used, and keeps what later turns draw on."""
        answer = self._answer
        if answer is None:
            return
        outcome, usage = answer.outcome, answer.outcome.usage
        row.stop_reason = outcome.stop_reason
        row.input_tokens, row.cached_tokens = usage.total_input, usage.cached
        row.written_tokens, row.output_tokens = usage.written, usage.output
        row.reasoning_tokens, row.usage_source = usage.reasoning, usage.source
        self._house.recall.remember(self._principal.tenant, outcome.arguments)
        if usage.source == "measured" and self._sent_bytes:
            self._house.calibration.learn(self.model, self._sent_bytes / BYTES_PER_TOKEN, usage.total_input)

    # -- inside --------------------------------------------------------------------------------------

    def _automaton(self) -> ResponsesToMessages:
        if self._answer is None:
            raise RuntimeError("no attempt was prepared")
        return self._answer
