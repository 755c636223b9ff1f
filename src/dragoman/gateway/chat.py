"""The Chat Completions dialect: a client's request as a Turn of the exchange.

What is said in OpenAI's words stands here: chunks instead of events, `[DONE]` behind the last of them, a
comment where Messages has a ping. The rest is gateway/translated. It holds no sealed reasoning and recalls no
arguments: this dialect's clients replay arguments as they got them and have no place for a seal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.gateway.house import House
from dragoman.gateway.ports import Account, Principal, Row
from dragoman.gateway.translated import TranslatedTurn, one_text
from dragoman.gateway.turn import admitted
from dragoman.translate.chat import failure as failures
from dragoman.translate.chat.fold import ChatFold
from dragoman.translate.chat.plan import ChatContext, ChatPlan
from dragoman.translate.chat.request import translate
from dragoman.translate.chat.stream import ResponsesToChat
from dragoman.translate.messages.failure import UpstreamFailure
from dragoman.translate.messages.plan import Target
from dragoman.translate.messages.reasoning import Seal
from dragoman.translate.models import Resolution
from dragoman.wire import sse
from dragoman.wire.errors import Failure


class ChatCompletions:
    """Admits requests of the Chat Completions door."""

    def admit(
        self,
        house: House,
        principal: Principal,
        headers: Mapping[str, str],
        request: dict[str, Any],
        row: Row,
    ) -> ChatTurn:
        """Judges model access and finds out who is speaking. Raises Refused."""
        resolution = admitted(house, principal, request["model"], row)
        return ChatTurn(house, principal, headers, request, row, resolution)


class ChatTurn(TranslatedTurn[ChatPlan]):
    """One chat request on its way."""

    ping = sse.COMMENT

    def __init__(
        self,
        house: House,
        principal: Principal,
        headers: Mapping[str, str],
        request: dict[str, Any],
        row: Row,
        resolution: Resolution,
    ) -> None:
        super().__init__(house, principal, headers, request, row, resolution, house.ids.completion())
        self._created = int(house.clock.now())
        self._fold = ChatFold()

    def explain(self, failure: UpstreamFailure) -> Failure:
        """What the client is told about an upstream failure."""
        return failures.to_client(failure, tokens=self._estimate(), window=self._profile.context_window)

    def encode(self, events: list[dict[str, Any]]) -> bytes:
        """Chunks as one piece of SSE, with `[DONE]` behind the last one or an error."""
        data = sse.encode_chunks(events)
        return data + sse.DONE if self._automaton().concluded else data

    def collect(self, events: list[dict[str, Any]]) -> None:
        """Gathers the completion for a client that does not stream."""
        for event in events:
            self._fold.add(event)

    def whole(self) -> dict[str, Any]:
        """The gathered completion."""
        return self._fold.completion()

    # -- inside --------------------------------------------------------------------------------------

    def _output_limit(self) -> int | None:
        limit: int | None = self._request.get("max_completion_tokens")
        return self._request.get("max_tokens") if limit is None else limit

    def _goes_on(self) -> bool:
        return self._request["messages"][-1]["role"] in ("tool", "function")

    def _tool_names(self) -> list[str]:
        functions = [tool["function"] for tool in self._request.get("tools") or ()]
        return [function["name"] for function in functions or self._request.get("functions") or ()]

    def _translated(self, target: Target, tool_order: Sequence[str], *, bare: bool) -> ChatPlan:
        return translate(
            self._request,
            target,
            self._policy(),
            self._identity,
            phases=self._phases,
            tool_order=tool_order,
        )

    def _reader(self, plan: ChatPlan, account: Account, *, started: bool) -> ResponsesToChat:
        house = self._house
        self._fold = ChatFold()  # what another attempt left is of no use
        context = ChatContext(
            message_id=self._message_id,
            model=self.requested,
            input_estimate=self._estimate(),
            plan=plan,
            seal=Seal(house.policy.seal_key, account.tag, self.model),
            betas=frozenset(),
            count=one_text(house.counter),
            window=self._profile.context_window,
            now=house.clock.now(),
            created=self._created,
        )
        return ResponsesToChat(context, started=started)
