"""Names of tools on their way upstream and back.

The upstream takes `[a-zA-Z0-9_-]`, at most 64 characters; clients send dots, colons, slashes and the long
names of MCP tools. A name that does not fit becomes a short one that depends on the name alone, so it is the
same in every turn, whatever other tools there are, and in the history even when the tool is gone.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

LIMIT = 64
_DIGEST = 8
_FITS = re.compile(rf"[a-zA-Z0-9_-]{{1,{LIMIT}}}")
_ODD = re.compile(r"[^a-zA-Z0-9_-]")
_MCP = "mcp__"


@lru_cache(maxsize=4096)
def short_name(name: str, digest: int = _DIGEST) -> str:
    """The name if it fits, else its speaking part and a hash of the whole; pure and constant."""
    if _FITS.fullmatch(name):
        return name
    told = name
    if name.startswith(_MCP):
        last = name.rpartition("__")[2]
        told = _MCP + last if last else name
    mark = sha256(name.encode()).hexdigest()[:digest]
    return f"{_ODD.sub('_', told)[: LIMIT - digest - 1]}_{mark}"


class Names:
    """The names of one request's tools. `changed` maps upstream name -> client's name, for the way back."""

    __slots__ = ("_given", "_upstream", "changed")

    def __init__(self) -> None:
        self._upstream: dict[str, str] = {}
        self._given: set[str] = set()
        self.changed: dict[str, str] = {}

    def add(self, name: str) -> str:
        """Takes in a tool that the client offers; returns its upstream name, distinct from all others."""
        known = self._upstream.get(name)
        if known is not None:
            return known
        digest = _DIGEST
        made = short_name(name)
        while made in self._given:  # only a client that imitates our short names gets here
            digest += _DIGEST
            made = short_name(f"{name} ", digest)
        self._given.add(made)
        self._upstream[name] = made
        if made != name:
            self.changed[made] = name
        return made

    def knows(self, name: str) -> bool:
        """Whether a tool of this name is on offer."""
        return name in self._upstream

    def of(self, name: str) -> str:
        """The upstream name of any tool, also of one that is no longer offered."""
        return self._upstream.get(name) or short_name(name)
