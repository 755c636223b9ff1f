"""Cookies, origins, addresses: what a request shows of where it is from."""

from __future__ import annotations

import pytest

from dragoman.web.admin import auth
from dragoman.wire.errors import Kind, Refused


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:8787", "origin": "http://127.0.0.1:8787"},
        {"host": "Gate.Example", "origin": "https://gate.example"},
        {"host": "gate.example:443", "origin": "https://gate.example"},
        {"host": "gate.example", "origin": "http://gate.example:80"},
        {"host": "[::1]:8787", "origin": "http://[::1]:8787"},
        {"host": "gate.example"},
        {"host": "gate.example", "sec-fetch-site": "same-origin"},
        {"host": "gate.example", "sec-fetch-site": "none"},
    ],
)
def test_pages_of_this_server_may_change_things(headers: dict[str, str]) -> None:
    auth.check_origin(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "gate.example", "origin": "null"},
        {"host": "gate.example", "origin": ""},
        {"host": "gate.example", "origin": "https://evil.example"},
        {"host": "gate.example", "origin": "https://gate.example.evil.example"},
        {"host": "gate.example", "origin": "https://evil-gate.example"},
        {"host": "gate.example", "origin": "https://gate.example:8443"},
        {"host": "gate.example:8787", "origin": "http://gate.example"},
        {"host": "gate.example", "origin": "file://gate.example"},
        {"host": "gate.example", "origin": "https://gate.example:99999999"},
        {"host": "gate.example:99999999", "origin": "https://gate.example"},
        {"host": "", "origin": "http://"},
        {"origin": "http://gate.example"},
        {"host": "gate.example", "sec-fetch-site": "cross-site"},
        {"host": "gate.example", "sec-fetch-site": "same-site"},
    ],
)
def test_pages_of_others_may_not(headers: dict[str, str]) -> None:
    """reliability X7: CSRF, the origin's half."""
    with pytest.raises(Refused) as refused:
        auth.check_origin(headers)
    assert refused.value.failure.kind is Kind.PERMISSION


def test_the_cookie_is_kept_from_scripts_and_other_sites() -> None:
    """reliability X7"""
    assert auth.cookie("t", secure=True) == (
        "dragoman_session=t; Path=/admin; Max-Age=43200; HttpOnly; SameSite=Lax; Secure"
    )
    assert auth.cookie("t", secure=False).endswith("SameSite=Lax")
    assert "Max-Age=0" in auth.cookie("", secure=False, seconds=0)


def test_the_cookie_is_secure_where_the_browser_speaks_https() -> None:
    assert auth.is_secure({"scheme": "https"}, {})
    assert auth.is_secure({"scheme": "http"}, {"origin": "https://gate.example"})
    assert not auth.is_secure({"scheme": "http"}, {"origin": "http://gate.example"})
    assert not auth.is_secure({}, {})


@pytest.mark.parametrize(
    ("cookie", "token"),
    [
        ("", ""),
        ("dragoman_session=abc", "abc"),
        ("a=b; dragoman_session=abc; c=d", "abc"),
        ("xdragoman_session=abc", ""),
        ("dragoman_session", ""),
        ('a="; dragoman_session=abc', "abc"),
    ],
)
def test_the_session_is_found_among_other_cookies(cookie: str, token: str) -> None:
    assert auth.session_token({"cookie": cookie}) == token


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2::9%eth0", 1), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("somewhere", 0), "somewhere"),
        (None, "unknown"),
    ],
)
def test_attempts_are_counted_by_what_one_machine_can_have(client: object, counted: str) -> None:
    assert auth.neighbourhood({"client": client}) == counted
