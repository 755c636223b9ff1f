"""`dragoman secrets`: a new text for the ring that seals what is stored.

At every moment the installation opens what it has sealed. What is sealed stays as it is: client keys, sealed
reasoning and cache keys are not touched by a rotation. No text is ever shown.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dragoman.cli import errand
from dragoman.cli.options import MISUSED, Config, DataDir, Stop

if TYPE_CHECKING:
    from dragoman.cli.errand import Place

app = typer.Typer(no_args_is_help=True, help="The secret that seals what is stored.")


@app.callback()
def group() -> None:
    """The secret that seals what is stored."""


@app.command()
def rotate(
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Remove the older texts when everything is sealed anew.")
    ] = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Seal everything with a new secret; works while gateways run."""

    async def work(here: Place) -> None:
        if here.settings.secrets.key_env is not None:
            await _of_variable(here, here.settings.secrets.key_env)
        else:
            await _of_file(here, here.data / here.settings.secrets.key_file, drop_old=drop_old)

    errand.run(config, data_dir, work)


async def _of_file(here: Place, file: Path, *, drop_old: bool) -> None:
    from dragoman.cli import ringfile
    from dragoman.serving.store import opened, ring_texts
    from dragoman.store import facts
    from dragoman.store.ring import Ring

    with ringfile.alone(file):
        async with opened(here.settings, here.data, monotonic=time.monotonic) as store:
            old = ring_texts(here.settings, here.data)
            texts = [secrets.token_urlsafe(48), *old]
            # First both can open, then the new one seals, then, if asked for, the old ones go.
            ringfile.write(file, texts)
            ring = Ring(texts)
            noting = store.noting("secrets.rotate", "secrets", time.time(), {"drop_old": drop_old})
            renewed = await facts.reseal(noting.database, ring)
            if drop_old:
                await facts.check(store.database, Ring(texts[:1]))
                ringfile.write(file, texts[:1])
                # What a process sealed with an old text just before it was gone.
                await facts.reseal(store.database, ring)
            shared = store.database.dialect == "postgresql"
    errand.say(f"A new secret stands first in {file}; values sealed with it: {renewed}.")
    if drop_old:
        errand.say(
            f"Older secrets removed: {len(old)}. A backup made before opens only with its FILE.secrets."
        )
    else:
        errand.say(f"Older secrets kept: {len(old)}. --drop-old removes them.")
    errand.say("Gateways that run read the file when they next seal or open something; no restart is needed.")
    if shared:
        errand.say("Other machines that use this database need a copy of the file before they restart.")


async def _of_variable(here: Place, variable: str) -> None:
    """The variable is the operator's to change; sealing anew is ours."""
    from dragoman.serving.store import opened, ring_texts
    from dragoman.store import facts

    texts = ring_texts(here.settings, here.data)
    if len(texts) < 2:
        raise Stop(
            f"the secret comes from the variable {variable}: put a new text on a line before the present "
            "one, restart the gateways with it, and rotate again",
            MISUSED,
        )
    async with opened(here.settings, here.data, monotonic=time.monotonic) as store:
        noting = store.noting("secrets.rotate", "secrets", time.time(), {"variable": variable})
        renewed = await facts.reseal(noting.database, store.ring)
    errand.say(
        f"Values sealed with the first text of {variable}: {renewed}.",
        "When every gateway was started with that text, the others can be removed from the variable.",
    )
