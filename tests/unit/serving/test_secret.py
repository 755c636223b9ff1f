"""Key files: made once, private, never overwritten."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dragoman.serving.secret import data_directory, data_path, keep, new_key, read
from dragoman.settings import SettingsError


def test_a_key_file_is_made_private_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert keep(path, "first") == "first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keep(path, "second") == "first"


def test_a_key_file_appears_whole_whoever_starts_at_the_same_time(tmp_path: Path) -> None:
    """Several gateways on one fresh data directory, or one killed while it made the file."""
    path = tmp_path / "key"
    with ThreadPoolExecutor(8) as pool:
        texts = set(pool.map(lambda number: keep(path, f"text {number}"), range(64)))
    assert texts == {path.read_text().strip()}
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_file_needs_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", unsupported)
    assert keep(tmp_path / "key", "first") == "first"
    assert keep(tmp_path / "key", "second") == "first"
    assert list(tmp_path.iterdir()) == [tmp_path / "key"]


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    keep(path, "text")
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        keep(path, "other")


def test_an_empty_or_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").touch(mode=0o600)
    with pytest.raises(SettingsError, match="is empty"):
        read(tmp_path / "empty")
    with pytest.raises(SettingsError, match="absent"):
        read(tmp_path / "absent")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="is not text"):
        read(tmp_path / "binary")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be made"):
        keep(tmp_path / "no" / "such" / "folder", "x")
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="--data-dir"):
        data_directory(tmp_path / "file" / "below")


def test_the_data_directory_follows_flag_variable_and_xdg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("DRAGOMAN_DATA_DIR", raising=False)
    assert data_directory(None) == tmp_path / "xdg" / "dragoman"
    monkeypatch.setenv("DRAGOMAN_DATA_DIR", str(tmp_path / "named"))
    assert data_directory(None) == tmp_path / "named"
    assert data_directory(tmp_path / "flag") == tmp_path / "flag"
    assert stat.S_IMODE((tmp_path / "flag").stat().st_mode) == 0o700
    monkeypatch.delenv("DRAGOMAN_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert data_directory(None) == tmp_path / "home" / ".local" / "share" / "dragoman"


def test_client_keys_are_long_and_different() -> None:
    assert new_key().startswith("sk-drg-")
    assert len(new_key()) == 50
    assert new_key() != new_key()


def test_a_tilde_is_a_home_in_flag_and_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell leaves it alone in quotes, and so does a service's environment file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_path(Path("~/place")) == tmp_path / "place"
    monkeypatch.setenv("DRAGOMAN_DATA_DIR", "~/other")
    assert data_path(None) == tmp_path / "other"
    with pytest.raises(SettingsError, match="no such home"):
        data_path(Path("~nobody-of-this-name/place"))
