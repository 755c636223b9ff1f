"""The pool: snapshots, leases, what calls tell of their accounts, and what becomes of conversations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dragoman.routing.pins import Kept
from dragoman.routing.policy import Choice, Demand, Wait
from dragoman.routing.pool import Heard, Lease, Member, Outcome, Pool
from dragoman.translate.messages.failure import Cause, UpstreamFailure

NOW = 1_795_780_800.0
MODEL = "gpt-5.5"


def members(*names: str, **fields: Any) -> list[Member]:
    return [Member(name, "chatgpt", **fields) for name in names]


def demand(affinity: str | None = "s", **fields: Any) -> Demand:
    return Demand(fields.pop("model", MODEL), affinity=affinity, **fields)


def usage(five_hours: float, week: float = 0.0, *, after: int = 9000) -> dict[str, Any]:
    return {
        "rate_limit": {
            "primary_window": {
                "used_percent": five_hours,
                "limit_window_seconds": 18_000,
                "reset_after_seconds": after,
            },
            "secondary_window": {
                "used_percent": week,
                "limit_window_seconds": 604_800,
                "reset_after_seconds": 300_000,
            },
        }
    }


def failure(cause: Cause, retry_after: float | None = None) -> Outcome:
    return Outcome(UpstreamFailure(cause, retry_after=retry_after))


def turn(
    pool: Pool, now: float, affinity: str | None = "s", outcome: Outcome | None = None, **fields: Any
) -> Choice:
    """One request from beginning to end on the first account of its choice."""
    choice = pool.select(demand(affinity, **fields), now)
    if choice.order:
        lease = pool.started(choice.order[0], now, model=fields.get("model", MODEL), affinity=affinity)
        pool.report(lease, outcome or Outcome(), now)
        pool.ended(lease)
    return choice


def test_a_lone_account_that_fails_is_asked_on_and_found_well_at_once() -> None:
    pool = Pool(members("a"))
    for second in range(6):
        assert turn(pool, NOW + second, outcome=failure(Cause.SERVER)).order == ("a",)
    assert pool.describe(NOW + 6)[0]["state"] == "cooling"
    assert "is asked although failing" in turn(pool, NOW + 6).why


def test_open_calls_are_listed_with_their_owners() -> None:
    """reliability S9: whoever looks for leaks sees every call until it is given back, also of an account
    that was removed meanwhile."""
    pool, owner = Pool(members("a", "b")), object()
    first = pool.started("a", NOW, model="m", owner=owner)
    second = pool.started("b", NOW, model="m")
    assert [(one.account, one.owner) for one in pool.leases] == [("a", owner), ("b", None)]
    pool.replace(members("b"))
    pool.ended(second)
    pool.ended(second)
    assert list(pool.leases) == [first]
    pool.ended(first)
    assert not pool.leases


def test_an_account_is_proven_by_an_answer_until_it_fails() -> None:
    pool = Pool(members("a"))
    assert not pool.proven("a", MODEL, NOW)
    turn(pool, NOW)
    assert pool.proven("a", MODEL, NOW + 299)
    assert not pool.proven("a", MODEL, NOW + 301)
    turn(pool, NOW + 1, outcome=failure(Cause.CUT))
    assert not pool.proven("a", MODEL, NOW + 2)
    turn(pool, NOW + 3)
    assert pool.proven("a", MODEL, NOW + 4)
    turn(pool, NOW + 5, outcome=failure(Cause.RATE_LIMIT, 60))
    assert not pool.proven("a", MODEL, NOW + 6)
    assert not pool.proven("gone", MODEL, NOW)


def test_a_lone_account_rests_for_a_limit() -> None:
    pool = Pool(members("a"))
    turn(pool, NOW, outcome=failure(Cause.RATE_LIMIT, 60))
    assert pool.select(demand(), NOW + 1).wait == Wait(NOW + 60, "quota")


def test_what_answers_tell_of_limits_counts_without_a_call() -> None:
    pool = Pool(members("a"))
    told = {"x-codex-primary-used-percent": "100", "x-codex-primary-window-minutes": "300"}
    pool.told("a", NOW, headers={**told, "x-codex-primary-reset-after-seconds": "600"})
    assert pool.select(demand(), NOW).wait == Wait(NOW + 600, "quota")
    pool.told("a", NOW + 1, event={"rate_limits": {"primary": {"used_percent": 5, "window_minutes": 300}}})
    assert pool.select(demand(), NOW + 1).order == ("a",)
    pool.told("gone", NOW, headers=told)
    assert [row["name"] for row in pool.describe(NOW)] == ["a"]


def test_a_conversation_stays_where_it_began() -> None:
    """B102, B106: every lane of a session."""
    pool = Pool(members("a", "b", "c"))
    first = turn(pool, NOW)
    assert first.move == "new"
    for minute in range(1, 60):
        choice = turn(pool, NOW + 60 * minute)
        assert (choice.order[0], choice.move) == (first.order[0], "stayed")
    assert len(pool.pins) == 1


def test_new_conversations_spread_by_weight_and_room() -> None:
    pool = Pool([Member("a", "chatgpt", weight=1), Member("b", "chatgpt", weight=3)])
    for number in range(40):
        turn(pool, NOW, str(number))
    assert pool.pins.live == {"a": 10, "b": 30}
    pool = Pool(members("a", "b"))
    pool.usage("a", usage(75, after=18_000), NOW)
    for number in range(40):
        turn(pool, NOW, str(number))
    assert pool.pins.live == {"a": 8, "b": 32}


@pytest.mark.parametrize(
    ("strategy", "accounts"), [("round-robin", "abcabc"), ("fill-first", "aaaaaa"), ("headroom", "bbbbbb")]
)
def test_the_strategy_places_new_conversations(strategy: Any, accounts: str) -> None:
    pool = Pool(members("a", "b", "c"), strategy=strategy)
    pool.usage("a", usage(50), NOW)
    pool.usage("c", usage(30), NOW)
    chosen = [turn(pool, NOW, str(number)).order[0] for number in range(6)]
    assert "".join(chosen) == accounts
    assert turn(pool, NOW, "1").order[0] == accounts[1]


def test_requests_of_no_conversation_are_placed_but_not_remembered() -> None:
    pool = Pool(members("a", "b"), strategy="round-robin")
    assert [turn(pool, NOW, None).order[0] for _ in range(4)] == ["a", "b", "a", "b"]
    assert len(pool.pins) == 0


def test_usage_refreshes_move_nobody_but_place_the_next() -> None:
    """B109."""
    pool = Pool(members("a", "b"))
    home = turn(pool, NOW).order[0]
    other = "b" if home == "a" else "a"
    pool.usage(home, usage(95), NOW + 60)
    pool.usage(other, usage(0), NOW + 60)
    assert turn(pool, NOW + 61).order[0] == home
    assert turn(pool, NOW + 61, "t").order[0] == other


def test_a_short_outage_keeps_the_pin_and_one_stand_in() -> None:
    """B83, B110."""
    pool = Pool(members("a", "b", "c", "d"))
    home = turn(pool, NOW).order[0]
    lease = pool.started(home, NOW + 1, model=MODEL, affinity="s")
    pool.report(lease, failure(Cause.RATE_LIMIT, 60), NOW + 1)
    pool.ended(lease)
    helpers = {turn(pool, NOW + 2 + 10 * n, cached_tokens=90_000).order[0] for n in range(5)}
    assert len(helpers) == 1 and home not in helpers
    choice = turn(pool, NOW + 62)
    assert (choice.order[0], choice.move, choice.why) == (home, "returned", f"back on {home}")
    assert turn(pool, NOW + 63).move == "stayed"


def test_a_turn_that_its_account_failed_and_another_answered_was_away() -> None:
    """B110: the next one there is told as a return, whether the absence was chosen or met."""
    pool = Pool(members("a", "b"))
    home = turn(pool, NOW).order[0]
    other = "b" if home == "a" else "a"
    for at, name, outcome in ((1, home, failure(Cause.SERVER)), (2, other, Outcome())):
        lease = pool.started(name, NOW + at, model=MODEL, affinity="s")
        pool.report(lease, outcome, NOW + at)
        pool.ended(lease)
    assert turn(pool, NOW + 3).move == "returned"
    assert turn(pool, NOW + 4).move == "stayed"
    # A stream that broke after its beginning, and a turn that failed and was answered here, were never away.
    broken = pool.started(home, NOW + 5, model=MODEL, affinity="s")
    pool.report(broken, Outcome(), NOW + 5)
    pool.report(broken, failure(Cause.SERVER), NOW + 5)
    pool.ended(broken)
    assert turn(pool, NOW + 90, outcome=failure(Cause.SERVER)).move == "stayed"
    assert [turn(pool, NOW + at).move for at in (91, 92)] == ["stayed", "stayed"]


def test_a_conversation_that_found_another_account_before_it_was_answered_belongs_there() -> None:
    pool = Pool(members("a", "b"))
    choice = pool.select(demand(), NOW)
    lease = pool.started(choice.order[0], NOW, model=MODEL, affinity="s")
    pool.report(lease, failure(Cause.SERVER), NOW)
    pool.ended(lease)
    lease = pool.started(choice.order[1], NOW, model=MODEL, affinity="s")
    pool.report(lease, Outcome(), NOW)
    assert pool.select(demand(), NOW + 1).order[0] == choice.order[1]
    # Once it was answered somewhere, a single failure there moves nothing.
    helped = pool.started(choice.order[0], NOW + 2, model=MODEL, affinity="s")
    pool.report(helped, Outcome(), NOW + 2)
    assert pool.select(demand(), NOW + 3).order[0] == choice.order[1]


def test_a_revoked_account_loses_its_conversations() -> None:
    pool = Pool(members("a", "b"))
    home = turn(pool, NOW).order[0]
    turn(pool, NOW + 1, outcome=failure(Cause.LOGIN))
    moved = turn(pool, NOW + 2, cached_tokens=50_000)
    assert moved.move == "moved" and moved.order[0] != home
    assert turn(pool, NOW + 3).move == "stayed"
    described = {row["name"]: row["state"] for row in pool.describe(NOW + 3)}
    assert described[home] == "needs_login"


def test_a_side_call_that_the_account_cannot_serve_moves_nothing() -> None:
    """B107."""
    pool = Pool(
        [Member("a", "chatgpt", models=frozenset({MODEL}), priority=1), Member("b", "openai"), *members("c")]
    )
    assert turn(pool, NOW).order[0] == "a"
    side = [turn(pool, NOW + n, model="gpt-5.4-mini") for n in range(1, 4)]
    assert {choice.move for choice in side} == {"unfit"}
    assert len({choice.order[0] for choice in side}) == 1
    again = turn(pool, NOW + 9)
    assert (again.order[0], again.move) == ("a", "stayed")


def test_a_full_account_is_waited_for_while_that_is_cheaper() -> None:
    pool = Pool(members("a", "b", concurrency=1))
    home = turn(pool, NOW).order[0]
    lease = pool.started(home, NOW, model=MODEL)
    wanted = demand(cached_tokens=100_000, fresh_nano=5000, cached_nano=500)
    held = pool.select(wanted, NOW)
    assert held.hold_until == NOW + 0.5
    assert not pool.may_start(home, MODEL, NOW)
    pool.ended(lease)
    assert pool.may_start(home, MODEL, NOW)
    # To be held is not to be away.
    freed = pool.select(wanted, NOW)
    assert (freed.order[0], freed.move) == (home, "stayed")


def test_parallel_requests_of_a_session_have_one_stand_in() -> None:
    """B106: also before the first of them is answered."""
    pool = Pool(members("a", "b", "c", "d"))
    home = turn(pool, NOW).order[0]
    pool.heard(Heard(home, MODEL, Cause.RATE_LIMIT, NOW + 60), NOW)
    helpers = []
    for _ in range(5):
        helpers.append(pool.select(demand(), NOW + 1).order[0])
        pool.started(helpers[-1], NOW + 1, model=MODEL, affinity="s")
    assert len(set(helpers)) == 1


def test_calls_that_begin_at_one_moment_are_told_apart() -> None:
    pool = Pool(members("a"))
    turn(pool, NOW, outcome=failure(Cause.RATE_LIMIT, 5))
    turn(pool, NOW + 5)
    first, _ = (pool.started("a", NOW + 7, model=MODEL) for _ in range(2))
    assert not pool.may_start("a", MODEL, NOW + 9)
    # It is over twice, but makes room for one.
    pool.report(first, failure(Cause.REQUEST), NOW + 8)
    pool.ended(first)
    assert pool.may_start("a", MODEL, NOW + 9)
    pool.started("a", NOW + 9, model=MODEL)
    assert not pool.may_start("a", MODEL, NOW + 9)


def test_all_accounts_spent_is_an_honest_wait() -> None:
    """B82."""
    pool = Pool(members("a", "b"))
    pool.usage("a", usage(100, after=7200), NOW)
    turn(pool, NOW, outcome=failure(Cause.QUOTA, 3000))
    choice = pool.select(demand(), NOW + 1)
    assert choice.order == ()
    assert choice.wait == Wait(NOW + 3000, "quota")
    assert choice.hold_until is None
    assert pool.select(demand(), NOW + 3000).order == ("b",)


def test_spent_quota_weighs_more_than_a_short_rest() -> None:
    pool = Pool(members("a"))
    pool.usage("a", usage(100, after=7200), NOW)
    lease = pool.started("a", NOW, model=MODEL)
    pool.report(lease, failure(Cause.BURST), NOW)
    choice = pool.select(demand(), NOW)
    assert (choice.wait, choice.refused) == (Wait(NOW + 7200, "quota"), {"a": "quota"})
    pool.report(lease, failure(Cause.LOGIN), NOW)
    assert pool.select(demand(), NOW).wait == Wait(None, "login")


@pytest.mark.parametrize(
    ("status", "why"), [("paused", "paused"), ("needs_login", "login needed"), ("dead", "account closed")]
)
def test_what_the_operator_knows(status: Any, why: str) -> None:
    pool = Pool([Member("a", "chatgpt", status=status)])
    pool.usage("a", usage(100), NOW)
    choice = pool.select(demand(), NOW)
    assert (choice.refused, choice.wait) == ({"a": why}, Wait(None, "login"))
    assert not pool.may_start("a", MODEL, NOW)
    (row,) = pool.describe(NOW)
    assert (row["state"], row["why"], row["until"]) == (status, why, None)


def test_the_windows_of_answers_and_events_are_learnt() -> None:
    pool = Pool(members("a"))
    headers = {"x-codex-primary-used-percent": "40", "x-codex-primary-window-minutes": "300"}
    event = {
        "rate_limits": {"secondary": {"used_percent": 50, "window_minutes": 10_080}},
        "credits": {"has_credits": True, "unlimited": False, "balance": "3"},
    }
    turn(pool, NOW, outcome=Outcome(headers=headers, event=event))
    (row,) = pool.describe(NOW)
    assert [(w["window"], w["used"], w["source"]) for w in row["windows"]] == [
        ("5h", 0.4, "header"),
        ("7d", 0.5, "event"),
    ]
    assert row["credits"] == {"has": True, "unlimited": False, "balance": 3.0}
    assert row["headroom"] == 0.5
    assert row["served_at"] == NOW


def test_a_later_reading_with_room_lets_a_spent_account_be_tested() -> None:
    """reliability, public incidents: a stale far-future reset blocks a recovered account."""
    pool = Pool(members("a"))
    turn(pool, NOW, outcome=failure(Cause.QUOTA, 500_000))
    pool.usage("a", usage(5), NOW + 10)
    assert pool.select(demand(), NOW + 10).order == ()
    pool.usage("a", usage(100), NOW + 60)
    assert pool.select(demand(), NOW + 60).order == ()
    pool.usage("a", usage(5), NOW + 120)
    assert turn(pool, NOW + 120).order == ("a",)
    (row,) = pool.describe(NOW + 120)
    assert row["state"] == "probing"


def test_after_a_rest_one_call_goes_and_the_others_are_held() -> None:
    """reliability R8."""
    pool = Pool(members("a"))
    turn(pool, NOW, outcome=failure(Cause.RATE_LIMIT, 5))
    held = pool.select(demand(), NOW + 1)
    assert held.hold_until == NOW + 5
    leases: list[Lease] = []
    for number in range(20):
        choice = pool.select(demand(str(number), waited=4.0), NOW + 5)
        if choice.order:
            leases.append(pool.started("a", NOW + 5, model=MODEL, affinity=str(number)))
        else:
            assert choice.hold_until == NOW + 6
    assert len(leases) == 1
    pool.report(leases[0], Outcome(), NOW + 5.5)
    # A second report of the same call does not open the way further.
    pool.report(leases[0], Outcome(), NOW + 5.6)
    assert pool.select(demand("9"), NOW + 6).order == ("a",)
    second = [pool.started("a", NOW + 6, model=MODEL) for _ in range(2)]
    assert pool.select(demand("9"), NOW + 6).order == ()
    pool.ended(second[0])
    pool.ended(second[0])
    assert pool.select(demand("9"), NOW + 7).order == ("a",)
    assert pool.in_flight() == {"a": 2}


def test_replacing_the_accounts_keeps_the_state_of_those_that_stay() -> None:
    pool = Pool(members("a", "b"))
    turn(pool, NOW, outcome=failure(Cause.QUOTA, 500))
    lease = pool.started("b", NOW, model=MODEL)
    spent = next(row["name"] for row in pool.describe(NOW) if row["state"] == "cooling")
    pool.replace([*members("c"), replace(members("a")[0], weight=2.0), *members("b")])
    assert {row["name"]: row["state"] for row in pool.describe(NOW)}[spent] == "cooling"
    assert pool.in_flight() == {"c": 0, "a": 0, "b": 1}
    pool.replace(members("b", "c"))
    assert [candidate.name for candidate in pool.candidates(NOW, MODEL)] == ["b", "c"]
    pool.replace([Member(spent, "chatgpt", version=2), *members("c")])
    assert {row["name"]: row["state"] for row in pool.describe(NOW)} == {spent: "ok", "c": "ok"}
    pool.ended(lease)


def test_an_account_that_was_logged_in_anew_is_well() -> None:
    pool = Pool(members("a"))
    turn(pool, NOW, outcome=failure(Cause.LOGIN))
    pool.replace(members("a"))
    assert pool.select(demand(), NOW).order == ()
    pool.replace(members("a", version=1))
    assert pool.select(demand(), NOW).order == ("a",)


def test_calls_of_accounts_that_are_gone_hurt_nobody() -> None:
    pool = Pool(members("a"))
    lease = pool.started("a", NOW, model=MODEL)
    pool.replace(members("b"))
    pool.report(lease, failure(Cause.QUOTA, 60), NOW)
    pool.ended(lease)
    stray = pool.started("never", NOW, model=MODEL)
    pool.report(stray, Outcome(), NOW)
    pool.ended(stray)
    pool.usage("a", usage(1), NOW)
    pool.heard(Heard("a", None, Cause.QUOTA, NOW + 60), NOW)
    pool.recall("a", [])
    assert not pool.may_start("a", MODEL, NOW)
    assert pool.in_flight() == {"b": 0}


def test_an_answer_to_a_conversation_that_was_forgotten() -> None:
    pool = Pool(members("a"), pins=1)
    lease = pool.started("a", NOW, model=MODEL, affinity="unknown")
    pool.report(lease, Outcome(), NOW)
    assert len(pool.pins) == 0


def test_pins_survive_a_restart() -> None:
    """B111."""
    pool = Pool(members("a", "b", "c"))
    homes = {str(n): turn(pool, NOW, str(n)).order[0] for n in range(9)}
    kept = pool.pins_changed()
    assert {pin.affinity for pin in kept} == set(homes)
    assert pool.pins_changed() == []
    again = Pool(members("c", "b", "a"))
    again.load(kept, NOW + 60)
    assert {name: turn(again, NOW + 60, name).order[0] for name in homes} == homes


def test_what_another_process_heard_counts_here() -> None:
    pool = Pool(members("a", "b"))
    home = turn(pool, NOW).order[0]
    pool.heard(Heard(home, MODEL, Cause.QUOTA, NOW + 600), NOW)
    assert turn(pool, NOW + 1).order[0] != home
    pool.load([Kept("t", home, NOW)], NOW)
    assert turn(pool, NOW + 601, "t").order[0] == home


def test_what_was_told_here_is_there_for_others_once() -> None:
    """Limits and refusals hold for every process, a bad road does not."""
    pool = Pool(members("a"))
    turn(pool, NOW, outcome=failure(Cause.RATE_LIMIT, 60))
    assert pool.heard_changed() == [Heard("a", MODEL, Cause.RATE_LIMIT, NOW + 60)]
    assert pool.heard_changed() == []
    other = Pool(members("a"))
    for _ in range(3):
        turn(other, NOW, outcome=failure(Cause.SERVER))
    assert other.heard_changed() == []
    other = Pool(members("a"))
    for cause in (Cause.QUOTA, Cause.CREDENTIALS, Cause.MODEL):
        turn(other, NOW, outcome=failure(cause))
    assert other.heard_changed() == []
    other = Pool(members("a"))
    other.heard(Heard("a", MODEL, Cause.RATE_LIMIT, NOW - 1), NOW)
    assert other.select(demand(), NOW).order == ("a",)
    other.heard(Heard("a", MODEL, Cause.RATE_LIMIT, NOW + 60), NOW)
    assert other.heard_changed() == []
    assert other.select(demand(), NOW).wait == Wait(NOW + 60, "quota")


def test_readings_are_told_once_and_recalled() -> None:
    """B111: quotas outlive the process."""
    pool = Pool(members("a"))
    pool.usage("a", usage(100, 10, after=600), NOW)
    told = pool.readings_changed()
    assert [(name, window.seconds, window.used) for name, window in told] == [
        ("a", 18_000, 1.0),
        ("a", 604_800, 0.1),
    ]
    assert pool.readings_changed() == []
    again = Pool(members("a"))
    for name, window in told:
        again.recall(name, [window])
    assert again.select(demand(), NOW + 5).wait == Wait(NOW + 600, "quota")
    assert again.readings_changed() == []


def test_what_nobody_fetches_is_bounded() -> None:
    pool = Pool(members("a"))
    for number in range(2000):
        turn(pool, NOW, model=f"m{number}", outcome=failure(Cause.RATE_LIMIT, 60))
        limits = {"rate_limit": usage(5)["rate_limit"], "limit_name": f"n{number}"}
        pool.usage("a", {**usage(5), "additional_rate_limits": [limits]}, NOW)
    assert len(pool.heard_changed()) == 1024
    assert len(pool.readings_changed()) <= 1024 + 4


def test_the_model_that_rests_alone_is_shown() -> None:
    pool = Pool(members("a"))
    turn(pool, NOW, outcome=failure(Cause.MODEL))
    (row,) = pool.describe(NOW)
    assert row["state"] == "ok"
    assert row["models_resting"] == {MODEL: {"why": "model not entitled", "until": NOW + 600}}
    assert pool.select(demand(), NOW).why == "nobody else is left: a is asked although model not entitled"
    assert pool.select(demand(model="gpt-5.4"), NOW).order == ("a",)


def test_the_last_failure_of_an_account_is_shown() -> None:
    """One of the request alone is none of the account's; a success does not take it away."""
    pool = Pool(members("a"))
    turn(pool, NOW, outcome=failure(Cause.CONTEXT))
    assert pool.describe(NOW)[0]["setback"] is None
    turn(pool, NOW + 1, outcome=failure(Cause.SERVER))
    turn(pool, NOW + 2)
    assert pool.describe(NOW + 3)[0]["setback"] == {
        "at": NOW + 1,
        "why": "failing",
        "status": None,
        "model": MODEL,
    }


