"""Client keys: both headers, digest look-up, honest refusals."""

from __future__ import annotations

import pytest

from dragoman.gateway.ports import Principal
from dragoman.web.keys import ANONYMOUS, StaticKeys
from dragoman.wire.errors import Kind, Refused

LAPTOP = Principal("laptop", "key:laptop")
SERVER = Principal("server", "key:server")
KEYS = StaticKeys([("sk-drg-laptop", LAPTOP), ("sk-drg-server", SERVER)], b"pepper")


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
    """B90: neither header or an unknown key is 401; the key is not quoted."""
    with pytest.raises(Refused) as caught:
        KEYS.authenticate(headers)
    assert caught.value.failure.kind is Kind.AUTHENTICATION
    assert "wrong" not in caught.value.failure.message


def test_without_keys_everyone_is_anonymous() -> None:
    keys = StaticKeys([], b"pepper")
    assert keys.empty
    assert keys.authenticate({}) is ANONYMOUS
