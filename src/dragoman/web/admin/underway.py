"""Log-ins of ChatGPT accounts that admins have begun: each with a state of its own, forgotten after its time.

They are this process's alone and hold secrets of a log-in, never of an account that is kept. It knows no
FastAPI.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from dragoman.onboarding.signin import BrowserSignIn, DeviceSignIn
from dragoman.store.clientkeys import NotThere
from dragoman.upstream.authfile import Login

_MOST = 64


@dataclass(slots=True)
class SignIn:
    """One that is under way. Times in epoch seconds.

    next_at  when a device may be asked for again
    login    what was got and could not be kept yet: its code is spent
    outcome  what came of it, once it is over
    """

    name: str
    begun: BrowserSignIn | DeviceSignIn
    expires_at: float
    next_at: float = 0.0
    login: Login | None = None
    outcome: Any = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)


class SignIns:
    """Those of this process; the oldest go where there are too many."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, SignIn] = OrderedDict()

    def put(self, one: SignIn, now: float) -> str:
        """Takes one in; its id, which nobody guesses."""
        for name in [name for name, old in self._open.items() if old.expires_at <= now]:
            del self._open[name]
        while len(self._open) >= _MOST:
            self._open.popitem(last=False)
        made = secrets.token_urlsafe(16)
        self._open[made] = one
        return made

    def get(self, name: str, now: float) -> SignIn:
        """Raises NotThere for one that is unknown or over."""
        one = self._open.get(name)
        if one is None or one.expires_at <= now:
            raise _gone()
        return one

    def drop(self, name: str) -> None:
        """Gives one up. Raises NotThere."""
        if self._open.pop(name, None) is None:
            raise _gone()


def _gone() -> NotThere:
    return NotThere("there is no such log-in: it is over, or was begun at another process")
