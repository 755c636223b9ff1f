"""What the janitor is shown, and how loud a leak is."""

from __future__ import annotations

import asyncio
import io

from dragoman.gateway.flow import Gate
from dragoman.routing.pool import Member, Pool
from dragoman.serving.leases import janitor
from dragoman.store.health import Health
from dragoman.telemetry import logs
from dragoman.telemetry.metrics import Metrics


async def test_a_leak_is_in_the_log_the_metrics_and_the_readiness() -> None:
    """reliability S9."""
    gate, pool = Gate(4, 0, 1.0, lambda: 0.5), Pool([Member("account", "openai")])
    health, metrics, text = Health(), Metrics("1"), io.StringIO()
    watchman = janitor(gate, pool, metrics, health, logs.configure("json", "info", text))

    async def careless() -> None:
        await gate.place("laptop").__aenter__()
        pool.started("account", 1.0, model="m", owner=asyncio.current_task())

    await asyncio.ensure_future(careless())
    async with gate.place("tidy"):
        lease = pool.started("account", 2.0, model="m", owner=asyncio.current_task())
        watchman.look()
        assert health.parts == {}
        assert {(one.what, one.whose) for one in watchman.look()} == {
            ("place", "laptop"),
            ("call", "account"),
        }
        assert (gate.in_flight, pool.in_flight()) == (1, {"account": 1})
        pool.ended(lease)
    assert list(health.parts) == ["leases"]
    lines = [line for line in text.getvalue().splitlines() if '"leak"' in line]
    assert len(lines) == 2
    assert all('"error"' in line for line in lines)
    exposed, _ = await metrics.scrape("")
    for what in ("place", "call"):
        assert f'dragoman_leaked_leases_total{{kind="{what}"}} 1.0' in exposed.decode()
    assert (gate.in_flight, pool.in_flight(), list(pool.leases)) == (0, {"account": 0}, [])
    await watchman.stop()
