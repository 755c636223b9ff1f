"""Key files: made once with mode 0600, never overwritten, refused when others may read them."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from dragoman.settings import SettingsError

KEY_PREFIX = "sk-drg-"


def data_directory(chosen: Path | None) -> Path:
    """`--data-dir`, else DRAGOMAN_DATA_DIR, else `$XDG_DATA_HOME/dragoman`; made with mode 0700."""
    if chosen is None:
        named = os.environ.get("DRAGOMAN_DATA_DIR")
        home = os.environ.get("XDG_DATA_HOME")
        base = Path(home) if home and Path(home).is_absolute() else Path.home() / ".local" / "share"
        chosen = Path(named) if named else base / "dragoman"
    try:
        chosen.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"data directory {chosen}: {error.strerror}; name another with --data-dir"
        ) from None
    return chosen


def keep(path: Path, make: str) -> str:
    """The text of a secret file; when it does not exist it is created with `make` and mode 0600.

    Raises SettingsError when the file cannot be read or written, is empty, or others may read it.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read(path, private=True)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be made: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(make + "\n")
    return make


def read(path: Path, *, private: bool = False) -> str:
    """The stripped text of a file that holds a secret. `private` demands that only the owner may read it."""
    try:
        if private and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SettingsError(f"{path}: others may read this file; chmod 600 {path}")
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text"
        raise SettingsError(f"{path}: {reason}") from None
    if not text:
        raise SettingsError(f"{path}: is empty")
    return text


def new_key() -> str:
    """A client key: 32 random bytes behind the product's prefix."""
    return KEY_PREFIX + secrets.token_urlsafe(32)
