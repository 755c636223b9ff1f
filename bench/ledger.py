"""What reading the request log costs: a SQLite file of many rows, and every list, sum and export on it.

Rows are invented: 40 keys with two models each, four accounts, 30 days, 3 % failures. The file is filled by
plain SQL and read through the repositories that the admin API and the command line use. Printed is one JSON
object; times are medians in milliseconds. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from dragoman.gateway.ports import Row
from dragoman.store import migrate, rows
from dragoman.store.engine import Database, locate
from dragoman.store.export import json_lines
from dragoman.store.feed import Feed
from dragoman.store.reading import Filter, everything, facets, page
from dragoman.store.retention import Retention
from dragoman.store.series import series, totals

QUICK_ROWS = 200_000
FULL_ROWS = 1_000_000
_DAYS = 30
_DAY = 86_400
_BEGIN = 1_780_272_000.0  # 2026-06-01
_MODELS = ("claude-opus-4-8", "claude-sonnet-4-6", "claude-haiku-4-5", "claude-fable-5")
_UPSTREAM = ("gpt-5.6-sol", "gpt-5.5", "gpt-5.6-luna", "gpt-5.5")
_VERDICTS = ("hit",) * 16 + ("first_turn", "messages_changed(3)", "expired", "partial")
_EXPORTED = 100_000

FILTERS = {
    "key": Filter(key="key-7"),
    "requested model": Filter(requested_model="claude-haiku-4-5"),
    "upstream model": Filter(upstream_model="gpt-5.6-luna"),
    "account": Filter(account="account-2"),
    "outcome ok": Filter(outcome="ok"),
    "outcome aborted": Filter(outcome="aborted"),
    "status": Filter(status=529),
    "error": Filter(error_type="overloaded_error"),
    "verdict": Filter(cache_verdict="messages_changed"),
    "session": Filter(session_hash=f"{11:032x}"),
    "request": Filter(request_id="req_4711"),
    "rare lane": Filter(lane="search"),
    "client": Filter(client="codex"),
    "key and rare lane": Filter(key="key-7", lane="search"),
    "key, model, outcome": Filter(key="key-7", requested_model="claude-haiku-4-5", outcome="upstream_error"),
    "a day of a model": Filter(
        requested_model="claude-opus-4-8", since=_BEGIN + 9 * _DAY, until=_BEGIN + 10 * _DAY
    ),
    "search for a hash": Filter(search=f"{11:032x}"[:32]),
    "search for a part": Filter(search="haiku"),
    "search for nothing": Filter(search="no such thing"),
}


def measure(count: int, core: int) -> dict[str, Any]:
    """The figures of a log of so many rows, from a process of its own on one core."""
    ran = subprocess.run(
        [sys.executable, "-m", "bench.ledger", "--rows", str(count)],
        stdout=subprocess.PIPE,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    row: dict[str, Any] = json.loads(ran.stdout)
    return row


def invented(count: int) -> Iterator[dict[str, Any]]:
    """Rows as the writer has them, in the order of time."""
    dice = random.Random(4)
    step = _DAYS * _DAY / count
    for number in range(count):
        failed = dice.random() < 0.03
        key = dice.randrange(40)
        model = (key + (dice.random() < 0.2)) % len(_MODELS)
        session = number // 25 % 20_000
        row = Row(
            request_id=f"req_{number}",
            time=_BEGIN + number * step,
            key=f"key-{key}",
            client="codex_cli_rs/1.2" if dice.random() < 0.001 else "claude-cli/2.1.7",
            requested_model=_MODELS[model],
            upstream_model=_UPSTREAM[model],
            effort="medium",
            account=f"account-{dice.randrange(4)}",
            lineage=f"{session:08x}-0000-4000-8000-000000000000",
            session_hash=f"{session:032x}",
            conversation_hash=f"{session * 3:032x}",
            lane="search" if number % 50_000 == 17 else "agent" if number % 5 == 0 else "main",
            status=529 if failed else 200,
            outcome="upstream_error" if failed else "ok",
            error_type="overloaded_error" if failed else None,
            stop_reason=None if failed else "tool_use",
            input_tokens=40_000,
            cached_tokens=38_000,
            output_tokens=700,
            reasoning_tokens=300,
            usage_source="none" if failed else "measured",
            queue_ms=0.1,
            connect_ms=210.5,
            first_byte_ms=400.2,
            first_token_ms=900.7,
            duration_ms=8000.4,
            cache_verdict=dice.choice(_VERDICTS),
            cache_story="38000 of 40000 input tokens read from cache (39000 expected): as it should be",
            stream=True,
            cost_nano=None if failed else 31_000_000,
            anthropic_cost_nano=None if failed else 90_000_000,
            uid=f"bench-{number}",
        )
        yield rows.columns(row)


def fill(file: Path, count: int) -> float:
    """Writes the rows and their sums; returns rows a second."""
    began = time.perf_counter()
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA synchronous=OFF")
    source = invented(count)
    first = next(source)
    names = list(first)
    marks = ", ".join("?" * len(names))
    insert = f"INSERT INTO requests ({', '.join(names)}) VALUES ({marks})"
    connection.execute(insert, tuple(first.values()))
    connection.executemany(insert, (tuple(row.values()) for row in source))
    connection.execute(_SUMS)
    connection.commit()
    connection.close()
    return count / (time.perf_counter() - began)


_SUMS = """
INSERT INTO usage_hours
SELECT CAST(time / 3600 AS INTEGER) * 3600, key, requested_model, upstream_model, account, outcome, count(*),
  sum(usage_source <> 'none'), sum(input_tokens), sum(cached_tokens), sum(written_tokens), sum(output_tokens),
  sum(reasoning_tokens), sum(coalesce(cost_nano, 0)), sum(coalesce(anthropic_cost_nano, 0)), 0, 0,
  sum(first_token_ms), count(first_token_ms), sum(duration_ms)
