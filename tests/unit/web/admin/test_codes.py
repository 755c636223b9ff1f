"""Second factors: the RFC's own figures, the window around now, and the spelling of recovery codes."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.web.admin import codes

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_codes_of_rfc_6238(at: int, code: str) -> None:
    """RFC 6238, appendix B, the last six digits."""
    assert codes.code_at(SECRET, at) == code
    assert codes.step_of(SECRET, code, at) == at // 30


@given(st.integers(60, 2**40), st.integers(-90, 90))
def test_a_code_is_good_for_one_step_around_now(now: int, off: int) -> None:
    code = codes.code_at(SECRET, max(0, now + off))
    found = codes.step_of(SECRET, code, now)
    away = (now + off) // 30 - now // 30
    if abs(away) <= 1:
        # Two steps may have the same code by chance, then the nearest counts.
        assert found is not None
        assert codes.code_at(SECRET, found * 30) == code
    else:
        assert found is None or codes.code_at(SECRET, found * 30) == code


@pytest.mark.parametrize(
    "text", ["", "28708", "2870822", "28708a", "２８７０８２", "287082\n1", "-87082", "None"]
)
def test_what_is_no_code_belongs_to_no_step(text: str) -> None:
    assert codes.step_of(SECRET, text, 59) is None


def test_a_code_may_be_typed_in_groups() -> None:
    assert codes.step_of(SECRET, " 287 082 ", 59) == 1


def test_the_secret_is_what_authenticators_take() -> None:
    secret = codes.new_secret()
    assert len(secret) == 20
    assert base64.b32decode(codes.spelled(secret)) == secret
    uri = codes.address(secret, "ada")
    assert uri.startswith("otpauth://totp/dragoman:ada?")
    assert f"secret={codes.spelled(secret)}" in uri
    assert "issuer=dragoman" in uri


def test_ten_recovery_codes_that_differ() -> None:
    made = codes.new_recovery_codes()
    assert len(set(made)) == 10
    for code in made:
        assert codes.recovery_code(code) == code
        assert codes.recovery_code(f" {code.upper().replace('-', ' ')} ") == code


@pytest.mark.parametrize("text", ["", "123456", "abcde-fghi", "abcde-fghijk", "abcde-fghi!", "äbcde-fghij"])
def test_what_cannot_be_a_recovery_code_is_none(text: str) -> None:
    assert codes.recovery_code(text) is None
