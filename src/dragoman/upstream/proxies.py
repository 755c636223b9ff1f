"""Which proxy the environment names for an address. Loopback is never proxied."""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass

from yarl import URL

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def proxy_for(url: str) -> URL | None:
    """The proxy for a URL, None where it is reached directly."""
    parsed = URL(url)
    host = parsed.host or ""
    if host in LOOPBACK or host.startswith("127.") or proxy_bypass(host):
        return None
    proxy = getproxies().get(parsed.scheme)
    if not proxy:
        return None
    return URL(proxy if "://" in proxy else f"http://{proxy}")
