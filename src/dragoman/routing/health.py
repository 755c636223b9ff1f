"""How an account is doing: what a failure means for it, how long it rests, how it comes back.

It decides by one table from causes to remedies. Errors of the request punish nobody; a single failure on
the road does not either, since the failed request already went elsewhere. After a rest an account is tried
by one call at a time, then two, then four, then by all. Nothing latches: every rest is bounded, and a long
one is looked at again before its end. It never asks a clock: `now` is epoch seconds that do not jump.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from dragoman.routing.readings import clamp
from dragoman.translate.messages.failure import Cause
from dragoman.translate.messages.waits import LONGEST

State = Literal["ok", "probing", "cooling", "needs_login", "dead"]
Scope = Literal["none", "account", "model"]
Blame = Literal["overload", "quota", "login", "none"]

# Failures of the road count when so many came within the window without a success between them.
REPEATED = 2
REPEATED_SECONDS = 60.0
# The share by which a rest is drawn out, and the most of it in seconds: accounts must not return in step.
JITTER = 0.2
JITTER_SECONDS = 10.0
# A rest that is longer is interrupted by a test call: resets move, and so do people's purchases.
LOOK_AGAIN_SECONDS = 3600.0
# How many calls at once after a rest; as many successes as the step is wide open the next one.
RAMP = (1, 2, 4)
FIRST_SECOND = 2
# A test call that neither answered nor ended after so long no longer counts as under way.
PROBE_SECONDS = 120.0
# How soon to ask again where another's test call is under way.
PROBE_WAIT = 1.0
SHORTEST = 1.0
_MODELS = 64


class Remedy(NamedTuple):
    """What a cause does to an account.

    scope    whom it concerns; "model" is the pair of account and model, the account where no model is named
    seconds  the rest where the upstream named none; it doubles with every rest that follows a failed test
    longest  the longest rest of that kind where the upstream named none
    after    so many failures in a row before there is a rest at all
    obeys    whether the upstream's own wait or reset decides
    caution  a rest that no upstream asked for is our caution: it spares nobody where nobody else is left
    blame    what a client is told when everybody rests: spent quota, overload, a login, or no such model
    word     the reason as the log and the operator read it
    """

    scope: Scope
    word: str = ""
    seconds: float = 0.0
    longest: float = 0.0
    after: int = 1
    obeys: bool = False
    blame: Blame = "overload"
    state: State = "cooling"
    caution: bool = False


_NONE = Remedy("none")
# No longer than a request is held for an account: whoever waits finds it open for a test call.
_ROAD = Remedy("account", "failing", 1.0, 8.0, REPEATED, caution=True)

REMEDIES: dict[Cause, Remedy] = {
    Cause.TRANSPORT: _ROAD,
    Cause.TIMEOUT: _ROAD,
    Cause.CUT: _ROAD,
    Cause.PROTOCOL: _ROAD,
    Cause.SERVER: _ROAD,
    # Capacity is a model's, not an account's.
    Cause.OVERLOADED: Remedy("model", "overloaded", 1.0, 8.0, REPEATED, obeys=True, caution=True),
    # 92 of 100 such accounts serve again within three seconds; doubling would only keep them away.
    Cause.BURST: Remedy("account", "burst", 2.5, 2.5, blame="quota"),
    # The public API counts per model; a ChatGPT account that is used up says so by its quota.
    Cause.RATE_LIMIT: Remedy("model", "rate limit", 5.0, 60.0, obeys=True, blame="quota"),
    Cause.QUOTA: Remedy("account", "quota", 120.0, 3600.0, obeys=True, blame="quota", caution=True),
    Cause.CREDENTIALS: Remedy("account", "credentials refused", 60.0, 3600.0, blame="login", caution=True),
    Cause.LOGIN: Remedy("account", "login needed", blame="login", state="needs_login"),
    Cause.DEAD: Remedy("account", "account closed", blame="login", state="dead"),
    # Another account may be entitled; this one is well, and the plan may change.
    Cause.MODEL: Remedy("model", "model not entitled", 600.0, 3600.0, blame="none", caution=True),
    Cause.EMPTY: _NONE,
    Cause.CONTEXT: _NONE,
    Cause.SEALED: _NONE,
    Cause.PARAMETER: _NONE,
    Cause.POLICY: _NONE,
    Cause.TOO_LARGE: _NONE,
    Cause.IMAGE: _NONE,
    Cause.DOCUMENT: _NONE,
    Cause.REQUEST: _NONE,
    Cause.UNFIT: _NONE,
}


@dataclass(slots=True)
class _Rest:
    """A rest and the way back from it.

    since, until   when it began, and when the first test call may go
    free_at        when it is over as far as is known; later than `until` where that is tested earlier
    named          whether the upstream said how long
    level          how many failed tests went before
    step, passed   the step of the ramp, and how many successes it has seen
    probes         when the test calls began that are under way
    calls, first   how many test calls there were, and when the first one began
    """

    remedy: Remedy
    since: float
    until: float
    free_at: float
    named: bool = False
    level: int = 0
    step: int = 0
    passed: int = 0
    probes: list[float] = field(default_factory=list)
    calls: int = 0
    first: float = 0.0

    @property
    def by_caution(self) -> bool:
        """Whether nobody but this gateway wants it."""
        return self.remedy.caution and not self.named

    def admits(self, now: float) -> bool:
        """Whether one more test call may start."""
        if self.probes:
            self.probes = [began for began in self.probes if now - began < PROBE_SECONDS]
        if len(self.probes) >= RAMP[self.step]:
            return False
        return self.calls < FIRST_SECOND or now - self.first >= 1

    def start(self, now: float) -> None:
        if self.calls == 0:
            self.first = now
        self.calls += 1
        self.probes.append(now)

    def advance(self) -> bool:
        """Counts a success; True when the way back is done."""
        self.passed += 1
        if self.passed >= RAMP[self.step]:
            self.step, self.passed = self.step + 1, 0
        return self.step == len(RAMP)


class _Part:
    """The state of one scope: the account as a whole, or the account for one model."""

    __slots__ = ("failures", "rest")

    def __init__(self) -> None:
        self.failures: list[float] = []
        self.rest: _Rest | None = None

    def failed(self, remedy: Remedy, now: float, named: float | None, jitter: float, began: float) -> None:
        rest = self.rest
        same = rest is not None and rest.remedy is remedy
        tested = rest is not None and began >= rest.until
        self.failures = [at for at in self.failures if now - at < REPEATED_SECONDS] + [now]
        # Who fails its test for the same reason has shown enough.
        if len(self.failures) < remedy.after and not (same and tested):
            return
        level = rest.level + tested if rest is not None and same else 0
        new = _rest(remedy, now, named, jitter, level)
        if rest is not None and not tested:
            # The call was under way when the rest began: it counts where it knows of something graver or
            # longer, not where it tells the same once more.
            graver = _WORST.index(remedy.state) > _WORST.index(rest.remedy.state)
            longer = new.free_at > rest.free_at and not (same and named is None)
            if not graver and not longer:
                return
        self.rest, self.failures = new, []

    def succeeded(self, began: float) -> None:
        self.failures = [at for at in self.failures if at > began]
        rest = self.rest
        if rest is None:
            return
        if rest.since < began < rest.until and rest.by_caution:
            # Asked against our caution, it has answered: there was nothing to be cautious of.
            self.rest = None
        elif began >= rest.until and rest.advance():
            # What began before a rest says nothing about it, and a limit that was named holds.
            self.rest = None

    def ended(self, began: float) -> None:
        """One test call fewer under way, if the call that began then was one."""
        if self.rest is not None and began in self.rest.probes:
            self.rest.probes.remove(began)

    @property
    def strict(self) -> bool:
        """Whether it rests for more than our caution."""
        return self.rest is not None and not self.rest.by_caution

    def state(self, now: float) -> State:
        rest = self.rest
        if rest is None:
            return "ok"
        if rest.remedy.state != "cooling":
            return rest.remedy.state
        return "cooling" if now < rest.until else "probing"

    def admits(self, now: float) -> bool:
        rest = self.rest
        return rest is None or (now >= rest.until and rest.admits(now))

    def back(self, now: float) -> float | None:
        """When to ask again; None where that is now, or where only a person helps."""
        rest = self.rest
        if rest is None or rest.until == math.inf:
            return None
        if now < rest.until:
            return rest.free_at if rest.free_at > now else rest.until
        return None if rest.admits(now) else now + PROBE_WAIT


_WORST: tuple[State, ...] = ("ok", "probing", "cooling", "needs_login", "dead")


class Health:
    """One account: as a whole, and for each model that failed on it."""

    def __init__(self) -> None:
        self._account = _Part()
        self._models: dict[str, _Part] = {}

    def failed(
        self,
        cause: Cause,
        now: float,
        *,
        retry_after: float | None = None,
        resets_at: float | None = None,
        model: str | None = None,
        metered: bool = False,
        began: float | None = None,
        jitter: float = 0.0,
    ) -> None:
        """Takes a failed call into account.

        retry_after  seconds that the upstream asked for; it goes before `resets_at` (epoch seconds)
        metered      the model has a quota of its own, so that a spent one concerns this model alone
        began        when the call started (default: after everything that is known here)
        jitter       0 to 1, draws the rest out by up to a fifth
        """
        remedy = REMEDIES[cause]
        began = now if began is None else began
        self.ended(model, began)
        alone = remedy.scope == "model" or (cause is Cause.QUOTA and metered)
        if remedy.scope == "none" or (cause is Cause.MODEL and model is None):
            return
        part = self._part(model, now) if alone and model is not None else self._account
        named = _named(retry_after, resets_at, now) if remedy.obeys else None
        part.failed(remedy, now, named, jitter, began)

    @property
    def untroubled(self) -> bool:
        """Whether nothing is held against the account or a model on it, so that no success changes it."""
        return not self._models and self._account.rest is None and not self._account.failures

    def succeeded(self, now: float, model: str | None = None, *, began: float | None = None) -> None:
        """Takes an answered call into account: as soon as there is content, not when the stream ends."""
        began = now if began is None else began
        self.ended(model, began)
        for part in self._parts(model):
            part.succeeded(began)
        if model is not None and model in self._models and _idle(self._models[model]):
            del self._models[model]

    def started(self, now: float, model: str | None = None) -> None:
        """Counts a call that starts; where the account is being tested, it is one of the test calls."""
        for part in self._parts(model):
            if part.rest is not None and now >= part.rest.until:
                part.rest.start(now)

    def ended(self, model: str | None, began: float) -> None:
        """A call is no longer under way; by itself that says nothing about the account."""
        for part in self._parts(model):
            part.ended(began)

    def spent_since(self) -> list[tuple[str | None, float]]:
        """What rests for spent quota, and since when: the account as a whole (None) or single models."""
        return [
            (model, part.rest.since)
            for model, part in ((None, self._account), *self._models.items())
            if part.rest is not None and part.rest.remedy is REMEDIES[Cause.QUOTA]
        ]

    def recovered(self, now: float, model: str | None = None) -> None:
        """Ends a rest because a later reading shows room again; the way back by test calls remains."""
        part = self._account if model is None else self._models.get(model)
        if part is not None and part.rest is not None and now < part.rest.until < math.inf:
            part.rest.until = part.rest.free_at = now

    def revive(self) -> None:
        """Forgets everything: the account was logged in anew, or changed by its operator."""
        self._account = _Part()
        self._models.clear()

    def state(self, now: float, model: str | None = None) -> State:
        """The worse of the account's own state and that of the model on it."""
        return max((part.state(now) for part in self._parts(model)), key=_WORST.index)

    def may_start(self, now: float, model: str | None = None) -> bool:
        """Whether one more call may start now."""
        return all(part.admits(now) for part in self._parts(model))

    def cautious(self, now: float, model: str | None = None) -> bool:
        """Whether nobody but this gateway wants it to rest: asked all the same, it may well answer."""
        closed = [part.rest for part in self._parts(model) if part.rest is not None and not part.admits(now)]
        return bool(closed) and all(rest.by_caution for rest in closed)

    def clean(self, model: str | None = None) -> bool:
        """Whether nothing is held against the account or the model on it, not even one failure."""
        return all(part.rest is None and not part.failures for part in self._parts(model))

    def until(self, now: float, model: str | None = None) -> float | None:
        """When to ask again (epoch seconds); None where that is now, or where only a person helps.

        For spent quota that is the reset which the upstream named, although one test call may go earlier.
        Beside a rest that is more than our caution that does not count: without it the account may be asked.
        """
        backs = [(part, at) for part in self._parts(model) if (at := part.back(now)) is not None]
        strict = [at for part, at in backs if part.strict]
        return max(strict or [at for _, at in backs], default=None)

    def why(self, now: float, model: str | None = None) -> tuple[str, Blame]:
        """The reason that weighs most, and what a client is told where nobody else is left."""
        worst = max(self._parts(model), key=lambda part: (_WORST.index(part.state(now)), part.strict))
        if worst.rest is None:
            return "", "overload"
        word = "probing" if worst.state(now) == "probing" else worst.rest.remedy.word
        return word, worst.rest.remedy.blame

    def resting(self, now: float) -> dict[str, tuple[str, float]]:
        """For display: the models that rest alone, each with its reason and when that ends."""
        return {
            model: (part.rest.remedy.word, part.rest.free_at)
            for model, part in self._models.items()
            if part.rest is not None and now < part.rest.until
        }

    def _parts(self, model: str | None) -> tuple[_Part, ...]:
        part = None if model is None else self._models.get(model)
        return (self._account,) if part is None else (self._account, part)

    def _part(self, model: str, now: float) -> _Part:
        """The part of a model; of too many, those that are well go first, then the oldest."""
        if model not in self._models and len(self._models) >= _MODELS:
            well = [name for name, part in self._models.items() if part.state(now) == "ok"]
            for name in well or list(self._models)[:1]:
                del self._models[name]
        return self._models.setdefault(model, _Part())


def _rest(remedy: Remedy, now: float, named: float | None, jitter: float, level: int) -> _Rest:
    if remedy.state != "cooling":
        return _Rest(remedy, now, math.inf, math.inf)
    seconds = named if named is not None else min(remedy.seconds * 2.0 ** min(level, 20), remedy.longest)
    seconds = max(seconds, SHORTEST)
    end = now + seconds + min(seconds * JITTER, JITTER_SECONDS) * jitter
    told = end if named is None else now + seconds
    return _Rest(remedy, now, min(end, now + LOOK_AGAIN_SECONDS), told, named is not None, level)


def _named(retry_after: float | None, resets_at: float | None, now: float) -> float | None:
    """The upstream's own wait in seconds, none longer than eight days."""
    if retry_after is not None and retry_after >= 0:
        return min(retry_after, LONGEST)
    if resets_at is not None and resets_at > 0:
        return clamp(resets_at, now) - now
    return None


def _idle(part: _Part) -> bool:
    return part.rest is None and not part.failures
