from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.wire.scrub import LIMIT, name, scrub

SECRETS = {
    "an API key": "sk-proj-Ab12Cd34Ef56",
    "a masked API key": "sk-proj-********wxyz",
    "our own key": "sk-drg-0123456789abcdef",
    "a session key": "sess-0123456789",
    "a token": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "sealed reasoning": "gAAAAABoXyZ_0123456789==",
    "a bearer field": "Bearer abc.def",
    "an organisation": "org-AbCdEf0123456789",
    "an organisation without digits": "org-AbCdEfGhIjKlMnOpQrSt",
    "a short organisation": "org-planted",
    "a short key": "sk-short",
    "a project": "proj_AbC123def",
    "a user": "user-AbC123xyz",
    "a request id": "req_0123456789abcdef",
    "a response id": "resp_68a1b2c3_d4",
    "an item id": "rs_68a1b2c3d4e5f607",
    "an account uuid": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "an address": "someone@example.com",
    "a digest": "d41d8cd98f00b204e9800998ecf8427e",
    "a long mixed token": "A1" * 25,
    "a cookie that is set": "set-cookie: a=b1c2d3e4; Path=/; HttpOnly",
    "a cookie": "Cookie: sid=plantedcookie",
    "an edge's cookie": "__cf_bm=planted.cookie-1",
    "a session cookie": "__Secure-next-auth.session-token=planted",
    "a private address": "10.12.0.7",
    "a private address with a port": "192.168.1.20:8080",
    "another private address": "172.31.255.1:443",
    "its own address": "127.0.0.1:9000",
    "an address with a port": "203.0.113.9:50051",
    "a newer address": "[fd00::7a]:8443",
    "a port of the machine": "localhost:11434",
    "a short account": "acct_x1",
    "an account without digits": "acct_planted",
}


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_and_no_identity_leaves_the_gateway(name: str) -> None:
    secret = SECRETS[name]
    text = scrub(f"Incorrect key provided: {secret}, see docs.")
    assert "[…]" in text
    assert text.startswith("Incorrect key provided: ")
    for length in (8, len(secret)):
        assert secret[-length:] not in text


@pytest.mark.parametrize(
    "text",
    [
        "Unsupported parameter: 'user_location'",
        "Unsupported value: 'reasoning.summary' does not support 'auto' with this account-level setting.",
        "Invalid 'tools[0].name': string does not match pattern '^[a-zA-Z0-9_-]+$'.",
        "No tool output found for function call call_abc123.",
        "Rate limit reached for gpt-5.5: Limit 30000, Used 29000. Please try again in 1.2s.",
        "The model `gpt-5.3-codex-spark` does not exist or you do not have access to it.",
        "Your input exceeds the context window of this model: 300000 > 272000.",
        "request_timeout, response_format and asst_role are words",
        "an org-level limit of the proj-wide budget",
        "a < b and i <a or <index> of <name>",
        "see input[1:2] and content[0], version 10.2.1 or 1.2.3.4.5 at 12:30, ratio 3:1",
        "the cookie policy and account_level are words; __init__ too",
    ],
)
def test_sentences_that_help_the_user_are_kept(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize(
    "page",
    [
        "<!DOCTYPE html><p>x",
        "<html><body>502</body></html>",
        "oops <div class=x>",
        "<H1>Bad</H1>",
        "a<br/>b",
        "< script>",
        "a <b>bold</b> word",
        "see </a>",
        'x <a href="https://example.test/?account=1">here</a>',
        "<img src=x>",
        "<!-- trace -->",
    ],
)
def test_markup_gives_nothing(page: str) -> None:
    assert scrub(page) == ""


def test_the_text_stays_on_one_line_and_within_the_limit() -> None:
    assert scrub("\n a\r\n\x00\u2028b\tc \x7f") == "a b c"
    assert scrub("word " * 300) == ("word " * 300)[: LIMIT - 1] + "…"
    assert scrub("x" * LIMIT) == "x" * LIMIT


@given(st.text(max_size=3000))
def test_any_text_comes_out_bounded_and_printable(text: str) -> None:
    out = scrub(text)
    assert len(out) <= LIMIT
    assert not set(out) & set("\n\r\x00\u2028\u2029\x1b")


@pytest.mark.parametrize(
    "text",
    [
        "gpt-5.5",
        "openai/gpt-4.1-2026-01-01",
        "Qwen3-235B-A22B-Instruct-2507-FP8-dynamic",
        "org-lab/llama-4",
        "task-force-1",
        "claude-opus-4-8[1m]",
        "ft:gpt-4.1:acme::AbCdEf12",
    ],
)
def test_a_name_that_is_one_is_kept(text: str) -> None:
    assert name(text) == text


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-Ab12Cd34Ef56",
        "sk-drg-0123456789abcdef",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "Bearer abc.def",
        "d41d8cd98f00b204e9800998ecf8427e",
    ],
)
@pytest.mark.parametrize("around", ["{}", "gpt-5.5-{}", "my_{}", "a/{}"])
def test_a_credential_in_a_name_is_not_kept(secret: str, around: str) -> None:
    if around == "my_{}" and secret[:2] not in ("sk", "ey"):
        return  # only what cannot be a word is looked for inside one
    kept = name(around.format(secret))
    assert "[…]" in kept
    assert secret[-6:] not in kept


def test_a_name_is_short_and_on_one_line() -> None:
    assert name("  a\r\nb\x1b[0m ") == "a b [0m"
    assert len(name("x" * 10_000_000)) == 256
