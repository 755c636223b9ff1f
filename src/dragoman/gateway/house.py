"""Everything a request's life draws on, put together once at start: ports, limits and short memories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dragoman.cache.lineage import Lineage
from dragoman.cache.recall import Recall
from dragoman.cache.turns import Turns
from dragoman.gateway.admission import Admission
from dragoman.gateway.attempts import Learnt
from dragoman.gateway.counts import Counts
from dragoman.gateway.flow import Gate
from dragoman.gateway.keeping import Keeping
from dragoman.gateway.pacing import Limits
from dragoman.gateway.pieces import Pieces
from dragoman.gateway.ports import Accounts, Clock, Counter, Ids, Keys, Ledger, Opening, Unwritten, Upstream
from dragoman.routing.pool import Pool
from dragoman.routing.retries import RetryBudget
from dragoman.translate.messages.count import Calibration
from dragoman.translate.messages.plan import Policy
from dragoman.translate.models import Alias

_MONTH = 30 * 86400.0


def _unheard(phase: tuple[str, ...], seconds: float) -> None:
    """Nobody counts."""


class Kept(NamedTuple):
    """A stored response: the account that keeps it, and whose it is."""

    account: str
    line: Lineage


@dataclass(slots=True)
class House:
    """One value, handed to every exchange. The memories are bounded and may be lost at any time.

    `recall` holds arguments by call id, `phases` those of texts by their mark. `unknown_events` counts
    upstream events of types that no table names. `took` is told how many seconds a phase of a request took
    here, by its label.
    """

    clock: Clock
    ids: Ids
    keys: Keys
    admission: Admission
    accounts: Accounts
    pool: Pool
    upstream: Upstream
    ledger: Ledger
    counter: Counter
    gate: Gate
    limits: Limits
    policy: Policy
    aliases: Sequence[Alias]
    salt: bytes
    jitter: Callable[[], float]
    key_per_lane: bool = False
    simulated: bool = False
    retries: RetryBudget = field(default_factory=RetryBudget)
    learnt: Learnt = field(default_factory=Learnt)
    turns: Turns = field(default_factory=Turns)
    recall: Recall = field(default_factory=Recall)
    phases: Recall = field(default_factory=Recall)
    calibration: Calibration = field(default_factory=Calibration)
    counts: Counts = field(default_factory=Counts)
    pieces: Pieces = field(default_factory=Pieces)
    journal: Opening = field(default_factory=Unwritten)
    # Who keeps a stored response, by tenant and id; the turn state of a lane, by account and lane.
    kept_responses: Keeping[tuple[str, str], Kept] = field(default_factory=lambda: Keeping(16384, _MONTH))
    turn_states: Keeping[tuple[str, str], str] = field(default_factory=lambda: Keeping(4096, 300.0))
    # Compactions, by hash, that an account could not read.
    unreadable: Keeping[tuple[str, int], bool] = field(default_factory=lambda: Keeping(4096, _MONTH))
    without_reasoning: dict[str, None] = field(default_factory=dict)
    unknown_events: int = 0
    took: Callable[[tuple[str, ...], float], None] = _unheard
