"""Recorded shapes of traffic, replayed in virtual time over a pool of simulated accounts.

The shape is that of coding sessions: a first turn of 20 to 60 thousand tokens, then a turn every 5 to 90
seconds that extends the prompt by some thousand tokens, bursts of parallel sub-agents, titles at the start.
Each account has its own prompt cache, a quota of which a cached token takes a tenth, and a usage page that
is read every 60 seconds with jitter. The same replay with a balancer that takes the least used account for
every request shows what is at stake.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from dragoman.routing.policy import Choice, Demand, Strategy
from dragoman.routing.pool import Lease, Member, Outcome, Pool
from dragoman.translate.messages.failure import Cause, UpstreamFailure

NOW = 1_795_780_800.0
MODEL = "gpt-5.6-sol"
QUOTA = 60_000_000.0


@dataclass
class Upstream:
    """One account as its provider sees it: what it has cached, what is used, when it refuses."""

    used: float
    cached: dict[str, int] = field(default_factory=dict)
    down: tuple[float, float] = (0.0, 0.0)

    def serve(self, session: str, tokens: int) -> int:
        """Answers a turn; returns the cached tokens."""
        hit = min(self.cached.get(session, 0), tokens)
        self.cached[session] = tokens
        self.used += (tokens - hit) + hit / 10
        return hit


@dataclass
class Turn:
    """What happened to one turn. `warm` tokens could have been cached somewhere."""

    session: str
    at: float
    account: str
    move: str
    why: str
    tokens: int
    warm: int
    hit: int


class Replay:
    """Sessions over accounts, as a heap of things that happen."""

    def __init__(self, pool: Pool, names: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.pool = pool
        # Nearly equal, so that every refresh turns the order around.
        self.accounts = {name: Upstream(QUOTA * self.random.uniform(0.10, 0.12)) for name in names}
        self.turns: list[Turn] = []
        self.unserved = 0
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = 0
        for name in names:
            self.at(NOW + self.random.uniform(0, 60), self._refresh(name))

    def at(self, moment: float, happen: Callable[[float], None]) -> None:
        self._number += 1
        heapq.heappush(self._heap, (moment, self._number, happen))

    def run(self, seconds: float) -> None:
        while self._heap and self._heap[0][0] < NOW + seconds:
            moment, _, happen = heapq.heappop(self._heap)
            happen(moment)

    def session(self, name: str, begins: float, turns: int) -> None:
        """A session of so many turns; the prompt grows with each."""
        sizes = iter(self._sizes(turns))
        self.at(NOW + begins, lambda now: self._turn(name, sizes, 0, next(sizes), now, 0.0))

    def _sizes(self, turns: int) -> Iterator[int]:
        size = self.random.randint(20_000, 60_000)
        for _ in range(turns):
            yield size
            size += self.random.randint(200, 6_000)

    def _turn(
        self, name: str, sizes: Iterator[int], warm: int, tokens: int, now: float, waited: float
    ) -> None:
        demand = Demand(
            MODEL, affinity=name, cached_tokens=warm, fresh_nano=5000, cached_nano=500, waited=waited
        )
        choice = self.pool.select(demand, now)
        if choice.hold_until is not None:
            later = choice.hold_until
            self.at(later, lambda at: self._turn(name, sizes, warm, tokens, at, waited + later - now))
            return
        served = self._attempts(choice, name, warm, tokens, now)
        if not served:
            self.unserved += 1
        following = next(sizes, None)
        if following is not None:
            pause = self.random.choice((5, 8, 12, 20, 45, 90)) * self.random.uniform(0.8, 1.2)
            self.at(now + pause, lambda at: self._turn(name, sizes, tokens, following, at, 0.0))

    def _attempts(self, choice: Choice, name: str, warm: int, tokens: int, now: float) -> bool:
        for account in choice.order:
            if not self.pool.may_start(account, MODEL, now):
                continue
            lease = self.pool.started(account, now, model=MODEL, affinity=name)
            upstream = self.accounts[account]
            begins, ends = upstream.down
            if begins <= now < ends:
                failed = UpstreamFailure(Cause.RATE_LIMIT, retry_after=ends - now)
                self.pool.report(lease, Outcome(failed), now, self.random.random())
                self.pool.ended(lease)
                continue
            hit = upstream.serve(name, tokens)
            self.pool.report(lease, Outcome(), now)
            self.turns.append(Turn(name, now, account, choice.move, choice.why, tokens, warm, hit))
            self.at(now + self.random.uniform(2, 5), self._end(lease))
            return True
        return False

    def _end(self, lease: Lease) -> Callable[[float], None]:
        return lambda now: self.pool.ended(lease)

    def _refresh(self, name: str) -> Callable[[float], None]:
        def happen(now: float) -> None:
            window = {
                "used_percent": 100 * self.accounts[name].used / QUOTA,
                "limit_window_seconds": 18_000,
                "reset_after_seconds": max(0, 14_000 - (now - NOW)),
            }
            self.pool.usage(name, {"rate_limit": {"primary_window": window}}, now)
            self.at(now + 60 + self.random.uniform(-6, 6), self._refresh(name))

        return happen

    def switches(self) -> list[tuple[Turn, Turn]]:
        """Successive turns of one session on two accounts."""
        last: dict[str, Turn] = {}
        found = []
        for turn in self.turns:
            before = last.get(turn.session)
            if before is not None and before.account != turn.account:
                found.append((before, turn))
            last[turn.session] = turn
        return found

    def share(self) -> float:
        """Cached tokens of those that could have been."""
        return sum(turn.hit for turn in self.turns) / sum(turn.warm for turn in self.turns)


def replay(names: str, seed: int, strategy: Strategy = "affinity", sessions: int = 30) -> Replay:
    played = Replay(Pool([Member(name, "chatgpt") for name in names], strategy=strategy), names, seed)
    for number in range(sessions):
        played.session(f"s{number}", played.random.uniform(0, 900), played.random.randint(5, 60))
    return played


@pytest.mark.parametrize("names", ["abc", "abcdef"])
@pytest.mark.parametrize("strategy", ["affinity", "headroom", "round-robin", "fill-first"])
def test_no_live_conversation_moves_when_usage_refreshes(names: str, strategy: Strategy) -> None:
    """B109."""
    played = replay(names, seed=len(names), strategy=strategy)
    played.run(3600)
    assert len(played.turns) > 600
    assert played.unserved == 0
    assert played.switches() == []
    assert {turn.move for turn in played.turns} == {"new", "stayed"}
    assert played.share() == 1.0


def test_the_least_used_account_for_every_request_would_move_them_all_the_time() -> None:
    """What the replay would look like without affinity: the shape is able to show the harm."""
    played = replay("abc", seed=3)
    accounts = played.accounts
    moved = 0
    last: dict[str, str] = {}
    clock = random.Random(3)
    seen = {name: upstream.used for name, upstream in accounts.items()}
    for step in range(600):
        session = f"s{step % 30}"
        if step % 40 == 0:
            seen = {name: upstream.used for name, upstream in accounts.items()}
        account = min(seen, key=lambda name: seen[name])
        accounts[account].serve(session, 40_000 + 200 * (step // 30) + clock.randint(0, 9))
        moved += session in last and last[session] != account
        last[session] = account
    assert moved > 100


@pytest.mark.parametrize("names", ["abc", "abcd", "abcdef"])
def test_a_conversation_returns_after_a_short_outage(names: str) -> None:
    """B110: one account cools for 60 seconds; every move has its reason, everybody comes back."""
    played = replay(names, seed=7)
    begins, ends = NOW + 600, NOW + 660
    played.accounts["a"].down = (begins, ends)
    played.run(3600)
    assert played.unserved == 0
    homes: dict[str, str] = {}
    for turn in played.turns:
        homes.setdefault(turn.session, turn.account)
    for turn in played.turns:
        if turn.account != homes[turn.session]:
            # Away only where the home was out, with a reason; the way back is over soon.
            assert homes[turn.session] == "a"
            assert begins <= turn.at < ends + 30, turn
            if turn.move != "stayed":
                assert turn.move == "stand_in"
                assert turn.why.startswith("a rests for ")
    away = {turn.session for turn in played.turns if turn.account != homes[turn.session]}
    assert away
    for session in away:
        # One stand-in for the whole outage, then home again.
        helpers = {turn.account for turn in played.turns if turn.session == session} - {"a"}
        assert len(helpers) == 1
    assert any(turn.move == "returned" for turn in played.turns)
    assert len(played.switches()) <= 2 * len(away)
    assert played.share() > 0.95


def test_calls_of_the_outage_are_few() -> None:
    """After the first refusal nobody asks the account again until it is over."""
    played = replay("abc", seed=7)
    played.accounts["a"].down = (NOW + 600, NOW + 660)
    refused = []
    report = played.pool.report

    def counted(lease: Lease, outcome: Outcome, now: float, jitter: float = 0.0) -> None:
        if outcome.failure is not None:
            refused.append(now)
        report(lease, outcome, now, jitter)

    played.pool.report = counted  # type: ignore[method-assign]
    played.run(1800)
    assert len(refused) == 1


@pytest.mark.parametrize("names", ["a", "abc"])
def test_accounts_that_come_back_together_are_not_stormed(names: str) -> None:
    """reliability R8: two calls at most per account in the first second; who waits is served in the end."""
    played = replay(names, seed=9, sessions=60)
    ends = NOW + 606
    for upstream in played.accounts.values():
        upstream.down = (NOW + 600, ends)
    calls: dict[str, list[float]] = {name: [] for name in names}
    started = played.pool.started

    def counted(
        name: str, now: float, *, model: str, affinity: str | None = None, owner: object = None
    ) -> Lease:
        calls[name].append(now)
        return started(name, now, model=model, affinity=affinity, owner=owner)

    played.pool.started = counted  # type: ignore[method-assign]
    played.run(660)
    for name in names:
        back = [at for at in calls[name] if at >= ends]
        assert len([at for at in back if at < back[0] + 1]) <= 2
        assert len([at for at in calls[name] if NOW + 600 <= at < ends]) <= 1
    # Only the very requests that met a refusal everywhere were told of it.
    assert played.unserved <= len(names)
    assert all(turn.at < NOW + 600 or turn.at >= ends for turn in played.turns)


@pytest.mark.parametrize(
    ("weights", "names"), [((1, 1, 1), "abc"), ((1, 2, 3), "abc"), ((3, 1, 1, 1), "abcd")]
)
def test_new_conversations_follow_the_weights(weights: tuple[int, ...], names: str) -> None:
    pool = Pool([Member(name, "chatgpt", weight=weight) for name, weight in zip(names, weights, strict=True)])
    played = Replay(pool, names, seed=11)
    for number in range(120):
        # All within the life of a cache, so that every one counts as live.
        played.session(f"s{number}", played.random.uniform(0, 1200), 2)
    played.run(1300)
    begun = dict.fromkeys(names, 0)
    for turn in played.turns:
        begun[turn.account] += turn.move == "new"
    for name, weight in zip(names, weights, strict=True):
        expected = 120 * weight / sum(weights)
        assert abs(begun[name] - expected) <= 0.15 * 120, begun


def test_a_spent_account_gives_its_conversations_away_once() -> None:
    """One account runs out of quota for hours: its sessions move once, with a reason, and stay."""
    played = replay("abc", seed=5)
    played.at(NOW + 500, lambda now: setattr(played.accounts["a"], "used", QUOTA * 1.01))
    played.run(3600)
    assert played.unserved == 0
    moved = [after for _, after in played.switches()]
    assert moved
    assert {turn.move for turn in moved} == {"moved"}
    assert all("a is out (quota)" in turn.why for turn in moved)
    assert len({turn.session for turn in moved}) == len(moved)
    assert not [turn for turn in played.turns if turn.account == "a" and turn.at > NOW + 570]
