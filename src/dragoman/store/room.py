"""Room on a disk: how much is left, and some of it set aside for a file that is still to be written.

Where the system or the file system cannot do that, the file does without.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE: the file is as long as it was
_LEAST = 64 * 1024


def left(directory: Path) -> int:
    """Bytes that may still be written there; none where that cannot be told."""
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return 0


def set_aside(file: int, size: int) -> None:
    """Keeps the first `size` bytes of a file free for it; nothing where that is hardly anything."""
    allocate = _allocator()
    if allocate is not None and size >= _LEAST:
        allocate(file, _KEEP_SIZE, 0, size)


def give_back(file: int, size: int) -> None:
    """What was set aside beyond `size`, which is what the file holds, is everybody's again."""
    with contextlib.suppress(OSError):
        os.ftruncate(file, size)


@cache
def _allocator() -> Callable[[int, int, int, int], int] | None:
    """Linux's fallocate, of which Python knows only the form that makes the file longer."""
    if sys.platform != "linux":
        return None
    ctypes = importlib.import_module("ctypes")
    library = ctypes.CDLL(None)
    found = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    allocator: Callable[[int, int, int, int], int] | None = found
    return allocator
