"""Whether an address may be an upstream's: http or https, without credentials, no metadata service behind it.

It judges the text alone; it never looks a name up.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

# Where clouds keep a machine's credentials, apart from the link-local range.
_METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
_METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(text)
    for text in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16")
)


def problem(url: str) -> str | None:
    """What is wrong with an upstream's address, or None."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    if not named or parts.scheme not in ("http", "https") or not re.fullmatch(r"[!-~]+", url):
        return "must be an http or https address"
    if parts.username is not None or parts.password is not None:
        return "must hold no user name or password: use api_key"
    return "must end before any ? or #" if parts.query or parts.fragment else None


def forbidden(url: str) -> str | None:
    """Why a good address is refused unless its operator allows it, metadata or link-local; else None."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    if host in _METADATA_NAMES:
        return f"{host} is a metadata service"
    address = _address(host)
    if address is None:
        return None
    inner = getattr(address, "ipv4_mapped", None) or address
    if inner in _METADATA_ADDRESSES:
        return f"{host} is a metadata service"
    return f"{host} is a link-local address" if inner.is_link_local else None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return _odd_ipv4(host)


def _odd_ipv4(host: str) -> ipaddress.IPv4Address | None:
    """An IPv4 address as `inet_aton` reads it: decimal, octal or hexadecimal, of one to four parts."""
    parts = host.split(".")
    if not 1 <= len(parts) <= 4:
        return None
    numbers = []
    for part in parts:
        if not re.fullmatch(r"0x[0-9a-f]{1,8}|[0-9]{1,11}", part):
            return None
        octal = part.startswith("0") and not part.startswith("0x") and len(part) > 1
        try:
            numbers.append(int(part, 8 if octal else 0 if part.startswith("0x") else 10))
        except ValueError:
            return None
    *leading, last = numbers
    if any(number > 255 for number in leading) or last >= 256 ** (5 - len(parts)):
        return None
    return ipaddress.IPv4Address(sum(n << (24 - 8 * at) for at, n in enumerate(leading)) + last)
