"""Who is asking, and may they: sessions of people and tokens of automation.

A cookie that a browser sends by itself proves nothing about a change: such requests also need an Origin that
is this host and the session's own token in a header. Tokens travel in a header and need neither. Whether a
role is enough for a route is the route's declaration, see routing.py. It knows no FastAPI.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from dragoman.gateway.credentials import bearer
from dragoman.store.engine import StoreError
from dragoman.store.people import Session, User
from dragoman.store.tokens import TOKEN_PREFIX
from dragoman.web.admin.envelope import of_store
from dragoman.web.admin.house import AdminHouse
from dragoman.wire.errors import Failure, Kind, Refused

Auth = Literal["open", "viewer", "admin"]
COOKIE = "dragoman_session"
COOKIE_PATH = "/admin"
CSRF_HEADER = "x-csrf-token"
SESSION_SECONDS = 12 * 3600.0
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# A token's last use is written once a minute at most.
_USED_SECONDS = 60.0
_TOKENS = 1024
_SPREAD_V6 = 64


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request is from. `session` is None for automation."""

    kind: Literal["user", "token"]
    id: str
    name: str
    role: Literal["admin", "viewer"]
    session: Session | None = field(default=None, repr=False)

    @property
    def actor(self) -> str:
        """The name of the audit trail."""
        return f"{self.kind}:{self.name}"

    @property
    def user(self) -> User:
        """The person. Raises Refused for automation, which has no password of its own."""
        if self.session is None:
            raise Refused(Failure(Kind.PERMISSION, "This is for people who log in, not for tokens."))
        return self.session.user


class Doorman:
    """Finds the caller of a request."""

    def __init__(self, admin: AdminHouse) -> None:
        self._admin = admin
        self._told: dict[str, float] = {}
        self._telling: set[asyncio.Future[None]] = set()

    async def caller(self, method: str, headers: Mapping[str, str]) -> Caller:
        """Who asks. Raises Refused (401; 403 for a cookie without proof of intent) and StoreDown."""
        # Another scheme is not ours: a proxy in front may ask for its own login.
        if headers.get("authorization", "").strip().lower().startswith("bearer"):
            return await self._token(bearer(headers["authorization"]))
        session = await self._session(session_token(headers))
        if method not in SAFE:
            check_origin(headers)
            if not hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), session.csrf.encode()):
                raise Refused(
                    Failure(Kind.PERMISSION, f"{CSRF_HEADER}: must be the csrf_token that GET /me tells.")
                )
        return Caller("user", session.user.id, session.user.name, session.user.role, session)

    async def is_admin_token(self, headers: Mapping[str, str]) -> bool:
        """Whether an admin's token came along, for paths outside of the admin API.

        Raises Refused(UNAVAILABLE) while that cannot be told.
        """
        try:
            return (await self._token(bearer(headers.get("authorization", "")))).role == "admin"
        except Refused:
            return False
        except StoreError as error:
            raise Refused(of_store(error)) from None

    async def finish(self) -> None:
        """Waits for what is still being written."""
        if self._telling:
            await asyncio.wait(self._telling)

    async def _session(self, token: str) -> Session:
        if token:
            session = await self._admin.people().session(token, self._admin.now)
            if session is not None:
                return session
        raise not_logged_in()

    async def _token(self, text: str) -> Caller:
        # A client's key is no login; it is not even looked up.
        if text.startswith(TOKEN_PREFIX):
            now = self._admin.now
            token = await self._admin.tokens().find(text, now)
            if token is not None:
                self._note_use(token.id, now)
                return Caller("token", token.id, token.name, token.role)
        raise not_logged_in()

    def _note_use(self, token_id: str, now: float) -> None:
        if now - self._told.get(token_id, 0.0) < _USED_SECONDS:
            return
        if len(self._told) >= _TOKENS:
            self._told.clear()
        self._told[token_id] = now

        async def tell() -> None:
            try:
                await self._admin.tokens().used(token_id, now)
            except StoreError:
                self._told.pop(token_id, None)

        told = asyncio.ensure_future(tell())
        self._telling.add(told)
        told.add_done_callback(self._telling.discard)


def not_logged_in() -> Refused:
    """401, the same whatever was wrong with what was shown."""
    return Refused(Failure(Kind.AUTHENTICATION, "Log in, or send an admin token.", should_retry=False))


def session_token(headers: Mapping[str, str]) -> str:
    """The session's token from the cookies, or ""."""
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def check_origin(headers: Mapping[str, str]) -> None:
    """Raises Refused where a browser says that another site's page sent a change."""
    origin = headers.get("origin")
    if origin is None:
        # Browsers tell an Origin with every change; what tells none is no browser.
        if headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none"):
            return
    elif (found := _site(origin)) is not None and found == _site(f"{found[0]}://{headers.get('host', '')}"):
        return
    raise Refused(Failure(Kind.PERMISSION, "Changes are taken from this server's own pages only."))


def _site(origin: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(origin.lower())
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port


def cookie(token: str, *, secure: bool, seconds: float = SESSION_SECONDS) -> str:
    """The Set-Cookie value that logs in; with `seconds` 0 and no token the one that logs out."""
    parts = [
        f"{COOKIE}={token}",
        f"Path={COOKIE_PATH}",
        f"Max-Age={int(seconds)}",
        "HttpOnly",
        "SameSite=Lax",
    ]
    return "; ".join([*parts, "Secure"] if secure else parts)


def is_secure(scope: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    """Whether the browser speaks https with us: by the connection, or (behind a proxy) by its own page."""
    return scope.get("scheme") == "https" or headers.get("origin", "").lower().startswith("https://")


def neighbourhood(scope: Mapping[str, Any]) -> str:
    """The caller's address to count attempts by; of IPv6 the network, all of which one machine can have."""
    host = str((scope.get("client") or ("unknown",))[0])
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if address.version == 6:
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _SPREAD_V6), strict=False))
    return str(address)
