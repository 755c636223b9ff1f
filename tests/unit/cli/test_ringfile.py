"""The file of secret texts: changed as a whole, by one at a time."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dragoman.cli import ringfile
from dragoman.settings import SettingsError


def test_it_is_replaced_as_a_whole_and_private(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old\n")
    file.chmod(0o644)
    ringfile.write(file, ["new", "old"])
    assert file.read_text() == "new\nold\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old\n")
    link = tmp_path / "secret"
    link.symlink_to("real")
    ringfile.write(link, ["new"])
    assert link.is_symlink()
    assert (tmp_path / "real").read_text() == "new\n"


def test_a_failure_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    file.write_text("old\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SettingsError, match="cannot be written: No space left"):
        ringfile.write(file, ["new"])
    assert file.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [file]


def test_two_rotations_do_not_meet(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    with (
        ringfile.alone(file),
        pytest.raises(SettingsError, match="another rotation is going on"),
        ringfile.alone(file),
    ):
        pass
    with ringfile.alone(file):
        pass
    with pytest.raises(SettingsError, match="cannot be made"), ringfile.alone(tmp_path / "no" / "secret"):
        pass
