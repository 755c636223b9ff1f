"""One request's way through the pool: what its row says of it, and what a client is told at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dragoman.budget.pricing import Price, Rates
from dragoman.gateway.attempts import Attempts
from dragoman.gateway.dialects import Turn
from dragoman.gateway.house import House
from dragoman.gateway.ports import Account, Principal, Row
from dragoman.gateway.route import LATE, Route
from dragoman.routing.pool import Member, Outcome, Pool
from dragoman.routing.retries import LATELY, TOTAL_SECONDS, RetryBudget
from dragoman.translate.messages.failure import Cause, UpstreamFailure
from dragoman.wire.errors import Failure, Kind

NOW = 1_795_780_800.0
MODEL = "gpt-5.5"
PRICE = Price(Rates(5_000_000, 500_000, 5_000_000, 30_000_000))


@dataclass
class Place:
    """A house with a pool and a clock of its own, and one request in it."""

    members: list[Member]
    cached: int = 0
    now: float = NOW
    price: Price | None = PRICE
    affinity: str | None = "session"
    served: tuple[str, ...] = ()
    row: Row = field(default_factory=lambda: Row("req_1", NOW))

    def __post_init__(self) -> None:
        self.pool = Pool(self.members)
        self.attempts = Attempts(lambda: 0.0)
        self.retries = RetryBudget()

    def route(self, groups: frozenset[str] | None = None, patience: str | None = None) -> Route:
        accounts = {one.name: Account(one.name, "openai", "tag") for one in self.members}
        house = SimpleNamespace(
            clock=SimpleNamespace(monotonic=lambda: self.now, steady=lambda: self.now),
            pool=self.pool,
            accounts=SimpleNamespace(get=accounts.get),
            admission=SimpleNamespace(prices=SimpleNamespace(upstream=lambda model: self.price)),
            jitter=lambda: 0.0,
            retries=self.retries,
            gate=SimpleNamespace(in_flight=1),
        )
        turn = SimpleNamespace(
            model=MODEL,
            requested="claude-x",
            affinity=self.affinity,
            cached_tokens=lambda: self.cached,
            answered_on=lambda account: account.name in self.served,
        )
        principal = Principal("key", "key:1", groups=groups)
        return Route(cast(House, house), cast(Turn, turn), principal, self.row, patience)

    async def attempt(self, route: Route, failure: UpstreamFailure | None = None) -> str | None:
        """One attempt; the name of who was asked."""
        step = await route.step(self.attempts)
        if step is None:
            return None
        route.begin(step.account, self.attempts)
        if failure is None:
            route.answered()
        else:
            route.failed(failure)
            self.attempts.failed(failure)
        route.end()
        return step.account.name


def members(*names: str, **fields: Any) -> list[Member]:
    return [Member(name, "openai", **fields) for name in names]


async def test_a_failover_says_whom_it_left_and_what_that_costs() -> None:
    """B105: 100,000 tokens at 5 instead of 0.5 USD per million."""
    place = Place(members("a", "b"), cached=100_000)
    await place.attempt(place.route())
    place.row = Row("req_2", NOW)
    place.attempts = Attempts(lambda: 0.0)
    route = place.route()
    assert await place.attempt(route, UpstreamFailure(Cause.RATE_LIMIT, retry_after=900)) == "a"
    assert (place.row.choice, place.row.move, place.row.lost_nano) == ("stays on a", "stayed", 0)
    assert await place.attempt(route) == "b"
    assert (place.row.account, place.row.move) == ("b", "failover")
    assert place.row.choice == "b after rate_limit on a"
    assert place.row.lost_nano == 100_000 * (5000 - 500)
    assert place.pool.in_flight() == {"a": 0, "b": 0}


async def test_nothing_is_lost_where_nothing_is_cached() -> None:
    place = Place(members("a", "b"), price=None)
    route = place.route()
    await place.attempt(route, UpstreamFailure(Cause.QUOTA))
    await place.attempt(route)
    assert (place.row.move, place.row.lost_nano) == ("failover", 0)


@pytest.mark.parametrize(("served", "asked"), [(("a", "b"), "b"), (("a",), "a")])
async def test_a_speaker_whom_nobody_helped_out_waits_for_its_account(
    monkeypatch: pytest.MonkeyPatch, served: tuple[str, ...], asked: str
) -> None:
    """A session has several: what a sub-agent left on the stand-in is nothing to the main loop."""
    place = Place(members("a", "b"), cached=100_000)

    async def sleep(seconds: float) -> None:
        place.now += seconds

    monkeypatch.setattr("dragoman.gateway.route.asyncio.sleep", sleep)
    await place.attempt(place.route())
    place.attempts = Attempts(lambda: 0.0)
    route = place.route()
    assert await place.attempt(route, UpstreamFailure(Cause.RATE_LIMIT, retry_after=3)) == "a"
    assert await place.attempt(route) == "b"
    place.attempts, place.served = Attempts(lambda: 0.0), served
    assert await place.attempt(place.route()) == asked
    assert (place.now > NOW) is (asked == "a")


async def test_after_the_deadline_nobody_else_is_asked() -> None:
    """reliability R7: whoever is left."""
    place = Place(members("a", "b"))
    route = place.route()
    assert await place.attempt(route, UpstreamFailure(Cause.QUOTA)) == "a"
    place.now += TOTAL_SECONDS + 1
    assert await place.attempt(route) is None


async def test_a_client_that_gives_no_time_ends_its_request_and_blames_nobody() -> None:
    """reliability R7: the client's own deadline bounds the attempt under way, too."""
    place = Place(members("a", "b"))
    route = place.route(patience="20")
    assert route.left == 20
    place.now += 15
    assert route.left == 5
    for _ in range(3):
        place.attempts = Attempts(lambda: 0.0)
        route = place.route()
        assert await place.attempt(route, LATE) == "a"
        assert await place.attempt(route) is None
        assert route.left == 0
        assert route.verdict(place.attempts) is LATE
    assert place.pool.may_start("a", MODEL, place.now)
    assert place.pool.in_flight() == {"a": 0, "b": 0}


