"""Puts a gateway together: settings, secrets and an open store become a house and the application before it.

The composition root of a process that serves. It knows every edge and decides nothing a request could notice;
what runs beside the requests (the ledger's writer, the watch on the store) is started and ended here.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from dragoman import __version__
from dragoman.budget.pricing import Prices
from dragoman.cache.recall import Recall
from dragoman.gateway.admission import Admission
from dragoman.gateway.flow import Gate
from dragoman.gateway.house import House
from dragoman.gateway.known import KnownKeys
from dragoman.gateway.pacing import Limits
from dragoman.gateway.ports import Accounts, Ledger, Upstream
from dragoman.onboarding.intake import Configured
from dragoman.onboarding.probe import Prober
from dragoman.routing.pool import Pool
from dragoman.serving import configured, judged
from dragoman.serving.configured import static_account
from dragoman.serving.current import Current
from dragoman.serving.fleet import Fleet
from dragoman.serving.leases import janitor
from dragoman.serving.logins import Logins, logins, user_agent
from dragoman.serving.observing import Observing
from dragoman.serving.poolstate import PoolState
from dragoman.serving.question import DEMO_RULES
from dragoman.serving.start import Start
from dragoman.serving.store import Store
from dragoman.serving.verdicts import Verdicts
from dragoman.settings import Settings
from dragoman.store.catalogue import Catalogue
from dragoman.store.health import Health
from dragoman.store.notify import Listener
from dragoman.store.retention import Retention
from dragoman.store.sharing import Sharing
from dragoman.store.watch import Watch
from dragoman.telemetry import logs
from dragoman.telemetry.lag import LagSampler
from dragoman.telemetry.ledger import Fanout
from dragoman.telemetry.live import Live
from dragoman.telemetry.metrics import Metrics
from dragoman.translate.messages.plan import Policy
from dragoman.translate.models import Alias
from dragoman.upstream import tokens
from dragoman.upstream.accounts import StaticAccount
from dragoman.upstream.client import HttpUpstream
from dragoman.upstream.poll import Poller
from dragoman.upstream.roads import LiveRoads
from dragoman.web.admin.house import AdminHouse, Onboarding
from dragoman.web.admin.mount import Mount
from dragoman.web.app import App
from dragoman.web.metrics import nobody

if TYPE_CHECKING:
    from dragoman.simulator.server import Running
    from dragoman.telemetry.traces import Tracer

_ALPHABET = b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_STOCK = 4096
_CHARACTERS = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))


# While one of these is not well, a key that is not known may be one that could not be stored or read.
_DOUBTFUL = frozenset({"db_read", "db_write", "journal"})
DOUBT_SECONDS = 1.0

# Counts on while the machine sleeps, where there is such a clock: quotas are reset all the same.
_SLEEPLESS = getattr(time, "CLOCK_BOOTTIME", None)


# Asked four times a request, so without a frame of its own.
_elapsed: Callable[[], float] = (
    time.monotonic if _SLEEPLESS is None else partial(time.clock_gettime, _SLEEPLESS)
)


_STARTED = time.time() - _elapsed()


class SystemClock:
    """The machine's clocks."""

    monotonic = staticmethod(time.monotonic)
    now = staticmethod(time.time)

    @staticmethod
    def steady() -> float:
        return _STARTED + _elapsed()


class RandomIds:
    """Random identifiers in the shapes that clients know."""

    def __init__(self) -> None:
        self._stock = ""
        self._taken = 0

    def request(self) -> str:
        return "req_" + self._token(24)

    def message(self) -> str:
        return "msg_" + self._token(24)

    def completion(self) -> str:
        return "chatcmpl-" + self._token(29)

    def _token(self, length: int) -> str:
        """Characters of a stock: asking the system for each id alone costs four times as much."""
        begin, self._taken = self._taken, self._taken + length
        if self._taken > len(self._stock):
            self._stock = secrets.token_bytes(_STOCK).translate(_CHARACTERS).decode()
            begin, self._taken = 0, length
        return self._stock[begin : self._taken]


class Job(Protocol):
    """Something that runs beside the requests until it is stopped."""

    async def stop(self) -> None: ...


