"""All accounts of one process with what is known of them, and whose conversation is where.

It decides when a snapshot is out of date, when a conversation changes hands, and what a finished call says
about its account. It chooses by policy.py and never talks to an upstream or a store. One event loop owns a
pool; `now` is epoch seconds of a clock that does not jump (wall clock at the start plus monotonic time).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from dragoman.routing.health import REMEDIES, Blame, Health
from dragoman.routing.pins import Kept, Pin, Pins
from dragoman.routing.policy import Candidate, Choice, Demand, Strategy, choose
from dragoman.routing.quota import (
    Credits,
    Quotas,
    Window,
    credits_from,
    from_event,
    from_headers,
    from_usage,
)
from dragoman.translate.messages.failure import Cause, UpstreamFailure

Status = Literal["active", "paused", "needs_login", "dead"]

# Headroom moves with time: a snapshot is made anew after so long, also where nothing happened.
SNAPSHOT_SECONDS = 5.0
# An account on its way back is looked at that often.
PROBING_SECONDS = 0.1
# A reading that shows room again is believed where it came so long after the refusal.
SETTLED_SECONDS = 30.0
# An answer speaks for its account for so long.
PROVEN_SECONDS = 300.0
# Snapshots are kept for so many models; names may be client text.
_MODELS = 16

_STATUS_WHY: dict[Status, str] = {
    "paused": "paused",
    "needs_login": "login needed",
    "dead": "account closed",
}


@dataclass(frozen=True, slots=True)
class Member:
    """An account as its operator keeps it; the fields are those of policy.Candidate.

    models      what it serves by its operator's word; None for any name
    advertised  what its own catalogue names, None where that is not known: those go first that name a model,
                but a catalogue may hide models, so where nobody names one everybody may be asked
    version  changes when the account was logged in anew or changed by its operator, not when a token was
             refreshed: what was held against the account is forgotten then
    """

    name: str
    kind: str
    tag: str = ""
    models: frozenset[str] | None = None
    plan: str | None = None
    group: str = ""
    weight: float = 1.0
    priority: int = 0
    concurrency: int | None = None
    status: Status = "active"
    version: int = 0
    advertised: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call told: a failure, or (None) content; headers in any case, the last rate limit event."""

    failure: UpstreamFailure | None = None
    headers: Mapping[str, str] | None = None
    event: Mapping[str, Any] | None = None


class Setback(NamedTuple):
    """The last failure that an account had itself, as opposed to a request that was wrong."""

    at: float
    cause: Cause
    status: int | None
    model: str


class AccountState:
    """One account: as kept, what is left of it, how it is doing, what it is doing."""

    __slots__ = ("health", "in_flight", "member", "quotas", "served_at", "setback")

    def __init__(self, member: Member) -> None:
        self.member = member
        self.quotas = Quotas()
        self.health = Health()
        self.in_flight = 0
        self.served_at: float | None = None
        self.setback: Setback | None = None


class Heard(NamedTuple):
    """What one process was told about an account that holds for all of them. `until` in epoch seconds.

    model  whom it concerns; None for the account as a whole
    """

    account: str
    model: str | None
    cause: Cause
    until: float


# What an upstream says of an account, not of the road that one process takes to it. Only a wait that it named
# is told: who rests by one process's caution may answer the next one.
TELLING = frozenset({Cause.QUOTA, Cause.RATE_LIMIT, Cause.CREDENTIALS, Cause.MODEL})
_UNTOLD = 1024


@dataclass(slots=True)
class Lease:
    """One call under way on one account, from `Pool.started` to `Pool.ended`.

    answered  it has brought content;  open  it was not given back yet
    owner     who gives it back, known to whoever began it; a lease whose owner is gone was leaked
    """

    account: str
    model: str
    affinity: str | None
    began: float
    state: AccountState | None = field(repr=False)
    answered: bool = False
    open: bool = True
    owner: Any = field(default=None, repr=False)


