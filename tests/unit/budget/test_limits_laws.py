"""Laws of the meters that hold for any interleaving of requests, settlements and clocks."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dragoman.budget.limits import MEASURES, PERIODS, Amounts, Limit, Meters, Reservation, Spent

NOW = 1_795_780_800.0
MODELS = ("claude-opus-4-6", "claude-sonnet-4-6", "gpt-5.5")
limits = st.lists(
    st.builds(
        Limit,
        st.sampled_from(MEASURES),
        st.sampled_from(PERIODS),
        st.integers(0, 300),
        st.sampled_from([None, "claude-*", "claude-opus-*"]),
    ),
    max_size=4,
    unique_by=lambda limit: (limit.measure, limit.per, limit.models),
)
amounts = st.builds(Amounts, st.just(1), *[st.integers(0, 100)] * 3)


class Ledger(RuleBasedStateMachine):
    """A key that is used by many requests at once."""

    @initialize(drawn=limits)
    def begin(self, drawn: list[Limit]) -> None:
        self.now = NOW
        self.meters = Meters(drawn)
        self.open: list[Reservation] = []
        self.settled = 0
        # Per limit: by how much settled requests were larger than what they held.
        self.over: dict[int, int] = {}

    @rule(model=st.sampled_from(MODELS), estimate=amounts)
    def ask(self, model: str, estimate: Amounts) -> None:
        before = self.meters.lines(self.now)
        found = self.meters.reserve(model, estimate, self.now)
        matching = self.meters.lines(self.now, model)
        if isinstance(found, Spent):
            assert self.meters.lines(self.now) == before
            assert any(not line.remaining for line in matching)
            assert found.limit.matches(model)
            assert found.wait_seconds is None or found.wait_seconds >= 0
            return
        self.open.append(found)
        held = {id(limit): kept for limit, kept in found.parts}
        for old, new in zip(before, self.meters.lines(self.now), strict=True):
            kept = held.get(id(old.limit), 0)
            assert new.held == old.held + kept
            assert (id(old.limit) in held) is old.limit.matches(model)
            if id(old.limit) in held:
                assert old.remaining > 0
                assert kept == min(old.remaining, estimate.of(old.limit.measure))

    @rule(which=st.integers(0), actual=amounts, again=st.booleans())
    def settle(self, which: int, actual: Amounts, again: bool) -> None:
        if not self.open:
            return
        one = self.open.pop(which % len(self.open))
        before = {id(line.limit): line for line in self.meters.lines(self.now)}
        one.settle(actual, self.now)
        if again:
            one.settle(actual, self.now)
            one.release()
        after = {id(line.limit): line for line in self.meters.lines(self.now)}
        for limit, kept in one.parts:
            amount = actual.of(limit.measure)
            assert after[id(limit)].used == before[id(limit)].used + amount
            assert after[id(limit)].held == before[id(limit)].held - kept
            self.over[id(limit)] = self.over.get(id(limit), 0) + max(0, amount - kept)

    @rule(which=st.integers(0))
    def fail(self, which: int) -> None:
        if self.open:
            used = [line.used for line in self.meters.lines(self.now)]
            self.open.pop(which % len(self.open)).release()
            assert [line.used for line in self.meters.lines(self.now)] == used

    @rule(seconds=st.sampled_from([0.3, 1.0, 61.0, 4000.0, 90_000.0, -0.2, -5.0, -7200.0, -(10**6)]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def sums_are_conserved(self) -> None:
        lines = self.meters.lines(self.now)
        for line in lines:
            held = sum(kept for one in self.open for limit, kept in one.parts if limit is line.limit)
            assert line.held == held
            assert line.used >= 0
            assert line.remaining == max(0, line.limit.max - line.used - line.held)

    @invariant()
    def nothing_overruns_but_by_the_own_size_of_each_request(self) -> None:
        for line in self.meters.lines(self.now):
            assert line.used + line.held <= line.limit.max + self.over.get(id(line.limit), 0)


TestLedger = Ledger.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
