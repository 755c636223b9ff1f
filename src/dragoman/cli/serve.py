"""`dragoman serve`: settings become a running gateway.

The composition root of the process: it resolves secrets, starts the simulated upstream when there is no
account, prints the start block and hands everything to the server.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import ipaddress
import os
import random
import secrets
import ssl
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dragoman import __version__
from dragoman.cache.recall import Recall
from dragoman.cli import banner
from dragoman.cli.secret import data_directory, keep, new_key, read
from dragoman.gateway.flow import Gate
from dragoman.gateway.house import House
from dragoman.gateway.pacing import Limits
from dragoman.gateway.ports import Ledger, Principal
from dragoman.settings import Secret, Settings, SettingsError, load, sendable
from dragoman.telemetry import logs
from dragoman.telemetry.ledger import LogLedger
from dragoman.translate.messages.plan import Policy
from dragoman.translate.models import Alias, parse_aliases
from dragoman.upstream import tokens
from dragoman.upstream.accounts import StaticAccount, StaticAccounts
from dragoman.upstream.client import HttpUpstream
from dragoman.web import door
from dragoman.web.app import App
from dragoman.web.keys import StaticKeys
from dragoman.wire.errors import Refused

if TYPE_CHECKING:
    from dragoman.simulator.server import Running

_ALPHABET = b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_CHARACTERS = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
# New containers until the youngest are looked through: the default 700 is one request, and a full round that
# walks all of start-up stops every stream for 50 ms.
_COLLECT = (10_000, 20, 20)
DEMO_MODELS = {"claude-*": "gpt-5.5@medium"}


class SystemClock:
    """The machine's clocks."""

    monotonic = staticmethod(time.monotonic)
    now = staticmethod(time.time)


class RandomIds:
    """Random identifiers in the shapes that clients know."""

    def request(self) -> str:
        return "req_" + _token(24)

    def message(self) -> str:
        return "msg_" + _token(24)


def _token(length: int) -> str:
    return secrets.token_bytes(length).translate(_CHARACTERS).decode()


@dataclass(frozen=True, slots=True)
class Start:
    """What was resolved before the loop runs."""

    settings: Settings
    data: Path
    secret: bytes
    keys: list[tuple[str, Principal]]
    demo_key: str | None


def run(
    host: str | None, port: int | None, config: Path | None, data_dir: Path | None, *, may_be_open: bool
) -> int:
    """Serves until a signal ends it; returns the exit code. Raises SettingsError before anything is bound."""
    flags = {"server": {name: value for name, value in (("host", host), ("port", port)) if value is not None}}
    settings = load(config, flags)
    data = data_directory(data_dir)
    start = resolve(settings, data)
    if not start.keys and not _is_loopback(settings.server.host) and not may_be_open:
        raise SettingsError(
            f"server.host {settings.server.host} is reachable from other machines and no key exists: "
            "add [[keys]], or bind 127.0.0.1"
        )
    raise_file_limit()
    return door.run(_serve(start))


