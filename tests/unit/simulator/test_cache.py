"""The prompt cache: both contracts, machines, lifetimes, routing."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator import cache as module
from dragoman.simulator.cache import Asked, Cache, Found, Machine
from dragoman.simulator.models import family
from dragoman.simulator.render import Renderer
from dragoman.simulator.switches import Switches, change
from tests.support.simulated import assistant, request, text_of_tokens, user


class Bench:
    """A cache with a hand-moved clock."""

    def __init__(self, model: str = "gpt-5.5", codex: bool = False, **switches: Any) -> None:
        self.switches = Switches()
        change(self.switches, switches)
        self.now = 0.0
        self.model = model
        self.codex = codex
        self.cache = Cache(self.switches, lambda: self.now)
        self._renderer = Renderer()

    def ask(self, *items: dict[str, Any], **more: Any) -> Found:
        known = family(self.model)
        assert known is not None
        body = request(*items, model=self.model, instructions=more.pop("instructions", None))
        prompt = self._renderer.render(body, known, sealed_tokens=lambda sealed: 0)
        commit = more.pop("commit", True)
        asked = Asked(
            **{
                "scope": "org",
                "codex": self.codex,
                "contract": known.contract,
                "prompt": prompt,
                "cache_key": None if self.codex else "key",
                **more,
            }
        )
        found = self.cache.look_up(asked)
        if commit:
            self.cache.commit(asked, found)
        return found


LONG = text_of_tokens(1500)


def test_a_reads_whole_blocks_of_the_common_prefix() -> None:
    bench = Bench()
    assert bench.ask(user(LONG)).read == 0
    found = bench.ask(user(LONG), assistant("more"), user("next"))
    assert found.read == (1504 // 128) * 128
    assert found.write == 0


def test_a_reads_up_to_a_change_in_the_middle() -> None:
    bench = Bench()
    bench.ask(user(LONG), user(text_of_tokens(500, "b")))
    assert bench.ask(user(LONG), user(text_of_tokens(500, "c"))).read == 1408


def test_a_has_a_floor_of_1024_tokens() -> None:
    bench = Bench()
    bench.ask(user(text_of_tokens(1000)))
    assert bench.ask(user(text_of_tokens(1000)), user("x")).read == 0
    bench.ask(user(LONG))
    assert bench.ask(user(text_of_tokens(1019) + "zzzz")).read == 0


def test_nothing_is_readable_before_commit() -> None:
    bench = Bench()
    bench.ask(user(LONG), commit=False)
    assert bench.ask(user(LONG)).read == 0
    assert bench.ask(user(LONG)).read == 1408


def test_a_forgets_when_idle_and_use_renews() -> None:
    bench = Bench(idle_ttl=420)
    bench.ask(user(LONG))
    for _ in range(3):
        bench.now += 400
        assert bench.ask(user(LONG)).read > 0
    bench.now += 420
    assert bench.ask(user(LONG)).read == 0


@pytest.mark.parametrize("by", ["field", "switch"])
def test_extended_retention_lives_a_day(by: str) -> None:
    bench = Bench(default_retention="24h" if by == "switch" else "in_memory")
    retention = "24h" if by == "field" else None
    bench.ask(user(LONG), retention=retention)
    bench.now += 80_000
    assert bench.ask(user(LONG), retention=retention).read > 0


def test_a_machine_drops_what_was_not_used_for_longest() -> None:
    machine = Machine(2)
    machine.store(b"a", 1, 0, 10)
    machine.store(b"b", 2, 0, 10)
    assert machine.find(b"a", 1) is not None
    machine.store(b"c", 3, 1, 10)
    assert machine.find(b"b", 1) is None
    assert machine.find(b"a", 11) is None


def test_when_space_ends_the_head_of_a_prefix_survives() -> None:
    bench = Bench(capacity=9)
    bench.ask(user(LONG))
    assert bench.ask(user(LONG)).read == 9 * 128


def test_b_writes_at_the_latest_turn_and_reads_it_back() -> None:
    bench = Bench("gpt-5.6")
    first = bench.ask(user(LONG))
    assert (first.read, first.write) == (0, 1504)
    second = bench.ask(user(LONG), assistant("a"), user("b"))
    assert (second.read, second.write) == (1504, 1504 + 5 + 5 - 1504)
    again = bench.ask(user(LONG), assistant("a"), user("b"))
    assert (again.read, again.write) == (1514, 0)


def test_b_does_not_fall_back_to_an_unmarked_prefix() -> None:
    bench = Bench("gpt-5.6", floor="none")
    bench.ask(user(LONG), user("one"))
    found = bench.ask(user(LONG), user("two"))
    assert (found.read, found.write) == (0, 1509)


def test_b_needs_1024_tokens() -> None:
    bench = Bench("gpt-5.6")
    assert bench.ask(user("short")).store == []
    assert bench.ask(user("short")).read == 0


def marked(text: str) -> dict[str, Any]:
    return user(text, prompt_cache_breakpoint={"mode": "explicit"})


def test_b_explicit_marks_are_written_and_read() -> None:
    bench = Bench("gpt-5.6")
    bench.ask(marked(LONG), user("one"), mode="explicit")
    found = bench.ask(marked(LONG), user("two"), mode="explicit")
    assert (found.read, found.write) == (1504, 0)


def test_b_writes_at_most_four_entries() -> None:
    bench = Bench("gpt-5.6")
    items = [marked(text_of_tokens(1100, letter)) for letter in "abcdef"]
    assert len(bench.ask(*items, mode="explicit").store) == 4
    bench.cache.evict()
    # Implicit mode: the latest turn, which is marked too here, and the latest three marks.
    assert len(bench.ask(*items, user("end")).store) == 4


def test_b_explicit_mode_without_a_mark_caches_nothing() -> None:
    bench = Bench("gpt-5.6")
    bench.ask(user(LONG))
    found = bench.ask(user(LONG), mode="explicit")
    assert found.uncached and (found.read, found.write, found.store) == (0, 0, [])


def test_b_floor_at_tools_and_instructions() -> None:
    for floor, read in (("instructions_tools", 1504), ("none", 0)):
        bench = Bench("gpt-5.6", floor=floor)
        bench.ask(user("one"), instructions=LONG)
        assert bench.ask(user("two"), instructions=LONG).read == read


def test_b_looks_back_a_limited_number_of_boundaries() -> None:
    bench = Bench("gpt-5.6", lookback=3, floor="none")
    bench.ask(user(LONG))
    more = [user(f"turn {number}") for number in range(3)]
    assert bench.ask(user(LONG), *more, commit=False).read == 0
    assert bench.ask(user(LONG), *more[:2], commit=False).read == 1504


def test_b_expires() -> None:
    bench = Bench("gpt-5.6")
    bench.ask(user(LONG))
    bench.now += 1800
    assert bench.ask(user(LONG)).read == 0


def test_b_without_a_key_hits_by_chance_only() -> None:
    bench = Bench("gpt-5.6", machines=8)
    bench.ask(user(LONG), cache_key=None)
    hits = sum(bench.ask(user(LONG), cache_key=None, commit=False).read > 0 for _ in range(400))
    assert 20 <= hits <= 90


def test_another_key_goes_to_another_machine() -> None:
    bench = Bench(machines=64)
    bench.ask(user(LONG), cache_key="one")
    assert bench.ask(user(LONG), cache_key="two").read == 0
    assert bench.ask(user(LONG), cache_key="one").read > 0


def test_scopes_share_nothing() -> None:
    bench = Bench()
    bench.ask(user(LONG))
    assert bench.ask(user(LONG), scope="other").read == 0


def test_a_busy_key_spills_to_the_next_machine() -> None:
    bench = Bench(rate_per_key=15)
    machines = [bench.ask(user(LONG)).machine for _ in range(16)]
    assert len(set(machines[:15])) == 1
    assert machines[15] == (machines[0] + 1) % 8
    bench.now += 60
    assert bench.ask(user(LONG)).machine == machines[0]


def test_the_rate_can_be_switched_off() -> None:
    bench = Bench(rate_per_key=0)
    assert len({bench.ask(user(LONG)).machine for _ in range(40)}) == 1


def test_rates_are_forgotten_within_a_bound() -> None:
    bench = Bench()
    for number in range(4200):
        bench.ask(user("x"), cache_key=f"k{number}")
    assert len(bench.cache._rates) == 4096


def test_codex_routes_by_session_header_and_reports_no_writes() -> None:
    bench = Bench("gpt-5.6", codex=True)
    bench.ask(user(LONG), route="session")
    found = bench.ask(user(LONG), user("more"), route="session")
    assert (found.read, found.write) == (1504, 0)


def test_codex_without_the_header_is_a_lottery() -> None:
    bench = Bench(codex=True, machines=8)
    bench.ask(user(LONG))
    hits = sum(bench.ask(user(LONG), commit=False).read > 0 for _ in range(400))
    assert 20 <= hits <= 90


def test_a_pin_outranks_the_header() -> None:
    bench = Bench(codex=True)
    assert bench.ask(user(LONG), route="session", pinned=5).machine == 5


def test_a_machine_that_is_down_is_passed_over() -> None:
    bench = Bench()
    first = bench.ask(user(LONG)).machine
    bench.switches.machine_down = [first]
    assert bench.ask(user(LONG)).machine == (first + 1) % 8
    bench.switches.machine_down = list(range(8))
    assert bench.ask(user(LONG)).machine == first


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-5.6"])
def test_misses_can_be_forced(model: str) -> None:
    bench = Bench(model, miss_every=3)
    reads = [bench.ask(user(LONG)) for _ in range(6)]
    assert [found.forced for found in reads] == [False, False, True, False, False, True]
    assert [found.read > 0 for found in reads] == [False, True, False, True, True, False]


def test_the_number_of_scopes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SCOPES", 2)
    bench = Bench()
    for scope in ("one", "two", "three"):
        bench.ask(user(LONG), scope=scope)
    assert set(bench.cache.census()) == {"two", "three"}


def test_eviction_and_census() -> None:
    bench = Bench(machines=2)
    bench.ask(user(LONG))
    rows = bench.cache.census()["org"]
    assert sorted(row["entries"] for row in rows) == [0, 11]
    assert max(row["longest"] for row in rows) == 1408
    bench.cache.evict()
    assert bench.cache.census() == {}
    assert bench.ask(user(LONG)).read == 0
