"""`dragoman config`: what people see, and the exit codes scripts rely on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import User, user


@pytest.fixture
def someone(tmp_path: Path) -> User:
    return user(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dragoman.toml"
    path.write_text('[server]\nport = 9000\n[[accounts]]\nname = "main"\napi_key = "sk-very-secret"\n')
    return path


def test_values_and_their_origins(someone: User, file: Path) -> None:
    done = someone.run(
        "config", "show", "--origin", "--config", file, "--host", "::1", DRAGOMAN_SERVER__QUEUE="3"
    )
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert lines["server.host"] == ['"::1"', "flag", "--host"]
    assert lines["server.port"] == ["9000", "file", str(file)]
    assert lines["server.queue"] == ["3", "environment", "DRAGOMAN_SERVER__QUEUE"]
    assert lines["server.drain_seconds"] == ["120.0", "default"]
    assert "sk-very-secret" not in done.stdout


def test_the_same_as_json(someone: User, file: Path, tmp_path: Path) -> None:
    done = someone.run("config", "show", "--json", "--data-dir", tmp_path / "data", DRAGOMAN_CONFIG=str(file))
    rows = {row["key"]: row for row in json.loads(done.stdout)}
    assert rows["server.port"] == {"key": "server.port", "value": 9000, "origin": "file", "source": str(file)}
    assert rows["data_dir"]["value"] == str(tmp_path / "data")
    assert "sk-very-secret" not in done.stdout
    assert not (tmp_path / "data").exists()


def test_a_configuration_in_order(someone: User, file: Path) -> None:
    done = someone.run("config", "check", "--config", file)
    assert (done.returncode, done.stderr) == (0, "")
    done = someone.run("config", "check", "--json", "--config", file)
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert not list(someone.home.rglob("*")), "nothing was made"


def test_every_problem_has_its_line(someone: User, file: Path) -> None:
    file.write_text('[models]\na = "b@hard"\n[[accounts]]\nname = "x"\napi_key_env = "NOT_SET_HERE"\n')
    done = someone.run("config", "check", "--config", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == ["models", "accounts.x.api_key_env"]
    done = someone.run("config", "check", "--json", "--config", file)
    assert (done.returncode, len(json.loads(done.stdout))) == (2, 2)


def test_a_wrong_key_names_the_nearest(someone: User, file: Path) -> None:
    file.write_text("[server]\nprot = 1\n")
    for verb in ("check", "show"):
        done = someone.run("config", verb, "--config", file)
        assert done.returncode == 2
        assert done.stderr == "dragoman: server.prot: unknown key, did you mean port?\n"
