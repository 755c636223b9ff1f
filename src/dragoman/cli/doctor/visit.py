"""What the checks look at: the settings, the gateway's address and key, and what was asked of doctor.

It is made once for a run. What costs a request is asked when the first check wants it, and only once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dragoman.cli import launch
from dragoman.cli.client import GatewayClient, Reply, Unreachable
from dragoman.cli.options import Stop
from dragoman.serving import configured
from dragoman.settings import Settings, SettingsError
from dragoman.translate.models import STANDARD

if TYPE_CHECKING:
    from dragoman.cli.dbcheck import Report
    from dragoman.store.accounts import StoredAccount

Door = Literal["ours", "other", "closed"]


@dataclass
class Visit:
    """One run of doctor. `settings` is None where they cannot be read, `url` where no address is known.

    `problems` are the configuration's, `key_problem` says why no key could be read.
    """

    settings: Settings | None
    problems: list[str]
    data: Path
    url: str | None
    url_given: bool
    token: str | None = field(repr=False)
    key_source: str | None
    key_problem: str | None
    environ: Mapping[str, str] = field(repr=False)
    folder: Path
    offline: bool = False
    cache_check: bool = False
    model: str | None = None
    seconds: float = 5.0

    @cached_property
    def client(self) -> GatewayClient:
        """Asks the gateway with the key that was found."""
        return GatewayClient(self.url or "", self.token, self.seconds)

    @cached_property
    def report(self) -> Report | str:
        """What the store looks like, or why it cannot be looked at."""
        from dragoman.cli.dbcheck import examine
        from dragoman.store.engine import StoreError

        if self.settings is None:
            return "the configuration cannot be read"
        try:
            return asyncio.run(examine(self.settings, self.data))
        except (StoreError, SettingsError) as problem:
            return str(problem)

    @cached_property
    def secret_problem(self) -> str | None:
        """Why the gateway's own secret cannot be used, in the words that other checks of it use too."""
        if self.settings is None:
            return None
        try:
            configured.own_secret(self.settings, self.data)
        except SettingsError as problem:
            return str(problem)
        return None if isinstance(self.report, str) else self.report.secret_problem

    @property
    def kept(self) -> Sequence[StoredAccount]:
        """The accounts that the store has, with what it keeps of those of the configuration."""
        return () if isinstance(self.report, str) else self.report.accounts

    @cached_property
    def ready(self) -> Reply | None:
        """The answer of /readyz, None when nobody answers."""
        if self.url is None:
            return None
        try:
            return self.client.get("/readyz")
        except Unreachable as error:
            return Reply(0, {}, None) if error.stage == "answer" else None

    @property
    def door(self) -> Door:
        """Who is at the gateway's address."""
        if self.ready is None:
            return "closed"
        return "ours" if launch.is_gateway(self.ready) else "other"

    @property
    def simulated(self) -> bool:
        """Whether the gateway says that no real model answers."""
        return self.ready is not None and self.ready.headers.get("x-dragoman-simulated") == "true"

    @cached_property
    def models(self) -> dict[str, int | None] | str:
        """Published name -> window, or why there is no list."""
        try:
            return launch.models(self.client, None)
        except Stop as stop:
            return str(stop)

    @cached_property
    def asked_model(self) -> str | None:
        """The name that the checks request: the one given, else one that the gateway knows."""
        if self.model is not None:
            return self.model
        published = self.models if isinstance(self.models, dict) else {}
        for name in STANDARD.values():
            if launch.window(self.client, published, name) is not None:
                return name
        return next(iter(published), None)

    @property
    def may_ask(self) -> bool:
        """Whether the gateway can be asked to generate: it is up, and takes the key."""
        ready = self.door == "ours" and self.ready is not None and self.ready.status == 200
        return ready and isinstance(self.models, dict)
