"""What upstreams say of their limits, in every spelling, and junk that must not hurt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.routing.readings import (
    MAIN,
    Credits,
    Window,
    credits_from,
    from_event,
    from_headers,
    from_usage,
    meter_name,
    number,
)
from dragoman.simulator import limits
from dragoman.simulator.accounts import Account

NOW = 1_795_780_800.0
DAY = 86_400
MINUTES = {"x-codex-primary-window-minutes": "300", "x-codex-secondary-window-minutes": "10080"}


def headers(**fields: str) -> dict[str, str]:
    return {f"x-codex-primary-{name.replace('_', '-')}": value for name, value in fields.items()}


def test_both_windows_of_an_answer() -> None:
    told = {
        **MINUTES,
        "X-Codex-Primary-Used-Percent": "12.5",
        "x-codex-primary-reset-after-seconds": "600",
        "x-codex-primary-reset-at": str(int(NOW) + 99_999),
        "x-codex-secondary-used-percent": "100",
        "x-codex-secondary-reset-at": str(int(NOW) + DAY),
        "x-codex-primary-over-secondary-limit-percent": "",
        "x-codex-plan-type": "plus",
        "content-type": "text/event-stream",
    }
    assert from_headers(told, NOW) == [
        Window(MAIN, 18_000, 0.125, NOW + 600, NOW, "header"),
        Window(MAIN, 604_800, 1.0, NOW + DAY, NOW, "header"),
    ]


def test_a_window_is_what_its_length_says_not_its_slot() -> None:
    weekly_first = headers(used_percent="40", window_minutes="10080")
    assert [window.seconds for window in from_headers(weekly_first, NOW)] == [604_800]


@pytest.mark.parametrize(
    ("fields", "resets_at"),
    [
        ({}, None),
        ({"reset_after_seconds": ""}, None),
        ({"reset_after_seconds": "-5"}, None),
        ({"reset_after_seconds": "0"}, NOW),
        ({"reset_after_seconds": "1e300"}, NOW + 8 * DAY),
        ({"reset_at": "0"}, None),
        ({"reset_at": "12"}, NOW),
        ({"reset_at": str(NOW + 400 * DAY)}, NOW + 8 * DAY),
        ({"reset_at": str((NOW + 60) * 1000)}, NOW + 60),
        ({"reset_after_seconds": "junk", "reset_at": str(NOW + 60)}, NOW + 60),
    ],
)
def test_resets_are_sane(fields: dict[str, str], resets_at: float | None) -> None:
    (window,) = from_headers(headers(used_percent="50", window_minutes="300", **fields), NOW)
    assert window.resets_at == resets_at


@pytest.mark.parametrize(
    "fields",
    [
        {"used_percent": "", "window_minutes": "300"},
        {"used_percent": "nan", "window_minutes": "300"},
        {"used_percent": "inf", "window_minutes": "300"},
        {"used_percent": "50", "window_minutes": ""},
        {"used_percent": "50", "window_minutes": "0"},
        {"used_percent": "50", "window_minutes": "-300"},
        {"used_percent": "50", "window_minutes": "1e12"},
        {"used_percent": "50"},
        {"window_minutes": "300"},
    ],
)
def test_what_makes_no_sense_is_no_window(fields: dict[str, str]) -> None:
    assert from_headers(headers(**fields), NOW) == []


def test_use_below_nothing_is_nothing_and_above_all_is_kept() -> None:
    (window,) = from_headers(headers(used_percent="-3", window_minutes="300"), NOW)
    assert window.used == 0
    (window,) = from_headers(headers(used_percent="130", window_minutes="300"), NOW)
    assert window.used == 1.3


def test_a_named_family_is_a_meter_of_its_own() -> None:
    told = {
        "x-codex-bengalfox-limit-name": "GPT-5.3 Codex_Spark",
        "x-codex-bengalfox-primary-used-percent": "70",
        "x-codex-bengalfox-primary-window-minutes": "300",
        "x-other-primary-used-percent": "30",
        "x-other-primary-window-minutes": "300",
        "x-other-limit-name": "",
    }
    found = {window.meter: window.used for window in from_headers(told, NOW)}
    assert found == {"gpt-5.3-codex-spark": 0.7, "other": 0.3}


def test_the_buckets_of_the_public_api() -> None:
    told = {
        "x-ratelimit-limit-requests": "400",
        "x-ratelimit-remaining-requests": "300",
        "x-ratelimit-reset-requests": "12s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "0",
    }
    assert from_headers(told, NOW) == [
        Window("requests", 60, 0.25, NOW + 12, NOW, "header"),
        Window("tokens", 60, 1.0, None, NOW, "header"),
    ]
    assert from_headers({"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "1"}, NOW) == []


def test_an_event_with_either_spelling_of_the_reset() -> None:
    event = {
        "type": "codex.rate_limits",
        "rate_limits": {
            "primary": {"used_percent": 5, "window_minutes": 300, "resets_at": NOW + 100},
            "secondary": {"used_percent": 6.0, "window_minutes": 10_080, "reset_at": NOW + 200},
        },
    }
    assert [(w.seconds, w.used, w.resets_at) for w in from_event(event, NOW)] == [
        (18_000, 0.05, NOW + 100),
        (604_800, 0.06, NOW + 200),
    ]


@pytest.mark.parametrize(
    ("names", "meter"),
    [
        ({}, MAIN),
        ({"limit_id": "codex"}, MAIN),
        ({"limit_name": None, "metered_limit_name": "Codex"}, MAIN),
        ({"metered_limit_name": "codex_bengalfox"}, "codex-bengalfox"),
        ({"limit_name": "gpt-5.3-codex-spark", "limit_id": "codex_bengalfox"}, "gpt-5.3-codex-spark"),
        ({"limit_id": 7}, MAIN),
    ],
)
def test_an_event_of_a_named_meter_is_kept_apart(names: dict[str, Any], meter: str) -> None:
    event = {**names, "rate_limits": {"primary": {"used_percent": 100, "window_minutes": 300}}}
    assert [window.meter for window in from_event(event, NOW)] == [meter]


def test_a_slot_that_says_nothing_is_passed_over() -> None:
    limits_told = {"primary": {"used_percent": 5}, "secondary": {"used_percent": 6, "window_minutes": 300}}
    assert [window.used for window in from_event({"rate_limits": limits_told}, NOW)] == [0.06]
    assert from_event({"rate_limits": "junk"}, NOW) == []
    assert from_usage({"additional_rate_limits": {}}, NOW) == []


def test_the_usage_page() -> None:
    document = {
        "plan_type": "plus",
        "rate_limit": {
            "primary_window": None,
            "secondary_window": {
                "used_percent": 30,
                "limit_window_seconds": 604_800,
                "reset_after_seconds": 3600,
                "reset_at": NOW + 1,
            },
        },
        "additional_rate_limits": [
            {
                "limit_name": "GPT-5.3-Codex-Spark",
                "metered_feature": "codex_bengalfox",
                "rate_limit": {"primary_window": {"used_percent": 9, "limit_window_seconds": 18_000}},
            },
            {"limit_name": "codex", "rate_limit": {"primary_window": {"used_percent": 9}}},
            "junk",
        ],
    }
    assert from_usage(document, NOW) == [
        Window(MAIN, 604_800, 0.3, NOW + 3600, NOW, "usage"),
        Window("gpt-5.3-codex-spark", 18_000, 0.09, None, NOW, "usage"),
    ]


def test_what_the_simulator_says_is_understood() -> None:
    account = Account("one", "codex", "token")
    by_header = from_headers(limits.headers(account, NOW), NOW)
    by_event = from_event(limits.rate_limits_event(account, NOW), NOW)
    by_usage = from_usage(limits.usage_page(account, NOW), NOW)
    shapes = [[(w.meter, w.seconds, w.used) for w in ws] for ws in (by_header, by_event, by_usage)]
    assert shapes == [[(MAIN, 18_000, 0.0), (MAIN, 604_800, 0.0)]] * 3


@pytest.mark.parametrize(
    ("told", "paid"),
    [
        ({}, None),
        ({"credits": None}, None),
        ({"credits": {"balance": "5"}}, None),
        (
            {"credits": {"has_credits": True, "unlimited": False, "balance": "12.50"}},
            Credits(True, False, 12.5, NOW),
        ),
        (
            {"X-Codex-Credits-Has-Credits": "True", "x-codex-credits-unlimited": "False"},
            Credits(True, False, None, NOW),
        ),
        ({"x-codex-credits-has-credits": ""}, None),
        (
            {"x-codex-credits-has-credits": "False", "x-codex-credits-balance": ""},
            Credits(False, False, None, NOW),
        ),
    ],
)
def test_credits(told: dict[str, Any], paid: Credits | None) -> None:
    assert credits_from(told, NOW) == paid


@pytest.mark.parametrize(
    ("paid", "usable"),
    [
        (Credits(True, False, None, NOW), True),
        (Credits(True, False, 3.0, NOW), True),
        (Credits(True, False, 0.0, NOW), False),
        (Credits(False, False, 3.0, NOW), False),
        (Credits(False, True, None, NOW), True),
    ],
)
def test_credits_are_usable_while_some_are_left(paid: Credits, usable: bool) -> None:
    assert paid.usable is usable


@pytest.mark.parametrize(
    ("value", "figure"),
    [
        ("1.5", 1.5),
        (2, 2.0),
        (True, None),
        (None, None),
        ("x", None),
        (10**400, None),
        ("-inf", None),
        ([], None),
    ],
)
def test_number(value: Any, figure: float | None) -> None:
    assert number(value) == figure


def test_a_meter_name_is_bounded() -> None:
    assert len(meter_name("x" * 500)) == 64
    assert meter_name(None, " ", "Codex") == MAIN


JUNK = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "rate_limit",
                    "rate_limits",
                    "primary",
                    "primary_window",
                    "used_percent",
                    "window_minutes",
                    "limit_window_seconds",
                    "reset_at",
                    "resets_at",
                    "reset_after_seconds",
                    "credits",
                    "has_credits",
                    "additional_rate_limits",
                    "limit_name",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
NAMES = st.sampled_from(
    [
        f"x-{limit}-{rest}"
        for limit in ("codex", "codex-a", "ratelimit", "")
        for rest in (
            "primary-used-percent",
            "primary-window-minutes",
            "secondary-reset-at",
            "primary-reset-after-seconds",
            "limit-name",
            "limit-requests",
            "remaining-requests",
            "reset-requests",
            "credits-balance",
            "credits-has-credits",
        )
    ]
)
FIGURES = st.sampled_from(
    ["", "0", "-1", "50", "100", "300", "1e999", "nan", "True", "\x00", "9" * 400, "6m0s"]
)


@given(
    st.dictionaries(NAMES, FIGURES | st.text(max_size=6)), st.dictionaries(st.text(max_size=9), JUNK), JUNK
)
def test_junk_raises_nothing_and_yields_sane_windows(
    fields: dict[str, str], document: dict[str, Any], inner: Any
) -> None:
    document |= {
        "rate_limit": inner,
        "rate_limits": inner,
        "additional_rate_limits": [inner, {"rate_limit": inner}],
    }
    windows = from_headers(fields, NOW) + from_event(document, NOW) + from_usage(document, NOW)
    for window in windows:
        assert 0 <= window.used <= 100
        assert window.seconds >= 1
        assert window.resets_at is None or NOW <= window.resets_at <= NOW + 8 * DAY
    credits_from(fields, NOW)
    credits_from(document, NOW)