def raise_file_limit(wanted: int = 65_536) -> None:
    """Lets the process open as many sockets as it may: a stream needs two, and shells mostly allow 1,024."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def resolve(settings: Settings, data: Path) -> Start:
    secret_file = data / settings.secrets.key_file
    if settings.secrets.key_env is not None:
        text = os.environ.get(settings.secrets.key_env, "").strip()
        if not text:
            raise SettingsError(f"secrets.key_env: the variable {settings.secrets.key_env} is empty")
    else:
        text = keep(secret_file, secrets.token_urlsafe(48))
    keys = [
        (
            _secret(row, f"keys.{row.name}"),
            Principal(row.name, f"key:{row.name}", _tuple(row.models), row.default_effort),
        )
        for row in settings.keys
    ]
    demo_key = None
    if not settings.accounts and not keys:
        demo_key = keep(data / "demo-key", new_key())
        keys = [(demo_key, Principal("demo", "key:demo"))]
    return Start(settings, data, text.encode(), keys, demo_key)


def _tuple(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _secret(row: Secret, where: str) -> str:
    name = row.SECRET
    given: str | None = getattr(row, name)
    variable: str | None = getattr(row, f"{name}_env")
    file: Path | None = getattr(row, f"{name}_file")
    if given is not None:
        return given
    if variable is not None:
        value = os.environ.get(variable, "").strip()
        if not value:
            raise SettingsError(f"{where}.{name}_env: the variable {variable} is empty")
        return _fit(value, f"{where}.{name}_env: the variable {variable}")
    return _fit(read(file), f"{where}.{name}_file: {file}") if file is not None else ""


def _fit(value: str, where: str) -> str:
    try:
        return sendable(value)
    except ValueError as error:
        raise SettingsError(f"{where} {error}") from None


@dataclass(slots=True)
class Assembly:
    """A gateway that is ready to be served, and what has to be closed after it."""

    app: App
    house: House
    upstream: HttpUpstream
    simulator: Running | None

    async def close(self) -> None:
        """Ends upstream connections and the simulator."""
        await self.upstream.close()
        if self.simulator is not None:
            await self.simulator.close()


async def assemble(start: Start, logger: logs.Logger, ledger: Ledger) -> Assembly:
    """Puts the house together inside the running loop; starts the simulator where no account exists."""
    settings = start.settings
    aliases = _aliases(settings)
    _check_certificates(settings)
    simulator: Running | None = None
    if not settings.accounts:
        from dragoman.simulator import server as simulated

        simulator = await simulated.start("127.0.0.1", 0)
    accounts = StaticAccounts(_accounts(settings, simulator), start.secret)
    upstream = HttpUpstream(
        accounts.roads,
        user_agent=settings.upstream.user_agent or f"dragoman/{__version__}",
        connect_seconds=settings.upstream.connect_seconds,
        ca_file=None if settings.upstream.ca_file is None else str(settings.upstream.ca_file),
    )
    house = _house(start, accounts, upstream, ledger, aliases, simulated=simulator is not None)
    app = App(
        house,
        logger,
        max_body_bytes=settings.server.max_body_bytes,
        allowed_hosts=frozenset(settings.server.allowed_hosts),
        keyless=not start.keys,
    )
    return Assembly(app, house, upstream, simulator)


async def _serve(start: Start) -> int:
    settings = start.settings
    logger = logs.configure(settings.logging.format, settings.logging.level)
    ledger = LogLedger(logger, asyncio.get_running_loop().call_later)
    gateway = await assemble(start, logger, ledger)

    def started(address: str) -> None:
        # What start-up made lives for ever, and requests leave no cycles: collections are rare and brief.
        gc.freeze()
        gc.set_threshold(*_COLLECT)
        banner.show(
            sys.stdout,
            address,
            start.demo_key,
            simulated=gateway.simulator is not None,
            settings=settings,
        )

    try:
        await door.serve(
            gateway.app,
            host=settings.server.host,
            port=settings.server.port,
            drain_seconds=settings.server.drain_seconds,
            on_started=started,
            on_draining=gateway.house.gate.close,
        )
    except OSError as error:
        where = f"{settings.server.host}:{settings.server.port}"
        sys.stderr.write(f"dragoman: server: {where} cannot be bound: {error.strerror}\n")
        return 1
    finally:
        await gateway.close()
        ledger.flush()
    return 0


def _accounts(settings: Settings, simulator: Running | None) -> list[StaticAccount]:
    if simulator is not None:
        return [StaticAccount("simulated", "openai", f"{simulator.url}/v1", "sk-simulated", simulated=True)]
    return [
        StaticAccount(
            row.name,
            row.kind,
            row.base_url,
            _secret(row, f"accounts.{row.name}"),
            row.organization,
            row.project,
            _tuple(row.models),
        )
        for row in settings.accounts
    ]


def _aliases(settings: Settings) -> tuple[Alias, ...]:
    models: Mapping[str, str] = settings.models or ({} if settings.accounts else DEMO_MODELS)
    try:
        return parse_aliases(models)
    except Refused as refusal:
        raise SettingsError(f"models: {refusal.failure.message}") from None


def _check_certificates(settings: Settings) -> None:
    if (file := settings.upstream.ca_file) is None:
        return
    try:
        ssl.create_default_context(cafile=str(file))
    except OSError as error:
        reason = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingsError(f"upstream.ca_file: {file}: {reason}") from None


def _house(
    start: Start,
    accounts: StaticAccounts,
    upstream: HttpUpstream,
    ledger: Ledger,
    aliases: tuple[Alias, ...],
    *,
    simulated: bool,
) -> House:
    settings = start.settings
    server = settings.server
    jitter = random.SystemRandom().random
    return House(
        clock=SystemClock(),
        ids=RandomIds(),
        keys=StaticKeys(start.keys, start.secret),
        accounts=accounts,
        upstream=upstream,
        ledger=ledger,
        counter=tokens.offline(),
        gate=Gate(server.max_streams, server.queue, server.queue_seconds, jitter),
        limits=Limits(
            settings.upstream.first_event_seconds,
            settings.upstream.idle_seconds,
            server.ping_seconds,
            server.hold_seconds,
        ),
        policy=Policy(
            seal_key=start.secret,
            default_effort=settings.anthropic.default_effort,
            strict_history=settings.anthropic.strict_history,
            lenient=settings.anthropic.lenient,
        ),
        aliases=aliases,
        salt=start.secret,
        jitter=jitter,
        key_per_lane=settings.cache.key_per_lane,
        simulated=simulated,
        recall=Recall(),
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
