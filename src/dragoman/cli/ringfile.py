"""The file of secret texts: one a line, newest first, changed as a whole or not at all.

What the texts open is the store's business; they are never shown.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dragoman.settings import SettingsError


def write(file: Path, texts: Sequence[str]) -> None:
    """Replaces the texts, mode 0600; a reader finds the former or the new ones. Raises SettingsError."""
    file = file.resolve()
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as opened:
                opened.write("".join(f"{text}\n" for text in texts))
                opened.flush()
                os.fsync(opened.fileno())
            draft.replace(file)
            _sync(file.parent)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be written: {error.strerror}") from None


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Keeps other rotations of the same file out. Raises SettingsError when one is going on."""
    lock = file.resolve().with_name(f".{file.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SettingsError(f"{lock}: cannot be made: {error.strerror}") from None
    try:
        # Not on Windows, where nothing keeps a second rotation out.
        with contextlib.suppress(ImportError):
            fcntl = importlib.import_module("fcntl")
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise SettingsError(f"{file}: another rotation is going on") from None
        yield
    finally:
        os.close(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
