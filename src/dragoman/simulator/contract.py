"""What a check needs to know besides the body: flavour, model, account, switches.

The checks themselves are in parameters.py (top level), offers.py (tools and tool choice), items.py (each
input item by itself) and history.py (items in their order); validate.py runs them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dragoman.simulator.models import Family
from dragoman.simulator.sealing import Claims
from dragoman.simulator.switches import Switches

Flavour = Literal["api", "codex"]


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms under which one request is judged. `scope` is what seals and caches are bound to."""

    flavour: Flavour
    model: str
    family: Family
    switches: Switches
    scope: str
    open_seal: Callable[[str], Claims | None]
    verified: bool = True
    websocket: bool = False

    @property
    def codex(self) -> bool:
        return self.flavour == "codex"
