"""One request's way through the pool: whom to ask, how long to wait for somebody, what became of it.

It puts the pool's choice and the attempts together and writes their reasons into the row. Which account is
right is decided in routing, what may be tried again in attempts; nothing here translates or sends. A lease
has one owner: who takes it with `begin` gives it back with `end` on every way out.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

from dragoman.gateway.attempts import Attempts, Step
from dragoman.gateway.dialects import Turn
from dragoman.gateway.house import House
from dragoman.gateway.ports import Account, Principal, Row
from dragoman.routing.policy import Choice, Demand, Wait
from dragoman.routing.pool import Lease, Outcome
from dragoman.routing.retries import deadline
from dragoman.translate.messages.causes import ROAD
from dragoman.translate.messages.failure import PATIENCE, TOLD, Cause, UpstreamFailure, wait
from dragoman.wire.errors import Failure, Kind

_REASON = 256
# How long a spent budget is waited for, and how often it is looked at.
BUDGET_SECONDS = 1.0
LOOK_SECONDS = 0.1
_WELL = Outcome()
# The client's time was over before that of the upstream; so nobody but the client thinks ill of the account.
LATE = UpstreamFailure(Cause.TIMEOUT, "no answer within the time that the request has")
_QUOTA_TOLD = frozenset({Cause.QUOTA, Cause.RATE_LIMIT, Cause.BURST, Cause.OVERLOADED})


class Route:
    """The choices of one request. `row` is told who was chosen and why.

    `patience` is what the client says of it in seconds, see routing/retries.
    """

    def __init__(
        self, house: House, turn: Turn, principal: Principal, row: Row, patience: str | None = None
    ) -> None:
        self._house = house
        self._turn = turn
        self._row = row
        self._groups = principal.groups
        self._deadline = deadline(patience, house.clock.monotonic())
        # Whether the next attempt is one of the budget's, and whether the one under way is.
        self._extra = False
        self._spent = False
        self._held = 0.0
        self._choice: Choice | None = None
        self._lease: Lease | None = None
        self._over: Wait | None = None

    async def step(self, attempts: Attempts) -> Step | None:
        """The next attempt, after a wait for an account where that is worth it; None where nobody is left."""
        if attempts.failures:
            if self._house.clock.monotonic() > self._deadline:
                return None
            if attempts.failures[-1][1].cause in ROAD:
                self._extra = await self._within_budget(attempts)
                if not self._extra:
                    return attempts.next(self._is_proven)
            step = attempts.next(self._may_start)
        else:
            step = None  # nobody was offered yet
        if step is None and not attempts.over:
            attempts.offer(await self._choose(attempts.tried))
            step = attempts.next(self._may_start)
        return step

    @property
    def left(self) -> float:
        """Seconds until the request's time is over; none once it is."""
        return max(0.0, self._deadline - self._house.clock.monotonic())

    def begin(self, account: Account, attempts: Attempts) -> None:
        """An attempt begins, without a pause since its step was given."""
        house, row, choice = self._house, self._row, self._choice
        row.account = account.name
        if choice is not None and account.name == choice.order[0]:
            row.choice, row.move = choice.why[:_REASON], choice.move
            row.lost_nano = choice.lost_nano if choice.move in ("moved", "stand_in") else 0
        elif attempts.failures:
            other, failure = attempts.failures[-1]
            row.choice = f"{account.name} after {failure.cause} on {other.name}"[:_REASON]
            row.move = "failover"
            row.lost_nano = self._demand(frozenset()).lost_nano
        self._spend(attempts)
        now = house.clock.steady()
        self._lease = house.pool.started(
            account.name,
            now,
            model=self._turn.model,
            affinity=self._turn.affinity,
            owner=asyncio.current_task(),
        )

    def answered(self) -> None:
        """The attempt has brought content."""
        if self._lease is not None:
            self._house.pool.report(self._lease, _WELL, self._house.clock.steady())
        self._give_back(answered=True)

    def failed(self, failure: UpstreamFailure) -> None:
        """The attempt failed, before or after content."""
        if failure is LATE:
            self._deadline = -math.inf
        elif self._lease is not None:
            house = self._house
            house.pool.report(self._lease, Outcome(failure), house.clock.steady(), house.jitter())

    def end(self) -> None:
        """The attempt is over, however it ended."""
        self._give_back(answered=False)
        lease, self._lease = self._lease, None
        if lease is not None:
            self._house.pool.ended(lease)

    def verdict(self, attempts: Attempts) -> UpstreamFailure | Failure:
        """What the client is told when nobody could serve: a failure of an attempt, or why there was none."""
        over, now = self._over, self._house.clock.steady()
        if not attempts.failures:
            return _nobody(over, self._turn.requested, now)
        failure = attempts.verdict()
        if over is None or over.cause != "quota" or over.until is None or failure.cause not in _QUOTA_TOLD:
            return failure
        # Of all accounts the one that is back first says how long it takes, whoever was asked. Where the
        # upstream named no wait, it is when the account is asked again; an overload passes sooner than that.
        left, own = over.until - now, wait(failure)
        overloaded = failure.cause is Cause.OVERLOADED
        if left > (own if own is not None else PATIENCE if overloaded else math.inf):
            return failure
        if overloaded:
            return _nobody(over, self._turn.requested, now)
        return replace(failure, retry_after=left, resets_at=over.until)

    # -- inside --------------------------------------------------------------------------------------

    async def _within_budget(self, attempts: Attempts) -> bool:
        """Whether everybody's budget allows one more attempt on a failing road, after a moment if need be."""
        house = self._house
        waited = 0.0
        while not house.retries.may_retry(house.gate.in_flight, house.clock.monotonic()):
            # It comes back with the first answers of those who went elsewhere before.
            if waited >= BUDGET_SECONDS or not attempts.others(self._may_start):
                return False
            if attempts.others(self._is_proven):
                return False
            pause = LOOK_SECONDS * (1 + house.jitter())
            waited += pause
            await asyncio.sleep(pause)
        return True

    def _is_proven(self, account: Account) -> bool:
        """Whether an account answers these days, so that it is no gamble to go there."""
        return self._house.pool.proven(account.name, self._turn.model, self._house.clock.steady())

    def _spend(self, attempts: Attempts) -> None:
        retries, now = self._house.retries, self._house.clock.monotonic()
        if not attempts.failures:
            retries.asked(now)
        elif self._extra:
            retries.took(now)
            self._spent = True

    def _give_back(self, *, answered: bool) -> None:
        if self._spent:
            self._spent = False
            self._house.retries.gave_back(answered=answered)

    def _may_start(self, account: Account) -> bool:
        return self._house.pool.may_start(account.name, self._turn.model, self._house.clock.steady())

    async def _choose(self, tried: frozenset[str]) -> list[Account]:
        """The accounts to ask in this order; none where nobody is worth waiting for any longer."""
        house = self._house
        while True:
            now = house.clock.steady()
            choice = house.pool.select(self._demand(tried), now)
            if choice.hold_until is None:
                break
            pause = max(0.0, choice.hold_until - now)
            self._held += pause
            await asyncio.sleep(pause)
        self._over = choice.wait
        found = [account for name in choice.order if (account := house.accounts.get(name)) is not None]
        if choice.order:
            self._choice = choice
        else:
            self._row.choice = self._row.choice or choice.why[:_REASON]
            self._row.move = self._row.move or choice.move
        return found

    def _demand(self, tried: frozenset[str]) -> Demand:
        turn, house = self._turn, self._house
        cached = turn.cached_tokens()
        fresh_nano = cached_nano = 0
        if cached and (price := house.admission.prices.upstream(turn.model)) is not None:
            fresh_nano, cached_nano = price.base.input // 1000, price.base.cached // 1000
        return Demand(
            turn.model,
            self._groups,
            turn.affinity,
            cached,
            fresh_nano,
            cached_nano,
            waited=self._held,
            tried=tried,
            cached_on=self._is_cached_on,
        )

    def _is_cached_on(self, name: str) -> bool:
        account = self._house.accounts.get(name)
        return account is not None and self._turn.answered_on(account)


def _nobody(over: Wait | None, requested: str, now: float) -> Failure:
    """What a client is told when no account can be asked at all."""
    if over is None or over.cause == "none":
        sentence = f"model: no account serves {requested[:128]!r}."
        return Failure(Kind.MODEL_NOT_FOUND, sentence, param="model")
    if over.cause == "login":
        told = TOLD[Cause.LOGIN]
        return Failure(told.kind, told.sentence, should_retry=told.should_retry)
    seconds = None if over.until is None else max(1.0, over.until - now)
    kind, message = Kind.RATE_LIMIT, "Every account has reached its usage or rate limit."
    if over.cause == "overload":
        kind, message, seconds = Kind.OVERLOADED, "Every account is busy or resting.", seconds or 10.0
    long = seconds is None or seconds > PATIENCE
    return Failure(kind, message, seconds, should_retry=False if long else None)
