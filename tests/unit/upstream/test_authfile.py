"""The auth.json of a Codex client: what is read, what is said about a broken one, and the way back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.upstream import authfile
from dragoman.upstream.authfile import AuthFileError, Claims, claims_of, export, identity, parse
from tests.support.logins import FAR, document, jwt


def read(made: Any) -> authfile.Login:
    return parse(json.dumps(made).encode())


def test_a_login_is_read_with_what_its_tokens_say() -> None:
    login = read(document("acct-1") | {"last_refresh": "2026-11-01T00:00:00Z"})
    assert login.account_id == "acct-1"
    assert login.refresh_token == "rt-acct-1"
    assert login.expires_at == FAR
    assert login.claims.email == "acct-1@example.com"
    assert (login.claims.plan, login.claims.user_id) == ("plus", "u-acct-1")
    assert login.last_refresh == 1_793_491_200
    assert login.identity.startswith("acct-1:")


def test_camel_case_and_a_mark_in_front_are_read_alike() -> None:
    made = document("acct-1")
    tokens = made["tokens"]
    camel = {
        "openaiApiKey": "sk-x",
        "tokens": {
            "idToken": tokens["id_token"],
            "accessToken": tokens["access_token"],
            "refreshToken": tokens["refresh_token"],
            "accountId": "acct-1",
        },
        "lastRefreshAt": made["last_refresh"],
    }
    login = parse(b"\xef\xbb\xbf" + json.dumps(camel).encode() + b"\n")
    expected = read({**made, "OPENAI_API_KEY": "sk-x"})
    assert login == expected


def test_a_snake_case_field_comes_first_and_blank_is_absent() -> None:
    login = read(document("acct-1", accountId="other", account_id="mine"))
    assert login.account_id == "mine"
    assert read(document("acct-1", accountId="other", account_id="  ")).account_id == "other"


def test_what_goes_out_comes_in_again() -> None:
    login = read(document("acct-1"))
    assert parse(export(login)) == login
    assert set(json.loads(export(login))) == {"OPENAI_API_KEY", "tokens", "last_refresh"}
    opaque = read(document("acct-1", id_token=None) | {"last_refresh": None})
    assert parse(export(opaque)) == opaque


def test_nothing_secret_is_in_a_repr() -> None:
    login = read(document("acct-1") | {"OPENAI_API_KEY": "sk-secret"})
    for secret in (login.access_token, login.refresh_token, login.id_token, "sk-secret"):
        assert secret is not None and secret not in repr(login)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"{", "is no JSON:"),
        (b"\xff\xfe", "is no JSON:"),
        (b"[]", "no JSON object"),
        (b"null", "no JSON object"),
        (b"{}", "no object `tokens`"),
        (b'{"tokens": []}', "no object `tokens`"),
        (b'{"tokens": null, "OPENAI_API_KEY": "sk-x"}', "kind openai"),
        (b'{"tokens": {}}', "refresh_token is missing"),
        (b'{"tokens": {"access_token": "a", "refresh_token": ""}}', "refresh_token is missing"),
        (b'{"tokens": {"access_token": "a", "refresh_token": 5}}', "refresh_token is missing"),
        (b'{"tokens": {"refresh_token": "r"}}', "access_token is missing"),
        (b'{"tokens": {"access_token": "a\\nb", "refresh_token": "r"}}', "no token has"),
        (b'{"tokens": {"access_token": "a", "refresh_token": "r"}}', "name no account"),
        (
            b'{"tokens": {"access_token": "a", "refresh_token": "r", "account_id": "x\\r\\ny: z"}}',
            "export it anew",
        ),
        (b" " * (authfile.MOST_BYTES + 1), "too large"),
    ],
)
def test_a_broken_file_is_one_sentence_that_says_what_to_do(content: bytes, word: str) -> None:
    with pytest.raises(AuthFileError, match=word) as caught:
        parse(content)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "token",
    [None, "", "opaque", "a.b.c", "a.!!.c", "..", jwt()[:40], "x." + "e30" + ".y", "x.WzFd.y", "x.bnVsbA.y"],
)
def test_a_token_that_says_nothing_is_no_fault(token: str | None) -> None:
    assert claims_of(token) == Claims()


@pytest.mark.parametrize("value", ["soon", True, -5, 0, 1e15, None, [], {}])
def test_an_odd_end_is_no_end(value: Any) -> None:
    assert claims_of(jwt(value)).expires_at is None


def test_claims_are_taken_from_the_outer_object_where_the_inner_lacks_them() -> None:
    found = claims_of(jwt("1900000000", None, chatgpt_account_id="a", organization_id="org", email=" a@b "))
    assert found == Claims("a@b", None, 1_900_000_000.0, "a", None, None, "org")


def test_seats_of_one_account_are_told_apart_and_one_seat_stays_one() -> None:
    names = {
        identity("a", Claims(email="x@example.com")),
        identity("a", Claims(email="y@example.com")),
        identity("a", Claims(email="x@example.com", workspace="w1")),
        identity("a", Claims(email="x@example.com", workspace="w2")),
        identity("b", Claims(email="x@example.com")),
        identity("a", Claims()),
        identity(None, Claims(email="x@example.com")),
    }
    assert len(names) == 7
    assert identity("a", Claims(email="X@Example.com")) == identity("a", Claims(email="x@example.com"))
    assert not any("example.com" in name for name in names)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-01T00:00:00.123456789Z", 1_793_491_200.123456),
        ("2026-11-01T01:00:00+01:00", 1_793_491_200),
        ("2026-11-01T00:00:00", 1_793_491_200),
        (1_793_491_200, 1_793_491_200),
        ("yesterday", None),
        (None, None),
    ],
)
def test_last_refresh_in_every_spelling(text: Any, seconds: float | None) -> None:
    found = read(document("a") | {"last_refresh": text}).last_refresh
    assert found == (None if seconds is None else pytest.approx(seconds))
