"""What may be tried again before the first content event, and on whom of those the pool offers.

Pure decisions: a failure's advice (translate/messages/failure) says whether another account may take over,
whether the same one deserves a second try, whether reasoning or a parameter must go first. Nothing here
waits or sends. After the first content event nobody asks: a stream that has begun is never repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.gateway.ports import Account
from dragoman.translate.capability import learnable
from dragoman.translate.messages.causes import ROAD
from dragoman.translate.messages.failure import ADVICE, PATIENCE, Cause, UpstreamFailure, wait

PER_ACCOUNT = 2
# A failing road is tried so often in all: what three accounts cannot reach, a fourth cannot either.
ROADS = 3
BACKOFF_SECONDS = 0.25
LEARNT_SECONDS = 3600.0

# When every attempt failed, the client hears the failure that tells it most about what to do: when to come
# back. Of several it is the one that passes first, of equals the one that stands first here.
_TELLING = (Cause.QUOTA, Cause.RATE_LIMIT, Cause.BURST, Cause.OVERLOADED)


@dataclass(frozen=True, slots=True)
class Step:
    """One attempt: on whom, after which pause (seconds), with or without sealed reasoning."""

    account: Account
    pause: float
    without_reasoning: bool


class Learnt:
    """Parameters that an account refused for a model, with expiry; a refusal is a fact of that pair."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], dict[str, float]] = {}

    def add(self, account: str, model: str, param: str, now: float) -> None:
        """Remembers a refusal. `now` is monotonic seconds."""
        self._until.setdefault((account, model), {})[param] = now + LEARNT_SECONDS

    def of(self, account: str, model: str, now: float) -> frozenset[str]:
        """What the pair is known to refuse."""
        row = self._until.get((account, model))
        if not row:
            return frozenset()
        for param in [param for param, until in row.items() if until <= now]:
            del row[param]
        return frozenset(row)


class Attempts:
    """The attempts of one request: `next` gives the step to take, `failed` judges how it ended.

    `over` means that nothing more makes sense, whoever else there is.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._accounts: list[Account] = []
        self._jitter = jitter
        self._tries: dict[str, int] = {}
        self._again: set[str] = set()
        self._first: Account | None = None
        self._repeat: Account | None = None
        self._last: Account | None = None
        self._params: set[tuple[str, str]] = set()
        self._roads = 0
        self.over = False
        self.without_reasoning = False
        self.failures: list[tuple[Account, UpstreamFailure]] = []

    @property
    def tried(self) -> frozenset[str]:
        """Who was asked and must not be asked again."""
        return frozenset(
            name for name, tries in self._tries.items() if tries >= PER_ACCOUNT or name not in self._again
        )

    def offer(self, accounts: Sequence[Account]) -> None:
        """Takes over whom the pool offers now, best first; the first one may be asked as things stand."""
        self._accounts = list(accounts)
        self._first = accounts[0] if accounts else None

    def others(self, may_start: Callable[[Account], bool]) -> bool:
        """Whether somebody of the last offer was not asked yet and may be asked now."""
        return not self.over and any(
            account.name not in self._tries and may_start(account) for account in self._accounts
        )

    def next(self, may_start: Callable[[Account], bool]) -> Step | None:
        """The next step, or None when nobody of the last offer is left that may be asked now."""
        if self.over:
            return None
        account, pause = self._choose(may_start)
        if account is None:
            return None
        self._tries[account.name] = self._tries.get(account.name, 0) + 1
        self._last = account
        return Step(account, pause, self.without_reasoning)

    def _choose(self, may_start: Callable[[Account], bool]) -> tuple[Account | None, float]:
        if self._repeat is not None:
            account, self._repeat = self._repeat, None
            return account, 0.0
        if self._first is not None:
            account, self._first = self._first, None
            return account, self._pause() if account.name in self._tries else 0.0
        for account in self._accounts:
            if account.name not in self._tries and may_start(account):
                return account, 0.0
        for account in self._accounts:
            if account.name in self._again and account.name not in self.tried and may_start(account):
                return account, self._pause()
        return None, 0.0

    def _pause(self) -> float:
        return BACKOFF_SECONDS * (1 + self._jitter())

    def failed(self, failure: UpstreamFailure, *, sealed: bool = True) -> str | None:
        """Takes the end of the last step into account; returns a parameter that was learnt, if any.

        `sealed`: the step had sent sealed reasoning, which may be left out.
        """
        account = self._last
        if account is None:
            raise RuntimeError("failed() before next()")
        self.failures.append((account, failure))
        advice = ADVICE[failure.cause]
        self._again.discard(account.name)
        if advice.strip_reasoning and sealed and not self.without_reasoning:
            self.without_reasoning = True
            self._repeat = account
            return None
        if advice.learn and failure.param and learnable(failure.param):
            seen = (account.name, failure.param)
            if seen not in self._params:
                self._params.add(seen)
                self._repeat = account
                return failure.param
        if advice.same_account:
            self._again.add(account.name)
        if not advice.another_account and not advice.same_account:
            self.over = True
        self._roads += failure.cause in ROAD
        if self._roads >= ROADS:
            self.over = True
        return None

    def verdict(self) -> UpstreamFailure:
        """The failure that the client is told about."""
        telling = [failure for _, failure in self.failures if failure.cause in _TELLING]
        if telling and not self._final:
            soonest = min(telling, key=_passing)
            roads = [failure for _, failure in self.failures if failure.cause in ROAD]
            # A road is mostly free again in a moment: nobody is sent away for hours for another account.
            return roads[-1] if roads and _passing(soonest)[0] > PATIENCE else soonest
        asked = [failure for _, failure in self.failures if failure.cause is not Cause.UNFIT]
        return (asked or [self.failures[-1][1]])[-1]

    @property
    def _final(self) -> bool:
        """Whether the last failure is the request's own, which nobody else would answer otherwise."""
        advice = ADVICE[self.failures[-1][1].cause]
        return not advice.another_account and not advice.same_account

    def told(self) -> list[dict[str, Any]]:
        """The failed attempts for the log row."""
        return [failed_attempt(account.name, failure) for account, failure in self.failures]


def failed_attempt(account: str, failure: UpstreamFailure) -> dict[str, Any]:
    """A failed attempt as the log row has it: account, cause, status, upstream code."""
    return {
        "account": account,
        "cause": str(failure.cause),
        "status": failure.status,
        "code": failure.code,
    }


def _passing(failure: UpstreamFailure) -> tuple[float, int]:
    seconds = wait(failure)
    return math.inf if seconds is None else seconds, _TELLING.index(failure.cause)
