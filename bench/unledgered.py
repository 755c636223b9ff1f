"""The same gateway without keys, limits, journal, database and metrics: what the ledger costs beside it.

`python -m bench.unledgered CONFIG DATA` serves; nothing but the bench starts it. It puts the house together
without a store and writes rows nowhere.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from dragoman.cli.serve import COLLECT, raise_file_limit
from dragoman.gateway.ports import Row
from dragoman.serving.assembly import assemble
from dragoman.serving.start import Start, resolve
from dragoman.settings import load
from dragoman.telemetry import logs
from dragoman.web import door


class Nowhere:
    """A ledger that keeps nothing."""

    def record(self, row: Row) -> None:
        return


async def serve(start: Start) -> None:
    """Serves until a signal ends it."""
    settings = start.settings
    gateway = await assemble(start, logs.configure("json", "info"), Nowhere())
    # Every row is handed on here, to metrics too.
    gateway.house.ledger = Nowhere()

    def started(_: str) -> None:
        gc.freeze()
        gc.set_threshold(*COLLECT)

    try:
        await door.serve(
            gateway.app,
            host=settings.server.host,
            port=settings.server.port,
            drain_seconds=settings.server.drain_seconds,
            on_started=started,
            on_draining=gateway.house.gate.close,
        )
    finally:
        await gateway.close()


if __name__ == "__main__":
    raise_file_limit()
    door.run(serve(resolve(load(Path(sys.argv[1])), Path(sys.argv[2]))))
