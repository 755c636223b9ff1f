"""Client keys: both headers, digest look-up, honest refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dragoman.gateway.credentials import digest
from dragoman.gateway.known import ANONYMOUS, KnownKeys
from dragoman.gateway.ports import Principal
from dragoman.wire.errors import Kind, Refused

LAPTOP = Principal("laptop", "key:laptop")
SERVER = Principal("server", "key:server")


class Clocks:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.wall = 1_000_000.0
        self.mono = 50.0

    def known(self, *fixed: tuple[str, Principal], **more: bool) -> KnownKeys:
        return KnownKeys(fixed, b"pepper", now=lambda: self.wall, monotonic=lambda: self.mono, **more)


NEEDED = "A valid API key of this gateway is needed; this one is missing, unknown, revoked or expired."
KEYS = Clocks().known(("sk-drg-laptop", LAPTOP), ("sk-drg-server", SERVER))


@pytest.mark.parametrize(
    ("headers", "principal"),
    [
        ({"x-api-key": "sk-drg-laptop"}, LAPTOP),
        ({"x-api-key": "  sk-drg-laptop "}, LAPTOP),
        ({"authorization": "Bearer sk-drg-server"}, SERVER),
        ({"authorization": "bearer   sk-drg-server"}, SERVER),
        ({"x-api-key": "sk-drg-laptop", "authorization": "Bearer sk-drg-server"}, LAPTOP),
        ({"x-api-key": "", "authorization": "Bearer sk-drg-server"}, SERVER),
    ],
)
def test_both_headers_are_taken_and_x_api_key_wins(headers: dict[str, str], principal: Principal) -> None:
    """B90, behaviours E9."""
    assert KEYS.authenticate(headers) is principal


@pytest.mark.parametrize(
    "headers",
    [{}, {"x-api-key": "wrong"}, {"authorization": "Basic sk-drg-laptop"}, {"authorization": "Bearer"}],
)
def test_no_key_and_a_wrong_key_are_refused(headers: dict[str, str]) -> None:
    """B90: neither header or an unknown key is one and the same 401, which says what is needed."""
    with pytest.raises(Refused) as caught:
        KEYS.authenticate(headers)
    assert caught.value.failure.kind is Kind.AUTHENTICATION
    assert caught.value.failure.message == NEEDED


def test_without_keys_everyone_is_anonymous() -> None:
    keys = Clocks().known()
    assert keys.keyless
    assert keys.authenticate({}) is ANONYMOUS


def _shown(key: str) -> dict[str, str]:
    return {"x-api-key": key}


def test_stored_keys_come_and_go_with_what_was_read() -> None:
    clocks = Clocks()
    keys = clocks.known(stored=True)
    assert keys.authenticate({}) is ANONYMOUS
    keys.read({digest(b"pepper", "sk-drg-laptop"): LAPTOP})
    assert keys.authenticate(_shown("sk-drg-laptop")) is LAPTOP
    with pytest.raises(Refused):
        keys.authenticate({})
    keys.read(None)
    assert keys.authenticate(_shown("sk-drg-laptop")) is LAPTOP, "an unchanged list stays"
    keys.read({digest(b"pepper", "sk-drg-server"): SERVER})
    with pytest.raises(Refused) as caught:
        keys.authenticate(_shown("sk-drg-laptop"))
    assert caught.value.failure.kind is Kind.AUTHENTICATION


def test_to_revoke_the_last_key_opens_nothing() -> None:
    keys = Clocks().known(stored=True)
    assert keys.keyless
    keys.read({}, keyed=True)
    assert not keys.keyless
    for headers in ({}, _shown("sk-drg-laptop")):
        with pytest.raises(Refused) as caught:
            keys.authenticate(headers)
        assert caught.value.failure.kind is Kind.AUTHENTICATION
    keys.read(None)
    assert not keys.keyless


def test_a_key_ends_at_its_date() -> None:
    clocks = Clocks()
    keys = clocks.known(("sk-drg-short", replace(LAPTOP, expires_at=clocks.wall + 10)))
    assert keys.authenticate(_shown("sk-drg-short")).name == "laptop"
    clocks.wall += 10
    with pytest.raises(Refused) as caught:
        keys.authenticate(_shown("sk-drg-short"))
    assert caught.value.failure.message == NEEDED, "it reads like an unknown one"


@pytest.mark.parametrize(("serve_known", "patience"), [(True, 15 * 60.0), (False, 5.0)])
def test_while_the_store_is_silent_known_keys_are_served_for_a_while(
    serve_known: bool, patience: float
) -> None:
    """reliability S2, S3: an unknown key is 503, never 401, while nobody can tell."""
    clocks = Clocks()
    keys = clocks.known(("sk-drg-server", SERVER), stored=True, serve_known=serve_known)
    keys.read({digest(b"pepper", "sk-drg-laptop"): LAPTOP})
    clocks.mono += patience - 0.5
    assert keys.authenticate(_shown("sk-drg-laptop")) is LAPTOP
    clocks.mono += 5.6
    for key in ("sk-drg-laptop", "sk-drg-never-heard-of"):
        with pytest.raises(Refused) as caught:
            keys.authenticate(_shown(key))
        assert caught.value.failure.status == 503
    assert keys.authenticate(_shown("sk-drg-server")) is SERVER, "the configuration's keys need no store"
    keys.read(None)
    assert keys.authenticate(_shown("sk-drg-laptop")) is LAPTOP


def test_a_keyless_gateway_does_not_open_because_its_store_is_silent() -> None:
    clocks = Clocks()
    keys = clocks.known(stored=True)
    clocks.mono += 60
    with pytest.raises(Refused) as caught:
        keys.authenticate(_shown("sk-drg-laptop"))
    assert caught.value.failure.status == 503


def test_while_the_store_is_unwell_an_unknown_key_is_not_judged() -> None:
    """reliability S2: what is read may not be all there is; who is known, or has ended, is told as ever."""
    clocks = Clocks()
    keys = clocks.known(("sk-drg-server", SERVER), stored=True)
    past = replace(LAPTOP, expires_at=clocks.wall - 1)
    keys.read(
        {digest(b"pepper", "sk-drg-laptop"): LAPTOP, digest(b"pepper", "sk-drg-past"): past},
        ended=[digest(b"pepper", "sk-drg-revoked")],
    )

    def status(key: str) -> int:
        try:
            keys.authenticate(_shown(key))
        except Refused as refusal:
            return refusal.failure.status
        return 200

    told = ("sk-drg-laptop", "sk-drg-server", "sk-drg-past", "sk-drg-revoked", "", "sk-drg-never-heard-of")
    for unwell, unknown in ((False, 401), (True, 503), (False, 401)):
        keys.unwell = lambda unwell=unwell: unwell  # type: ignore[misc]
        assert [status(key) for key in told] == [200, 200, 401, 401, 401, unknown]


def test_who_is_known_does_not_ask_how_the_store_is() -> None:
    keys = Clocks().known(("sk-drg-server", SERVER), stored=True)

    def unwell() -> bool:
        raise AssertionError("the hot path has no need of it")

    keys.unwell = unwell
    assert keys.authenticate(_shown("sk-drg-server")) is SERVER
