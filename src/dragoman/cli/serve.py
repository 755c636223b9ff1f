"""`dragoman serve`: settings become a running gateway.

It loads the configuration, opens the store, prints the start block, hands everything to the server and closes
it all in order when a signal ends it, or a successor has taken its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from dragoman.cli import banner, origins
from dragoman.serving import judged
from dragoman.serving.assembly import Assembly, assemble, tracer_of
from dragoman.serving.configured import is_loopback, setup_token
from dragoman.serving.pages import LargePages
from dragoman.serving.secret import data_directory
from dragoman.serving.start import Start, resolve
from dragoman.serving.store import Store, opened, refuse_lost
from dragoman.serving.succession import Offer, Predecessor, TakeoverFailed, answers, predecessor
from dragoman.settings import Settings, SettingsError, load
from dragoman.store import journal
from dragoman.store.clientkeys import StoreConflict
from dragoman.store.engine import StoreDown, StoreError
from dragoman.store.health import Health
from dragoman.store.people import People
from dragoman.store.sharing import Sharing
from dragoman.store.tokens import Tokens
from dragoman.telemetry import logs
from dragoman.telemetry.ledger import LogLedger
from dragoman.web import door

# New containers until the youngest are looked through: the default 700 is one request, and a full round that
# walks all of start-up stops every stream for 50 ms.
COLLECT = (10_000, 20, 20)
STORE_UNUSABLE = 3
# After a predecessor's end: how often its journal is looked for, and until the sums have told what it wrote.
LOOKS, LOOK_SECONDS = 20, 0.5
SETTLED_SECONDS = 15.0
_NOT_ALONE = (
    "another gateway serves from this data directory; on SQLite each of the two counts limits, requests in "
    "flight and what it learns of accounts for itself: stop one, start with --takeover, or use PostgreSQL"
)


def run(
    host: str | None,
    port: int | None,
    config: Path | None,
    data_dir: Path | None,
    *,
    may_be_open: bool,
    takeover: bool = False,
) -> int:
    """Serves until a signal ends it; returns the exit code. Raises SettingsError before anything is bound.

    With `takeover` it takes the place of the gateway that serves from the same data directory, if any.
    """
    flags = {"server": {name: value for name, value in (("host", host), ("port", port)) if value is not None}}
    settings = load(config, flags)
    data = data_directory(data_dir)
    try:
        asyncio.run(refuse_lost(settings, data))
    except StoreError as error:
        sys.stderr.write(f"dragoman: {error}\n")
        return STORE_UNUSABLE
    start = replace(
        resolve(settings, data), view=lambda: [asdict(row) for row in origins.rows(config, flags)]
    )
    raise_file_limit()
    with contextlib.ExitStack() as lines:
        previous = None
        if takeover:
            try:
                previous = predecessor(data)
            except TakeoverFailed as error:
                sys.stderr.write(f"dragoman: --takeover: {error}\n")
                return 1
        if previous is not None:
            lines.callback(previous.close)
        return door.run(_opened(start, may_be_open, previous, lines))


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


async def _opened(
    start: Start, may_be_open: bool, previous: Predecessor | None, lines: contextlib.ExitStack
) -> int:
    """`lines` are to other processes: they end when all else has, and tell so that everything is written."""
    settings = start.settings
    logger = logs.configure(settings.logging.format, settings.logging.level)
    health = Health(lambda part, why: _tell(logger, part, why))
    try:
        async with opened(
            settings, start.data, monotonic=time.monotonic, health=health, upgrading=True
        ) as store:
            if not may_be_open and not start.keys and not is_loopback(settings.server.host):
                await _demand_a_key(store, settings)
            _tell_recovered(logger, store.recovered)
            return await _serve(start, logger, store, health, previous, lines)
    except StoreError as error:
        sys.stderr.write(f"dragoman: {error}\n")
        return STORE_UNUSABLE


async def _demand_a_key(store: Store, settings: Settings) -> None:
    keyed = any(key.active for key in await store.keys.listed())
    if (told := judged.open_door(settings, keyed=keyed)) is not None:
        raise SettingsError(told)


async def _serve(
    start: Start,
    logger: logs.Logger,
    store: Store,
    health: Health,
    previous: Predecessor | None,
    lines: contextlib.ExitStack,
) -> int:
    settings = start.settings
    setup = await _setup_token(settings, store)
    ledger = LogLedger(logger, asyncio.get_running_loop().call_later)
    start = replace(start, beside=previous is not None)
    gateway = await assemble(start, logger, ledger, store, health, tracer=tracer_of(settings))
    large = LargePages()
    offers: list[Offer] = []
    heirs: list[asyncio.Future[None]] = []

    def made(server: door.Server) -> None:
        def retire() -> None:
            logger.info("handed_over")
            gateway.house.gate.retire()
            server.hand_over()

        offer = Offer(
            start.data, lambda: server.sockets, retire, lambda why: logger.info("no_takeover", reason=why)
        )
        lines.callback(offer.close)
        offers.append(offer)

    def started(address: str) -> None:
        if previous is None and _crowded(start.data, store):
            logger.warning("not_alone", reason=_NOT_ALONE)
        # What start-up made lives for ever, and requests leave no cycles: collections are rare and brief.
        gc.freeze()
        gc.set_threshold(*COLLECT)
        large.start()
        banner.show(
            sys.stdout,
            address,
            start.demo_key,
            simulated=gateway.house.simulated,
            accounts=gateway.fleet.accounts.values(),
            keyed=not gateway.house.keys.keyless,
            setup=setup,
        )
        for offer in offers:
            offer.open(succeeding=previous is not None)
        if previous is not None:
            heirs.append(asyncio.ensure_future(_succeed(previous, store, gateway, logger)))

    server = settings.server
    try:
        await door.serve(
            gateway.app,
            host=server.host,
            port=server.port,
            sockets=None if previous is None else previous.listening_at(server.host, server.port),
            keep_listening=True,
            drain_seconds=server.drain_seconds,
            on_started=started,
            on_draining=gateway.house.gate.close,
            on_made=made,
        )
    except OSError as error:
        where = f"{settings.server.host}:{settings.server.port}"
        sys.stderr.write(f"dragoman: server: {where} cannot be bound: {error.strerror}\n")
        return 1
    finally:
        for offer in offers:
            offer.withdraw()
        for heir in heirs:
            heir.cancel()
            await asyncio.wait([heir])
        await large.stop()
        await gateway.close()
        ledger.flush()
    return 0


async def _succeed(previous: Predecessor, store: Store, gateway: Assembly, logger: logs.Logger) -> None:
    """Asks the old gateway to hand over; takes in what it left unwritten, if it was killed meanwhile."""
    with contextlib.suppress(OSError):  # it ended by itself
        previous.retire()
    logger.info("took_over", pid=previous.pid)
    await previous.gone()
    for _ in range(LOOKS):
        # A killed process' files are closed one by one: its journal may be locked a moment longer.
        last = journal.alive(store.journal.directory) <= 1
        try:
            told = await store.writer.recover()
        except StoreError as error:  # it stays where it is, for the next start
            logger.warning("not_recovered", reason=str(error))
            break
        _tell_recovered(logger, told)
        if last:
            break
        await asyncio.sleep(LOOK_SECONDS)
    await asyncio.sleep(SETTLED_SECONDS)
    for job in gateway.jobs:
        if isinstance(job, Sharing) and not store.database.shared:
            await job.stop()


async def _setup_token(settings: Settings, store: Store) -> str | None:
    """The token for the first set-up, while nobody has set anything up. It is shown once, a digest kept."""
    people = People(store.database, store.ring, store.facts.pepper)
    tokens = Tokens(store.database, store.facts.pepper)
    given = setup_token(settings)
    if await people.any() or (not given and await tokens.setup_waits(time.time())):
        return None
    try:
        made = await tokens.make_setup(time.time(), given)
    except (StoreConflict, StoreDown):  # another process was first and shows it, or the file is locked now
        return None
    return None if given else made


def _crowded(data: Path, store: Store) -> bool:
    """Whether another gateway serves from the same SQLite file; verbs at work there do not count."""
    others = not store.database.shared and journal.alive(store.journal.directory) > 1
    return others and answers(data)


def _tell_recovered(logger: logs.Logger, told: tuple[int, int, int]) -> None:
    ended, aborted, torn = told
    if ended or aborted or torn:
        logger.info("recovered", ended=ended, aborted=aborted, torn=torn)


def _tell(logger: logs.Logger, part: str, why: str | None) -> None:
    if why is None:
        logger.info("store", part=part, state="well")
    else:
        logger.warning("store", part=part, state="degraded", reason=why)
