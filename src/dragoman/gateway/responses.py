"""The Responses dialect: a client's request as a Turn of the exchange that passes nearly everything on.

Identity and model are decided once, body and relay are made anew per attempt. What an account's kind cannot
do for a request is found before anything is sent, so that another account may be asked. After the last
event the turn leaves what later turns draw on: the prefix that was sent, and who keeps the response.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from dragoman.cache import verdict as verdicts
from dragoman.cache.lineage import item_lineage
from dragoman.cache.prefix import Prefix, digest
from dragoman.cache.turns import Thread, Turn
from dragoman.gateway.dialects import choose_model
from dragoman.gateway.house import House
from dragoman.gateway.identity import LANE_HEADERS, key_policy
from dragoman.gateway.ports import Account, Answer, Principal, Row, UpstreamError
from dragoman.translate.capability import capability
from dragoman.translate.messages import usage as usages
from dragoman.translate.messages.failure import Cause, UpstreamFailure
from dragoman.translate.messages.plan import Target
from dragoman.translate.models import Resolution, profile
from dragoman.translate.responses.failure import to_client
from dragoman.translate.responses.relay import Relay
from dragoman.translate.responses.request import prepare, prompt_of, unfit
from dragoman.wire import jsonio, scrub, sse
from dragoman.wire.errors import Failure, Kind, Refused

DISTRUSTED = 4096
TIER = 16  # characters of the upstream's word for it
IGNORED = 32  # fields that are named in a row; a client may invent more
TURN_STATE = "x-codex-turn-state"
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
        resolution = resolved(house, principal, request, row)
        return ResponsesTurn(house, principal, headers, request, row, resolution.model, resolution.effort)


def resolved(house: House, principal: Principal, request: Mapping[str, Any], row: Row) -> Resolution:
    """Model access on the requested name, then the upstream's; the row has both. Raises Refused."""
    requested: str = request["model"]
    row.requested_model = scrub.name(requested)
    resolution = choose_model(house, principal, requested)
    own_words = resolution.via == "pass-through"  # others stand in the configuration
    row.upstream_model = scrub.name(resolution.model) if own_words else resolution.model
    return resolution


