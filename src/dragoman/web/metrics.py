"""`/metrics`: the figures of this process, for callers on this machine and for admin tokens.

It decides who may read. What counts is the peer's address of the connection, never a header that names
one; a request that went through a proxy is not from this machine, whatever the proxy's own address is. It
never decides what is told, and leaves no row in the log.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping

from dragoman.web import reply
from dragoman.web.incoming import Incoming, Scope
from dragoman.wire.errors import Failure, Kind

# Accept header -> text and its content type.
Scrape = Callable[[str], Awaitable[tuple[bytes, str]]]
IsAdmin = Callable[[Mapping[str, str]], Awaitable[bool]]
# Why a request's Host or Origin is not one of ours, None where both are.
Stranger = Callable[[Mapping[str, str]], Failure | None]

# A proxy on this machine relays for others; any of these says that there was one.
_RELAYED = frozenset(
    {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "x-real-ip", "via"}
)
_REFUSED = Failure(
    Kind.AUTHENTICATION,
    "Metrics are for callers on this machine and for admin tokens.",
    should_retry=False,
)


async def nobody(headers: Mapping[str, str]) -> bool:
    """Where there are no admin tokens, none is right."""
    return False


class MetricsDoor:
    """Serves the figures, or 401 in OpenAI's envelope."""

    def __init__(self, scrape: Scrape, is_admin: IsAdmin, stranger: Stranger) -> None:
        self._scrape = scrape
        self._is_admin = is_admin
        self._stranger = stranger

    async def __call__(self, incoming: Incoming) -> None:
        if not (self._is_near(incoming) or await self._is_admin(incoming.headers)):
            await reply.send_failure(incoming.send, _REFUSED, incoming.request_id, "openai")
            return
        text, content_type = await self._scrape(incoming.headers.get("accept", ""))
        await reply.send_text(incoming.send, text, content_type, {"request-id": incoming.request_id})

    def _is_near(self, incoming: Incoming) -> bool:
        """From this machine, not relayed, and no web page that rebound its name to this address."""
        if not is_loopback_peer(incoming.scope) or not _RELAYED.isdisjoint(incoming.headers):
            return False
        return self._stranger(incoming.headers) is None


def is_loopback_peer(scope: Scope) -> bool:
    """Whether the connection's other end has a loopback address; one that is not known has none."""
    client = scope.get("client")
    try:
        address = ipaddress.ip_address(client[0]) if client else None
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback if address is not None else False
