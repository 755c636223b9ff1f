"""Claude Code's settings file: everything else stays, and undo brings back the very bytes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.cli.settings_file import environment_of, in_git, places, undo, user_file, write
from dragoman.settings import SettingsError

VARIABLES = {
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:8787",
    "ANTHROPIC_AUTH_TOKEN": "sk-drg-x",
    "ANTHROPIC_API_KEY": "",
}
STAMP = "20261122T101500.000000Z"


def no(name: str) -> bool:
    return False


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".claude" / "settings.json"


def made(file: Path, text: str, permissions: int = 0o644) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text.encode())
    file.chmod(permissions)
    return file


def test_a_file_that_was_not_there_comes_and_goes(file: Path) -> None:
    done = write(file, VARIABLES, no, STAMP)
    assert json.loads(file.read_text()) == {"env": VARIABLES}
    assert mode(file) == 0o600
    assert done.backup is not None and done.backup.parent == file.parent
    undone = undo(file, STAMP)
    assert (undone.existed, undone.edited, undone.left) == (False, None, 0)
    assert list(file.parent.iterdir()) == []


def test_other_fields_and_their_order_stay(file: Path) -> None:
    env = '{"Z": "1", "ANTHROPIC_API_KEY": "old", "A": "2"}'
    text = f'{{\n\t"model": "opus",\n\t"env": {env},\n\t"hooks": {{"x": [1.50]}}\n}}'
    made(file, text)
    done = write(file, VARIABLES, lambda name: name == "Z", STAMP)
    found = json.loads(file.read_text())
    assert list(found) == ["model", "env", "hooks"]
    assert list(found["env"]) == ["ANTHROPIC_API_KEY", "A", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"]
    assert found["env"] == {"A": "2"} | VARIABLES
    assert done.removed == ("Z",)
    assert '\n\t"model"' in file.read_text(), "the file's own indentation"
    assert mode(file) == 0o600
    undo(file, STAMP)
    assert file.read_bytes() == text.encode()
    assert mode(file) == 0o644


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.text().filter(lambda key: key != "env"), values, max_size=4)
environments = st.none() | st.dictionaries(st.text(), st.text() | st.integers(), max_size=4)


@given(documents, environments, st.sampled_from([None, 1, 2, 4, "\t"]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_settings_survive_a_round_trip(
    document: dict[str, Any], env: dict[str, Any] | None, indent: Any, escaped: bool
) -> None:
    """Written and undone: the same bytes. In between: the same values, with ours in env."""
    if env is not None:
        document = {**document, "env": env}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "settings.json"
        try:
            before = json.dumps(document, indent=indent, ensure_ascii=escaped).encode()
        except UnicodeEncodeError:  # a lone surrogate can only be escaped
            before = json.dumps(document, indent=indent).encode()
        file.write_bytes(before)
        write(file, VARIABLES, no, STAMP)
        found = json.loads(file.read_text())
        assert {**found, "env": None} == {**document, "env": None}
        assert found["env"] == (env or {}) | VARIABLES
        undo(file, STAMP)
        assert file.read_bytes() == before
        assert list(Path(folder).iterdir()) == [file]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n  "a": 1\n  "b": 2\n}', "line 3, column 3"),
        ("", "line 1, column 1"),
        ("// comment\n{}", "line 1, column 1"),
        ("[]", "must be a JSON object"),
        ('{"env": []}', "env: must be an object"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
        ('{"a": NaN}', "NaN is no JSON value"),
        ('{"a": 1e999}', "too large"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_what_is_not_valid_is_refused_and_left_alone(file: Path, text: str, said: str) -> None:
    made(file, text)
    with pytest.raises(SettingsError) as refused:
        write(file, VARIABLES, no, STAMP)
    assert said in str(refused.value)
    assert str(file) in str(refused.value)
    assert file.read_text() == text
    assert list(file.parent.iterdir()) == [file]


def test_bytes_that_are_no_text_are_refused(file: Path) -> None:
    made(file, "")
    file.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(SettingsError, match="not UTF-8 at byte 7"):
        write(file, VARIABLES, no, STAMP)


def test_writing_the_same_twice_changes_nothing(file: Path) -> None:
    made(file, "{}")
    write(file, VARIABLES, no, STAMP)
    assert write(file, VARIABLES, no, "later").backup is None
    undo(file, STAMP)
    assert file.read_text() == "{}"


def test_undo_goes_back_step_by_step(file: Path) -> None:
    made(file, "{}")
    write(file, VARIABLES, no, "20261122T101500.000001Z")
    between = file.read_bytes()
    write(file, VARIABLES | {"ANTHROPIC_MODEL": "x"}, no, "20261122T101500.000002Z")
    assert undo(file, STAMP).left == 1
    assert file.read_bytes() == between
    assert undo(file, STAMP).left == 0
    assert file.read_text() == "{}"
    with pytest.raises(SettingsError, match="nothing to undo"):
        undo(file, STAMP)


def test_what_was_edited_since_is_kept_beside_it(file: Path) -> None:
    made(file, "{}")
    write(file, VARIABLES, no, STAMP)
    file.write_text('{"mine": 1}')
    undone = undo(file, STAMP)
    assert file.read_text() == "{}"
    assert undone.edited is not None
    assert undone.edited.read_text() == '{"mine": 1}'


def test_a_link_stays_a_link(tmp_path: Path, file: Path) -> None:
    target = tmp_path / "dotfiles.json"
    target.write_text("{}")
    file.parent.mkdir()
    file.symlink_to(target)
    write(file, VARIABLES, no, STAMP)
    assert file.is_symlink()
    assert environment_of(target) == VARIABLES
    undo(file, STAMP)
    assert target.read_text() == "{}"


def test_a_place_without_links_is_backed_up_by_copy(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", unsupported)
    made(file, '{"a": 1}', 0o640)
    write(file, VARIABLES, no, STAMP)
    undo(file, STAMP)
    assert (file.read_text(), mode(file)) == ('{"a": 1}', 0o640)


def test_a_failed_write_leaves_no_trace(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    made(file, "{}")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SettingsError, match="No space left"):
        write(file, VARIABLES, no, STAMP)
    assert file.read_text() == "{}"
    assert list(file.parent.iterdir()) == [file]


def test_where_the_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_file({}) == tmp_path / ".claude" / "settings.json"
    assert user_file({"CLAUDE_CONFIG_DIR": "/etc/claude"}) == Path("/etc/claude/settings.json")
    assert [path.name for path in places(tmp_path, {})] == [
        "settings.json",
        "settings.json",
        "settings.local.json",
    ]
    assert environment_of(tmp_path / "absent.json") == {}


def test_what_git_thinks_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / ".claude" / "settings.local.json"
    assert in_git(file) == "outside"
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, env=environ)
    assert in_git(file) == "open"
    (tmp_path / ".gitignore").write_text(".claude/settings.local.json\n")
    assert in_git(file) == "ignored"
    made(file, "{}")
    subprocess.run(["git", "-C", str(tmp_path), "add", "-f", str(file)], check=True, env=environ)
    assert in_git(file) == "tracked"
