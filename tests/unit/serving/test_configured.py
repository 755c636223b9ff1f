"""Every problem of a configuration at once, and nothing made while looking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dragoman.serving.configured import is_loopback, problems
from dragoman.settings import Settings


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