class ResponsesTurn:
    """One Responses request on its way. See gateway/dialects.Turn for what an exchange asks of it.

    Its events are frames: bytes as the upstream sent them.
    """

    ping = sse.COMMENT
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
        self._line = item_lineage(
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
        self._thread = Thread(principal.tenant, self._line.conversation_hash or row.request_id)
        self._contract: verdicts.Contract = "breakpoints" if self._profile.breakpoints else "blocks"
        self._keeper = self._kept_by()
        self._stores = request.get("store") is not False
        self._prefix: Prefix | None = None
        self._relay: Relay | None = None
        self._account: Account | None = None
        self._unfit: Failure | None = None
        self._refusal: Failure | None = None

    # -- what the exchange asks ----------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Nothing more is to come for the client."""
        return self._relay is not None and self._relay.finished

    @property
    def complete(self) -> bool:
        """The upstream said its last word too, so its connection may be kept."""
        return self._relay is not None and self._relay.terminal

    @property
    def failure(self) -> UpstreamFailure | None:
        """Why the attempt failed, if it did."""
        return None if self._relay is None else self._relay.failure

    @property
    def client_failure(self) -> Failure | None:
        """What the client was told instead of a good end."""
        return self._refusal or (None if self._relay is None else self._relay.told)

    @property
    def affinity(self) -> str | None:
        """What binds this conversation to an account; None where nobody can tell who is speaking."""
        return self._line.affinity

    def cached_tokens(self) -> int:
        """Tokens that the upstream should have in its cache of this conversation, 0 where unknown."""
        before = self._house.turns.last(self._thread)
        return 0 if before is None else verdicts.expected_tokens(before, self._contract)[0]

    def bounds(self) -> tuple[int, int | None]:
        """The model's window, and `max_output_tokens`."""
        return self._profile.context_window, self._request.get("max_output_tokens")

    def immediate(self) -> list[Any] | None:
        """Nothing is answered without an upstream."""
        return None

    def prepare(
        self, account: Account, learnt: frozenset[str], without_reasoning: bool, *, started: bool
    ) -> tuple[bytes, dict[str, str]]:
        """The upstream body and headers for an attempt on this account; a fresh relay for its answer.

        Raises UpstreamError where the account cannot serve this request, whatever it answers.
        """
        house, line = self._house, self._line
        known = capability(account.kind, self._profile, learnt)
        target = Target(account.kind, self.model, self._profile, known, account.tag, self._alias_effort)
        self._check_fit(account, target)
        bare = without_reasoning or self._thread.conversation in house.without_reasoning
        policy = key_policy(house.policy, self._principal)
        made = prepare(self._request, target, policy, line.cache_key, without_reasoning=bare)
        self._account = account
        body = self._shaped(made.body)
        self._prefix = digest(prompt_of(body))
        row = self._row
        row.effort = (body.get("reasoning") or {}).get("effort")
        row.ignored_fields = [scrub.name(path) for path in made.ignored[:IGNORED]]
        row.dropped_reasoning = made.dropped_reasoning
        self._relay = Relay(
            self.model, tokens=self._estimate(), window=self._profile.context_window, now=house.clock.now()
        )
        return jsonio.dump(body), self._headers(account)

    def read(self, answer: Answer) -> AsyncIterator[list[Any]]:
        """The answer's frames as they came."""
        state = answer.headers.get(TURN_STATE)
        if state and self._account is not None and self._account.kind == "chatgpt":
            self._house.turn_states.put(self._state_key(self._account), state, self._house.clock.monotonic())
        return answer.frames()

    def commit(self) -> None:
        """Content went to the client: nothing will be sent again, so the prompt need not be held."""
        self._request = {}

    def feed(self, events: list[Any]) -> list[Any]:
        """The frames that go on."""
        return self._automaton().feed(events)

    def close(self) -> list[Any]:
        """The upstream's bytes ended."""
        return self._automaton().close()

    def begin(self) -> list[Any]:
        """Nothing is told of a response before there is content: it might be another account's then."""
        return []

    def break_off(self, failure: UpstreamFailure) -> list[Any]:
        """The stream broke after content had been sent."""
        return self.refuse(self.explain(failure))

    def refuse(self, failure: Failure) -> list[Any]:
        """The last frame behind a head that is already out."""
        self._refusal = failure
        relay = self._relay
        if relay is None:
            relay = self._relay = Relay(self.model, tokens=0, window=0, now=self._house.clock.now())
        return relay.fail(failure)

    def explain(self, failure: UpstreamFailure) -> Failure:
        """What the client is told about an upstream failure."""
        if failure.cause is Cause.UNFIT and self._unfit is not None:
            return self._unfit
        return to_client(failure, tokens=self._estimate(), window=self._profile.context_window)

    def encode(self, events: list[Any]) -> bytes:
        """Frames as one piece of the stream."""
        return sse.join(events) if events else b""

    def head(self) -> dict[str, str]:
        """Response headers that tell what served the request; opaque names only."""
        told = {"x-dragoman-model": self.model, "x-dragoman-attempts": str(len(self._row.attempts) + 1)}
        if self._account is not None:
            told["x-dragoman-account"] = self._account.tag
        return told

    def collect(self, events: list[Any]) -> None:
        """The last event has the whole answer: nothing needs to be gathered."""

    def fold(self, events: list[Any]) -> dict[str, Any]:
        """The response that a complete list of frames ends with."""
        self.feed(events)
        return self.whole()

    def whole(self) -> dict[str, Any]:
        """The response as the last event has it, with its items."""
        return self._automaton().response or {}

    def distrust_reasoning(self) -> None:
        """The upstream refused this lineage's sealed reasoning: it is left out from now on."""
        marks = self._house.without_reasoning
        marks[self._thread.conversation] = None
        while len(marks) > DISTRUSTED:
            marks.pop(next(iter(marks)))

    def settle(self, row: Row) -> None:
        """Fills in what the answer used, and keeps what later turns draw on."""
        relay = self._relay
        if relay is None:
            return
        usage = relay.usage
        row.stop_reason = relay.stop_reason
        row.input_tokens, row.cached_tokens = usage.total_input, usage.cached
        row.written_tokens, row.output_tokens = usage.written, usage.output
        row.reasoning_tokens, row.usage_source = usage.reasoning, usage.source
        response = relay.response or {}
        tier = response.get("service_tier")
        row.service_tier = tier[:TIER] if isinstance(tier, str) else None
        if self._prefix is None or self._account is None or usage.source == "none":
            return
        identity = response.get("id")
        self._remember(self._prefix, self._account, row, usage, identity if isinstance(identity, str) else "")

    # -- inside --------------------------------------------------------------------------------------

    def _automaton(self) -> Relay:
        if self._relay is None:
            raise RuntimeError("no attempt was prepared")
        return self._relay

    def _kept_by(self) -> str | None:
        """The account that keeps the response which this request continues. Raises Refused."""
        previous = self._request.get("previous_response_id")
        if not previous:
            return None
        keeper = self._house.kept_responses.get(
            (self._principal.tenant, previous), self._house.clock.monotonic()
        )
        kinds = {account.kind for account in self._house.accounts.candidates(self.model)}
        if keeper is None and kinds - {"chatgpt"}:
            raise Refused(_previous(_UNKNOWN_RESPONSE, "previous_response_not_found"))
        return keeper

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

    def _headers(self, account: Account) -> dict[str, str]:
        lane = self._line.lane_key
        if lane is None:
            return {}
        told = dict.fromkeys(LANE_HEADERS.get(account.kind, ()), lane)
        if account.kind == "chatgpt":
            state = self._house.turn_states.get(self._state_key(account), self._house.clock.monotonic())
            if state is not None:
                told[TURN_STATE] = state
        return told

    def _state_key(self, account: Account) -> tuple[str, str]:
        return account.name, self._line.lane_key or self._row.request_id

    def _estimate(self) -> int:
        """Input tokens of the prepared body, from its bytes and what was learnt of this model."""
        prefix = self._prefix
        return 0 if prefix is None else self._house.calibration.apply(self.model, prefix.tokens, "bytes")

    def _remember(
        self, prefix: Prefix, account: Account, row: Row, usage: usages.Usage, identity: str
    ) -> None:
        """Explains the turn and keeps it for the next one."""
        house, line = self._house, self._line
        figures: tuple[int, ...] = ()
        if usage.source == "measured":
            figures = usage.total_input, usage.cached, usage.written
            house.calibration.learn(self.model, prefix.tokens, usage.total_input, "bytes")
        at = house.clock.monotonic()
        name = identity or row.request_id
        turn = Turn(name, prefix, at, account.tag, account.kind, line.cache_key, line.lane_key, *figures)
        before, divergence = house.turns.predecessor(self._thread, prefix)
        judged = verdicts.judge(before, turn, self._contract, divergence)
        row.cache_verdict, row.cache_story = judged.label, judged.sentence()
        house.turns.remember(self._thread, turn)
        if identity and self._stores and account.kind != "chatgpt":
            house.kept_responses.put((self._principal.tenant, identity), account.name, at)


def _previous(why: str, code: str) -> Failure:
    return Failure(
        Kind.INVALID_REQUEST,
        f"previous_response_id: {why}.",
        param="previous_response_id",
        error_code=code,
    )
