"""Which account a request goes to, from a snapshot of all of them: eligible first, then by strategy.

A conversation stays on its account while that is usable, whatever the strategy: its prompt cache lives
there. The strategy decides where a new one begins and who helps out. Leaving costs the cached tokens, so a
short absence is waited for where that is cheaper. Nothing here remembers, waits or sends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import attrgetter
from typing import Literal

from dragoman.routing.health import Blame

Strategy = Literal["affinity", "headroom", "round-robin", "fill-first"]
Move = Literal["new", "stayed", "returned", "stand_in", "unfit", "moved", "refused"]

# What waiting is worth: a cent per second of somebody who sits before a screen.
SECOND_NANO = 10_000_000
# Saving per cached token where no price is known: a mid-sized model's.
SAVING_NANO = 1_125
# The longest wait for an account, in all.
HOLD_SECONDS = 10.0
# Where places are taken nobody knows when one becomes free; so soon it is worth looking again.
PLACE_SECONDS = 0.5
STEP_SECONDS = 0.1
# The life of an upstream cache: an account that is away for longer has nothing left of the conversation.
KEEP_SECONDS = 1800.0
_NAMED = 5
_LEAST = 1e-6

# Refusals that are not about the account's state: it serves other requests of the same session.
_NOT_GRANTED = "model not entitled"
_UNFIT = frozenset({"model", "plan", "kind", _NOT_GRANTED, "tried"})
# Refusals that no waiting ends.
_LASTING = frozenset({"scope", "paused", "login needed", "account closed", "removed"})


@dataclass(slots=True)
class Candidate:
    """One account at one moment, as far as one model is concerned.

    Whoever made it may `recount` it: work begins and ends with every request, the rest changes seldom.

    models       what it lists; None where it publishes no list
    group        the account group that keys are scoped to
    weight       its share of new work; at 0 it gets some only where nobody else is left
    priority     higher ones go first; lower ones wait until no higher one is usable
    concurrency  how many requests at once; None without a bound
    lineages     conversations that were lately on it
    headroom     0 to 1
    usable, until, why, blame  whether it may be asked now; if not, until when (epoch seconds), and the reason
    cautious     it rests by this gateway's caution alone
    """

    name: str
    kind: str
    tag: str = ""
    models: frozenset[str] | None = None
    plan: str | None = None
    group: str = ""
    weight: float = 1.0
    priority: int = 0
    in_flight: int = 0
    concurrency: int | None = None
    lineages: int = 0
    headroom: float = 1.0
    usable: bool = True
    until: float | None = None
    why: str = ""
    blame: Blame = "overload"
    cautious: bool = False
    # Computed once per snapshot, since every choice needs them of everybody: why it is closed to all
    # requests, and how much it has to do for the room that it offers.
    closed: str = field(init=False)
    strain: float = field(init=False)

    def __post_init__(self) -> None:
        self.recount(self.in_flight, self.lineages)

    def recount(self, in_flight: int, lineages: int) -> None:
        """Takes over how much work it has now."""
        self.in_flight, self.lineages = in_flight, lineages
        full = self.concurrency is not None and in_flight >= self.concurrency
        self.closed = self.why if not self.usable else "concurrency" if full else ""
        load = (lineages if lineages > in_flight else in_flight) + 1
        self.strain = load / (max(0.0, self.weight * self.headroom) + _LEAST)


def _anywhere(account: str) -> bool:
    return True


# Made with every request like the choice below; frozen they would cost three times as much to make.
@dataclass(slots=True)
class Demand:
    """One request, as far as routing is concerned.

    groups, kinds, plans     what it is limited to; None without a limit
    affinity                 whose conversation it is; None where nobody can tell
    cached_tokens            what is expected to be cached on the pinned account
    fresh_nano, cached_nano  price of an input token in nano-USD; both 0 where unknown
    waited                   seconds it has been held already
    tried                    who was asked and shall not be asked again
    cached_on                whether an account answered this very speaker lately: a session has several
    """

    model: str
    groups: frozenset[str] | None = None
    affinity: str | None = None
    cached_tokens: int = 0
    fresh_nano: int = 0
    cached_nano: int = 0
    kinds: frozenset[str] | None = None
    plans: frozenset[str] | None = None
    waited: float = 0.0
    tried: frozenset[str] = frozenset()
    cached_on: Callable[[str], bool] = _anywhere

    @property
    def lost_nano(self) -> int:
        """What it costs to find the cache cold."""
        saving = self.fresh_nano - self.cached_nano if self.fresh_nano else SAVING_NANO
        return max(0, self.cached_tokens) * max(0, saving)


@dataclass(frozen=True, slots=True)
class Wait:
    """Nobody can be asked. `until` in epoch seconds, None where waiting does not help.

    quota: 429 with the true wait · overload: 529 · login: only the operator helps · none: nobody serves this
    """

    until: float | None
    cause: Blame


@dataclass(slots=True)
class Choice:
    """Whom to ask, in this order.

    why         one sentence for the log row
    move        the same in a word; "unfit" where the account serves the conversation, but not this request
    keep_pin    the conversation still belongs to its account, also where another one helps out
    hold_until  better wait until then (epoch seconds, at most ten seconds in all) and choose again; a place
                that becomes free is a reason to do so at once. `order` is for those who cannot wait
    wait        set where `order` is empty
    lost_nano   what leaving the pinned account costs
    refused     the reason of everybody who may not be asked
    """

    order: tuple[str, ...]
    why: str
    move: Move
    keep_pin: bool = True
    hold_until: float | None = None
    wait: Wait | None = None
    lost_nano: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)


def refusal(candidate: Candidate, demand: Demand) -> str:
    """Why an account may not be asked, in a word or two; empty where it may."""
    if candidate.models is not None and demand.model not in candidate.models:
        return "model"
    if demand.kinds is not None and candidate.kind not in demand.kinds:
        return "kind"
    if demand.groups is not None and candidate.group not in demand.groups:
        return "scope"
    if demand.plans is not None and candidate.plan is not None and candidate.plan not in demand.plans:
        return "plan"
    return candidate.closed or ("tried" if candidate.name in demand.tried else "")


# -- strategies ------------------------------------------------------------------------------------------


_strain = attrgetter("strain")


def by_affinity(tier: Sequence[Candidate], cursor: int) -> list[Candidate]:
    """New conversations in proportion to weight times headroom, counting those that are there already."""
    return sorted(tier, key=_strain)


def by_headroom(tier: Sequence[Candidate], cursor: int) -> list[Candidate]:
    """The most room first; of equals the one with the least to do."""
    return sorted(tier, key=lambda c: (-c.weight * c.headroom, c.in_flight, c.lineages))


def by_turns(tier: Sequence[Candidate], cursor: int) -> list[Candidate]:
    """One after the other; a weight of 3 means three turns of each round."""
    turns = [max(0, math.ceil(c.weight)) for c in tier]
    if not any(turns):
        turns = [1] * len(tier)
    place = cursor % sum(turns)
    begun = accumulate(turns)
    start = next(index for index, past in enumerate(begun) if place < past)
    return [*tier[start:], *tier[:start]]


def by_order(tier: Sequence[Candidate], cursor: int) -> list[Candidate]:
    """As listed, each until it is full or spent."""
    return sorted(tier, key=lambda c: c.weight <= 0)


STRATEGIES: dict[Strategy, Callable[[Sequence[Candidate], int], list[Candidate]]] = {
    "affinity": by_affinity,
    "headroom": by_headroom,
    "round-robin": by_turns,
    "fill-first": by_order,
}


# -- the choice ------------------------------------------------------------------------------------------


def choose(
    strategy: Strategy,
    candidates: Sequence[Candidate],
    demand: Demand,
    *,
    now: float,
    pin: str | None = None,
    stand_in: str | None = None,
    away: bool = False,
    cursor: int = 0,
) -> Choice:
    """Whom to ask for a request.

    `pin` is the account of its conversation, `stand_in` who helped out last, `away` whether that was just
    now; `cursor` counts new conversations. Of equals the one listed first goes first.
    """
    words = [(refusal(candidate, demand), candidate) for candidate in candidates]
    eligible = [candidate for word, candidate in words if not word]
    refused = {candidate.name: word for word, candidate in words if word}
    ranked = _ranked(strategy, eligible, cursor)
    if pin is not None and pin in ranked:
        ranked.remove(pin)
        move: Move = "returned" if away else "stayed"
        why = f"back on {pin}" if away else f"stays on {pin}"
        return Choice((pin, *ranked), why, move, refused=refused)
    if not ranked:
        if (only := _only(candidates, demand, refused)) is not None:
            return _asked(only, pin, away, refused)
        nobody = _nobody(candidates, demand, refused, now)
        doubtful = None if nobody.hold_until is not None else _doubtful(candidates, demand, refused, pin)
        return nobody if doubtful is None else _asked(doubtful, pin, away, refused)
    if pin is not None:
        pinned = next((candidate for candidate in candidates if candidate.name == pin), None)
        return _without(pin, pinned, ranked, demand, refused, stand_in, now)
    first = next(candidate for candidate in eligible if candidate.name == ranked[0])
    whose = "new session" if demand.affinity is not None else "no session"
    why = f"{whose}: {first.name} by {strategy}, room {first.headroom:.2f}"
    return Choice(tuple(ranked), why, "new", keep_pin=False, refused=refused)


def patience(demand: Demand) -> float:
    """Seconds that a pinned account may be waited for, in all: what the cache is worth, ten at most.

    | cached tokens | saving per million tokens | lost   | waits for |
    |---------------|---------------------------|--------|-----------|
    | 0             | 4.50 USD                  | 0      | 0 s       |
    | 2,000         | 4.50 USD                  | 0.009  | 0.9 s     |
    | 10,000        | 4.50 USD                  | 0.045  | 4.5 s     |
    | 10,000        | 0.18 USD                  | 0.0018 | 0.2 s     |
    | 100,000       | 1.125 USD                 | 0.1125 | 10 s      |
    """
    return min(HOLD_SECONDS, demand.lost_nano / SECOND_NANO)


def _ranked(strategy: Strategy, eligible: Sequence[Candidate], cursor: int) -> list[str]:
    """The eligible by strategy, higher priorities before lower ones."""
    rank = STRATEGIES[strategy]
    levels = {candidate.priority for candidate in eligible}
    if len(levels) <= 1:
        return [candidate.name for candidate in rank(eligible, cursor)] if eligible else []
    tiers = [[one for one in eligible if one.priority == level] for level in sorted(levels, reverse=True)]
    return [candidate.name for tier in tiers for candidate in rank(tier, cursor)]


def _without(
    pin: str,
    pinned: Candidate | None,
    ranked: list[str],
    demand: Demand,
    refused: Mapping[str, str],
    stand_in: str | None,
    now: float,
) -> Choice:
    """The choice of a conversation whose own account may not be asked, but others may."""
    word = refused.get(pin, "removed")
    helped = stand_in is not None and stand_in in ranked and demand.cached_on(stand_in)
    order = tuple(sorted(ranked, key=lambda name: name != stand_in))
    if word in _UNFIT:
        return Choice(order, f"{pin} is unfit ({word}): {order[0]} serves", "unfit", refused=refused)
    back = None if pinned is None or word in _LASTING else _back(pinned, word, now)
    if back is None or back - now > KEEP_SECONDS:
        why = f"{pin} is out ({word}): moved to {order[0]}, {demand.cached_tokens} cached tokens lost"
        return Choice(order, why, "moved", keep_pin=False, lost_nano=demand.lost_nano, refused=refused)
    wait = back - now
    # Who helped this speaker out lately has the conversation in its cache too: no reason to wait.
    if not helped and pin not in demand.tried and wait <= patience(demand) - demand.waited:
        why = f"{pin} is back in {wait:.1f} s ({word}): cheaper than {demand.cached_tokens} cached tokens"
        return Choice(order, why, "stand_in", hold_until=back, lost_nano=demand.lost_nano, refused=refused)
    why = f"{pin} rests for {math.ceil(wait)} s ({word}): {order[0]} stands in"
    lost = 0 if helped else demand.lost_nano
    return Choice(order, why, "stand_in", lost_nano=lost, refused=refused)


def _only(candidates: Sequence[Candidate], demand: Demand, refused: Mapping[str, str]) -> Candidate | None:
    """The one account that may help, where it rests by our caution alone: resting it would spare nobody.

    With two of them the rest is kept: what is said of both at once is said of what lies behind them.
    """
    left = [
        one
        for one in candidates
        if refused[one.name] not in _UNFIT | _LASTING and (one.blame == "overload" or one.cautious)
    ]
    one = left[0] if len(left) == 1 else None
    return one if one is not None and _may_be_tried(one, demand) else None


def _doubtful(
    candidates: Sequence[Candidate], demand: Demand, refused: Mapping[str, str], pin: str | None
) -> Candidate | None:
    """Where nobody is back soon: an account that refused lately without saying for how long.

    A key that was refused, a model that was not granted, money that was spent may have been put right since,
    and to ask costs one quick refusal: better than to repeat an old one.
    """
    left = [
        one
        for one in candidates
        if refused[one.name] not in (_UNFIT - {_NOT_GRANTED}) | _LASTING | {"scope"}
        and one.blame != "overload"
        and _may_be_tried(one, demand)
    ]
    return min(left, key=lambda one: one.name != pin, default=None)


def _may_be_tried(one: Candidate, demand: Demand) -> bool:
    free = one.concurrency is None or one.in_flight < one.concurrency
    return one.cautious and free and one.name not in demand.tried


def _asked(only: Candidate, pin: str | None, away: bool, refused: Mapping[str, str]) -> Choice:
    why = f"nobody else is left: {only.name} is asked although {only.why}"
    move: Move = "returned" if away else "stayed"
    if pin != only.name:
        move = "new" if pin is None else "stand_in"
    return Choice((only.name,), why, move, keep_pin=pin is not None, refused=refused)


def _nobody(
    candidates: Sequence[Candidate], demand: Demand, refused: Mapping[str, str], now: float
) -> Choice:
    """The choice where nobody may be asked: how long that lasts, and what it is called."""
    blames: set[Blame] = set()
    backs: list[float] = []
    for candidate in candidates:
        word = refused[candidate.name]
        blame: Blame = "overload" if word == "concurrency" else candidate.blame
        if word in _UNFIT or word == "scope":
            continue
        blames.add(blame)
        # Who was tried is not waited for, and has told its client itself for how long it is away.
        waits = blame in ("overload", "quota") and candidate.name not in demand.tried
        if waits and (back := _back(candidate, word, now)) is not None:
            backs.append(back)
    cause: Blame = next((blame for blame in _GRAVITY if blame in blames), "none")
    soonest = min(backs, default=None)
    hold = None
    if soonest is not None and soonest - now <= HOLD_SECONDS - demand.waited:
        hold = soonest
    told = ", ".join(f"{name} {word}" for name, word in list(refused.items())[:_NAMED])
    more = f" and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
    why = f"nobody can serve: {told or 'no accounts'}{more}"
    return Choice((), why, "refused", hold_until=hold, wait=Wait(soonest, cause), refused=refused)


# Of several reasons the first is told: what passes soonest.
_GRAVITY: tuple[Blame, ...] = ("overload", "quota", "login")


def _back(candidate: Candidate, word: str, now: float) -> float | None:
    """When to ask again, not at once; None where nobody knows."""
    at = now + PLACE_SECONDS if word == "concurrency" else candidate.until
    return None if at is None else max(at, now + STEP_SECONDS)
