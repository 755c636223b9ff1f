"""Every problem of a configuration at once, and nothing made while looking."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from dragoman.serving.configured import is_loopback, problems, setup_token
from dragoman.serving.secret import keep
from dragoman.settings import Settings, SettingsError
from dragoman.store import engine
from dragoman.store.engine import StoreError, locate


def told(tmp_path: Path, **table: Any) -> list[str]:
    return list(problems(Settings.model_validate(table), tmp_path / "data"))


def test_the_defaults_are_in_order_and_nothing_is_made(tmp_path: Path) -> None:
    assert told(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_every_problem_is_told_in_one_go(tmp_path: Path) -> None:
    found = told(
        tmp_path,
        upstream={"ca_file": "/nowhere/ca.pem"},
        secrets={"key_env": "NOT_SET_HERE"},
        models={"good": "gpt-5.5", "claude-*": "gpt-5.5@hard", "empty": ""},
        accounts=[
            {"name": "one", "api_key_env": "NOT_SET_HERE"},
            {"name": "two", "api_key_file": str(tmp_path / "absent")},
        ],
    )
    assert [line.partition(":")[0] for line in found] == [
        "upstream.ca_file",
        "secrets.key_env",
        "models",
        "models",
        "accounts.one.api_key_env",
        "accounts.two.api_key_file",
    ]


def test_limits_and_prices_are_judged_too(tmp_path: Path) -> None:
    """The configuration's own, each by its path."""
    key = {"name": "ada", "key": "sk-drg-of-ada", "limits": [{"measure": "words", "per": "day", "max": 1}]}
    found = told(tmp_path, keys=[key], prices={"gpt-5.5": {"input": "free"}})
    assert len(found) == 2
    assert "keys.ada.limits.0" in found[0]
    assert "gpt-5.5" in found[1]


def test_one_key_under_two_names_is_told(tmp_path: Path) -> None:
    keys = [{"name": name, "key": "sk-drg-the-same"} for name in ("ada", "bob")]
    assert told(tmp_path, keys=keys) == ["keys.bob: is the same key as keys.ada"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://x", "database.url: mysql is not supported; use sqlite:///… or postgresql://…"),
        ("x", "database.url: is not a URL such as sqlite:///dragoman.db"),
        ("sqlite://", "database.url: SQLite needs a file, for example sqlite:///dragoman.db"),
    ],
)
def test_a_database_that_cannot_be_opened_is_told_as_serve_would(tmp_path: Path, url: str, why: str) -> None:
    assert told(tmp_path, database={"url": url}) == [why]
    with pytest.raises(StoreError, match=re.escape(why)):
        locate(url, tmp_path)


def test_an_extra_that_is_not_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `serve` would: the driver of PostgreSQL, the libraries of traces."""
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "dragoman.telemetry.traces", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    for name in [name for name in sys.modules if name.startswith("opentelemetry.")]:
        monkeypatch.delitem(sys.modules, name)
    assert told(tmp_path, database={"url": "postgresql://x/y"}, telemetry={"traces": True}) == [
        "database.url: PostgreSQL needs the extra postgres, which is not installed: "
        "pip install 'dragoman[postgres]', in a clone .venv/bin/pip install -e '.[postgres]'",
        "telemetry.traces: needs the extra otel, which is not installed: "
        "pip install 'dragoman[otel]', in a clone .venv/bin/pip install -e '.[otel]'",
    ]


def test_a_short_set_up_token_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its length is judged without telling the token."""
    for text, lines in (("", 1), ("fifteen-letters", 1), ("sixteen--letters", 0)):
        monkeypatch.setenv("SETUP_TOKEN", text)
        found = told(tmp_path, admin={"setup_token_env": "SETUP_TOKEN"})
        assert len(found) == lines
        assert not text or text not in "".join(found)
    monkeypatch.setenv("SETUP_TOKEN", "fifteen-letters")
    with pytest.raises(SettingsError, match=r"admin\.setup_token_env: .* must hold 16 characters at least"):
        setup_token(Settings.model_validate({"admin": {"setup_token_env": "SETUP_TOKEN"}}))


def test_a_secret_that_cannot_be_made_is_told_as_serve_would(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("")
    for file in ("/nope/x", "deeper/secret", str(tmp_path / "text" / "secret")):
        (found,) = told(tmp_path, secrets={"key_file": file})
        with pytest.raises(SettingsError) as refusal:
            keep(tmp_path / "data" / file, "x")
        assert found == str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["text"], "nothing was made"


def test_a_secret_is_made_in_a_data_directory_that_is_made(tmp_path: Path) -> None:
    assert list(problems(Settings(), tmp_path / "not" / "there" / "yet")) == []


@pytest.mark.parametrize("permissions", [0o644, 0o640])
def test_a_secret_that_others_may_read_is_told(tmp_path: Path, permissions: int) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "secret"
    file.write_text("x" * 40)
    file.chmod(permissions)
    assert "chmod 600" in told(tmp_path)[0]


def test_names_of_this_machine() -> None:
    assert all(is_loopback(name) for name in ("localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"))
    assert not any(is_loopback(name) for name in ("", "0.0.0.0", "10.0.0.1", "localhost.evil", "example.com"))
