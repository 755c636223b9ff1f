"""Whether a key may have this request now, and what it holds until the request has ended.

Concurrency and limits are judged on the requested model before anything is sent. What was let in holds a
Pass: one owner, settled once, with what was really used; a request that used nothing gives everything back.
It arranges the arithmetic of `budget`; where counters come from after a restart is the store's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from dragoman.budget.limits import Amounts, Meters, Reservation, Spent, ends, ratelimit_headers, reset_text
from dragoman.budget.pricing import Consumption, Price, cost
from dragoman.gateway.ports import Principal, Row
from dragoman.wire.errors import Failure, Kind, Refused

# A reservation covers at most so much output: a client's ceiling says little about what it will get.
OUTPUT_RESERVED = 8192
# Clients give up at once on a longer wait, so they are told not to try (Claude Code: 60 s).
PATIENCE_SECONDS = 60.0
BUSY_SECONDS = 1.0


class Prices(Protocol):
    """What models cost; None where no price is known."""

    def upstream(self, model: str) -> Price | None: ...

    def anthropic(self, requested: str) -> Price | None: ...


class Pass:
    """What one admitted request holds of its key. `settle` is effective once."""

    __slots__ = ("_admission", "_done", "_key", "_limits", "_requested", "_reservation", "_slot")

    def __init__(
        self,
        admission: Admission,
        key: str,
        limits: Meters | None,
        requested: str,
        reservation: Reservation | None,
        slot: Callable[[], None] | None,
    ) -> None:
        self._admission = admission
        self._key = key
        self._limits = limits
        self._requested = requested
        self._reservation = reservation
        self._slot = slot
        self._done = False

    def headers(self, now: float) -> dict[str, str]:
        """`anthropic-ratelimit-*` of the key's own limits."""
        if self._limits is None:
            return {}
        return ratelimit_headers(self._limits.lines(now, self._requested), now)

    def settle(self, row: Row, now: float) -> None:
        """Counts what the row says was used; nothing where nothing was."""
        if self._done:
            return
        self._done = True
        if self._slot is not None:
            self._slot()
        nothing = row.usage_source == "none"
        if self._reservation is not None:
            if nothing:
                self._reservation.release()
            else:
                self._reservation.settle(amounts(row), now)
        present = self._admission.keys.get(self._key)
        if present is not None and present is not self._limits and not nothing:
            # The key got its first limits while the request ran: they know of nothing that had not ended.
            present.count(self._requested, amounts(row), now)


class Admission:
    """Every key's limits and places. `now` is the wall clock: limits end by the calendar."""

    def __init__(self, prices: Prices, now: Callable[[], float]) -> None:
        self.prices = prices
        self._now = now
        self._limits: dict[str, Meters] = {}
        self._busy: dict[str, int] = {}

    @property
    def keys(self) -> Mapping[str, Meters]:
        """Limits by the key's name."""
        return self._limits

    def adopt(self, limits: Mapping[str, Meters]) -> None:
        """Takes the meters of all keys; a key that had some before keeps them (see Meters.replace)."""
        self._limits = dict(limits)

    def enter(
        self,
        principal: Principal,
        requested: str,
        model: str,
        input_tokens: int,
        max_tokens: int | None,
    ) -> Pass:
        """Lets a request in: `requested` as the client named it, `model` the upstream's.

        `input_tokens` is an estimate. Raises Refused (402, 403, 429).
        """
        limits = self._limits.get(principal.name)
        reservation = None
        if limits is not None:
            reservation = self._reserve(limits, requested, model, input_tokens, max_tokens)
        try:
            slot = self._take(principal)
        except Refused:
            if reservation is not None:
                reservation.release()
            raise
        return Pass(self, principal.name, limits, requested, reservation, slot)

    def price(self, row: Row) -> None:
        """Fills in what the row cost, and what the model the client named would have cost."""
        if row.usage_source == "none":
            return
        used = Consumption(row.input_tokens, row.cached_tokens, row.written_tokens, row.output_tokens)
        if (price := self.prices.upstream(row.upstream_model)) is not None:
            row.cost_nano = cost(price, used, row.service_tier)
        if (price := self.prices.anthropic(row.requested_model)) is not None:
            row.anthropic_cost_nano = cost(price, used)

    def _reserve(
        self, limits: Meters, requested: str, model: str, input_tokens: int, max_tokens: int | None
    ) -> Reservation:
        output = OUTPUT_RESERVED if max_tokens is None else min(max_tokens, OUTPUT_RESERVED)
        price = self.prices.upstream(model)
        wanted = Consumption(input_tokens, 0, 0, output)
        estimate = Amounts(1, input_tokens, output, 0 if price is None else cost(price, wanted))
        if price is None and limits.counts_money(requested):
            raise Refused(
                Failure(
                    Kind.PERMISSION,
                    f"This key has a money limit and the price of {model!r} is not known to the "
                    "gateway; its operator can set one.",
                    should_retry=False,
                )
            )
        now = self._now()
        found = limits.reserve(requested, estimate, now)
        if isinstance(found, Spent):
            raise Refused(spent(found, now, ratelimit_headers(limits.lines(now, requested), now)))
        return found

    def _take(self, principal: Principal) -> Callable[[], None] | None:
        if principal.concurrency is None:
            return None
        name = principal.name
        busy = self._busy.get(name, 0)
        if busy >= (most := principal.concurrency):
            message = f"This key may have {most:,} request{'s' * (most != 1)} in flight at a time."
            raise Refused(Failure(Kind.RATE_LIMIT, message, retry_after=BUSY_SECONDS))
        self._busy[name] = busy + 1
        return lambda: self._give_back(name)

    def _give_back(self, name: str) -> None:
        left = self._busy[name] - 1
        if left:
            self._busy[name] = left
        else:
            del self._busy[name]


def amounts(row: Row) -> Amounts:
    """What a finished row counts for. An unknown cost counts nothing: such models are refused beforehand."""
    return Amounts(1, row.input_tokens, row.output_tokens, row.cost_nano or 0)


def spent(found: Spent, now: float, fields: Mapping[str, str]) -> Failure:
    """What the client is told of a limit that is used up: 402 for money, 429 for the rest.

    What only open requests hold may be free in a moment: that is 429 with a short wait, for money too.
    """
    limit, resets = found.limit, found.resets_at
    pairs = tuple(fields.items())
    if found.held:
        message = f"Requests in flight hold what is left of this key's limit: {limit.describe()}."
        return Failure(
            Kind.RATE_LIMIT, message + _resets(ends(limit.per, now)), retry_after=BUSY_SECONDS, fields=pairs
        )
    kind = Kind.BILLING if limit.measure == "cost_usd" else Kind.RATE_LIMIT
    message = f"The limit of this key is used up: {limit.describe()}."
    if resets is None:
        return Failure(kind, message, should_retry=False, fields=pairs)
    wait = max(0.0, resets - now)
    patient = kind is Kind.RATE_LIMIT and wait <= PATIENCE_SECONDS
    return Failure(
        kind,
        message + _resets(resets),
        retry_after=wait,
        should_retry=None if patient else False,
        fields=pairs,
    )


def _resets(at: float | None) -> str:
    return "" if at is None else f" It resets at {reset_text(at)}."
