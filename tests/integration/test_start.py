"""Starting and stopping `dragoman serve` as a process."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dragoman.store.journal import Journal
from tests.support.gateway import Spawned, bare_environment, gateway, spawned
from tests.support.zygote import COMMAND

pytestmark = pytest.mark.installed  # how it starts and ends as it is installed

WAIT = 60.0


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DRAGOMAN_")}
    return {**clean, "XDG_DATA_HOME": str(tmp_path / "data"), **more}


def run(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dragoman.cli", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=WAIT, check=False)


@contextmanager
def serving(*arguments: str, env: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A running server, its address and its start block."""
    command = [sys.executable, "-m", "dragoman.cli", "serve", *arguments]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        block = ""
        while "claude -p" not in block:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            block += line
        address = next(line.split()[1] for line in block.splitlines() if line.strip().startswith("listening"))
        yield process, address, block
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def get(url: str) -> tuple[int, str]:
    deadline = time.monotonic() + WAIT
    while True:
        try:
            with urllib.request.urlopen(url, timeout=WAIT) as answer:
                return answer.status, answer.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_without_an_account_the_simulator_answers_and_says_so(tmp_path: Path) -> None:
    """The demo: labelled as simulated everywhere, a private key file, the port from the environment."""
    env = environment(tmp_path, DRAGOMAN_SERVER__PORT="0")
    with serving(env=env) as (process, address, block):
        key_file = tmp_path / "data" / "dragoman" / "demo-key"
        key = key_file.read_text().strip()
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        assert key.startswith("sk-drg-")
        assert key in block
        assert "SIMULATED" in block
        status, text = get(f"{address}/readyz")
        assert status == 200
        assert '"simulated"' in text
        with urllib.request.urlopen(f"{address}/healthz", timeout=WAIT) as answer:
            assert answer.headers["x-dragoman-simulated"] == "true"
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT) == 0
    with serving(env=env) as (_, _, again):
        assert key in again


def test_beyond_loopback_without_keys_it_does_not_start(tmp_path: Path) -> None:
    config = tmp_path / "dragoman.toml"
    config.write_text('[[accounts]]\nname = "a"\napi_key = "sk-x"\n')
    done = run(
        "serve", "--host", "0.0.0.0", "--port", "0", "--config", str(config), env=environment(tmp_path)
    )
    assert done.returncode == 2
    assert "add [[keys]]" in done.stderr
    assert "sk-x" not in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\nprot = 1", "server.prot: unknown key, did you mean port?"),
        ('[models]\n"claude-*" = "gpt-5.5@hard"', "'hard' is no effort level"),
        ('[[accounts]]\nname = "a"\napi_key_env = "NOT_SET_ANYWHERE"', "NOT_SET_ANYWHERE is empty"),
        ('[[accounts]]\nname = "a"\napi_key_file = "/nowhere/key"', "/nowhere/key"),
        ('[[keys]]\nname = "a"\nkey_env = "NOT_SET_ANYWHERE"', "keys.a.key_env"),
        ('[[accounts]]\nname = "a"\napi_key_env = "TWO_LINES"', "TWO_LINES holds characters"),
        ('[upstream]\nca_file = "/nowhere/ca.pem"', "upstream.ca_file: /nowhere/ca.pem: No such file"),
        ('[upstream]\nca_file = "/dev/null"', "upstream.ca_file: /dev/null: holds no certificate"),
    ],
)
def test_a_wrong_configuration_is_named_before_anything_is_bound(
    tmp_path: Path, text: str, message: str
) -> None:
    config = tmp_path / "dragoman.toml"
    config.write_text(text)
    env = environment(tmp_path, TWO_LINES="sk-one\nsk-two")
    done = run("serve", "--config", str(config), "--port", "0", env=env)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port, env=environment(tmp_path))
    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be bound" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_signal_ends_the_drain(tmp_path: Path) -> None:
    """The first one waits for the request in flight and refuses new work, the second does not wait."""
    env = environment(tmp_path, DRAGOMAN_SERVER__PORT="0")
    with serving(env=env) as (process, address, _):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=WAIT) as half:
            half.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n")
            key = (tmp_path / "data" / "dragoman" / "demo-key").read_text().strip()
            half.sendall(f"x-api-key: {key}\r\ncontent-type: application/json\r\n\r\n{{".encode())
            assert get(f"{address}/healthz")[0] == 200
            process.send_signal(signal.SIGTERM)
            assert draining(f"{address}/readyz")
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(WAIT) == 0


def draining(url: str) -> bool:
    """Waits until readiness says 503."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=WAIT).close()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 503
        time.sleep(0.02)
    return False


def test_the_version_is_told(tmp_path: Path) -> None:
    done = run("version", env=environment(tmp_path))
    assert done.returncode == 0
    assert done.stdout.startswith("dragoman ")
    option = run("--version", env=environment(tmp_path))
    assert (option.returncode, option.stdout) == (0, done.stdout)


def test_a_data_directory_without_a_name_is_refused(tmp_path: Path) -> None:
    """It would be the current directory."""
    done = run("key", "list", "--data-dir", "", env=environment(tmp_path))
    assert done.returncode == 2
    assert "must name a directory" in done.stderr


def test_a_broken_scenario_is_named(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.json"
    scenario.write_text('[{"match": {}, "steps": [{"no such step": {}}]}]')
    done = run("simulate", "--port", "0", "--scenario", str(scenario), env=environment(tmp_path))
    assert done.returncode == 2
    assert "no such step" in done.stderr


UNFIT = """
[models]
"claude-*" = "weird-model"
[[accounts]]
name = "main"
api_key = "sk-upstream"
[[keys]]
name = "ada"
key = "sk-drg-of-ada"
models = ["zz-*", "claude-*"]
limits = [{ measure = "cost_usd", per = "month", max = 5 }]
"""


def complained(run: Spawned, words: str) -> bool:
    """Waits for words in its log."""
    end = time.monotonic() + WAIT
    while words not in run.complained() and time.monotonic() < end:
        time.sleep(0.05)
    return words in run.complained()


def test_keys_of_the_file_that_cannot_be_kept_are_warned_of(tmp_path: Path) -> None:
    """What `config check` refuses is served with a warning: an operator may be about to set the price."""
    with gateway(tmp_path, UNFIT) as running:
        assert complained(running.run, "keys.ada.models.0: 'zz-*' matches no alias")
        assert complained(running.run, "keys.ada.limits.0: $5.00 a month cannot be kept: ")
        assert running.faults() == []


def test_a_second_gateway_on_one_file_says_what_is_not_shared(tmp_path: Path) -> None:
    with gateway(tmp_path, "") as first:
        command: list[str | Path] = [COMMAND, "serve", "--port", "0", "--data-dir", tmp_path / "data"]
        with spawned("second", command, tmp_path, bare_environment(tmp_path / "home")) as second:
            second.await_line(r"listening\s+(http://\S+)")
            assert complained(second, "not_alone")
            assert "another gateway serves from this data directory" in second.complained()
        assert "not_alone" not in first.run.complained()


def test_a_verb_at_work_is_no_second_gateway(tmp_path: Path) -> None:
    data = tmp_path / "data"
    other = Journal(data / "journal")
    data.mkdir(mode=0o700)
    other.open()
    try:
        with gateway(tmp_path, "") as running:
            assert "not_alone" not in running.run.complained()
    finally:
        other.close()
