"""The ledger: which conversation a request continues, where it departs from the last turn, what it read.

A lineage (session header or cache key) may carry several conversations; a request belongs to the one whose
generated parts it repeats. It explains and reports; the cache itself never asks it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dragoman.simulator.cache import MINIMUM, Found
from dragoman.simulator.models import Contract
from dragoman.simulator.render import BLOCK, Prompt
from dragoman.wire import jsonio

MAX_THREADS = 512
MAX_TURNS = 200
_HEAD = frozenset({"settings", "tools", "instructions"})
_PRODUCED = frozenset({"assistant", "call", "output", "reasoning", "compaction"})
_WARM_SHARE = 0.95


class Mark(NamedTuple):
    """What is remembered of a segment: not its bytes."""

    kind: str
    label: str
    digest: bytes
    total: int


Outline = list[Mark]


@dataclass(slots=True)
class Thread:
    """One conversation as the upstream saw it."""

    lineage: str
    number: int
    contract: Contract
    outline: Outline
    spelling: list[bytes]
    at: float
    machine: int
    produced: set[bytes] = field(default_factory=set)
    asked: set[bytes] = field(default_factory=set)
    turns: int = 0
    input: int = 0
    read: int = 0
    written: int = 0
    warm_turns: int = 0
    warm_read: int = 0
    warm_cacheable: int = 0
    worst_share: float | None = None
    rows: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_TURNS))


@dataclass(slots=True)
class Turn:
    """What one request is in its conversation; `record` makes it part of the ledger."""

    lineage: str
    contract: Contract
    outline: Outline
    spelling: list[bytes]
    at: float
    found: Found
    thread: Thread | None
    cacheable: int
    diverged: str | None
    respelled: str | None
    miss_reason: str | None
    account: str = ""


class Ledger:
    """All conversations, the oldest forgotten first."""

    def __init__(self) -> None:
        self._threads: OrderedDict[tuple[str, int], Thread] = OrderedDict()
        self._numbers = 0

    def compare(
        self,
        lineage: str,
        contract: Contract,
        prompt: Prompt,
        items: Sequence[Mapping[str, Any]],
        found: Found,
        now: float,
        account: str = "",
    ) -> Turn:
        """Places a request; changes nothing."""
        spelling = [hashlib.blake2b(jsonio.dump(item), digest_size=16).digest() for item in items]
        outline = [
            Mark(segment.kind, segment.label, segment.digest, total)
            for segment, total in zip(prompt.segments, prompt.totals, strict=True)
        ]
        thread = self._thread_of(lineage, outline)
        turn = Turn(lineage, contract, outline, spelling, now, found, thread, 0, None, None, None, account)
        if thread is not None:
            turn.cacheable = _cacheable(thread.outline, outline, contract)
            turn.diverged = _divergence(thread.outline, outline)
            turn.respelled = _respelled(thread.spelling, spelling)
        turn.miss_reason = _reason(turn)
        return turn

    def record(self, turn: Turn) -> None:
        """Enters an answered turn."""
        thread = turn.thread
        if thread is None or (turn.lineage, thread.number) not in self._threads:
            self._numbers += 1
            thread = Thread(
                turn.lineage,
                self._numbers,
                turn.contract,
                turn.outline,
                turn.spelling,
                turn.at,
                turn.found.machine,
            )
            self._threads[(turn.lineage, thread.number)] = thread
        self._threads.move_to_end((turn.lineage, thread.number))
        while len(self._threads) > MAX_THREADS:
            self._threads.popitem(last=False)
        _enter(thread, turn)

    def report(self) -> list[dict[str, Any]]:
        """One row per conversation with its turns."""
        return [
            {
                "lineage": thread.lineage,
                "conversation": thread.number,
                "contract": thread.contract,
                "turns": thread.turns,
                "input_tokens": thread.input,
                "cached_tokens": thread.read,
                "cache_write_tokens": thread.written,
                "warm_turns": thread.warm_turns,
                "warm_share": _share(thread.warm_read, thread.warm_cacheable),
                "worst_warm_share": thread.worst_share,
                "first_divergence": next((row["diverged"] for row in thread.rows if row["diverged"]), None),
                "rows": list(thread.rows),
            }
            for thread in self._threads.values()
        ]

    def _thread_of(self, lineage: str, outline: Outline) -> Thread | None:
        digests = {mark.digest for mark in outline if mark.kind not in _HEAD}
        best: Thread | None = None
        most = 0
        for thread in self._threads.values():
            if thread.lineage != lineage:
                continue
            # Reminders and project notes are equal in many conversations: user parts count only together.
            asked = len(thread.asked) if thread.asked and thread.asked <= digests else 0
            score = len(thread.produced & digests) * 1000 + asked
            if score >= most and score:
                best, most = thread, score
        return best


def _digests(outline: Outline, kinds: Iterable[str]) -> set[bytes]:
    wanted = set(kinds)
    return {mark.digest for mark in outline if mark.kind in wanted}


def _cacheable(before: Outline, now: Outline, contract: Contract) -> int:
    """Tokens both prompts have in common from the start, as far as the contract can serve them."""
    common = 0
    for old, new in zip(before, now, strict=False):
        if old.digest != new.digest:
            break
        common = new.total
    if contract == "A":
        common -= common % BLOCK
    return common if common >= MINIMUM else 0


def _divergence(before: Outline, now: Outline) -> str | None:
    """Label of the first segment of the last turn that this one does not repeat; None for an append.

    Sealed reasoning is left out: older models drop it at each new user message by themselves.
    """
    old = [mark for mark in before if mark.kind != "reasoning"]
    new = [mark for mark in now if mark.kind != "reasoning"]
    for index, mark in enumerate(old):
        if index >= len(new) or new[index].digest != mark.digest:
            return mark.label
    return None


def _respelled(before: Sequence[bytes], now: Sequence[bytes]) -> str | None:
    """The first item of the last turn whose JSON bytes changed or went."""
    for index, digest in enumerate(before):
        if index >= len(now) or now[index] != digest:
            return f"input[{index}]"
    return None


def _reason(turn: Turn) -> str | None:
    """Why the cache gave less than it could, or None for a hit."""
    found, thread = turn.found, turn.thread
    if found.forced:
        return "forced"
    if found.uncached:
        return "no_marks"
    if turn.outline[-1].total < MINIMUM:
        return "too_short"
    if thread is None:
        return "first_turn" if not found.read else None
    if found.read >= _WARM_SHARE * turn.cacheable and turn.cacheable:
        return None
    if turn.diverged is not None:
        return f"diverged:{turn.diverged}"
    if found.machine != thread.machine:
        return "other_machine"
    if found.ttl and turn.at - thread.at >= found.ttl:
        return "expired"
    return "no_entry"


def _enter(thread: Thread, turn: Turn) -> None:
    found = turn.found
    thread.turns += 1
    thread.input += turn.outline[-1].total
    thread.read += found.read
    thread.written += found.write
    expired = bool(found.ttl) and turn.at - thread.at >= found.ttl
    warm = turn.thread is not None and turn.cacheable > 0 and not expired
    share = min(1.0, found.read / turn.cacheable) if warm else None
    if share is not None and turn.diverged is None:
        thread.warm_turns += 1
        thread.warm_read += min(found.read, turn.cacheable)
        thread.warm_cacheable += turn.cacheable
        thread.worst_share = share if thread.worst_share is None else min(thread.worst_share, share)
    thread.rows.append(
        {
            "turn": thread.turns,
            "account": turn.account,
            "input": turn.outline[-1].total,
            "read": found.read,
            "write": found.write,
            "cacheable": turn.cacheable,
            "share": None if share is None else round(share, 4),
            "machine": found.machine,
            "miss_reason": turn.miss_reason,
            "diverged": turn.diverged,
            "respelled": turn.respelled,
        }
    )
    thread.outline, thread.spelling = turn.outline, turn.spelling
    thread.produced = _digests(turn.outline, _PRODUCED)
    thread.asked = _digests(turn.outline, {"user"})
    thread.at, thread.machine = turn.at, found.machine


def _share(read: int, cacheable: int) -> float | None:
    return round(read / cacheable, 4) if cacheable else None