FROM requests GROUP BY 1, 2, 3, 4, 5, 6
"""


async def figures(file: Path, count: int) -> dict[str, Any]:
    """All times."""
    database = Database(locate(f"sqlite:///{file}", file.parent))
    since, until = _BEGIN + (_DAYS - 7) * _DAY, _BEGIN + _DAYS * _DAY
    first = await page(database, Filter())
    middle = await page(database, Filter(until=_BEGIN + _DAYS * _DAY / 2))
    found: dict[str, Any] = {
        "rows": count,
        "first_page_ms": await _median(lambda: page(database, Filter())),
        "next_page_ms": await _median(lambda: page(database, Filter(), first.next)),
        "deep_page_ms": await _median(lambda: page(database, Filter(), middle.next)),
        "page_of_500_ms": await _median(lambda: page(database, Filter(), None, 500)),
        "filters": {name: await _median(partial(page, database, wanted)) for name, wanted in FILTERS.items()},
        "facets_7d_ms": await _median(lambda: facets(database, since, until), 5),
        "facets_30d_ms": await _median(lambda: facets(database), 3),
        "series_7d_ms": await _median(lambda: series(database, since, until, "hour"), 5),
        "series_30d_ms": await _median(lambda: series(database, None, None, "day", "requested_model"), 3),
        "totals_30d_ms": await _median(lambda: totals(database, None, None, "key"), 3),
        "key_30d_ms": await _median(lambda: totals(database, where={"key": "key-7"}), 5),
    }
    feed = Feed(database, Filter())
    await feed.open(20)
    found["poll_ms"] = await _median(feed.poll)
    found["slowest_filter_ms"] = max(found["filters"].values())
    found["export_rows_per_s"] = await _export(database)
    found["removed_rows_per_s"], found["removing_batch_ms"] = await _remove(database)
    await database.close()
    return found


async def _median(ask: Callable[[], Awaitable[object]], repeats: int = 11) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        await ask()
        times.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(times), 3)


async def _export(database: Database) -> float:
    began, block, count, size = time.perf_counter(), [], 0, 0
    async for row in everything(database, Filter()):
        block.append(row)
        count += 1
        if len(block) == 500:
            size += len(json_lines(block))
            block.clear()
        if count == _EXPORTED:
            break
    return round(count / (time.perf_counter() - began))


async def _remove(database: Database) -> tuple[float, float]:
    """Rows a second of a sweep over half a day, without pauses; and how long a batch holds the writer."""
    job = Retention(database, 1, now=lambda: _BEGIN + 1.5 * _DAY, pause_seconds=0)
    began = time.perf_counter()
    count = await job.sweep()
    seconds = time.perf_counter() - began
    return round(count / seconds), round(seconds / max(1, count / 500) * 1000, 2)


def main() -> None:
    """Fills, measures, prints and removes."""
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    parser.add_argument("--rows", type=int, default=QUICK_ROWS, help="rows of the log")
    count = parser.parse_args().rows
    folder = Path(tempfile.mkdtemp(prefix="drg-ledger-"))
    try:
        file = folder / "dragoman.db"
        asyncio.run(_prepare(file))
        speed = fill(file, count)
        found = asyncio.run(figures(file, count))
        size = sum(part.stat().st_size for part in folder.iterdir())
        found |= {"filled_rows_per_s": round(speed), "bytes_per_row": round(size / count), "faults": 0}
        print(json.dumps(found))
    finally:
        shutil.rmtree(folder)


async def _prepare(file: Path) -> None:
    database = Database(locate(f"sqlite:///{file}", file.parent))
    await migrate.prepare(database)
    await database.close()


if __name__ == "__main__":
    main()
