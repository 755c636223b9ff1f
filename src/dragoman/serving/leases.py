"""Shows the janitor every open lease of this process, and makes loud what it finds.

A find is a line of the log, a metric and a part of the readiness. What counts as one is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from dragoman.gateway.flow import Gate
from dragoman.gateway.janitor import LOOK_SECONDS, Held, Janitor
from dragoman.routing.pool import Pool
from dragoman.store.health import Health
from dragoman.telemetry.logs import Logger
from dragoman.telemetry.metrics import Metrics

PART = "leases"


def janitor(
    gate: Gate,
    pool: Pool,
    metrics: Metrics,
    health: Health,
    logger: Logger,
    *,
    seconds: float = LOOK_SECONDS,
) -> Janitor:
    """A janitor at work over the places of a gate and the calls of a pool. Needs a running loop."""

    def held() -> Iterator[Held]:
        for place in list(gate.places):
            yield Held("place", place.key, place.owner, place, place.give_back)
        for lease in list(pool.leases):
            yield Held("call", lease.account, lease.owner, lease, partial(pool.ended, lease))

    def told(found: Sequence[Held]) -> None:
        for one in found:
            metrics.leaked(one.what)
            logger.error("leak", what=one.what, whose=one.whose)
        # It stays so until the next start: whatever made one may make more.
        health.ill(PART, f"{len(found)} held for nobody were taken back")

    made = Janitor(held, told, seconds=seconds)
    made.start()
    return made
