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


UNFIT = """
[models]
"claude-opus-4-8" = "weird-model"
"claude-sonnet-*" = "gpt-5.5"
[[accounts]]
name = "main"
api_key = "sk-upstream"
models = ["weird-model", "gpt-5.5"]
[[keys]]
name = "ada"
key = "sk-drg-of-ada"
models = ["claude-*", "zz-*"]
limits = [
  { measure = "cost_usd", per = "month", max = 5 },
  { measure = "cost_usd", per = "month", max = 5, models = "claude-sonnet-*" },
  { measure = "tokens", per = "day", max = 5, models = "yy-*" },
]
"""


def test_a_key_of_the_file_is_judged_as_one_that_is_made(someone: User, file: Path, tmp_path: Path) -> None:
    """Globs that match nothing, and budgets on a model without a price; serve warns of the same."""
    file.write_text(UNFIT)
    options = ("--config", file, "--data-dir", tmp_path / "data")
    done = someone.run("config", "check", *options)
    assert done.returncode == 2
    told = {line.split(": ")[1]: line for line in done.stderr.splitlines()}
    assert list(told) == ["keys.ada.models.1", "keys.ada.limits.2.models", "keys.ada.limits.0"]
    assert "'zz-*' matches no alias and no model here; the nearest is" in told["keys.ada.models.1"]
    assert "'claude-opus-4-8' leads to 'weird-model', whose price is not known" in told["keys.ada.limits.0"]
    assert not (tmp_path / "data").exists(), "nothing was made"
    # What the store adds counts.
    for verb in (
        ("price", "set", "weird-model", "--input", "1", "--output", "2"),
        ("alias", "set", "zz-top", "gpt-5.5"),
        ("alias", "set", "yy-top", "gpt-5.5"),
    ):
        made = someone.run(*verb, *options)
        assert made.returncode == 0, made.stderr
    done = someone.run("config", "check", *options)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "data" / "dragoman.db").write_bytes(b"SQLite format 3\0 and nothing more")
    done = someone.run("config", "check", *options)
    assert (done.returncode, done.stderr) == (0, ""), "what cannot be read is not judged"


def test_an_open_door_without_a_key_is_told_as_serve_would(someone: User, file: Path, tmp_path: Path) -> None:
    file.write_text('[server]\nhost = "0.0.0.0"\n[[accounts]]\nname = "main"\napi_key = "sk-upstream"\n')
    options = ("--config", file, "--data-dir", tmp_path / "data")
    done = someone.run("config", "check", *options)
    assert done.returncode == 2
    served = someone.run("serve", "--port", "0", *options)
    assert (served.returncode, served.stderr) == (2, done.stderr)
    assert "server.host 0.0.0.0 is reachable from other machines and no key exists" in done.stderr
    assert someone.run("key", "create", "ada", *options).returncode == 0
    done = someone.run("config", "check", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert someone.run("key", "revoke", "ada", *options).returncode == 0
    assert someone.run("config", "check", *options).returncode == 2


def test_a_wrong_key_names_the_nearest(someone: User, file: Path) -> None:
    file.write_text("[server]\nprot = 1\n")
    for verb in ("check", "show"):
        done = someone.run("config", verb, "--config", file)
        assert done.returncode == 2
        assert done.stderr == "dragoman: server.prot: unknown key, did you mean port?\n"
