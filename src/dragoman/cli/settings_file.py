"""Writes variables into a settings file of Claude Code, and takes them out again.

Every other field and the order of the keys stay; the file is replaced whole and readable by its owner only,
because it then holds a key. The file as it was stays beside it under a dated name, and `undo` puts that very
file back. What is not valid JSON is never touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dragoman.settings import SettingsError

_INDENT = re.compile(r"^([ \t]+)\S", re.MULTILINE)
_MARK = ".dragoman-"
# What a backup stands for: the file itself, or that there was none.
_WAS, _WAS_NOT = ".bak", ".absent"


@dataclass(frozen=True, slots=True)
class Written:
    """What `write` did. `backup` is None when the file already said so."""

    path: Path
    backup: Path | None
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Undone:
    """What `undo` did. `edited` is a copy of changes made since; `left` counts older backups."""

    path: Path
    existed: bool
    edited: Path | None
    left: int


def user_file(environ: Mapping[str, str]) -> Path:
    """The settings of all the user's sessions."""
    folder = environ.get("CLAUDE_CONFIG_DIR")
    return (Path(folder) if folder else Path.home() / ".claude") / "settings.json"


def project_file(folder: Path) -> Path:
    """The settings of one project that are not meant to be committed."""
    return folder / ".claude" / "settings.local.json"


def places(folder: Path, environ: Mapping[str, str]) -> list[Path]:
    """Every settings file whose `env` the client would apply in a folder, the weakest first."""
    return [user_file(environ), folder / ".claude" / "settings.json", project_file(folder)]


def parse(text: str, path: Path) -> dict[str, Any]:
    """The settings as an object. Raises SettingsError with line and column, or the path of what is wrong."""
    try:
        found = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_float)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise SettingsError(f"{path}: not valid JSON: {error.msg} ({where}); nothing was changed") from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else error
        raise SettingsError(f"{path}: not valid JSON: {reason}; nothing was changed") from None
    if not isinstance(found, dict):
        raise SettingsError(f"{path}: must be a JSON object; nothing was changed")
    if not isinstance(found.get("env", {}), dict):
        raise SettingsError(f"{path}: env: must be an object; nothing was changed")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no JSON value")


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def environment_of(path: Path) -> dict[str, str]:
    """The variables of a settings file; none where it does not exist. Raises SettingsError."""
    text = _read(path)
    found = {} if text is None else parse(text, path).get("env", {})
    return {name: value for name, value in found.items() if isinstance(value, str)}


def write(path: Path, variables: Mapping[str, str], unwanted: Callable[[str], bool], stamp: str) -> Written:
    """Puts the variables into `env`, and takes out of it the names that are `unwanted`.

    `stamp` dates the backup. Raises SettingsError, and then nothing was changed.
    """
    path = Path(os.path.realpath(path))
    before = _read(path)
    settings = {} if before is None else parse(before, path)
    env = dict(settings.get("env", {}))
    removed = tuple(name for name in env if name not in variables and unwanted(name))
    for name in removed:
        del env[name]
    after = _text({**settings, "env": env | dict(variables)}, before)
    if before is not None and after == before.encode() and path.stat().st_mode & 0o777 == 0o600:
        return Written(path, None, ())
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        backup = _back_up(path, before is not None, after, stamp)
        try:
            _replace(path, after)
        except OSError:
            backup.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror}") from None
    return Written(path, backup, removed)


def undo(path: Path, stamp: str) -> Undone:
    """Puts the newest backup back, bytes and mode. Raises SettingsError when there is none.

    A file that was edited since it was written is kept beside it, dated with `stamp`.
    """
    path = Path(os.path.realpath(path))
    backups = sorted(_backups(path))
    if not backups:
        raise SettingsError(f"{path}: there is nothing to undo: no backup stands beside it")
    backup = backups[-1]
    try:
        edited = _keep_edited(path, backup, stamp)
        if existed := backup.suffix == _WAS:
            backup.replace(path)
        else:
            path.unlink(missing_ok=True)
            backup.unlink()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be restored: {error.strerror}") from None
    return Undone(path, existed, edited, len(backups) - 1)


def in_git(path: Path) -> Literal["tracked", "ignored", "open", "outside"]:
    """What git thinks of a file: `open` could be committed by the next `git add`."""
    folder = next(place for place in (path.parent, *path.parent.parents) if place.is_dir())
    for arguments, meaning in (
        (["ls-files", "--error-unmatch"], "tracked"),
        (["check-ignore", "-q"], "ignored"),
    ):
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments, "--", str(path)],
                capture_output=True,
                timeout=10,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return "outside"
        if done.returncode == 0:
            return "tracked" if meaning == "tracked" else "ignored"
        if done.returncode == 128:
            return "outside"
    return "open"


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 at byte {error.start}; nothing was changed") from None


def _text(settings: Mapping[str, Any], before: str | None) -> bytes:
    """The JSON in the file's own indentation."""
    found = _INDENT.search(before or "")
    layout: dict[str, Any] = {"indent": found.group(1) if found else 2, "separators": (",", ": ")}
    try:
        return (json.dumps(settings, ensure_ascii=False, **layout) + "\n").encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can carry
        return (json.dumps(settings, **layout) + "\n").encode()


def _back_up(path: Path, exists: bool, after: bytes, stamp: str) -> Path:
    """A second name for the file as it is; its name also tells what it was replaced with."""
    kind = _WAS if exists else _WAS_NOT
    backup = path.with_name(f"{path.name}{_MARK}{stamp}-{_digest(after)}{kind}")
    if not exists:
        os.close(os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        return backup
    try:
        backup.hardlink_to(path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        os.close(os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        shutil.copy2(path, backup)
    return backup


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _backups(path: Path) -> Iterator[Path]:
    if not path.parent.is_dir():
        return
    for beside in path.parent.iterdir():
        if beside.name.startswith(path.name + _MARK) and beside.suffix in (_WAS, _WAS_NOT):
            yield beside


def _keep_edited(path: Path, backup: Path, stamp: str) -> Path | None:
    if not path.exists():
        return None
    written = backup.stem.rpartition("-")[2]
    if _digest(path.read_bytes()) == written:
        return None
    edited = path.with_name(f"{path.name}{_MARK}{stamp}.edited")
    shutil.copy2(path, edited)
    return edited


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
