"""`config show`: every setting, where it came from, and no secret."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dragoman.cli.origins import HIDDEN, Row, as_json, as_text, data_directory, problems, rows
from dragoman.settings import Section, Settings

FILE = """
[server]
port = 1
queue = 7
[models]
"claude-*" = "gpt-5.5@high"
[[accounts]]
name = "main"
api_key = "sk-very-secret"
base_url = "https://api.example/v1"
[[keys]]
name = "ada"
key_env = "KEY_OF_ADA"
"""


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("DRAGOMAN_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dragoman.toml"
    path.write_text(FILE)
    return path


def found(config: Path | None, **flags: object) -> dict[str, Row]:
    return {row.key: row for row in rows(config, {"server": flags} if flags else {})}


def test_every_setting_is_shown() -> None:
    shown = found(None)
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            assert {f"{name}.{key}" for key in field.annotation.model_fields} <= set(shown)
        else:
            assert name in shown
    assert {row.origin for row in shown.values()} == {"default"}


def test_the_origin_of_each_value(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("dragoman_server__port", "2")
    monkeypatch.setenv("DRAGOMAN_LOGGING", '{"level": "debug"}')
    shown = found(file, host="127.0.0.9")
    expected = {
        "server.host": ("127.0.0.9", "flag", "--host"),
        "server.port": (2, "environment", "dragoman_server__port"),
        "server.queue": (7, "file", str(file)),
        "server.max_streams": (1024, "default", None),
        "logging.level": ("debug", "environment", "DRAGOMAN_LOGGING"),
        "logging.format": ("auto", "default", None),
        'models."claude-*"': ("gpt-5.5@high", "file", str(file)),
        "accounts.main.base_url": ("https://api.example/v1", "file", str(file)),
        "accounts.main.kind": ("openai", "default", None),
        "keys.ada.key_env": ("KEY_OF_ADA", "file", str(file)),
    }
    assert {key: (shown[key].value, shown[key].origin, shown[key].source) for key in expected} == expected


def test_tables_of_the_environment_replace_the_files(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_MODELS", '{"x": "y"}')
    shown = found(file)
    assert shown['models."x"'].origin == "environment"
    assert 'models."claude-*"' not in shown


def test_no_secret_is_shown(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_ADA", "sk-drg-of-ada")
    listed = rows(file, {})
    assert {row.key: row.value for row in listed}["accounts.main.api_key"] == HIDDEN
    for text in (as_json(listed), as_text(listed, origin=True), as_text(listed, origin=False)):
        assert "very-secret" not in text
        assert "of-ada" not in text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:hunter2@db/x", "postgresql://me:…@db/x"),
        ("postgresql://db/x?user=me&password=hunter2&ssl=1", "postgresql://db/x?user=me&password=…&ssl=1"),
        ("sqlite:///dragoman.db", "sqlite:///dragoman.db"),
    ],
)
def test_a_password_inside_an_address_is_masked(
    monkeypatch: pytest.MonkeyPatch, address: str, shown: str
) -> None:
    monkeypatch.setenv("DRAGOMAN_DATABASE__URL", address)
    assert found(None)["database.url"].value == shown


def test_every_kind_of_value_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables inside tables and dates too."""
    key = {"name": "ada", "key": "sk-drg-of-ada", "expires_at": "2027-01-31T00:00:00Z"}
    limit = {"measure": "tokens", "per": "day", "max": 1000}
    monkeypatch.setenv("DRAGOMAN_KEYS", json.dumps([key | {"limits": [limit], "tags": ["team"]}]))
    listed = rows(None, {})
    shown = {row["key"]: row["value"] for row in json.loads(as_json(listed))}
    assert shown["keys.ada.expires_at"].startswith("2027-01-31T00:00:00")
    assert (shown["keys.ada.limits"], shown["keys.ada.tags"]) == ([limit], ["team"])


def test_the_text_has_a_line_for_each(file: Path) -> None:
    listed = rows(file, {})
    lines = as_text(listed, origin=True).splitlines()
    assert len(lines) == len(listed)
    assert any(line.startswith("server.port ") and line.endswith(f"file {file}") for line in lines)
    assert "file" not in as_text(listed, origin=False).split("server.port", 1)[1].splitlines()[0]
    assert [row["key"] for row in json.loads(as_json(listed))] == [row.key for row in listed]


def test_the_data_directory_has_an_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_directory(tmp_path) == Row("data_dir", str(tmp_path), "flag", "--data-dir")
    assert data_directory(None).origin == "default"
    monkeypatch.setenv("DRAGOMAN_DATA_DIR", str(tmp_path))
    assert data_directory(None).source == "DRAGOMAN_DATA_DIR"


def test_all_problems_are_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown variables and wrong keys of the file in one go."""
    file = tmp_path / "dragoman.toml"
    file.write_text("[server]\nprt = 1\nqueue = -1\n")
    monkeypatch.setenv("DRAGOMAN_SERVR__PORT", "1")
    monkeypatch.setenv("DRAGOMAN_LOGING", "{}")
    told = problems(file, tmp_path)
    assert len(told) == 4
    assert any("DRAGOMAN_SERVR__PORT, did you mean DRAGOMAN_SERVER__PORT?" in line for line in told)
    assert any("server.prt: unknown key, did you mean port?" in line for line in told)