@dataclass(slots=True)
class Assembly:
    """A gateway that is ready to be served, and what has to be closed after it."""

    app: App
    house: House
    upstream: HttpUpstream
    simulator: Running | None
    store: Store | None
    jobs: Sequence[Job]
    warm: asyncio.Future[None]
    metrics: Metrics
    lag: LagSampler
    tracer: Tracer | None
    fleet: Fleet
    onboarding: Onboarding

    async def close(self) -> None:
        """Ends upstream connections and the simulator; writes what the ledger holds, sends the last spans."""
        self.lag.stop()
        await asyncio.wait([self.warm])
        for job in self.jobs:
            await job.stop()
        await self.upstream.close()
        if self.simulator is not None:
            await self.simulator.close()
        if self.store is not None:
            await self.store.writer.stop()
        if self.tracer is not None:
            await self.tracer.close()


async def assemble(
    start: Start,
    logger: logs.Logger,
    ledger: Ledger,
    store: Store | None = None,
    health: Health | None = None,
    *,
    tracer: Tracer | None = None,
) -> Assembly:
    """Puts the house together inside the running loop; starts the simulator where no account exists.

    Without a store only the configuration's keys are known and no row outlives the process.
    """
    settings = start.settings
    aliases = configured.aliases(settings)
    configured.check_certificates(settings)
    root = start.secret if store is None else store.facts.root
    simulator = await _demonstration(settings, store)
    accounts = _accounts(settings, simulator)
    pool = await logins(settings, accounts, logger.warning, store)
    fleet = _fleet(accounts, root, pool, store, logger)
    onboarding = _onboarding(settings, pool, fleet)
    routed = Pool(fleet.members, strategy=settings.routing.strategy)
    upstream = _upstream(settings, pool.roads, routed)
    keys = _keys(start, root if store is None else store.facts.pepper, stored=store is not None)
    catalogue = Catalogue()
    # Read beside the start-up: the first priced request would wait for it.
    warm = asyncio.ensure_future(asyncio.to_thread(catalogue.load))
    prices = Prices(catalogue, start.prices)
    metrics = Metrics(__version__, fleet.kinds)
    writer = None if store is None else store.writer
    if writer is not None:
        writer.figures = metrics.store
    live = Live()
    ledgers: list[Ledger] = [one for one in (ledger, writer, metrics, tracer, live) if one is not None]
    house = _house(
        start,
        root,
        keys,
        prices,
        fleet,
        routed,
        upstream if tracer is None else tracer.upstream(upstream),
        Fanout(*ledgers, logger=logger),
        aliases,
    )
    house.simulated = simulator is not None
    metrics.watch(house)
    metrics.samples["dragoman_oauth_refresh_total"] = lambda: [
        ((outcome,), count) for outcome, count in pool.refreshes.items()
    ]
    lag = LagSampler(asyncio.get_running_loop(), metrics.lag)
    lag.start()
    health = health or Health()
    jobs: list[Job] = [pool, janitor(house.gate, routed, metrics, health, logger)]
    mount = None
    if store is not None:
        watch, together = await _follow(store, house, keys, prices, start, health, fleet)
        mount = Mount(_admin(start, store, house, health, live, logger, watch, aliases, onboarding))
        jobs += [mount, *together, watch, _sweep(store, settings, logger)]
        jobs += [await _state(start, store, house, fleet, health), *_verdicts(store, house, fleet, pool)]
    pool.start()  # now that all accounts are known: it looks at once
    jobs.append(_poll(pool, fleet, house, logger))
    judging = asyncio.ensure_future(_judge(warm, settings, house, prices, logger))
    app = App(
        house,
        logger,
        max_body_bytes=settings.server.max_body_bytes,
        allowed_hosts=frozenset(settings.server.allowed_hosts),
        keyless=lambda: keys.keyless,
        scrape=metrics.scrape,
        ill=lambda: health.parts,
        begin=None if tracer is None else tracer.begin,
        admin=mount,
        is_admin=nobody if mount is None else mount.doorman.is_admin_token,
    )
    return Assembly(
        app, house, upstream, simulator, store, jobs, judging, metrics, lag, tracer, fleet, onboarding
    )


