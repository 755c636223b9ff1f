"""SQLAlchemy's asynchronous engine without its object mapper.

Their package imports the mapper for its sessions: 6 MB and a tenth of the start, and nothing here maps
objects. So the one module that is wanted is imported past the package; who wants a session still gets one.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import sqlalchemy

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
else:
    _PACKAGE = "sqlalchemy.ext.asyncio"

    def _engine() -> ModuleType:
        if _PACKAGE in sys.modules:
            return importlib.import_module(f"{_PACKAGE}.engine")
        empty = ModuleType(_PACKAGE)
        empty.__path__ = [str(Path(sqlalchemy.__file__).parent / "ext" / "asyncio")]
        sys.modules[_PACKAGE] = empty
        try:
            return importlib.import_module(f"{_PACKAGE}.engine")
        finally:
            del sys.modules[_PACKAGE]

    _found = _engine()
    AsyncConnection = _found.AsyncConnection
    AsyncEngine = _found.AsyncEngine
    create_async_engine = _found.create_async_engine

__all__ = ["AsyncConnection", "AsyncEngine", "create_async_engine"]
