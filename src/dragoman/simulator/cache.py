"""The prompt cache: two contracts, machines, lifetimes, routing.

Contract A (models before GPT-5.6): the longest common prefix in blocks of 128 tokens, at least 1,024.
Contract B (from GPT-5.6): entries only at boundaries (latest user message or tool output, explicit marks,
tools plus instructions), read at the longest stored one, writes reported. It follows OpenAI's prompt caching
guide and public measurements; it never sees a request's text, only the rendered prompt.
"""

from __future__ import annotations

import hashlib
import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from dragoman.simulator.models import Contract
from dragoman.simulator.render import BLOCK, Prompt
from dragoman.simulator.switches import Switches

MINIMUM = 1024
MAX_SCOPES = 1024
WRITES = 4  # per request: one implicit and three explicit, or four explicit
Mode = Literal["implicit", "explicit"]


@dataclass(slots=True)
class Entry:
    tokens: int
    expires: float
    ttl: float


class Machine:
    """One cache node: entries by prefix hash, least recently used go first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self.entries: OrderedDict[bytes, Entry] = OrderedDict()

    def find(self, key: bytes, now: float) -> Entry | None:
        """A live entry; using it renews its life."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        if entry.expires <= now:
            del self.entries[key]
            return None
        entry.expires = now + entry.ttl
        self.entries.move_to_end(key)
        return entry

    def store(self, key: bytes, tokens: int, now: float, ttl: float) -> None:
        self.entries[key] = Entry(tokens, now + ttl, ttl)
        self.entries.move_to_end(key)
        while len(self.entries) > self._capacity:
            self.entries.popitem(last=False)


class Asked(NamedTuple):
    """What of a request the cache looks at. `route` is the session header where a flavour has one."""

    scope: str
    codex: bool
    contract: Contract
    prompt: Prompt
    cache_key: str | None = None
    route: str | None = None
    pinned: int | None = None  # machine named by a replayed turn state
    mode: Mode = "implicit"
    retention: str | None = None


@dataclass(slots=True)
class Found:
    """What the cache answered, and what it will hold once `commit` is called."""

    machine: int
    read: int = 0
    write: int = 0
    forced: bool = False
    uncached: bool = False  # explicit mode without a mark: no caching at all
    ttl: float = 0.0
    store: list[tuple[bytes, int]] = field(default_factory=list)


