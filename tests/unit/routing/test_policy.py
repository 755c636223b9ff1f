"""Who may be asked, in which order, and when it is better to wait: tables over snapshots."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.routing.policy import (
    HOLD_SECONDS,
    STRATEGIES,
    Candidate,
    Choice,
    Demand,
    Strategy,
    Wait,
    choose,
    patience,
    refusal,
)

NOW = 1_795_780_800.0
MODEL = "gpt-5.5"
SOL: dict[str, Any] = {"fresh_nano": 5000, "cached_nano": 500}


def account(name: str, **fields: Any) -> Candidate:
    return Candidate(name, fields.pop("kind", "chatgpt"), **fields)


def out(name: str, why: str, seconds: float | None, blame: Any = "overload", **fields: Any) -> Candidate:
    until = None if seconds is None else NOW + seconds
    return account(name, usable=False, why=why, until=until, blame=blame, **fields)


def pick(*candidates: Candidate, demand: Demand | None = None, **options: Any) -> Choice:
    strategy: Strategy = options.pop("strategy", "affinity")
    return choose(strategy, candidates, demand or Demand(MODEL, affinity="s"), now=NOW, **options)


@pytest.mark.parametrize(
    ("fields", "demand", "word"),
    [
        ({}, {}, ""),
        ({"models": frozenset({MODEL})}, {}, ""),
        ({"models": frozenset({"other"})}, {}, "model"),
        ({"models": frozenset()}, {}, "model"),
        ({}, {"kinds": frozenset({"openai"})}, "kind"),
        ({}, {"kinds": frozenset({"chatgpt"})}, ""),
        ({"group": "a"}, {"groups": frozenset({"a", "b"})}, ""),
        ({"group": "c"}, {"groups": frozenset({"a", "b"})}, "scope"),
        ({}, {"groups": frozenset({"a"})}, "scope"),
        ({"plan": "free"}, {"plans": frozenset({"plus", "pro"})}, "plan"),
        ({"plan": "pro"}, {"plans": frozenset({"plus", "pro"})}, ""),
        ({}, {"plans": frozenset({"plus"})}, ""),
        ({"usable": False, "why": "quota"}, {}, "quota"),
        ({"concurrency": 2, "in_flight": 1}, {}, ""),
        ({"concurrency": 2, "in_flight": 2}, {}, "concurrency"),
    ],
)
def test_eligibility(fields: dict[str, Any], demand: dict[str, Any], word: str) -> None:
    candidate = account("a", **fields)
    assert refusal(candidate, Demand(MODEL, **demand)) == word
    choice = pick(candidate, demand=Demand(MODEL, **demand))
    assert choice.order == (() if word else ("a",))
    assert choice.refused == ({"a": word} if word else {})


# -- where a new conversation begins ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "candidates", "order"),
    [
        ("affinity", [account("a", headroom=0.2), account("b", headroom=0.9)], "ba"),
        ("affinity", [account("a", weight=1), account("b", weight=3)], "ba"),
        ("affinity", [account("a", lineages=0), account("b", weight=3, lineages=3)], "ab"),
        ("affinity", [account("a", in_flight=4, lineages=1), account("b", in_flight=0, lineages=3)], "ba"),
        ("affinity", [account("a", weight=0), account("b", lineages=500)], "ba"),
        ("headroom", [account("a", headroom=0.2), account("b", headroom=0.9, lineages=50)], "ba"),
        ("headroom", [account("a", in_flight=2), account("b", in_flight=1)], "ba"),
        ("headroom", [account("a", weight=0), account("b", headroom=0.01)], "ba"),
        ("fill-first", [account("a", headroom=0.01, lineages=9), account("b")], "ab"),
        ("fill-first", [account("a", weight=0), account("b")], "ba"),
        ("fill-first", [out("a", "quota", 60, "quota"), account("b")], "b"),
        ("affinity", [account("a", priority=0), account("b", priority=5, headroom=0.01)], "ba"),
        ("affinity", [account("a", priority=0), out("b", "quota", 60, priority=5)], "a"),
        ("fill-first", [account("a"), account("b", priority=-1), account("c")], "acb"),
    ],
)
def test_strategies(strategy: Strategy, candidates: list[Candidate], order: str) -> None:
    choice = pick(*candidates, strategy=strategy)
    assert choice.order == tuple(order)
    assert choice.move == "new"
    assert not choice.keep_pin
    assert choice.why.startswith(f"new session: {order[0]} by {strategy}, room ")


@pytest.mark.parametrize(
    ("weights", "turns"),
    [
        ((1, 1, 1), "abcabcabc"),
        ((1, 3, 1), "abbbcabbb"),
        ((0, 1, 1), "bcbcbcbcb"),
        ((0, 0, 0), "abcabcabc"),
        ((0.4, 1, 0), "ababababa"),
    ],
)
def test_round_robin_takes_turns_by_weight(weights: tuple[float, ...], turns: str) -> None:
    candidates = [account(name, weight=weight) for name, weight in zip("abc", weights, strict=True)]
    choices = [pick(*candidates, strategy="round-robin", cursor=cursor) for cursor in range(9)]
    assert "".join(choice.order[0] for choice in choices) == turns
    assert {len(choice.order) for choice in choices} == {3}


def test_of_equals_the_one_listed_first_goes_first() -> None:
    equals = [account("a"), account("b"), account("c")]
    assert pick(*equals).order == ("a", "b", "c")


def test_a_request_of_no_conversation() -> None:
    assert pick(account("a"), demand=Demand(MODEL)).why == "no session: a by affinity, room 1.00"


# -- where a conversation stays ---------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_a_conversation_stays_while_its_account_is_usable(strategy: Strategy) -> None:
    """B109: whatever the strategy, and however much better another account looks."""
    choice = pick(
        account("a", headroom=0.01, in_flight=40, priority=-3, weight=0),
        account("b"),
        strategy=strategy,
        pin="a",
        cursor=1,
    )
    assert (choice.order, choice.move, choice.keep_pin) == (("a", "b"), "stayed", True)
    assert choice.why == "stays on a"


def test_a_conversation_returns_when_its_account_is_back() -> None:
    """B110."""
    choice = pick(account("a"), account("b"), pin="a", stand_in="b", away=True)
    assert (choice.order[0], choice.move, choice.why) == ("a", "returned", "back on a")


@pytest.mark.parametrize(
    ("pinned", "move", "why"),
    [
        (out("a", "overloaded", 60), "stand_in", "a rests for 60 s (overloaded): b stands in"),
        (out("a", "quota", 1800, "quota"), "stand_in", "a rests for 1800 s (quota): b stands in"),
        (
            out("a", "quota", 1801, "quota"),
            "moved",
            "a is out (quota): moved to b, 70000 cached tokens lost",
        ),
        (
            out("a", "login needed", None, "login"),
            "moved",
            "a is out (login needed): moved to b, 70000 cached tokens lost",
        ),
        (
            out("a", "paused", None, "login"),
            "moved",
            "a is out (paused): moved to b, 70000 cached tokens lost",
        ),
        (
            out("a", "account closed", None, "login"),
            "moved",
            "a is out (account closed): moved to b, 70000 cached tokens lost",
        ),
        (
            account("a", group="x"),
            "moved",
            "a is out (scope): moved to b, 70000 cached tokens lost",
        ),
        (None, "moved", "a is out (removed): moved to b, 70000 cached tokens lost"),
        (account("a", models=frozenset({"other"})), "unfit", "a is unfit (model): b serves"),
        (out("a", "model not entitled", 3600, "none"), "unfit", "a is unfit (model not entitled): b serves"),
        (account("a", kind="openai"), "unfit", "a is unfit (kind): b serves"),
    ],
)
def test_only_a_lasting_absence_moves_a_conversation(pinned: Candidate | None, move: str, why: str) -> None:
    """B110: a temporary failover keeps the pin; B107: so does a side call that the account cannot serve."""
    demand = Demand(
        MODEL,
        affinity="s",
        cached_tokens=70_000,
        groups=frozenset({""}),
        kinds=frozenset({"chatgpt"}),
        waited=HOLD_SECONDS,
        **SOL,
    )
    choice = pick(*([] if pinned is None else [pinned]), account("b"), account("c"), demand=demand, pin="a")
    assert (choice.move, choice.why) == (move, why)
    assert choice.order[0] == "b"
    assert choice.keep_pin is (move != "moved")
    assert choice.hold_until is None
    assert choice.lost_nano == (0 if move == "unfit" else 70_000 * 4500)


def test_who_helped_out_helps_out_again() -> None:
    """Every change of the stand-in would cost the cache once more."""
    choice = pick(out("a", "overloaded", 60), account("b"), account("c", headroom=0.1), pin="a", stand_in="c")
    assert choice.order == ("c", "b")
    assert (choice.move, choice.lost_nano) == ("stand_in", 0)
    gone = pick(out("a", "overloaded", 60), account("b"), out("c", "quota", 60), pin="a", stand_in="c")
    assert gone.order == ("b",)


# -- moving or waiting ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cached", "fresh", "price", "seconds"),
    [
        (0, 5000, 500, 0.0),
        (2_000, 5000, 500, 0.9),
        (10_000, 5000, 500, 4.5),
        (10_000, 200, 20, 0.18),
        (100_000, 1250, 125, 10.0),
        (10_000, 0, 0, 1.125),
        (10_000, 500, 500, 0.0),
        (10_000, 500, 900, 0.0),
        (-5, 5000, 500, 0.0),
    ],
)
def test_patience_is_what_the_cache_is_worth(cached: int, fresh: int, price: int, seconds: float) -> None:
    demand = Demand(MODEL, cached_tokens=cached, fresh_nano=fresh, cached_nano=price)
    assert patience(demand) == pytest.approx(seconds)


FULL = account("a", concurrency=1, in_flight=1)


@pytest.mark.parametrize(
    ("pinned", "cached", "waited", "hold"),
    [
        # back soon, much to lose
        (out("a", "burst", 2.5), 100_000, 0.0, 2.5),
        (out("a", "burst", 2.5), 100_000, 7.4, 2.5),
        (out("a", "burst", 2.5), 100_000, 7.6, None),
        # back soon, little to lose
        (out("a", "burst", 2.5), 1_000, 0.0, None),
        (out("a", "burst", 0.3), 1_000, 0.0, 0.3),
        (out("a", "burst", 2.5), 0, 0.0, None),
        # much to lose, but not soon
        (out("a", "overloaded", 10.5), 1_000_000, 0.0, None),
        (out("a", "quota", 600.0), 1_000_000, 0.0, None),
        # nobody knows when a place becomes free: look again soon
        (FULL, 100_000, 0.0, 0.5),
        (FULL, 100_000, 9.4, 0.5),
        (FULL, 100_000, 9.6, None),
        (FULL, 500, 0.0, None),
        # a moment that has passed is no reason to ask without a pause
        (out("a", "burst", -1.0), 100_000, 0.0, 0.1),
        (out("a", "burst", -1.0), 0, 0.0, None),
        # it never comes back
        (out("a", "login needed", None, "login"), 1_000_000, 0.0, None),
    ],
)
def test_a_short_absence_is_waited_for_where_that_is_cheaper(
    pinned: Candidate, cached: int, waited: float, hold: float | None
) -> None:
    demand = Demand(MODEL, affinity="s", cached_tokens=cached, waited=waited, **SOL)
    choice = pick(pinned, account("b"), demand=demand, pin="a")
    held = None if choice.hold_until is None else choice.hold_until - NOW
    assert held == (None if hold is None else pytest.approx(hold, abs=1e-3))
    assert choice.order == ("b",)
    assert choice.wait is None
    if hold is not None:
        assert choice.keep_pin
        assert choice.why == (
            f"a is back in {hold:.1f} s ({refusal(pinned, demand)}): cheaper than {cached} cached tokens"
        )


def test_nobody_is_waited_for_where_the_stand_in_has_the_conversation_cached() -> None:
    demand = Demand(MODEL, affinity="s", cached_tokens=100_000, **SOL)
    choice = pick(out("a", "burst", 2.5), account("b"), demand=demand, pin="a", stand_in="b")
    assert (choice.order, choice.hold_until) == (("b",), None)


def test_a_stand_in_that_answered_another_speaker_of_the_session_has_nothing_cached() -> None:
    """A sub-agent was helped out; the main loop waits for its own account all the same."""
    demand = Demand(MODEL, affinity="s", cached_tokens=100_000, cached_on=lambda name: name == "c", **SOL)
    choice = pick(out("a", "burst", 2.5), account("b"), demand=demand, pin="a", stand_in="b")
    assert (choice.order, choice.hold_until) == (("b",), NOW + 2.5)
    late = pick(out("a", "burst", 60), account("c"), account("b"), demand=demand, pin="a", stand_in="b")
    assert (late.order, late.hold_until, late.lost_nano) == (("b", "c"), None, demand.lost_nano)
    known = pick(out("a", "burst", 2.5), account("c"), demand=demand, pin="a", stand_in="c")
    assert (known.hold_until, known.lost_nano) == (None, 0)


# -- nobody ----------------------------------------------------------------------------------------------

QUOTA = out("q", "quota", 3600, "quota")
LATER = out("r", "quota", 7200, "quota")
LOGIN = out("l", "login needed", None, "login")
BUSY = out("o", "overloaded", 40)
BARRED = out("m", "model not entitled", 3600, "none")
OTHER = account("x", models=frozenset({"other"}))


@pytest.mark.parametrize(
    ("candidates", "wait", "hold"),
    [
        ([], Wait(None, "none"), None),
        ([OTHER], Wait(None, "none"), None),
        ([BARRED, OTHER], Wait(None, "none"), None),
        ([account("g", group="a")], Wait(None, "none"), None),
        ([LOGIN, BARRED], Wait(None, "login"), None),
        ([LATER, QUOTA, LOGIN, OTHER], Wait(NOW + 3600, "quota"), None),
        ([QUOTA, BUSY], Wait(NOW + 40, "overload"), None),
        ([QUOTA, account("c", concurrency=1, in_flight=1)], Wait(NOW + 0.5, "overload"), 0.5),
        ([out("p", "probing", 1, "quota"), QUOTA], Wait(NOW + 1, "quota"), 1.0),
        ([out("o", "overloaded", None)], Wait(None, "overload"), None),
        ([out("o", "overloaded", 10)], Wait(NOW + 10, "overload"), 10.0),
    ],
)
def test_all_accounts_out(candidates: list[Candidate], wait: Wait, hold: float | None) -> None:
    """reliability E5: spent quota is an honest 429, overload a 529."""
    demand = Demand(MODEL, affinity="s", groups=frozenset({""}))
    for pin in (None, "q"):
        choice = pick(*candidates, demand=demand, pin=pin)
        assert (choice.order, choice.move, choice.wait) == ((), "refused", wait)
        assert choice.hold_until == (None if hold is None else NOW + hold)
        assert choice.keep_pin


def test_a_request_that_has_waited_is_not_held_for_ever() -> None:
    demand = Demand(MODEL, affinity="s", waited=HOLD_SECONDS - 0.2)
    choice = pick(out("o", "overloaded", 1), demand=demand)
    assert (choice.hold_until, choice.wait) == (None, Wait(NOW + 1, "overload"))


def test_the_reason_names_some_of_the_accounts() -> None:
    assert pick().why == "nobody can serve: no accounts"
    assert pick(QUOTA, LOGIN).why == "nobody can serve: q quota, l login needed"
    many = [replace(QUOTA, name=f"a{n}") for n in range(7)]
    assert pick(*many).why.endswith("a4 quota and 2 more")


CANDIDATES = st.lists(
    st.builds(
        Candidate,
        name=st.sampled_from("abcdefgh"),
        kind=st.sampled_from(["chatgpt", "openai"]),
        models=st.sampled_from([None, frozenset({MODEL}), frozenset({"other"})]),
        group=st.sampled_from(["", "a"]),
        weight=st.sampled_from([0, 0.5, 1, 7]),
        priority=st.integers(-1, 1),
        in_flight=st.integers(0, 4),
        concurrency=st.sampled_from([None, 1, 3]),
        lineages=st.integers(0, 5),
        headroom=st.floats(0, 1),
        usable=st.booleans(),
        until=st.none() | st.floats(NOW - 10, NOW + 10_000),
        cautious=st.booleans(),
        why=st.sampled_from(["quota", "probing", "overloaded", "paused", "login needed"]),
        blame=st.sampled_from(["quota", "overload", "login", "none"]),
    ),
    max_size=6,
    unique_by=lambda candidate: candidate.name,
)
DEMANDS = st.builds(
    Demand,
    model=st.just(MODEL),
    groups=st.sampled_from([None, frozenset({""}), frozenset({"a"})]),
    affinity=st.sampled_from([None, "s"]),
    cached_tokens=st.integers(0, 200_000),
    fresh_nano=st.sampled_from([0, 5000]),
    cached_nano=st.just(500),
    kinds=st.sampled_from([None, frozenset({"openai"})]),
    waited=st.floats(0, 20),
    tried=st.sampled_from([frozenset[str](), frozenset({"a", "b"})]),
)


@pytest.mark.parametrize(
    ("pin", "away", "move"),
    [(None, False, "new"), ("only", False, "stayed"), ("only", True, "returned"), ("gone", True, "stand_in")],
)
def test_who_is_asked_in_the_last_resort_is_told_from_where_the_session_comes(
    pin: str | None, away: bool, move: str
) -> None:
    choice = choose(
        "affinity",
        [out("only", "failing", 30, cautious=True)],
        Demand("gpt-5.5"),
        now=NOW,
        pin=pin,
        away=away,
    )
    assert (choice.order, choice.move) == (("only",), move)


@pytest.mark.parametrize(
    ("others", "asked"),
    [
        ([], True),
        # Nobody waits for an account that is spent until tomorrow, paused, or serves other models.
        ([out("q", "quota", 50_000, "quota")], True),
        ([out("p", "paused", None, "login")], True),
        ([account("m", models=frozenset({"other"}))], True),
        # Two that fail at once fail for what lies behind both; a full one is free again in a moment.
        ([out("o", "failing", 3, cautious=True)], False),
        ([account("f", concurrency=1, in_flight=1)], False),
    ],
)
def test_the_only_account_is_asked_although_it_rests_by_our_caution(
    others: list[Candidate], asked: bool
) -> None:
    tired = out("only", "failing", 30, cautious=True)
    choice = pick(tired, *others)
    assert choice.order == (("only",) if asked else ())
    if asked:
        assert (choice.move, choice.hold_until) == ("new", None)
        assert choice.why == "nobody else is left: only is asked although failing"
        assert pick(tired, *others, pin="only").move == "stayed"
        assert pick(tired, *others, pin="other").move == "stand_in"
        assert pick(tired, *others, demand=Demand(MODEL, tried=frozenset({"only"}))).order == ()


@pytest.mark.parametrize(
    ("why", "blame"), [("credentials refused", "login"), ("quota", "quota"), ("model not entitled", "none")]
)
def test_who_refused_without_a_term_is_asked_before_a_client_is_sent_away(why: str, blame: Any) -> None:
    """It may have been put right since, and to ask costs one quick refusal."""
    unsure = [out(name, why, 120, blame, cautious=True) for name in "ab"]
    assert pick(*unsure).order == ("a",)
    assert pick(*unsure, pin="b").order == ("b",)
    tried = Demand(MODEL, affinity="s", tried=frozenset({"a"}))
    assert pick(*unsure, demand=tried).order == ("b",)
    assert pick(*unsure, demand=replace(tried, tried=frozenset({"a", "b"}))).order == ()
    # Who is back in a moment is worth that moment.
    assert pick(*unsure, out("c", "burst", 3, "quota")).hold_until == NOW + 3
    assert pick(*unsure, account("c")).order == ("c",)


def test_two_that_fail_on_the_road_are_not_asked_before_their_time() -> None:
    both = [out(name, "failing", 30, cautious=True) for name in "ab"]
    assert pick(*both).order == ()


def test_the_only_account_rests_where_its_upstream_said_so() -> None:
    assert pick(out("only", "rate limit", 30, "quota")).order == ()


def test_who_was_tried_is_not_asked_again_and_keeps_its_conversations() -> None:
    tried = Demand(MODEL, affinity="s", tried=frozenset({"a"}))
    choice = pick(account("a"), account("b"), demand=tried, pin="a")
    assert (choice.order, choice.move, choice.keep_pin) == (("b",), "unfit", True)
    assert choice.refused == {"a": "tried"}
    nobody = pick(account("a"), demand=tried)
    assert nobody.wait == Wait(None, "none")


def test_who_was_tried_is_not_waited_for() -> None:
    tried = Demand(MODEL, affinity="s", cached_tokens=100_000, tried=frozenset({"a"}))
    alone = pick(out("a", "failing", 1), demand=tried)
    assert (alone.hold_until, alone.wait) == (None, Wait(None, "overload"))
    both = pick(out("a", "failing", 1), out("b", "failing", 3), demand=tried)
    assert (both.hold_until, both.wait) == (NOW + 3, Wait(NOW + 3, "overload"))
    other = pick(out("a", "failing", 1), account("b"), demand=tried, pin="a")
    assert (other.hold_until, other.order) == (None, ("b",))


@given(
    st.sampled_from(list(STRATEGIES)),
    CANDIDATES,
    DEMANDS,
    st.none() | st.sampled_from("abcdefgh"),
    st.none() | st.sampled_from("abcdefgh"),
    st.booleans(),
    st.integers(0, 1000),
)
def test_laws_of_every_choice(
    strategy: Strategy,
    candidates: list[Candidate],
    demand: Demand,
    pin: str | None,
    stand_in: str | None,
    away: bool,
    cursor: int,
) -> None:
    choice = choose(
        strategy,
        candidates,
        demand,
        now=NOW,
        pin=pin,
        stand_in=stand_in,
        away=away,
        cursor=cursor,
    )
    eligible = {candidate.name for candidate in candidates if not refusal(candidate, demand)}
    # Who may be asked is named once, nobody else is but the only one; a refusal has a reason.
    lone = [name for name in choice.order if name not in eligible]
    assert sorted({*choice.order} - {*lone}) == sorted(eligible)
    assert not lone or (not eligible and [one.cautious for one in candidates if one.name in lone] == [True])
    assert choice.hold_until is None or not lone
    assert choice.refused.keys() == {candidate.name for candidate in candidates} - eligible
    assert all(choice.refused.values())
    # A usable pin is never left.
    if pin in eligible:
        assert choice.order[0] == pin
        assert choice.keep_pin
        assert choice.hold_until is None
    # No account above its concurrency.
    for candidate in candidates:
        if candidate.name in choice.order and candidate.concurrency is not None:
            assert candidate.in_flight < candidate.concurrency
    # A hold is bounded, never empty, and always lets time pass.
    if choice.hold_until is not None:
        assert NOW < choice.hold_until <= NOW + HOLD_SECONDS - min(demand.waited, HOLD_SECONDS) + 1e-6
    assert (choice.wait is None) is bool(choice.order)
    assert choice.why
