"""Key files: made once with mode 0600, never overwritten, refused when others may read them."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path

from dragoman.settings import SettingsError

KEY_PREFIX = "sk-drg-"
# Files of the data directory that hold a client key: the demo's, and the one that `key create` saved.
DEMO_KEY = "demo-key"
CLIENT_KEY = "client-key"


def data_path(chosen: Path | None) -> Path:
    """`--data-dir`, else DRAGOMAN_DATA_DIR, else `$XDG_DATA_HOME/dragoman`; `~` is a home. Makes nothing.

    Raises SettingsError for the home of nobody.
    """
    if chosen is not None:
        return _at_home(chosen)
    if named := os.environ.get("DRAGOMAN_DATA_DIR", "").strip():
        return _at_home(Path(named))
    home = os.environ.get("XDG_DATA_HOME")
    base = Path(home) if home and Path(home).is_absolute() else Path.home() / ".local" / "share"
    return base / "dragoman"


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise SettingsError(f"data directory {path}: there is no such home") from None


def data_directory(chosen: Path | None) -> Path:
    """The data directory, made with mode 0700 where it is missing. Raises SettingsError."""
    chosen = data_path(chosen)
    try:
        chosen.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"data directory {chosen}: {error.strerror}; name another with --data-dir"
        ) from None
    return chosen


def keep(path: Path, make: str) -> str:
    """The text of a secret file; when it does not exist it is created with `make` and mode 0600.

    It appears with its content or not at all, whoever is killed or starts at the same time. Raises
    SettingsError when the file cannot be read or written, is empty, or others may read it.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        if path.exists():
            return read(path, private=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(make + "\n")
                file.flush()
                os.fsync(file.fileno())
            _publish(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except FileExistsError:
        return read(path, private=True)
    except OSError as error:
        raise _not_made(path, error) from None
    return make


def check_makeable(path: Path, data: Path) -> None:
    """Raises SettingsError where `keep` could not make the file; the data directory itself may be missing."""
    folder = path.parent
    while folder in (data, *data.parents) and not folder.exists():
        folder = folder.parent
    try:
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _not_made(path, error) from None


def _not_made(path: Path, error: OSError) -> SettingsError:
    return SettingsError(f"{path}: cannot be made: {error.strerror}")


def _publish(draft: Path, path: Path) -> None:
    """Gives a complete file its name. Raises FileExistsError when somebody else was first."""
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        draft.rename(path)


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
