"""The simulator's whole state in one place, and what resets it.

One State is one simulated service. It owns no socket; server.py puts doors in front of it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dragoman.simulator import scenario
from dragoman.simulator.accounts import Accounts
from dragoman.simulator.answer import Mint
from dragoman.simulator.cache import Cache
from dragoman.simulator.clock import Clock
from dragoman.simulator.ledger import Ledger
from dragoman.simulator.log import Log
from dragoman.simulator.oauth import Grants
from dragoman.simulator.render import Renderer
from dragoman.simulator.scenario import Scenario
from dragoman.simulator.sealing import Sealer
from dragoman.simulator.steps import InvalidScenario
from dragoman.simulator.stored import Store
from dragoman.simulator.switches import Switches, change
from dragoman.simulator.validate import Validator

_MAX_LINEAGES = 4096


@dataclass(slots=True)
class Totals:
    """Sums over all answered requests."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


class State:
    """One simulated service. `source` is the real clock behind the virtual one."""

    def __init__(
        self,
        switches: Mapping[str, Any] | None = None,
        *,
        rules: Any = None,
        start: float | None = None,
        frozen: bool = False,
    ) -> None:
        self.switches = Switches()
        change(self.switches, switches or {})
        self.clock = Clock(start, frozen=frozen)
        self.refuse: Callable[[float], None] = _no_listener
        self.sealer = Sealer(self.switches.seed)
        self.mint = Mint(self.switches.seed)
        self._seals = 0
        for part in PARTS.values():
            part(self)
        if rules is not None:
            self.load(rules)

    def reset(self, only: list[str] | None = None) -> None:
        """Forgets all but switches and time, or the named parts. Raises ValueError for no such part."""
        for name in only or PARTS:
            if name not in PARTS:
                raise ValueError(f"nothing named {name!r} to reset; there are: {', '.join(PARTS)}")
        for name in only or PARTS:
            PARTS[name](self)

    def _fresh_accounts(self) -> None:
        self.accounts = Accounts(self.switches)
        self.grants = Grants(self.mint)

    def _fresh_cache(self) -> None:
        self.cache = Cache(self.switches, self.clock.now)
        self.renderer = Renderer()
        self.ledger = Ledger()
        self._turns: OrderedDict[str, int] = OrderedDict()

    def _fresh_log(self) -> None:
        self.log = Log(self.switches.log_requests, self.switches.log_bytes)
        self.totals = Totals()
        self.forbidden_headers: Counter[str] = Counter()

    def _fresh_scenario(self) -> None:
        self.scenario = Scenario()

    def _fresh_responses(self) -> None:
        self.store = Store()
        self.validator = Validator()

    def load(self, source: Any) -> None:
        """Takes a scenario: a list of rules, or an object with rules, switches, accounts.

        Raises InvalidScenario; nothing is changed then.
        """
        if isinstance(source, list):
            source = {"rules": source}
        if not isinstance(source, dict):
            raise InvalidScenario("a scenario is a list of rules or an object")
        for key in source:
            if key not in ("rules", "switches", "accounts"):
                raise InvalidScenario(f"no key {key!r}; there are: rules, switches, accounts")
        parsed = scenario.parse(source.get("rules") or [])
        try:
            change(self.switches, source.get("switches") or {})
            for account in source.get("accounts") or ():
                self.accounts.put(account)
        except ValueError as error:
            raise InvalidScenario(str(error)) from error
        self.scenario = parsed

    def next_turn(self, lineage: str) -> int:
        """Counts the requests of a lineage."""
        turn = self._turns.pop(lineage, 0) + 1
        self._turns[lineage] = turn
        while len(self._turns) > _MAX_LINEAGES:
            self._turns.popitem(last=False)
        return turn

    def next_seal(self) -> int:
        """The order number of the next sealed item."""
        self._seals += 1
        return self._seals

    def report(self) -> dict[str, Any]:
        """Figures and findings since the last reset."""
        totals = self.totals
        conversations = self.ledger.report()
        warm = [row for row in conversations if row["warm_turns"]]
        return {
            "received": self.log.total,
            "answered": totals.requests,
            "active": self.log.active,
            "most_active": self.log.most_active,
            "input_tokens": totals.input_tokens,
            "cached_tokens": totals.cached_tokens,
            "cache_write_tokens": totals.cache_write_tokens,
            "output_tokens": totals.output_tokens,
            "reasoning_tokens": totals.reasoning_tokens,
            "hit_ratio": round(totals.cached_tokens / totals.input_tokens, 4)
            if totals.input_tokens
            else None,
            "warm_turns": sum(row["warm_turns"] for row in warm),
            "worst_warm_share": min((row["worst_warm_share"] for row in warm), default=None),
            "breaches": sum(self.log.rules.values()),
            "breaches_by_rule": dict(self.log.rules),
            "breach_list": [breach.shown() for breach in self.log.breaches],
            "forbidden_headers": dict(self.forbidden_headers),
            "conversations": conversations,
            "rules": [
                {"name": rule.name, "seen": rule.seen, "used": rule.used} for rule in self.scenario.rules
            ],
        }


# What can be reset by itself, and how it is made anew.
PARTS: dict[str, Callable[[State], None]] = {
    "accounts": State._fresh_accounts,
    "cache": State._fresh_cache,
    "log": State._fresh_log,
    "scenario": State._fresh_scenario,
    "responses": State._fresh_responses,
}


def _no_listener(seconds: float) -> None:
    """Before a server listens there is nothing to refuse."""