@pytest.mark.parametrize(
    ("member", "heard", "kind", "wait", "retry"),
    [
        (Member("a", "openai", models=frozenset({"other"})), None, Kind.MODEL_NOT_FOUND, None, None),
        (Member("a", "openai", group="red"), None, Kind.MODEL_NOT_FOUND, None, None),
        (Member("a", "openai", status="paused"), None, Kind.UPSTREAM, None, False),
        (Member("a", "openai"), UpstreamFailure(Cause.RATE_LIMIT, retry_after=40), Kind.RATE_LIMIT, 40, None),
        (Member("a", "openai"), UpstreamFailure(Cause.QUOTA, retry_after=900), Kind.RATE_LIMIT, 900, False),
        (Member("a", "openai"), UpstreamFailure(Cause.LOGIN), Kind.UPSTREAM, None, False),
        (Member("a", "openai"), UpstreamFailure(Cause.OVERLOADED, retry_after=30), Kind.OVERLOADED, 30, None),
        (
            Member("a", "openai"),
            UpstreamFailure(Cause.OVERLOADED, retry_after=200),
            Kind.OVERLOADED,
            200,
            False,
        ),
    ],
    ids=["model", "group", "paused", "short limit", "long limit", "login", "overloaded", "long overload"],
)
async def test_where_nobody_can_be_asked_the_client_hears_why(
    member: Member, heard: UpstreamFailure | None, kind: Kind, wait: float | None, retry: bool | None
) -> None:
    """reliability E5."""
    place = Place([member])
    if heard is not None:
        for _ in range(2):
            lease = place.pool.started("a", NOW, model=MODEL)
            place.pool.report(lease, Outcome(heard), NOW)
            place.pool.ended(lease)
    route = place.route(frozenset({"blue", ""}) if not member.group else frozenset({"blue"}))
    assert await place.attempt(route) is None
    told = route.verdict(place.attempts)
    assert isinstance(told, Failure)
    assert (told.kind, told.retry_after, told.should_retry) == (kind, wait, retry)
    assert (place.row.account, place.row.move) == ("", "refused")
    assert place.row.choice.startswith("nobody can serve: a ")


async def test_the_last_failure_is_told_unless_somebody_is_back_sooner() -> None:
    """B82: of several limits the soonest return."""
    place = Place(members("a", "b"))
    route = place.route()
    await place.attempt(route, UpstreamFailure(Cause.QUOTA, retry_after=7200))
    await place.attempt(route, UpstreamFailure(Cause.RATE_LIMIT, retry_after=300))
    assert await place.attempt(route) is None
    told = route.verdict(place.attempts)
    assert isinstance(told, UpstreamFailure)
    assert told.retry_after == 300
    broken = Place(members("a"))
    route = broken.route()
    for _ in range(2):
        await broken.attempt(route, UpstreamFailure(Cause.SERVER, "it broke"))
    assert await broken.attempt(route) is None
    assert route.verdict(broken.attempts) == UpstreamFailure(Cause.SERVER, "it broke")


async def test_extra_attempts_on_a_failing_road_are_bounded_over_all_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """reliability R7: what an account refuses for itself is no such attempt."""
    monkeypatch.setattr("dragoman.gateway.route.BUDGET_SECONDS", 0.0)
    place = Place(members(*(f"a{number}" for number in range(60))))
    asked = 0
    for number in range(20):
        place.attempts, place.affinity = Attempts(lambda: 0.0), None
        route = place.route()
        place.now += 0.01
        while await place.attempt(route, UpstreamFailure(Cause.CUT)) is not None:
            asked += 1
        if number == 0:
            assert asked == 3
    assert asked <= 20 * 1.2 + LATELY + 1
    assert place.retries.under_way == 0
    place.attempts = Attempts(lambda: 0.0)
    place.now += 600
    route = place.route()
    spent = [await place.attempt(route, UpstreamFailure(Cause.QUOTA)) for _ in range(20)]
    assert len(set(spent)) == 20


async def test_without_a_budget_only_who_answers_these_days_is_asked() -> None:
    """B83: when an account goes, all of its crowd moves to one that is known to be well."""
    place = Place(members("a", "b"))
    place.retries = RetryBudget(share=0.0, floor=0, lately=0)
    for well in (False, True):
        place.attempts, place.affinity = Attempts(lambda: 0.0), None
        route = place.route()
        if well:
            lease = place.pool.started("b", place.now, model=MODEL)
            place.pool.report(lease, Outcome(), place.now)
            place.pool.ended(lease)
        assert await place.attempt(route, UpstreamFailure(Cause.CUT)) == "a"
        assert await place.attempt(route) == ("b" if well else None)
        place.now += 100
    assert place.retries.under_way == 0


async def test_an_extra_attempt_that_brings_content_costs_nothing() -> None:
    place = Place(members("a", "b"))
    for _ in range(30):
        place.attempts, place.affinity = Attempts(lambda: 0.0), None
        place.now += 70
        route = place.route()
        assert await place.attempt(route, UpstreamFailure(Cause.TRANSPORT)) is not None
        assert await place.attempt(route) is not None
    assert place.retries.under_way == 0
