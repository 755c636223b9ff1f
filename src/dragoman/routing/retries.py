"""How many attempts beyond the first all requests together may make, and until when one may make them.

A failing upstream must not be asked twice by everybody: extra attempts are a share of the live work, both of
what is under way at once and of what was asked lately. One that brings content costs nothing, so failover to
an account that answers goes on for as long as there is one. It bounds the attempts of no single request
(that is the attempts' own business) and never waits.
"""

from __future__ import annotations

from collections import deque

# Of the live requests, and so many more, that a quiet gateway can fail over too: at once, and in a window.
SHARE = 0.2
FLOOR = 3
LATELY = 8
WINDOW_SECONDS = 30.0
STEP_SECONDS = 1.0
# From arrival to the last moment at which an attempt may begin.
TOTAL_SECONDS = 600.0


class RetryBudget:
    """Extra attempts of all requests: at most `share` of them and `floor` more at once, `lately` in a window.

    Times are monotonic seconds. A caller that may retry calls `took` without a pause, and `gave_back` once
    the attempt has ended or brought content.
    """

    __slots__ = ("_asked", "_spent", "_steps", "floor", "lately", "share", "under_way")

    def __init__(self, share: float = SHARE, floor: int = FLOOR, lately: int = LATELY) -> None:
        self.share = share
        self.floor = floor
        self.lately = lately
        self.under_way = 0
        self._steps: deque[list[float]] = deque()  # [since, requests, extra attempts], oldest first
        self._asked = 0
        self._spent = 0

    def asked(self, now: float) -> None:
        """A request makes its first attempt."""
        self._step(now)[1] += 1
        self._asked += 1

    def may_retry(self, active: int, now: float) -> bool:
        """Whether one more extra attempt may begin, with so many requests active."""
        self._forget(now)
        most = self.share * active + self.floor
        lately = self.share * max(active, self._asked) + self.lately
        return self.under_way + 1 <= most and self._spent + 1 <= lately

    def took(self, now: float) -> None:
        """An extra attempt begins."""
        self.under_way += 1
        self._step(now)[2] += 1
        self._spent += 1

    def gave_back(self, *, answered: bool) -> None:
        """An extra attempt has brought content (`answered`), or has ended without."""
        self.under_way -= 1
        if not answered:
            return
        for step in reversed(self._steps):  # it need not be its own: the sum is what counts
            if step[2]:
                step[2] -= 1
                self._spent -= 1
                return

    def _step(self, now: float) -> list[float]:
        steps = self._steps
        if not steps or now - steps[-1][0] >= STEP_SECONDS:
            self._forget(now)
            steps.append([now, 0, 0])
        return steps[-1]

    def _forget(self, now: float) -> None:
        while self._steps and now - self._steps[0][0] >= WINDOW_SECONDS:
            _, asked, spent = self._steps.popleft()
            self._asked -= int(asked)
            self._spent -= int(spent)


def deadline(told: str | None, now: float) -> float:
    """The monotonic second after which a request makes no further attempt.

    `told` is what the client says of its own patience in seconds (`x-stainless-timeout`), which counts where
    it is a positive number below ten minutes.
    """
    patience = TOTAL_SECONDS
    if told is not None:
        try:
            seconds = float(told)
        except ValueError:
            seconds = 0.0
        if 0 < seconds < TOTAL_SECONDS:  # never true of nan
            patience = seconds
    return now + patience
