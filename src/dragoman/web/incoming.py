"""One HTTP request as the doors see it: the ASGI triple, its headers as a dict, its request id."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from dragoman.web.departure import EXTENSION, Departure
from dragoman.wire import scrub

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]

# `claude-cli/2.1.0`, and `Anthropic/Python 2.12.0` as the official SDKs have it.
_CLIENT = re.compile(
    r"^[A-Za-z][\w.\-]{0,40}(?:/[A-Za-z][\w.\-+]{0,39} \d[\w.\-+]{0,39}(?!\S)|/[\w.\-+]{1,40})?"
)


@dataclass(slots=True)
class Incoming:
    """Header names are lower case; of repeated fields the last one counts."""

    scope: Scope
    receive: Receive
    send: Send
    path: str
    method: str
    headers: dict[str, str]
    request_id: str

    @property
    def departure(self) -> Departure:
        """Tells when the client leaves."""
        departure: Departure = self.scope["extensions"][EXTENSION]
        return departure

    @property
    def client(self) -> str:
        """Product and version of the caller, as far as its User-Agent names them."""
        match = _CLIENT.match(self.headers.get("user-agent", ""))
        return scrub.name(match.group(0)) if match else ""


def headers_of(scope: Scope) -> dict[str, str]:
    """The request's header fields as text."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