async def _judge(
    warm: asyncio.Future[None], settings: Settings, house: House, prices: Prices, logger: logs.Logger
) -> None:
    """Warns of keys of the configuration file that mean nothing or cannot be kept, once prices are known."""
    await asyncio.wait([warm])
    offer = judged.Offer(tuple(house.aliases), house.accounts.listed(), prices.upstream)
    for line in judged.unfit(settings.keys, offer):
        logger.warning("configured_key", reason=line)


async def _demonstration(settings: Settings, store: Store | None) -> Running | None:
    """The built-in simulator, where there is no account in the file or in the store."""
    if settings.accounts or (store is not None and await store.accounts.listed()):
        return None
    from dragoman.simulator import server
    from dragoman.simulator.state import State

    return await server.start("127.0.0.1", 0, state=State(rules=DEMO_RULES))


def _fleet(
    accounts: Sequence[StaticAccount], root: bytes, pool: Logins, store: Store | None, logger: logs.Logger
) -> Fleet:
    repository = None if store is None else store.accounts
    return Fleet(accounts, root, pool.roads, accounts=repository, kept=pool.kept, tell=logger.warning)


def _onboarding(settings: Settings, pool: Logins, fleet: Fleet) -> Onboarding:
    """What the admin API takes accounts in with."""
    prober = Prober(pool.calls, pool.roads, pool.backend, time.time)
    names = frozenset(row.name for row in settings.accounts)
    return Onboarding(pool.issuer, prober, Configured(names, fleet.identities))


def _upstream(settings: Settings, roads: LiveRoads, pool: Pool) -> HttpUpstream:
    ca_file = settings.upstream.ca_file
    return HttpUpstream(
        roads,
        user_agent=user_agent(settings),
        connect_seconds=settings.upstream.connect_seconds,
        ca_file=None if ca_file is None else str(ca_file),
        now=SystemClock.steady,
        observer=Observing(pool, SystemClock.steady),
    )


def _keys(start: Start, pepper: bytes, *, stored: bool) -> KnownKeys:
    return KnownKeys(
        start.keys,
        pepper,
        now=time.time,
        monotonic=time.monotonic,
        stored=stored,
        serve_known=start.settings.database.on_failure == "serve_known",
    )


def _admin(
    start: Start,
    store: Store,
    house: House,
    health: Health,
    live: Live,
    logger: logs.Logger,
    watch: Watch,
    aliases: tuple[Alias, ...],
    onboarding: Onboarding,
) -> AdminHouse:
    return AdminHouse(
        house=house,
        settings=start.settings,
        database=store.database,
        ring=store.ring,
        facts=store.facts,
        writer=store.writer,
        health=health,
        live=live,
        logger=logger,
        onboarding=onboarding,
        version=__version__,
        started_at=time.time(),
        pool_view=lambda: house.pool.describe(house.clock.steady()),
        refresh=watch.look,
        settings_view=start.view,
        fixed=("demo",) if start.demo_key else (),
        file_aliases=aliases,
    )


def _poll(logins: Logins, fleet: Fleet, house: House, logger: logs.Logger) -> Poller:
    """Asks ChatGPT accounts for their usage and their models beside the requests."""

    def models(name: str, found: frozenset[str]) -> None:
        fleet.advertise(name, found)
        house.pool.replace(fleet.members)

    job = Poller(
        logins.backend,
        names=fleet.askable,
        usage=lambda name, page: house.pool.usage(name, page, house.clock.steady()),
        models=models,
        failed=lambda name, page, why: logger.info(
            "account_page", account=name, page=page, cause=str(why.cause), status=why.status
        ),
        monotonic=house.clock.monotonic,
        jitter=house.jitter,
    )
    job.start()
    return job


def _verdicts(store: Store, house: House, fleet: Fleet, pool: Logins) -> list[Job]:
    """Makes last what upstreams say of accounts for good."""
    if pool.kept is None:
        return []
    job = Verdicts(house.pool, fleet, store.accounts, pool.kept, house.clock.steady)
    job.start()
    return [job]


async def _state(start: Start, store: Store, house: House, fleet: Fleet, health: Health) -> PoolState:
    """What the pool knew when the last process ended, kept from now on."""
    job = PoolState(
        house.pool,
        store.database,
        steady=house.clock.steady,
        id_of=fleet.stored_id,
        shared=store.database.shared or start.beside,
        well=lambda: health.well("pool_state"),
        failed=lambda why: health.ill("pool_state", why),
    )
    await job.load()
    job.start()
    return job