def test_an_account_whose_windows_are_spent_is_shown_cooling() -> None:
    pool = Pool(members("a"))
    pool.usage("a", usage(100, after=500), NOW)
    (row,) = pool.describe(NOW)
    assert (row["state"], row["why"], row["until"]) == ("cooling", "quota", NOW + 500)


def test_snapshots_are_kept_for_a_bounded_number_of_models() -> None:
    pool = Pool(members("a"))
    for number in range(100):
        pool.candidates(NOW, f"m{number}")
    assert len(pool._views) == 16


def test_a_snapshot_is_renewed_when_something_happened_or_time_has_passed() -> None:
    pool = Pool(members("a", "b"))
    first = list(pool.candidates(NOW, MODEL))
    assert next(iter(pool.candidates(NOW + 1, MODEL))) is first[0]
    pool.usage("b", usage(50), NOW)
    renewed = pool.candidates(NOW + 1, MODEL)
    assert renewed[0] is first[0] and renewed[1] is not first[1]
    assert pool.candidates(NOW + 6, MODEL)[0] is not first[0]


def test_work_alone_is_counted_anew_without_a_snapshot() -> None:
    pool = Pool(members("a", "b", concurrency=1))
    first = list(pool.candidates(NOW, MODEL))
    free = first[1].strain
    lease = pool.started("b", NOW, model=MODEL)
    a, b = pool.candidates(NOW + 1, MODEL)
    assert b is first[1] and (b.in_flight, b.closed) == (1, "concurrency") and b.strain > free
    assert (a.in_flight, a.closed) == (0, "")
    pool.ended(lease)
    b = pool.candidates(NOW + 1, MODEL)[1]
    assert (b.in_flight, b.closed, b.strain) == (0, "", free)


