"""`dragoman doctor` against running gateways, a proxy that collects answers, and accounts of every kind."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import logins
from tests.support.buffering import buffering
from tests.support.command import User, user
from tests.support.gateway import Gateway, gateway
from tests.support.house import House, house

OLD = "Thu, 01 Jan 2026 00:00:00 GMT"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("demo"), "") as running:
        yield running


@pytest.fixture
def someone(tmp_path: Path) -> User:
    return user(tmp_path)


def examined(done: subprocess.CompletedProcess[str]) -> dict[str, list[dict[str, Any]]]:
    """Findings by id."""
    assert done.stdout, done.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for one in json.loads(done.stdout)["findings"]:
        assert set(one) == {"id", "level", "sentence", "fix", "docs"}
        found.setdefault(one["id"], []).append(one)
    return found


def levels(found: dict[str, list[dict[str, Any]]], name: str) -> list[str]:
    return [one["level"] for one in found.get(name, [])]


def of_demo(demo: Gateway, url: str | None = None) -> list[str]:
    return ["--url", url or demo.url, "--data-dir", str(demo.run.out.parent / "data")]


def test_a_healthy_demo(demo: Gateway, someone: User) -> None:
    """Streams in pieces, hits the cache on turns two and three; the simulator is asked without a word."""
    done = someone.run("doctor", "--json", *of_demo(demo))
    assert done.returncode == 0, done.stdout + done.stderr
    found = examined(done)
    for name in (
        "config",
        "data-dir",
        "secret-file",
        "port",
        "client-key",
        "stream",
        "cache",
        "client-shell",
    ):
        assert levels(found, name) == ["ok"], found.get(name)
    assert levels(found, "account-none") == ["warn"]
    assert "in pieces" in found["stream"][0]["sentence"]
    assert "turn 3 read" in found["cache"][0]["sentence"]


def test_a_proxy_that_collects_answers_is_found(demo: Gateway, someone: User) -> None:
    with buffering(demo.url) as url:
        found = examined(someone.run("doctor", "--json", *of_demo(demo, url)))
    assert levels(found, "stream") == ["warn"]
    assert "all at once" in found["stream"][0]["sentence"]
    assert "proxy_buffering off" in found["stream"][0]["fix"]
    assert levels(found, "cache") == ["ok"]


def test_findings_for_people(demo: Gateway, someone: User) -> None:
    shown = someone.run("doctor", *of_demo(demo)).stdout
    assert "fix: dragoman account login NAME, or add [[accounts]]" in shown
    assert "see: docs/reference/doctor.md#account-none" in shown
    assert "fix:" not in someone.run("doctor", "--fix-none", *of_demo(demo)).stdout


def test_nobody_at_home(someone: User) -> None:
    """A free port is fine; an address that was given and does not answer is an error."""
    done = someone.run("doctor", "--json", DRAGOMAN_SERVER__PORT="18789")
    assert done.returncode == 0, done.stdout
    found = examined(done)
    assert levels(found, "port") == ["ok"]
    assert not {"client-key", "stream", "cache"} & set(found)
    assert not list(someone.home.rglob("*")), "nothing was made"
    done = someone.run("doctor", "--json", "--url", "http://127.0.0.1:9")
    assert done.returncode == 4
    assert levels(examined(done), "port") == ["error"]


def test_somebody_else_at_the_port(someone: User) -> None:
    with Answering(404, {}) as url:
        done = someone.run("doctor", "--json", DRAGOMAN_SERVER__PORT=url.rpartition(":")[2])
    assert done.returncode == 4
    found = examined(done)
    assert levels(found, "port") == ["error"]
    assert "no dragoman" in found["port"][0]["sentence"]


def test_a_port_that_says_nothing_is_named(someone: User) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = someone.run("doctor", "--json", DRAGOMAN_SERVER__PORT=str(silent.getsockname()[1]))
    assert done.returncode == 4
    assert levels(examined(done), "port") == ["error"]


def test_a_wrong_key_is_told_without_showing_it(demo: Gateway, someone: User, tmp_path: Path) -> None:
    arguments = ["doctor", "--json", "--url", demo.url, "--data-dir", str(tmp_path / "empty")]
    done = someone.run(*arguments, DRAGOMAN_KEY="sk-drg-wrong")
    assert done.returncode == 4
    found = examined(done)
    assert levels(found, "client-key") == ["error"]
    assert "stream" not in found
    assert "sk-drg-wrong" not in done.stdout
    assert "the variable DRAGOMAN_KEY" in found["client-key"][0]["fix"]
    without = examined(someone.run(*arguments))
    assert levels(without, "client-key") == ["error"]
    assert without["client-key"][0]["fix"] == "dragoman key create NAME --save"


def test_a_saved_key_that_is_stale_is_to_be_replaced(demo: Gateway, someone: User, tmp_path: Path) -> None:
    """`key create --save` overwrites no file, so it alone would be no remedy."""
    data = tmp_path / "stale"
    data.mkdir(mode=0o700)
    saved = data / "client-key"
    saved.touch(mode=0o600)
    saved.write_text("sk-drg-stale")
    found = examined(someone.run("doctor", "--json", "--url", demo.url, "--data-dir", str(data)))
    assert found["client-key"][0]["fix"] == (
        f"replace the text in {saved}, or remove it and `dragoman key create NAME --save`"
    )


def test_a_broken_configuration_is_examined_all_the_same(someone: User, tmp_path: Path) -> None:
    file = tmp_path / "dragoman.toml"
    file.write_text("[server]\nprt = 1\n")
    done = someone.run("doctor", "--json", "--config", str(file))
    assert done.returncode == 4
    found = examined(done)
    assert "did you mean port?" in found["config"][0]["sentence"]
    assert levels(found, "data-dir") == ["ok"]


class Answering:
    """A server that gives every request the same answer."""

    def __init__(self, status: int, headers: dict[str, str], body: str = "{}") -> None:
        import http.server
        import threading

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def account(name: str, base_url: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "base_url": base_url, "api_key": "sk-very-secret", **more}


def of_accounts(someone: User, *rows: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What doctor says of these accounts, in their order."""
    done = someone.run("doctor", "--json", DRAGOMAN_ACCOUNTS=json.dumps(rows), DRAGOMAN_SERVER__PORT="0")
    assert "sk-very-secret" not in done.stdout + done.stderr
    return examined(done)


