"""A gateway with its admin API for a test, and clients of it: one that keeps a cookie, one with a token."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from dragoman.serving.store import Store
from dragoman.store.health import Health
from dragoman.store.people import Role
from dragoman.store.watch import Watch
from dragoman.telemetry import logs
from dragoman.telemetry.ledger import Fanout
from dragoman.telemetry.live import Live
from dragoman.web.admin.house import AdminHouse
from dragoman.web.admin.mount import Mount
from dragoman.web.admin.passwords import Passwords
from dragoman.wire import jsonio
from tests.support.inprocess import Gateway, Reply, gateway

PASSWORD = "correct horse battery"
API = "/admin/api"


def quick_hash(password: str) -> str:
    """Stands in for argon2id where the work does not matter."""
    return f"$quick${hashlib.sha256(password.encode()).hexdigest()}"


def quick_match(password: str, phc: str) -> bool:
    return quick_hash(password) == phc


@dataclass
class MovableClock:
    """The machine's clocks, and how far a test has moved them."""

    inner: Any
    ahead: float = 0.0

    def now(self) -> float:
        return float(self.inner.now()) + self.ahead

    def monotonic(self) -> float:
        return float(self.inner.monotonic()) + self.ahead

    def steady(self) -> float:
        return float(self.inner.steady()) + self.ahead


@dataclass
class Client:
    """Talks to the admin API. A cookie that was set is sent from then on, with the CSRF token for changes."""

    url: str
    session: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)
    cookie: str = ""
    csrf: str = ""

    async def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        fields = dict(self.headers)
        if self.cookie:
            fields["cookie"] = self.cookie
        if self.csrf and method != "GET":
            fields["x-csrf-token"] = self.csrf
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else jsonio.dump(body)
            fields["content-type"] = "application/json"
        fields |= headers or {}
        # As it is spelled: nothing may be made tidy on the way.
        address = URL(self.url + (path if path.startswith("/admin") else API + path), encoded=True)
        async with self.session.request(method, address, data=data, headers=fields) as response:
            content = await response.read()
            if set_cookie := response.headers.get("set-cookie"):
                self.cookie = set_cookie.partition(";")[0]
            return Reply(response.status, {k.lower(): v for k, v in response.headers.items()}, content)

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Reply:
        return await self.send("GET", path, None, headers)

    async def post(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        return await self.send("POST", path, body, headers)

    async def put(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Reply:
        return await self.send("PUT", path, body, headers)

    async def patch(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Reply:
        return await self.send("PATCH", path, body, headers)

    async def delete(self, path: str, headers: dict[str, str] | None = None) -> Reply:
        return await self.send("DELETE", path, None, headers)

    async def login(self, name: str, password: str = PASSWORD, code: str | None = None) -> Reply:
        reply = await self.post(
            "/login", {"name": name, "password": password, **({} if code is None else {"code": code})}
        )
        if reply.status == 200:
            self.csrf = reply.json["csrf_token"]
        return reply


@dataclass
class Administered:
    """A gateway with an admin API. `house` is what the API works with."""

    gateway: Gateway
    store: Store
    house: AdminHouse
    clock: MovableClock
    mount: Mount

    @property
    def url(self) -> str:
        return self.gateway.url

    def client(self, **headers: str) -> Client:
        """Somebody who is not logged in."""
        return Client(self.url, self.gateway.session, dict(headers))

    async def token(self, role: Role = "admin", name: str | None = None) -> Client:
        """Automation with a token of its own."""
        _, text = await self.house.tokens().create(name or f"test-{role}", role, self.house.now)
        return self.client(authorization=f"Bearer {text}")

    async def user(self, name: str = "ada", role: Role = "admin", password: str = PASSWORD) -> Client:
        """A person who has just logged in."""
        hashed = await self.house.passwords.hashed(password)
        await self.house.people().create(name, role, hashed, self.house.now)
        client = self.client()
        assert (await client.login(name, password)).status == 200
        return client

    async def audit(self) -> list[tuple[str, str, str]]:
        """Actor, action and subject of every change, oldest first."""
        from dragoman.store import audit

        found, _ = await audit.page(self.store.database, limit=500)
        return [(one.entry.actor, one.entry.action, one.entry.subject) for one in reversed(found)]


@asynccontextmanager
async def administered(
    tmp_path: Path,
    settings: dict[str, Any] | None = None,
    *,
    passwords: Passwords | None = None,
    **more: Any,
) -> AsyncIterator[Administered]:
    """Serves a gateway with these settings and an admin API whose password work is quick."""
    async with gateway(tmp_path, settings or {}, stored=True) as served:
        assembly = served.assembly
        store = assembly.store
        assert store is not None
        watch = next(job for job in assembly.jobs if isinstance(job, Watch))
        live = Live()
        logger = logs.configure("json", "info", served.log)
        clock = MovableClock(assembly.house.clock)
        assembly.house.clock = clock
        assembly.house.ledger = Fanout(assembly.house.ledger, live, logger=logger)
        pool = assembly.house.pool
        more.setdefault("pool_view", lambda: pool.describe(clock.steady()))
        house = AdminHouse(
            house=assembly.house,
            settings=served.settings,
            database=store.database,
            ring=store.ring,
            facts=store.facts,
            writer=store.writer,
            health=Health(),
            live=live,
            logger=logger,
            onboarding=assembly.onboarding,
            version="0",
            started_at=clock.now(),
            refresh=watch.look,
            passwords=passwords or Passwords(quick_hash, quick_match),
            **more,
        )
        mount = Mount(house)
        assembly.app.admin = mount
        try:
            yield Administered(served, store, house, clock, mount)
        finally:
            await mount.stop()


async def soon(check: Any) -> None:
    """Waits until something holds."""
    async with asyncio.timeout(30):
        while not await check():
            await asyncio.sleep(0.01)
