"""200 requests a second, as they come and not as they are answered: latencies, and which rows arrived.

An open loop: a request is due every few milliseconds whether or not others are still open, so a gateway that
stalls is charged for everybody who waited. Run on dragoman, and on the same without its ledger: what is added
is the ledger's. Rows are counted in the database, before and after.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp

from bench.measure import Gateway

RATE = 200
QUICK_SECONDS = 10.0
FULL_SECONDS = 60.0
SETTLE_SECONDS = 20.0


def measure(gateway: Gateway, folder: Path, seconds: float) -> dict[str, Any]:
    """One run: `p50`, `p99` in ms, `requests`, `faults`; with a database also `rows_lost`."""
    database = folder / "dragoman.db"
    before = _rows(database)
    row = load([gateway], seconds)
    if before is not None:
        row["rows_lost"] = row["requests"] - _arrived(database, before, row["requests"])
    return row


def load(gateways: Sequence[Gateway], seconds: float, sessions: int = 0) -> dict[str, Any]:
    """The steady rate, each request to the next gateway: `requests`, `faults`, `p50`, `p99` in ms.

    With `sessions` so many of them take turns, and each meets all gateways.
    """
    latencies, faults = asyncio.run(_load(gateways, seconds, sessions))
    ordered = sorted(latencies)
    return {
        "requests": len(latencies) + faults,
        "faults": faults,
        "p50": statistics.median(ordered) if ordered else None,
        "p99": ordered[int(len(ordered) * 0.99)] if ordered else None,
    }


async def _load(gateways: Sequence[Gateway], seconds: float, sessions: int) -> tuple[list[float], int]:
    body = gateways[0].bodies["plain_1k"].read_bytes()
    plain = dict(line.split(": ", 1) for line in gateways[0].spec.headers) | {
        "content-type": "application/json"
    }
    named = [plain | {"x-claude-code-session-id": f"bench-{number}"} for number in range(sessions)]
    turn = zip(itertools.cycle(gateways), itertools.cycle(named or [plain]), strict=True)
    latencies: list[float] = []
    faults = 0

    async def ask(due: float) -> None:
        nonlocal faults
        gateway, headers = next(turn)
        try:
            async with session.post(gateway.url, data=body, headers=headers) as reply:
                await reply.read()
                good = reply.status == 200
        except (aiohttp.ClientError, OSError):
            good = False
        if good:
            latencies.append((time.perf_counter() - due) * 1000)
        else:
            faults += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(int(RATE * seconds)):
                due = start + number / RATE
                if (wait := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
                group.create_task(ask(due))
    return latencies, faults


def _rows(database: Path) -> int | None:
    if not database.exists():
        return None
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        found: int = connection.execute("SELECT count(*) FROM requests").fetchone()[0]
    return found


def _arrived(database: Path, before: int, wanted: int) -> int:
    """Rows since `before`, once they are complete or nothing more comes."""
    end = time.monotonic() + SETTLE_SECONDS
    while (found := (_rows(database) or 0) - before) < wanted and time.monotonic() < end:
        time.sleep(0.2)
    return found