class Cache:
    """All machines of all scopes (organisation, or account on the Codex flavour)."""

    def __init__(self, switches: Switches, now: Callable[[], float]) -> None:
        self._switches = switches
        self._now = now
        self._random = random.Random(switches.seed)
        self._scopes: OrderedDict[str, list[Machine]] = OrderedDict()
        self._rates: OrderedDict[tuple[bytes, str], tuple[float, float]] = OrderedDict()
        self._lookups = 0

    def look_up(self, asked: Asked) -> Found:
        """Reads; nothing is stored before `commit`."""
        self._lookups += 1
        found = Found(self._route(asked))
        machine = self._machine(asked.scope, found.machine)
        every = self._switches.miss_every
        found.forced = every > 0 and self._lookups % every == 0
        if asked.contract == "A":
            self._read_blocks(asked, machine, found)
        else:
            self._read_boundaries(asked, machine, found)
        if asked.codex:
            found.write = 0
        return found

    def commit(self, asked: Asked, found: Found) -> None:
        """Makes what this request wrote readable: the first token is out, or the answer is complete."""
        machine = self._machine(asked.scope, found.machine)
        now = self._now()
        # The longest first: when the machine overflows, the head of a prefix must be the last to go.
        for key, tokens in reversed(found.store):
            machine.store(key, tokens, now, found.ttl)

    def evict(self) -> None:
        """Forgets everything."""
        self._scopes.clear()
        self._rates.clear()

    def census(self) -> dict[str, list[dict[str, int]]]:
        """Per scope and machine: the entries held and the longest prefix among them."""
        return {
            scope: [
                {
                    "entries": len(machine.entries),
                    "longest": max((entry.tokens for entry in machine.entries.values()), default=0),
                }
                for machine in machines
            ]
            for scope, machines in self._scopes.items()
        }

    def _machine(self, scope: str, index: int) -> Machine:
        machines = self._scopes.get(scope)
        if machines is None:
            capacity = self._switches.capacity
            machines = [Machine(capacity) for _ in range(self._switches.machines)]
            self._scopes[scope] = machines
            while len(self._scopes) > MAX_SCOPES:
                self._scopes.popitem(last=False)
        return machines[index % len(machines)]

    def _route(self, asked: Asked) -> int:
        count = self._switches.machines
        if asked.pinned is not None:
            chosen = asked.pinned
        elif asked.codex:
            chosen = _hash(asked.scope, asked.route) if asked.route else self._random.randrange(count)
        elif asked.contract == "B" and asked.cache_key is None:
            chosen = self._random.randrange(count)
        else:
            head = asked.prompt.head_hash()
            key = asked.cache_key or ""
            chosen = _hash(head.hex(), key) + self._overflow(head, key)
        down = self._switches.machine_down
        for step in range(count):
            if (chosen + step) % count not in down:
                return (chosen + step) % count
        return chosen % count

    def _overflow(self, head: bytes, key: str) -> int:
        """How many machines further a busy (prefix, key) spills: a leaky bucket per minute."""
        rate = self._switches.rate_per_key
        if rate <= 0:
            return 0
        now = self._now()
        level, at = self._rates.pop((head, key), (0.0, now))
        level = max(0.0, level - (now - at) * rate / 60) + 1
        self._rates[(head, key)] = (level, now)
        while len(self._rates) > 4096:
            self._rates.popitem(last=False)
        return int((level - 1e-6) // rate)

    def _read_blocks(self, asked: Asked, machine: Machine, found: Found) -> None:
        keys = asked.prompt.blocks()
        now = self._now()
        extended = (asked.retention or self._switches.default_retention) == "24h"
        found.ttl = self._switches.extended_ttl if extended else self._switches.idle_ttl
        matched = 0
        for key in keys:
            if machine.find(key, now) is None:
                break
            matched += 1
        matched = min(matched, len(keys) - self._switches.uncached_tail_blocks)
        read = BLOCK * matched
        found.read = read if read >= MINIMUM and not found.forced else 0
        if asked.prompt.tokens >= MINIMUM:
            found.store = [(key, BLOCK * (index + 1)) for index, key in enumerate(keys)]

    def _read_boundaries(self, asked: Asked, machine: Machine, found: Found) -> None:
        found.ttl = self._switches.breakpoint_ttl
        explicit = asked.mode == "explicit"
        marked = [i for i, segment in enumerate(asked.prompt.segments) if segment.marked]
        if explicit and not marked:
            found.uncached = True
            return
        readable, writable = self._boundaries(asked.prompt, marked, explicit)
        now = self._now()
        prompt = asked.prompt
        for index in reversed(readable):
            if prompt.totals[index] < MINIMUM or found.forced:
                break
            if machine.find(prompt.prefixes[index], now) is not None:
                found.read = prompt.totals[index]
                break
        for index in writable:
            if prompt.totals[index] >= MINIMUM and machine.find(prompt.prefixes[index], now) is None:
                found.store.append((prompt.prefixes[index], prompt.totals[index]))
        if found.store:
            found.write = max(0, found.store[-1][1] - found.read)

    def _boundaries(self, prompt: Prompt, marked: list[int], explicit: bool) -> tuple[list[int], list[int]]:
        """Segment indexes that may be read and that are written, both ascending."""
        if explicit:
            return marked[-self._switches.lookback :], marked[-WRITES:]
        turns = [i for i, segment in enumerate(prompt.segments) if segment.ends_turn]
        readable = sorted({*turns, *marked})[-self._switches.lookback :]
        writable = sorted({*turns[-1:], *marked[-(WRITES - 1) :]})
        if self._switches.floor == "instructions_tools":
            head = [i for i, segment in enumerate(prompt.segments) if segment.ends_head]
            readable, writable = head + readable, head + writable
        return readable, writable


def _hash(*parts: str | None) -> int:
    joined = "\0".join(part or "" for part in parts).encode()
    return int.from_bytes(hashlib.blake2b(joined, digest_size=6).digest())