@pytest.mark.parametrize(
    ("status", "kind", "level", "told"),
    [
        (200, "openai", "ok", "its key is taken"),
        (401, "openai", "error", "refuses the account's key"),
        (403, "responses", "error", "refuses the account's key"),
        (404, "openai", "error", "no /models"),
        (404, "responses", "ok", "no list of models"),
        (302, "openai", "error", "redirects"),
        (429, "openai", "warn", "limit is spent"),
        (503, "openai", "warn", "status 503"),
    ],
)
def test_what_a_server_says_about_the_account(
    someone: User, status: int, kind: str, level: str, told: str
) -> None:
    with Answering(status, {"location": "http://127.0.0.1:9/"}) as url:
        found = of_accounts(someone, account("main", f"{url}/v1", kind=kind))
    assert levels(found, "account") == [level]
    assert told in found["account"][0]["sentence"]


@pytest.mark.parametrize(("status", "level", "told"), [(200, "ok", "reached"), (401, "warn", "has renewed")])
def test_the_login_of_a_plan_is_tried_at_its_catalogue(
    someone: User, tmp_path: Path, status: int, level: str, told: str
) -> None:
    file = tmp_path / "auth.json"
    file.write_text(json.dumps(logins.document("acct")))
    with Answering(status, {}, '{"models": [{"slug": "gpt-5.5"}]}') as url:
        row = {"name": "plan", "kind": "chatgpt", "base_url": url, "auth_file": str(file)}
        found = of_accounts(someone, {**row, "models": ["gpt-5.5", "gpt-9"]})
    assert levels(found, "account") == [level]
    said = found["account"][0]
    assert told in said["sentence"] + (said["fix"] or "")
    if status == 200:
        assert "gpt-9" in found["account-models"][0]["sentence"]
    file.write_text('{"tokens": {}}')
    broken = of_accounts(someone, row)
    assert levels(broken, "account") == ["error"]
    assert "refresh_token is missing" in broken["account"][0]["sentence"]


def test_accounts_that_are_not_reached_say_why(someone: User) -> None:
    """All are asked at the same time, each within its limit."""
    with socket.create_server(("127.0.0.1", 0)) as silent, Answering(200, {}) as plain:
        found = of_accounts(
            someone,
            account("closed", "http://127.0.0.1:9/v1"),
            account("unknown", "http://no-such-host.invalid/v1"),
            account("silent", f"http://127.0.0.1:{silent.getsockname()[1]}/v1"),
            account("no-tls", plain.replace("http:", "https:") + "/v1"),
        )
    assert levels(found, "account") == ["error"] * 4
    told = [one["sentence"] for one in found["account"]]
    assert "refused" in told[0]
    assert "in time" in told[2] or "within" in told[2]
    assert "TLS" in told[3]


def test_a_clock_that_goes_wrong_and_a_model_that_is_not_offered(someone: User) -> None:
    models = '{"data": [{"id": "gpt-5.5"}]}'
    with Answering(200, {"date": OLD}, models) as url:
        found = of_accounts(someone, account("main", f"{url}/v1", models=["gpt-5.5", "gpt-5.5-mimi"]))
    assert levels(found, "clock") == ["warn"]
    assert "ahead of" in found["clock"][0]["sentence"]
    assert levels(found, "account-models") == ["warn"]
    assert "gpt-5.5-mimi" in found["account-models"][0]["sentence"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as made:
        yield made


def test_a_real_account_is_asked_for_its_cache_only_when_told(
    running: House, someone: User, tmp_path: Path
) -> None:
    """Three requests of one session, which the upstream sees as one growing conversation."""
    (tmp_path / "key").write_text(running.key)
    arguments = ["doctor", "--json", "--url", running.url, "--key-file", str(tmp_path / "key")]
    running.start_over()
    assert "cache" not in examined(someone.run(*arguments))
    assert len(running.bodies()) == 1, "the stream check alone"
    running.start_over()
    found = examined(someone.run(*arguments, "--cache-check", "--model", "claude-opus-5-5"))
    assert levels(found, "cache") == ["ok"], found["cache"]
    assert len(running.bodies()) == 4
    assert running.breaches() == []


def test_a_cache_that_never_hits_is_found(running: House, someone: User, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(running.key)
    running.start_over()
    running.sim.switch(miss_every=1)
    arguments = ["doctor", "--json", "--url", running.url, "--key-file", str(tmp_path / "key")]
    found = examined(someone.run(*arguments, "--cache-check"))
    running.sim.switch(miss_every=0)
    assert levels(found, "cache") == ["warn"]
    assert "was not found again" in found["cache"][0]["sentence"]