class Traffic(RuleBasedStateMachine):
    """Any order of requests, endings, failures, refreshes and changes of the accounts."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.pool = Pool(members("a", "b", "c", concurrency=2), pins=8)
        self.open: list[Lease] = []

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 30.0, 3700.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        affinity=st.sampled_from([None, *"stuvwxyz"]),
        model=st.sampled_from([MODEL, "other"]),
        cached=st.sampled_from([0, 50_000]),
    )
    def ask(self, affinity: str | None, model: str, cached: int) -> None:
        before = None if affinity is None else self.pool.pins.get(affinity, self.now)
        home = before and before.account
        choice = self.pool.select(demand(affinity, model=model, cached_tokens=cached), self.now)
        if home in choice.order:
            # A usable pin is never left.
            assert choice.order[0] == home
        if not choice.order:
            assert choice.wait is not None
            return
        name = choice.order[0]
        # What the snapshot says is so; the only account is asked against our own caution.
        assert self.pool.may_start(name, model, self.now) or "nobody else is left" in choice.why
        self.open.append(self.pool.started(name, self.now, model=model, affinity=affinity))

    @rule(which=st.integers(0), cause=st.sampled_from([None, *Cause]), wait=st.none() | st.floats(-10, 1e9))
    def end(self, which: int, cause: Cause | None, wait: float | None) -> None:
        if self.open:
            lease = self.open.pop(which % len(self.open))
            failed = None if cause is None else UpstreamFailure(cause, retry_after=wait)
            self.pool.report(lease, Outcome(failed), self.now)
            self.pool.ended(lease)

    @rule(name=st.sampled_from("abc"), used=st.sampled_from([0, 50, 100]))
    def refresh(self, name: str, used: float) -> None:
        self.pool.usage(name, usage(used), self.now)

    @rule(version=st.integers(0, 3), left=st.sampled_from(["abc", "ab", "ca"]))
    def change(self, version: int, left: str) -> None:
        self.pool.replace(members(*left, concurrency=2, version=version))
        self.open = [lease for lease in self.open if lease.account in left]

    @invariant()
    def no_account_is_above_its_concurrency(self) -> None:
        assert all(0 <= count <= 2 for count in self.pool.in_flight().values())

    @invariant()
    def the_memory_is_bounded(self) -> None:
        assert len(self.pool.pins) <= 8
        self.pool.describe(self.now)

    def teardown(self) -> None:
        for lease in self.open:
            self.pool.ended(lease)
        assert not any(self.pool.in_flight().values())


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