def _sweep(store: Store, settings: Settings, logger: logs.Logger) -> Retention:
    """Removes rows that are too old, hour by hour."""
    job = Retention(
        store.database,
        settings.database.retention_days,
        now=time.time,
        removed=lambda count: logger.info("retention", removed=count),
        failed=lambda why: logger.warning("retention", reason=why),
    )
    job.start()
    return job


def tracer_of(settings: Settings) -> Tracer | None:
    """None where no traces are asked for: nothing of OpenTelemetry is imported then."""
    if not settings.telemetry.traces:
        return None
    configured.check_traces(settings)
    from dragoman.telemetry.traces import Tracer

    addresses = {row.name: _address(row.base_url) for row in settings.accounts}
    return Tracer(__version__, addresses=addresses)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


async def _follow(
    store: Store,
    house: House,
    keys: KnownKeys,
    prices: Prices,
    start: Start,
    health: Health,
    fleet: Fleet,
) -> tuple[Watch, list[Job]]:
    """Takes in what the store says now, and keeps the house equal to it from then on.

    With the watch come the jobs that several processes on one database need.
    """
    sharing = _sharing(store, house, health) if store.database.shared or start.beside else None
    current = Current(
        store,
        house,
        keys,
        prices,
        start.prices,
        start.limits,
        time.time,
        sharing,
        fleet,
        demo_aliases=not start.settings.models,
    )

    def answered() -> None:
        keys.read()
        health.well("db_read")

    # Reading goes on while a database is locked or a disk is full: that alone does not say that all is seen.
    keys.unwell = lambda: health.any_ill(_DOUBTFUL) or store.writer.stuck(DOUBT_SECONDS)
    watch = Watch(
        store.database,
        now=time.time,
        changed=current.adopt,
        answered=answered,
        failed=lambda why: health.ill("db_read", why),
    )
    await watch.look()
    house.journal = store.writer
    store.writer.start()
    watch.start()
    if sharing is None:
        return watch, []
    sharing.start()
    if not store.database.shared:
        return watch, [sharing]
    listener = Listener(store.database, watch.wake)
    listener.start()
    return watch, [listener, sharing]


def _sharing(store: Store, house: House, health: Health) -> Sharing:
    """Limits over all processes of one database; on SQLite there is one, but while one succeeds another."""
    sharing = Sharing(
        store.database,
        store.writer,
        store.journal.boot,
        lambda: house.admission.keys,
        now=time.time,
        looked=lambda: health.well("limits_shared"),
        failed=lambda why: health.ill("limits_shared", why),
        silent=not store.database.shared,  # who is succeeded began alone and shares nothing
    )
    store.writer.witness = sharing
    return sharing


def _accounts(settings: Settings, simulator: Running | None) -> list[StaticAccount]:
    if simulator is not None:
        return [StaticAccount("simulated", "openai", f"{simulator.url}/v1", "sk-simulated", simulated=True)]
    return [static_account(row) for row in settings.accounts]


def _house(
    start: Start,
    root: bytes,
    keys: KnownKeys,
    prices: Prices,
    accounts: Accounts,
    pool: Pool,
    upstream: Upstream,
    ledger: Ledger,
    aliases: tuple[Alias, ...],
) -> House:
    settings = start.settings
    server = settings.server
    jitter = random.SystemRandom().random
    gate = Gate(server.max_streams, server.queue, server.queue_seconds, jitter)
    return House(
        clock=SystemClock(),
        ids=RandomIds(),
        keys=keys,
        admission=Admission(prices, time.time),
        accounts=accounts,
        pool=pool,
        upstream=upstream,
        ledger=ledger,
        counter=tokens.offline(lambda: gate.in_flight == 0),
        gate=gate,
        limits=Limits(
            settings.upstream.first_event_seconds,
            settings.upstream.idle_seconds,
            server.ping_seconds,
            server.hold_seconds,
        ),
        policy=Policy(
            seal_key=root,
            default_effort=settings.anthropic.default_effort,
            strict_history=settings.anthropic.strict_history,
            lenient=settings.anthropic.lenient,
        ),
        aliases=aliases,
        salt=root,
        jitter=jitter,
        key_per_lane=settings.cache.key_per_lane,
        recall=Recall(),
    )