class _View:
    """The snapshot for one model: a candidate per account, and when each is out of date by itself.

    dirty  whose snapshot is made anew before the next choice
    busy   whose work alone has changed
    """

    __slots__ = ("busy", "candidates", "dirty", "due", "first_due", "named")

    def __init__(self, size: int, named: bool) -> None:
        self.named = named
        self.candidates: list[Candidate] = [_NOBODY] * size
        self.due = [0.0] * size
        self.first_due = 0.0
        self.dirty: set[int] = set(range(size))
        self.busy: set[int] = set()


_NOBODY = Candidate("", "")
_OVERLOAD: Blame = "overload"


class Pool:
    """The accounts, their state, and the pins."""

    def __init__(
        self, members: Iterable[Member] = (), *, strategy: Strategy = "affinity", pins: int = 20_000
    ) -> None:
        self.strategy: Strategy = strategy
        self.pins = Pins(pins)
        self._states: dict[str, AccountState] = {}
        self._index: dict[str, int] = {}
        self._views: OrderedDict[str, _View] = OrderedDict()
        self._leases: dict[int, Lease] = {}
        self._cursor = 0
        self._last = 0.0
        self._read: dict[tuple[str, str, int], Window] = {}
        self._heard: dict[tuple[str, str | None], Heard] = {}
        self.replace(members)

    def replace(self, members: Iterable[Member]) -> None:
        """Takes over what the operator keeps. Who stays keeps its state, unless its version changed."""
        states: dict[str, AccountState] = {}
        for member in members:
            state = self._states.get(member.name) or AccountState(member)
            if state.member.version != member.version or state.member.kind != member.kind:
                state.health.revive()
            state.member = member
            states[member.name] = state
        self._states = states
        self._index = {name: index for index, name in enumerate(states)}
        self._views.clear()

    # -- before a call -----------------------------------------------------------------------------------

    def candidates(self, now: float, model: str) -> Sequence[Candidate]:
        """The snapshot of all accounts for a model; it may be up to five seconds old in its headroom."""
        self.pins.sweep(now)
        if self.pins.moved:
            for name in self.pins.moved:
                self._worked(name)
            self.pins.moved.clear()
        view = self._views.get(model)
        if view is None:
            view = self._views[model] = _View(len(self._states), self._is_named(model))
            if len(self._views) > _MODELS:
                self._views.popitem(last=False)
        elif len(self._views) > 1:
            self._views.move_to_end(model)
        if now >= view.first_due:
            view.dirty.update(index for index, due in enumerate(view.due) if now >= due)
        if view.dirty:
            states = list(self._states.values())
            for index in view.dirty:
                found = self._snapshot(states[index], now, model, named=view.named)
                view.candidates[index], view.due[index] = found
            view.busy -= view.dirty
            view.dirty.clear()
            view.first_due = min(view.due)
        if view.busy:
            for index in view.busy:
                one = view.candidates[index]
                one.recount(self._states[one.name].in_flight, self.pins.live.get(one.name, 0))
            view.busy.clear()
        return view.candidates

    def select(self, demand: Demand, now: float) -> Choice:
        """Whom to ask for a request; a conversation without an account is given one."""
        candidates = self.candidates(now, demand.model)
        affinity = demand.affinity
        pin = None if affinity is None else self.pins.get(affinity, now)
        choice = choose(
            self.strategy,
            candidates,
            demand,
            now=now,
            pin=None if pin is None else pin.account,
            stand_in=None if pin is None else pin.stand_in,
            away=pin is not None and pin.away,
            cursor=self._cursor,
        )
        if choice.hold_until is None and choice.order:
            self._settle(affinity, pin, choice, now)
        return choice

    def may_start(self, name: str, model: str, now: float) -> bool:
        """Whether an account that was chosen a while ago may still be asked."""
        state = self._states.get(name)
        if state is None or state.member.status != "active":
            return False
        bound = state.member.concurrency
        room = bound is None or state.in_flight < bound
        spent = state.quotas.exhausted(model, now) is not None
        return room and not spent and state.health.may_start(now, model)

    def proven(self, name: str, model: str, now: float) -> bool:
        """Whether an account may be asked, has answered lately, and has not failed since."""
        state = self._states.get(name)
        if state is None or state.served_at is None or now - state.served_at > PROVEN_SECONDS:
            return False
        return state.health.clean(model) and self.may_start(name, model, now)

    def started(
        self, name: str, now: float, *, model: str, affinity: str | None = None, owner: Any = None
    ) -> Lease:
        """A call begins, without a pause since it was chosen.

        Its lease has one owner, who gives it back with `ended` on every way out.
        """
        # No two calls begin at the same moment: health knows its test calls by when they began.
        self._last = began = now if now > self._last else math.nextafter(self._last, math.inf)
        state = self._states.get(name)
        if state is not None:
            state.in_flight += 1
            if state.health.untroubled:
                self._worked(name)
            else:
                state.health.started(began, model)
                self._touched(name)
        lease = Lease(name, model, affinity, began, state, owner=owner)
        self._leases[id(lease)] = lease
        return lease

    # -- after a call ------------------------------------------------------------------------------------

    def report(self, lease: Lease, outcome: Outcome, now: float, jitter: float = 0.0) -> None:
        """What a call told: at its first content, at its failure, and again where its end tells more limits.

        A second success of one call counts for nothing.
        """
        state, failure = lease.state, outcome.failure
        if state is None:
            return
        if failure is None:
            if not lease.answered:
                lease.answered = True
                state.served_at = now
                self._answered(lease, now)
                if not state.health.untroubled:
                    state.health.succeeded(now, lease.model, began=lease.began)
                    self._touched(lease.account)
        else:
            state.health.failed(
                failure.cause,
                now,
                retry_after=failure.retry_after,
                resets_at=failure.resets_at,
                model=lease.model,
                metered=state.quotas.metered(lease.model),
                began=lease.began,
                jitter=jitter,
            )
            if REMEDIES[failure.cause].scope != "none":
                state.setback = Setback(now, failure.cause, failure.status, lease.model)
            self._missed(lease, now)
            if failure.cause in TELLING and not state.health.cautious(now, lease.model):
                self._tell(lease, failure.cause, now)
            self._touched(lease.account)
        if outcome.headers or outcome.event:
            self._learn(state, *_told(outcome, now), now)

    def ended(self, lease: Lease) -> None:
        """A call is over, however it ended. Giving a lease back twice does nothing."""
        if not lease.open:
            return
        lease.open = False
        del self._leases[id(lease)]
        if lease.state is not None:
            lease.state.in_flight -= 1
            if lease.state.health.untroubled:
                self._worked(lease.account)
            else:
                lease.state.health.ended(lease.model, lease.began)
                self._touched(lease.account)

    def usage(self, name: str, document: Mapping[str, Any], now: float) -> None:
        """Takes in the usage page of an account. No conversation moves for it."""
        if (state := self._states.get(name)) is not None:
            self._learn(state, from_usage(document, now), credits_from(document, now), now)

    def told(
        self,
        name: str,
        now: float,
        *,
        headers: Mapping[str, str] | None = None,
        event: Mapping[str, Any] | None = None,
    ) -> None:
        """Takes in what an answer said of the account's limits: its header fields, a rate limit event."""
        if (state := self._states.get(name)) is not None:
            self._learn(state, *_told(Outcome(None, headers, event), now), now)

    def heard(self, told: Heard, now: float) -> None:
        """Takes in what another process was told about an account, as if it had happened here."""
        state = self._states.get(told.account)
        if state is not None and told.until > now:
            metered = state.quotas.metered(told.model)
            state.health.failed(told.cause, now, resets_at=told.until, model=told.model, metered=metered)
            self._touched(told.account)

    def recall(self, name: str, windows: Iterable[Window]) -> None:
        """Takes in readings that a store kept, or that another process made; newer ones stay."""
        if (state := self._states.get(name)) is not None:
            state.quotas.learn(windows)
            self._touched(name)

    # -- what survives, and what is shown ----------------------------------------------------------------

    def load(self, pins: Iterable[Kept], now: float) -> None:
        """Takes over the pins that a store kept, or that another process changed."""
        self.pins.load(pins, now)

    def pins_changed(self) -> list[Kept]:
        """The pins that a store has not been told yet."""
        return self.pins.changed()

    def readings_changed(self) -> list[tuple[str, Window]]:
        """The windows that a store has not been told yet, with their account; told from now on."""
        changes = [(name, window) for (name, _, _), window in self._read.items()]
        self._read.clear()
        return changes

    def heard_changed(self) -> list[Heard]:
        """What was told of accounts that a store does not know yet; it does from now on."""
        changes = list(self._heard.values())
        self._heard.clear()
        return changes

    @property
    def leases(self) -> Collection[Lease]:
        """The calls under way."""
        return self._leases.values()

    def in_flight(self) -> dict[str, int]:
        """Calls under way by account; all 0 where nothing runs."""
        return {name: state.in_flight for name, state in self._states.items()}

    def describe(self, now: float) -> list[dict[str, Any]]:
        """Every account for the operator: what it is, its state and until when, its quota, its work."""
        return [self._describe(state, now) for state in self._states.values()]

    def _describe(self, state: AccountState, now: float) -> dict[str, Any]:
        member, health = state.member, state.health
        why, _ = health.why(now)
        shown: str = health.state(now)
        until = health.until(now)
        spent = state.quotas.exhausted(None, now)
        if member.status != "active":
            shown, until, why = member.status, None, _STATUS_WHY[member.status]
        elif shown == "ok" and spent is not None:
            shown, until, why = "cooling", spent, "quota"
        paid, last = state.quotas.credits, state.setback
        return {
            "name": member.name,
            "kind": member.kind,
            "models": member.models,
            "advertised": member.advertised,
            "plan": member.plan,
            "group": member.group,
            "weight": member.weight,
            "priority": member.priority,
            "concurrency": member.concurrency,
            "state": shown,
            "why": why,
            "until": until,
            "models_resting": {
                model: {"why": word, "until": end} for model, (word, end) in health.resting(now).items()
            },
            "in_flight": state.in_flight,
            "lineages": self.pins.live.get(member.name, 0),
            "headroom": round(state.quotas.headroom(now), 4),
            "windows": state.quotas.rows(now),
            "credits": None
            if paid is None
            else {"has": paid.has, "unlimited": paid.unlimited, "balance": paid.balance},
            "served_at": state.served_at,
            "setback": None
            if last is None
            else {
                "at": last.at,
                "why": REMEDIES[last.cause].word,
                "status": last.status,
                "model": last.model,
            },
        }

    # -- inside ------------------------------------------------------------------------------------------

    def _is_named(self, model: str) -> bool:
        """Whether some account says that it has the model, so that one which does not is passed over."""
        members = [state.member for state in self._states.values()]
        return any(model in (one.models or one.advertised or ()) for one in members)

    def _snapshot(
        self, state: AccountState, now: float, model: str, *, named: bool
    ) -> tuple[Candidate, float]:
        """A candidate, and when it is out of date by itself."""
        member, health = state.member, state.health
        usable, cautious, due = True, False, now + SNAPSHOT_SECONDS
        until: float | None = None
        why, blame = "", _OVERLOAD
        spent = state.quotas.exhausted(model, now)
        if member.status != "active":
            usable, why, blame = False, _STATUS_WHY[member.status], "login"
        elif (shown := health.state(now, model)) != "ok":
            usable = health.may_start(now, model)
            why, blame = health.why(now, model)
            cautious = not usable and health.cautious(now, model)
            until = None if usable else health.until(now, model)
            soon = now + PROBING_SECONDS
            due = min(due, soon if until is None else max(until, soon))
            if shown in ("needs_login", "dead"):
                spent = None
        if spent is not None and member.status == "active":
            usable, cautious, why, blame = False, False, "quota", "quota"
            until = spent if until is None else max(spent, until)
            due = min(due, spent)
        return (
            Candidate(
                member.name,
                member.kind,
                member.tag,
                member.advertised if member.models is None and named else member.models,
                member.plan,
                member.group,
                member.weight,
                member.priority,
                state.in_flight,
                member.concurrency,
                self.pins.live.get(member.name, 0),
                state.quotas.headroom(now, model),
                usable,
                until,
                why,
                blame,
                cautious,
            ),
            due,
        )

    def _settle(self, affinity: str | None, pin: Pin | None, choice: Choice, now: float) -> None:
        """Notes where the conversation goes."""
        self._cursor += choice.move == "new"
        if affinity is None:
            return
        if pin is None or not choice.keep_pin:
            self.pins.put(affinity, choice.order[0], now)
            return
        self.pins.use(affinity, now)
        if choice.move in ("stand_in", "unfit"):
            pin.stand_in = choice.order[0]
        if choice.move != "unfit":
            pin.away = choice.move == "stand_in"

    def _answered(self, lease: Lease, now: float) -> None:
        """A conversation was answered somewhere: there it is cached from now on."""
        if lease.affinity is None:
            return
        pin = self.pins.get(lease.affinity, now)
        if pin is None:
            return
        failed, pin.failed = pin.failed, False
        if pin.account == lease.account:
            pin.warm = True
        elif pin.warm:
            pin.stand_in = lease.account
            pin.away = pin.away or failed
        else:
            # It never was where it was meant to be: it belongs to whom it found.
            self.pins.put(lease.affinity, lease.account, now, warm=True)

    def _missed(self, lease: Lease, now: float) -> None:
        """A conversation was not answered where it belongs: who answers instead has it while it is away."""
        if lease.affinity is None or lease.answered:
            return
        pin = self.pins.get(lease.affinity, now)
        if pin is not None and pin.account == lease.account:
            pin.failed = True

    def _learn(
        self, state: AccountState, windows: Sequence[Window], paid: Credits | None, now: float
    ) -> None:
        state.quotas.learn(windows, paid)
        if len(self._read) < _UNTOLD:
            name = state.member.name
            self._read.update({(name, one.meter, one.seconds): one for one in windows})
        for model, since in state.health.spent_since():
            quotas = state.quotas
            settled = quotas.seen_since(since + SETTLED_SECONDS, model)
            if settled and quotas.exhausted(model, now) is None:
                state.health.recovered(now, model)
        self._touched(state.member.name)

    def _tell(self, lease: Lease, cause: Cause, now: float) -> None:
        state = lease.state
        until = None if state is None else state.health.until(now, lease.model)
        if until is not None and len(self._heard) < _UNTOLD:
            self._heard[lease.account, lease.model] = Heard(lease.account, lease.model, cause, until)

    def _worked(self, name: str) -> None:
        """The account has more or less to do than before."""
        index = self._index.get(name)
        if index is not None:
            for view in self._views.values():
                view.busy.add(index)

    def _touched(self, name: str) -> None:
        """Something else about the account may have changed."""
        index = self._index.get(name)
        if index is not None:
            for view in self._views.values():
                view.dirty.add(index)


def _told(outcome: Outcome, now: float) -> tuple[list[Window], Credits | None]:
    """What a call told of the account's limits."""
    windows: list[Window] = []
    paid = None
    if outcome.headers:
        windows = from_headers(outcome.headers, now)
        paid = credits_from(outcome.headers, now)
    if outcome.event:
        windows += from_event(outcome.event, now)
        paid = credits_from(outcome.event, now) or paid
    return windows, paid
