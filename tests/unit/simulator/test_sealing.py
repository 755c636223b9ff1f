"""Sealed reasoning and turn states."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from dragoman.simulator.sealing import PREFIX, Claims, Sealer

CLAIMS = Claims("rs_1", "resp_1", 7, "org-1", "gpt-5.5", "function_call", 120)


def test_a_seal_opens_to_its_claims_and_has_the_size_asked_for() -> None:
    sealer = Sealer(1)
    for size in (600, 1024, 8192):
        sealed = sealer.mint(CLAIMS, size)
        assert sealed.startswith(PREFIX)
        assert abs(len(sealed) - size) < 16
        assert sealer.open(sealed) == CLAIMS
        assert sealer.tokens(sealed) == 120


def test_equal_claims_give_equal_seals() -> None:
    assert Sealer(1).mint(CLAIMS) == Sealer(1).mint(CLAIMS)


def test_another_simulators_seal_does_not_open() -> None:
    sealed = Sealer(2).mint(CLAIMS)
    assert Sealer(1).open(sealed) is None
    assert Sealer(1).tokens(sealed) == 0


@given(st.data())
def test_any_edit_is_noticed(data: st.DataObject) -> None:
    sealer = Sealer(1)
    sealed = sealer.mint(CLAIMS, 300)
    at = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_=+ é"))
    edited = sealed[:at] + other + sealed[at + 1 :]
    assert (sealer.open(edited) == CLAIMS) is (edited == sealed)


@given(st.text(max_size=60))
def test_junk_does_not_open(text: str) -> None:
    assert Sealer(1).open(text) is None
    assert Sealer(1).open(PREFIX + text) is None


def test_a_turn_state_names_its_machine_to_its_account_only() -> None:
    sealer = Sealer(1)
    pin = sealer.mint_pin("a1", 5)
    assert sealer.open_pin("a1", pin) == 5
    assert sealer.open_pin("a2", pin) is None
    assert sealer.open_pin("a1", "ts_x_1") is None
    assert sealer.open_pin("a1", "junk") is None
