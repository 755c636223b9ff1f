"""The Messages dialect: a client's request as a Turn of the exchange.

What is said in Anthropic's words stands here, with what only this door has: sealed reasoning, arguments that
are replayed as the model wrote them, answers without any generation, cache diagnostics. The rest is
gateway/translated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.cache import verdict as verdicts
from dragoman.gateway.house import House
from dragoman.gateway.ports import Account, Principal, Row
from dragoman.gateway.translated import BYTES_PER_TOKEN, TranslatedTurn, one_text
from dragoman.gateway.turn import admitted
from dragoman.translate.messages import failure as failures
from dragoman.translate.messages import usage as usages
from dragoman.translate.messages.failure import UpstreamFailure
from dragoman.translate.messages.fold import Fold
from dragoman.translate.messages.plan import Plan, Target
from dragoman.translate.messages.reasoning import Seal
from dragoman.translate.messages.request import translate
from dragoman.translate.messages.stream import AnswerContext, ResponsesToMessages
from dragoman.translate.models import Resolution
from dragoman.wire import jsonio, sse
from dragoman.wire.errors import Failure


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
        resolution = admitted(house, principal, request["model"], row)
        return MessagesTurn(house, principal, headers, request, row, resolution)


class MessagesTurn(TranslatedTurn[Plan]):
    """One Messages request on its way."""

    ping = sse.PING

    def __init__(
        self,
        house: House,
        principal: Principal,
        headers: Mapping[str, str],
        request: dict[str, Any],
        row: Row,
        resolution: Resolution,
    ) -> None:
        super().__init__(house, principal, headers, request, row, resolution, house.ids.message())
        self._betas = frozenset(part.strip() for part in headers.get("anthropic-beta", "").split(",") if part)
        self._fold = Fold()

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
            "stop_details": None,
            "container": None,
            "usage": usage,
            "context_management": None,
            "diagnostics": None,
        }
        self._row.stop_reason = "max_tokens"  # nobody was asked, so nothing was used
        delta: dict[str, Any] = {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": None, "stop_details": None},
            "usage": usage,
        }
        if self._edits_asked:
            delta["context_management"] = {"applied_edits": []}
        return [{"type": "message_start", "message": message}, delta, {"type": "message_stop"}]

    def explain(self, failure: UpstreamFailure) -> Failure:
        """What the client is told about an upstream failure."""
        return failures.to_client(failure, tokens=self._estimate(), window=self._profile.context_window)

    def encode(self, events: list[dict[str, Any]]) -> bytes:
        """Events as one piece of SSE."""
        return sse.encode_all(events)

    def collect(self, events: list[dict[str, Any]]) -> None:
        """Gathers the answer for a client that does not stream."""
        for event in events:
            self._fold.add(event)

    def whole(self) -> dict[str, Any]:
        """The gathered message."""
        return self._fold.message()

    def settle(self, row: Row) -> None:
        """Keeps raw tool arguments too: a later turn replays them byte by byte."""
        super().settle(row)
        if self._answer is not None:
            self._house.recall.remember(self._principal.tenant, self._answer.outcome.arguments)

    # -- inside --------------------------------------------------------------------------------------

    @property
    def _edits_asked(self) -> bool:
        return self._request.get("context_management") is not None

    def _output_limit(self) -> int | None:
        limit: int | None = self._request.get("max_tokens")
        return limit

    def _goes_on(self) -> bool:
        said = (one["content"] for one in reversed(self._request["messages"]) if one["role"] != "system")
        content = next(said, "")
        return isinstance(content, list) and any(block["type"] == "tool_result" for block in content)

    def _tool_names(self) -> list[str]:
        return [str(tool.get("name")) for tool in self._request.get("tools") or ()]

    def _translated(self, target: Target, tool_order: Sequence[str], *, bare: bool) -> Plan:
        return translate(
            self._request,
            target,
            self._policy(),
            self._identity,
            self._house.recall.of(self._principal.tenant),
            phases=self._phases,
            without_reasoning=bare,
            tool_order=tool_order,
        )

    def _reader(self, plan: Plan, account: Account, *, started: bool) -> ResponsesToMessages:
        self._fold = Fold()  # what another attempt left is of no use
        return ResponsesToMessages(self._context(plan, account), started=started)

    def _context(self, plan: Plan, account: Account) -> AnswerContext:
        house = self._house
        asked, previous = verdicts.asks(self._request)
        diagnosis = None
        if asked and previous is not None and self._prefix is not None:
            before = house.turns.named(self._principal.tenant, previous)
            now = self._sent(self._message_id, self._prefix, account)
            diagnosis = verdicts.diagnostics(previous, before, now, self._contract)
        return AnswerContext(
            message_id=self._message_id,
            model=self._request["model"],
            input_estimate=self._estimate(),
            plan=plan,
            seal=Seal(house.policy.seal_key, account.tag, self.model),
            betas=self._betas,
            count=one_text(house.counter),
            diagnostics=diagnosis,
            diagnostics_asked=asked,
            window=self._profile.context_window,
            now=house.clock.now(),
            edits_asked=self._edits_asked,
            request_id=self._row.request_id,
        )
