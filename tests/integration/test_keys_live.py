"""Verbs beside a gateway that runs: what they change is effective there, nothing is taken from under it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, gateway
from tests.support.verbs import Verbs

WAIT = 30.0
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Live:
    """A demo gateway, and the verbs on its data directory."""

    def __init__(self, running: Gateway, place: Path) -> None:
        self.gateway = running
        self.verbs = Verbs(place)

    def ask(self, key: str, model: str = "claude-opus-4-8") -> tuple[int, str, str]:
        """Status, the upstream model that answered, and the body of one small request."""
        body = {"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": "hi"}]}
        request = urllib.request.Request(
            f"{self.gateway.url}/v1/messages",
            json.dumps(body).encode(),
            {"x-api-key": key, "content-type": "application/json"},
        )
        try:
            with _direct.open(request, timeout=WAIT) as answer:
                return answer.status, answer.headers["x-dragoman-model"], answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, "", error.read().decode()

    def make(self, name: str, *options: str) -> str:
        key: str = self.verbs("key", "create", name, *options, "--json").json()["key"]
        return key


def becomes(seen: Callable[[], bool]) -> None:
    """Waits until it is so. A second is the promise; machines that are busy get more."""
    end = time.monotonic() + WAIT
    while not seen():
        assert time.monotonic() < end, "it never became effective"
        time.sleep(0.05)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with gateway(tmp_path, "") as running:
        yield Live(running, tmp_path)
        assert running.faults() == []


def test_keys_come_turn_and_go_while_it_runs(live: Live) -> None:
    key = live.make("laptop")
    becomes(lambda: live.ask(key)[0] == 200)
    new = live.verbs("key", "rotate", "laptop", "--overlap", "1h", "--json").json()["key"]
    becomes(lambda: live.ask(new)[0] == 200)
    assert live.ask(key)[0] == 200, "the old one works on for a while"
    newest = live.verbs("key", "rotate", "laptop", "--overlap", "0", "--json").json()["key"]
    becomes(lambda: live.ask(newest)[0] == 200)
    assert live.ask(new)[0] == 401
    assert live.ask(key)[0] == 401
    assert live.verbs("key", "change", "laptop", "--off", "--json").json()["state"] == "off"
    becomes(lambda: live.ask(newest)[0] == 401)
    listed = live.verbs("key", "list", "--json").json()
    assert [row["state"] for row in listed if row["name"] == "laptop"] == ["off"]
    assert live.verbs("key", "change", "laptop", "--on", "--json").json()["state"] == "active"
    becomes(lambda: live.ask(newest)[0] == 200)
    live.verbs("key", "revoke", "laptop")
    becomes(lambda: live.ask(newest)[0] == 401)
    becomes(lambda: live.verbs("key", "show", "laptop", "--json").json()["last_used_at"] is not None)


def test_limits_models_and_expiry_bear_at_once(live: Live) -> None:
    key = live.make("laptop")
    becomes(lambda: live.ask(key)[0] == 200)
    live.verbs("key", "limits", "laptop", "--set", "requests/total=1")
    becomes(lambda: live.ask(key)[0] == 429)
    assert "rate_limit_error" in live.ask(key)[2]

    def shown() -> bool:
        (limit,) = live.verbs("key", "limits", "laptop", "--json").json()
        return bool(limit["max"] == 1 and limit["remaining"] == 0 and limit["used"] >= 1)

    becomes(shown)
    live.verbs("key", "limits", "laptop", "--clear")
    becomes(lambda: live.ask(key)[0] == 200)
    live.verbs("key", "change", "laptop", "--models", "claude-sonnet-*")
    becomes(lambda: live.ask(key)[0] == 403)
    assert live.ask(key, "claude-sonnet-5-5")[0] == 200
    live.verbs("key", "change", "laptop", "--clear", "models", "--expires", "1s")
    becomes(lambda: live.ask(key)[0] == 401)


def test_aliases_and_prices_are_followed(live: Live) -> None:
    key = live.make("laptop")
    becomes(lambda: live.ask(key)[:2] == (200, "gpt-5.5"))
    live.verbs("alias", "set", "claude-opus-4-8", "gpt-4.1")
    becomes(lambda: live.ask(key)[:2] == (200, "gpt-4.1"))
    assert live.ask(key, "claude-sonnet-5-5")[1] == "gpt-5.5"
    live.verbs("price", "set", "gpt-4.1", "--input", "900000", "--output", "900000")
    live.verbs("key", "limits", "laptop", "--set", "cost_usd/day=1")
    becomes(lambda: live.ask(key)[0] == 402)
    live.verbs("key", "limits", "laptop", "--clear")
    live.verbs("alias", "remove", "claude-opus-4-8")
    becomes(lambda: live.ask(key)[:2] == (200, "gpt-5.5"))


def test_copies_are_made_and_nothing_is_taken_away(live: Live) -> None:
    key = live.make("laptop")
    copy = live.verbs.place / "copy.db"
    live.verbs("db", "backup", str(copy))
    assert "a gateway runs on" in live.verbs("db", "restore", str(copy), code=3).err
    assert "a gateway runs on" in live.verbs("db", "downgrade", "base", "--yes", code=3).err
    assert live.verbs("db", "check", "--json").json()["processes"] == 1
    becomes(lambda: live.ask(key)[0] == 200)


def test_the_secret_is_rotated_under_a_running_gateway(live: Live, tmp_path: Path) -> None:
    key = live.make("laptop")
    becomes(lambda: live.ask(key)[0] == 200)
    for _ in range(2):
        live.verbs("secrets", "rotate", "--drop-old")
        assert live.ask(key)[0] == 200
    other = live.make("other")
    becomes(lambda: live.ask(other)[0] == 200)
    live.gateway.run.stop()
    with gateway(tmp_path, "") as again:
        started = Live(again, tmp_path)
        assert (started.ask(key)[0], started.ask(other)[0]) == (200, 200)
