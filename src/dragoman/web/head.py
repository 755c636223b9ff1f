"""The head of a request: which ones are refused, and what the target of an accepted one is.

Pure rules over parsed fields (RFC 9110, RFC 9112). Where two servers could read a head in two ways it is
refused, because that difference is how requests are smuggled. It never looks at what a path means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import httptools

from dragoman.wire.errors import Failure, Kind

# The fields that decide on framing and identity, by lower-case name.
NOTED = frozenset({b"host", b"transfer-encoding", b"expect", b"upgrade"})
Noted = dict[bytes, list[bytes]]

_HOST = re.compile(rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class Refusal(NamedTuple):
    """A failure and what its transport-level answer needs beyond it."""

    failure: Failure
    status: int | None = None
    headers: Mapping[str, str] | None = None


def _bad(message: str) -> Refusal:
    return Refusal(Failure(Kind.INVALID_REQUEST, message))


TOO_LARGE = Refusal(Failure(Kind.HEADERS_TOO_LARGE, "The header fields are over the limit."))
TARGET_TOO_LONG = Refusal(Failure(Kind.URI_TOO_LONG, "The request target is over the limit."))
_VERSION = _bad("Only HTTP/1.1 and HTTP/1.0 are spoken here.")
_NO_HOST = _bad("The Host header is missing.")
_MANY_HOSTS = _bad("There is more than one Host header.")
_BAD_HOST = _bad("The Host header is malformed.")
_BAD_CODING = _bad("The Transfer-Encoding is not one that is accepted here.")
_BAD_TARGET = _bad("The request target is malformed.")
_STRANGER = Refusal(Failure(Kind.MISDIRECTED, "This server does not answer for the requested host."))
_CONNECT = Refusal(
    Failure(Kind.METHOD_NOT_ALLOWED, "This server is no proxy: CONNECT is refused."),
    headers={"allow": "GET, HEAD, POST"},
)
# 426 is what clients that try WebSocket first take as the sign to go on with plain HTTP.
_WEBSOCKET = Refusal(
    Failure(Kind.NOT_SUPPORTED, "WebSocket is not offered here: use HTTP with server-sent events."),
    status=426,
    headers={"upgrade": "HTTP/1.1"},
)


def examine(
    version: str,
    method: str,
    target: bytes,
    noted: Noted,
    host_allowed: Callable[[str], bool] | None = None,
) -> tuple[bytes, bytes] | Refusal:
    """The raw path and query string of an acceptable head, or why it is refused.

    `host_allowed` gets the host as sent, in lower case and without its port.
    """
    if version not in ("1.1", "1.0"):
        return _VERSION
    hosts = noted.get(b"host", [])
    if (refusal := _examine_hosts(version, hosts)) is not None:
        return refusal
    codings = noted.get(b"transfer-encoding")
    if codings is not None and (version == "1.0" or [coding.lower() for coding in codings] != [b"chunked"]):
        return _BAD_CODING
    if method == "CONNECT":
        return _CONNECT
    if any(b"websocket" in value.lower() for value in noted.get(b"upgrade", ())):
        return _WEBSOCKET
    return _split(target, hosts, host_allowed)


def _examine_hosts(version: str, hosts: list[bytes]) -> Refusal | None:
    if len(hosts) > 1:
        return _MANY_HOSTS
    if not hosts:
        return _NO_HOST if version == "1.1" else None
    return None if _HOST.fullmatch(hosts[0]) else _BAD_HOST


def _split(
    target: bytes, hosts: list[bytes], host_allowed: Callable[[str], bool] | None
) -> tuple[bytes, bytes] | Refusal:
    named = list(hosts)
    if target.startswith(b"/"):
        path, _, query = target.partition(b"#")[0].partition(b"?")
    elif target == b"*":
        path, query = target, b""
    else:
        try:
            url = httptools.parse_url(target)
        except httptools.HttpParserInvalidURLError:
            return _BAD_TARGET
        if (url.schema or b"").lower() not in (b"http", b"https") or url.userinfo:
            return _BAD_TARGET
        path, query = url.path or b"/", url.query or b""
        named.append(url.host)
    if host_allowed is not None and not all(host_allowed(_name(host)) for host in named):
        return _STRANGER
    return path, query


def _name(host: bytes) -> str:
    text = host.decode("ascii").lower()
    return text.partition("]")[0] + "]" if text.startswith("[") else text.partition(":")[0]


def expects_continue(noted: Noted) -> bool:
    """Whether the client waits for `100 Continue` before it sends the body."""
    return [value.lower() for value in noted.get(b"expect", ())] == [b"100-continue"]


def without_offer(method: str, target: bytes, version: str, headers: list[tuple[bytes, bytes]]) -> bytes:
    """The same head in bytes, less its offer to speak another protocol (`Upgrade: h2c`)."""
    lines = [method.encode("ascii"), b" ", target, b" HTTP/", version.encode("ascii"), b"\r\n"]
    for name, value in headers:
        if name in (b"upgrade", b"http2-settings"):
            continue
        if name == b"connection":
            tokens = [token.strip() for token in value.split(b",")]
            kept = [token for token in tokens if token.lower() not in (b"upgrade", b"http2-settings")]
            if not kept:
                continue
            lines += (name, b": ", b", ".join(kept), b"\r\n")
        else:
            lines += (name, b": ", value, b"\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)
