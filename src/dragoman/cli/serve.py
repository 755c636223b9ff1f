"""`dragoman serve`: settings become a running gateway.

The composition root of the process: it resolves secrets, starts the simulated upstream when there is no
account, prints the start block and hands everything to the server.
"""

from __future__ import annotations

import gc
import importlib
import random
import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dragoman import __version__
from dragoman.cache.recall import Recall
from dragoman.cli import banner, configured
from dragoman.cli.configured import is_loopback, secret_of
from dragoman.cli.secret import DEMO_KEY, data_directory, keep, new_key
from dragoman.gateway.flow import Gate
from dragoman.gateway.house import House
from dragoman.gateway.pacing import Limits
from dragoman.gateway.ports import Ledger, Principal
from dragoman.settings import Settings, SettingsError, load
from dragoman.telemetry import logs
from dragoman.telemetry.ledger import LogLedger
from dragoman.translate.messages.plan import Policy
from dragoman.translate.models import Alias
from dragoman.upstream import tokens
from dragoman.upstream.accounts import StaticAccount, StaticAccounts
from dragoman.upstream.client import HttpUpstream
from dragoman.web import door
from dragoman.web.app import App
from dragoman.web.keys import StaticKeys

if TYPE_CHECKING:
    from dragoman.simulator.server import Running

_ALPHABET = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
# New containers until the youngest are looked through: the default 700 is one request, and a full round that
# walks all of start-up stops every stream for 50 ms.
_COLLECT = (10_000, 20, 20)


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
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in secrets.token_bytes(length))


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
    if not start.keys and not is_loopback(settings.server.host) and not may_be_open:
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
    text = configured.own_secret(settings, data)
    if text is None:
        text = keep(data / settings.secrets.key_file, secrets.token_urlsafe(48))
    keys = [
        (
            secret_of(row, f"keys.{row.name}"),
            Principal(row.name, f"key:{row.name}", _tuple(row.models), row.default_effort),
        )
        for row in settings.keys
    ]
    demo_key = None
    if configured.is_demo(settings):
        demo_key = keep(data / DEMO_KEY, new_key())
        keys = [(demo_key, Principal("demo", "key:demo"))]
    return Start(settings, data, text.encode(), keys, demo_key)


def _tuple(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


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
    aliases = configured.aliases(settings)
    configured.check_certificates(settings)
    simulator: Running | None = None
    if not settings.accounts:
        from dragoman.cli.doctor.question import DEMO_RULES
        from dragoman.simulator import server as simulated
        from dragoman.simulator.state import State

        simulator = await simulated.start("127.0.0.1", 0, state=State(rules=DEMO_RULES))
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
    gateway = await assemble(start, logger, LogLedger(logger))

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
    return 0


def _accounts(settings: Settings, simulator: Running | None) -> list[StaticAccount]:
    if simulator is not None:
        return [StaticAccount("simulated", "openai", f"{simulator.url}/v1", "sk-simulated", simulated=True)]
    return [
        StaticAccount(
            row.name,
            row.kind,
            row.base_url,
            secret_of(row, f"accounts.{row.name}"),
            row.organization,
            row.project,
            _tuple(row.models),
        )
        for row in settings.accounts
    ]


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
