"""The Responses dialect: a client's request as a Turn of the exchange that passes nearly everything on.

Body and relay are made anew per attempt. What an account's kind cannot do for a request is found before
anything is sent, so that another account may be asked. After the last event the turn leaves who keeps the
response; the rest of a turn is gateway/turn.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from dragoman.cache.lineage import item_lineage
from dragoman.cache.prefix import Prefix, continued, digest
from dragoman.gateway.dialects import others_serve
from dragoman.gateway.house import House, Kept
from dragoman.gateway.ports import Account, Answer, Principal, Row, UpstreamError
from dragoman.gateway.turn import DialectTurn, admitted
from dragoman.translate.messages import usage as usages
from dragoman.translate.messages.failure import Cause, UpstreamFailure
from dragoman.translate.messages.plan import Target
from dragoman.translate.models import Resolution
from dragoman.translate.responses.failure import to_client
from dragoman.translate.responses.relay import Relay
from dragoman.translate.responses.request import prepare, prompt_of, unfit
from dragoman.wire import jsonio, sse
from dragoman.wire.errors import Failure, Kind, Refused

# What a response says of its request, where the upstream's own does not; small, for it is kept to the end.
_ECHOED = ("parallel_tool_calls", "tool_choice")
# How a request comes to another account than its conversation's own.
_AWAY = ("stand_in", "failover", "moved")
# Sessions that no client has named.
_GUESSED = ("anchor", "none")
_UNKNOWN_RESPONSE = (
    "no response of this id is known here: it was not made through this gateway with this key, was not "
    "stored, or is too old; send the whole conversation as input"
)


class Responses:
    """Admits requests of the Responses door."""

    def admit(
        self,
        house: House,
        principal: Principal,
        headers: Mapping[str, str],
        request: dict[str, Any],
        row: Row,
    ) -> ResponsesTurn:
        """Judges model access and finds out who is speaking. Raises Refused."""
        resolution = admitted(house, principal, request["model"], row)
        return ResponsesTurn(house, principal, headers, request, row, resolution)


class ResponsesTurn(DialectTurn[Relay]):
    """One Responses request on its way. Its events are frames: bytes as the upstream sent them."""

    ping = sse.COMMENT
    completes = True  # an answer that lacks something of a response is given it

    def __init__(
        self,
        house: House,
        principal: Principal,
        headers: Mapping[str, str],
        request: dict[str, Any],
        row: Row,
        resolution: Resolution,
    ) -> None:
        line = item_lineage(
            headers,
            request,
            tenant=principal.tenant,
            secret=house.salt,
            model=resolution.model,
            per_lane_key=house.key_per_lane,
        )
        kept = house.kept_responses.get(
            (principal.tenant, request.get("previous_response_id") or ""), house.clock.monotonic()
        )
        if kept is not None and line.source in _GUESSED:
            line = kept.line  # what it continues knows better than its few words
        super().__init__(house, principal, request, row, resolution, line)
        self._keeper = self._kept_by(kept)
        self._stores = request.get("store") is not False
        self._unfit: Failure | None = None
        self._moved = False
        self._alone: list[str] = []  # sealed compactions that were sent with no other seal beside them

    # -- what the exchange asks ----------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """The upstream said its last word too, so its connection may be kept."""
        return self._answer is not None and self._answer.terminal

    def prepare(
        self, account: Account, learnt: frozenset[str], without_reasoning: bool, *, started: bool
    ) -> tuple[bytes, dict[str, str]]:
        """The upstream body and headers for an attempt on this account; a fresh relay for its answer.

        Raises UpstreamError where the account cannot serve this request, whatever it answers.
        """
        target = self._target(account, learnt)
        self._check_fit(account, target)
        self._moved = self._has_moved(account)
        bare = self._moved or self._bare(without_reasoning)
        compactions = self._compactions()
        known = {content for content in compactions if self._cannot_read(account, content)}
        made = prepare(
            self._request,
            target,
            self._policy(),
            self._line.cache_key,
            without_reasoning=bare,
            without_sealed=without_reasoning,
            unreadable=known,
        )
        seals = {item.get("type") for item in _items(made.body)} & {"compaction", "reasoning"}
        self.sealed = bool(seals)
        self._alone = [] if "reasoning" in seals else [one for one in compactions if one not in known]
        self._account = account
        body = self._shaped(made.body)
        self._prefix = self._rendered(digest(prompt_of(body)))
        self._note_sent(body, made.ignored, made.dropped_reasoning)
        self._answer = self._relay(self._estimate())
        return jsonio.dump(body), self._lane_headers(account)

    def read(self, answer: Answer) -> AsyncIterator[list[Any]]:
        """The answer's frames as they came."""
        self._note_state(answer)
        return answer.frames()

    def feed(self, events: list[Any]) -> list[Any]:
        """The frames that go on."""
        return self._automaton().feed(events)

    def close(self) -> list[Any]:
        """The upstream's bytes ended."""
        return self._automaton().close()

    def begin(self) -> list[Any]:
        """Nothing is told of a response before there is content: it might be another account's then."""
        return []

    def refuse(self, failure: Failure) -> list[Any]:
        """The last frame behind a head that is already out."""
        self._refusal = failure
        if self._answer is None:
            self._answer = self._relay(0)
        return self._answer.fail(failure)

    def explain(self, failure: UpstreamFailure) -> Failure:
        """What the client is told about an upstream failure."""
        if failure.cause is Cause.UNFIT and self._unfit is not None:
            return self._unfit
        return to_client(failure, tokens=self._estimate(), window=self._profile.context_window)

    def encode(self, events: list[Any]) -> bytes:
        """Frames as one piece of the stream."""
        return sse.join(events) if events else b""

    def collect(self, events: list[Any]) -> None:
        """The last event has the whole answer: nothing needs to be gathered."""

    def fold(self, events: list[Any]) -> dict[str, Any]:
        """The response that a complete list of frames ends with."""
        self.feed(events)
        return self.whole()

    def whole(self) -> dict[str, Any]:
        """The response as the last event has it, with its items."""
        return self._automaton().response or {}

    def settle(self, row: Row) -> None:
        """Fills in what the answer used, and keeps what later turns draw on."""
        relay = self._answer
        if relay is None:
            return
        response = relay.response or {}
        identity = response.get("id")
        name = identity if isinstance(identity, str) else ""
        self._note_answer(row, relay.usage, relay.stop_reason, response.get("service_tier"), name)

    def distrust_reasoning(self) -> None:
        """What this account has refused as unreadable is not sent to it again; a compaction only if nothing
        else can have been meant, for it holds what was said."""
        super().distrust_reasoning()
        house, account = self._house, self._account
        if account is not None:
            for content in self._alone:
                house.unreadable.put((account.tag, hash(content)), True, house.clock.monotonic())

    # -- inside --------------------------------------------------------------------------------------

    def _rendered(self, prefix: Prefix) -> Prefix:
        """The prompt with what the upstream has kept of the one that it continues."""
        previous = self._request.get("previous_response_id") or ""
        before = self._house.turns.named(self._principal.tenant, previous)
        return prefix if before is None else continued(before.prefix, prefix)

    def _compactions(self) -> list[str]:
        """What the compactions of the request have sealed."""
        sealed = [item for item in _items(self._request) if item.get("type") == "compaction"]
        contents = [item.get("encrypted_content") for item in sealed]
        return [content for content in contents if isinstance(content, str)]

    def _cannot_read(self, account: Account, content: str) -> bool:
        house = self._house
        return house.unreadable.get((account.tag, hash(content)), house.clock.monotonic()) is not None

    def _output_limit(self) -> int | None:
        limit: int | None = self._request.get("max_output_tokens")
        return limit

    def _relay(self, tokens: int) -> Relay:
        """The automaton for an answer to a prompt of so many tokens."""
        request = self._request
        return Relay(
            self.model,
            identity="resp_" + self._row.request_id.removeprefix("req_"),
            tokens=tokens,
            window=self._profile.context_window,
            now=self._house.clock.now,
            asked={name: request[name] for name in _ECHOED if request.get(name) is not None},
            completes=self.completes,
            others=self._others_serve,
        )

    def _others_serve(self) -> bool:
        """Whether the same request, sent again, may be served by another account."""
        house, account = self._house, self._account
        return (
            account is not None
            and self._keeper is None
            and others_serve(house, self._principal, self.model, account)
        )

    def _kept_by(self, kept: Kept | None) -> str | None:
        """The account that keeps the response which this request continues. Raises Refused."""
        if kept is not None:
            return kept.account
        if self._request.get("previous_response_id"):
            kinds = {account.kind for account in self._house.accounts.candidates(self.model)}
            if kinds - {"chatgpt"}:
                raise Refused(_previous(_UNKNOWN_RESPONSE, "previous_response_not_found"))
        return None

    def _has_moved(self, account: Account) -> bool:
        """Whether another account answered the last turn, whose sealed reasoning this one cannot read."""
        before = self._house.turns.last(self._thread)
        if before is not None:
            return before.account != account.tag
        # A restart forgets turns, not whose conversation it is: what it has sealed is its own account's.
        sealed = any(item.get("type") == "reasoning" for item in _items(self._request))
        return sealed and self._row.move in _AWAY

    def _shaped(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body as the operation takes it."""
        return body

    def _misfit(self, account: Account, target: Target) -> tuple[str, str] | None:
        """Why this account cannot do what is asked: the field's path and a reason."""
        found = unfit(self._request, target)
        if found is None and self._keeper is not None and account.name != self._keeper:
            return "previous_response_id", "the account that keeps this response does not serve now"
        return found

    def _check_fit(self, account: Account, target: Target) -> None:
        """Raises UpstreamError where this account cannot do what is asked."""
        found = self._misfit(account, target)
        if found is None:
            return
        path, why = found
        self._unfit = Failure(
            Kind.INVALID_REQUEST, f"{path}: {why}.", param=path, error_code="unsupported_parameter"
        )
        raise UpstreamError(UpstreamFailure(Cause.UNFIT, self._unfit.message, param=path))

    def _goes_on(self) -> bool:
        items = _items(self._request)
        return bool(items) and str(items[-1].get("type")).endswith("_output")

    def _remember(self, prefix: Prefix, account: Account, row: Row, usage: usages.Usage, name: str) -> None:
        """Keeps too which account has the response: what continues it must go there."""
        super()._remember(prefix, account, row, usage, name or row.request_id)
        if self._moved:
            super().distrust_reasoning()  # what earlier turns sealed stays in the history
        if name and self._stores and account.kind != "chatgpt":
            house = self._house
            kept = Kept(account.name, self._line)
            house.kept_responses.put((self._principal.tenant, name), kept, house.clock.monotonic())


def _items(request: dict[str, Any]) -> list[dict[str, Any]]:
    items = request.get("input")
    return items if isinstance(items, list) else []


def _previous(why: str, code: str) -> Failure:
    return Failure(
        Kind.INVALID_REQUEST,
        f"previous_response_id: {why}.",
        param="previous_response_id",
        error_code=code,
    )
