"""The offline tokenizers: equal figures, no network, loaded when needed."""

from __future__ import annotations

import asyncio
import importlib
import json
import socket
import threading
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from dragoman.gateway.ports import Counter
from dragoman.upstream import tokens
from dragoman.upstream.tokens import (
    INLINE_CHARS,
    Bytes,
    Lazy,
    Tiktoken,
    Tokenizer,
    Toktok,
    offline,
    vocabulary,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "count" / "strings.jsonl"
PATIENCE = 60.0


@pytest.fixture(scope="module")
def toktok() -> Toktok:
    return Toktok()


@pytest.fixture(scope="module")
def tiktoken() -> Tiktoken:
    return Tiktoken()


def strings() -> list[dict[str, Any]]:
    return [json.loads(line) for line in GOLDEN.read_text(encoding="ascii").splitlines()]


# -- the vocabularies --------------------------------------------------------------------------------


def test_two_hundred_strings_count_the_same_by_both_libraries(
    toktok: Toktok, tiktoken: Tiktoken, rewrite_golden: bool
) -> None:
    """behaviours T6: the figures stand in a file, so that an update of either library cannot shift them."""
    cases = strings()
    if rewrite_golden:
        lines = [
            json.dumps({"text": case["text"], "tokens": tiktoken.count([case["text"]])}) for case in cases
        ]
        GOLDEN.write_text("\n".join(lines) + "\n", encoding="ascii")
        cases = strings()
    assert len(cases) == 200
    for counter in (toktok, tiktoken):
        wrong = [case["text"] for case in cases if counter.count([case["text"]]) != case["tokens"]]
        assert wrong == [], counter.name
        assert counter.count([case["text"] for case in cases]) == sum(case["tokens"] for case in cases)


def test_the_spelling_of_a_special_token_is_text(toktok: Toktok, tiktoken: Tiktoken) -> None:
    for counter in (toktok, tiktoken):
        assert counter.count(["<|endoftext|>"]) == 7


def test_half_a_character_is_counted_and_not_refused(toktok: Toktok, tiktoken: Tiktoken) -> None:
    """A delta of an upstream may end inside a surrogate pair."""
    for counter in (toktok, tiktoken, Bytes()):
        assert counter.count(["half \ud83d", "\ude00 more"]) > 0
    assert toktok.count(["a\ud83d"]) == tiktoken.count(["a\ud83d"])


def test_a_hostile_text_is_counted_like_any_other(toktok: Toktok, tiktoken: Tiktoken) -> None:
    """One endless word, where naive merging takes quadratic time."""
    for text in ("a" * 100_000, " " * 100_000, "^" * 100_000, "你" * 30_000):
        assert toktok.count([text]) == tiktoken.count([text])


def test_the_vendored_vocabulary_is_whole_and_licensed() -> None:
    assert len(vocabulary()) == 199_998
    licence = resources.files("dragoman.upstream").joinpath("vocabulary", "LICENSE").read_text()
    assert "MIT License" in licence
    assert tokens.VOCABULARY_SHA256 in licence


def test_a_damaged_vocabulary_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "VOCABULARY_SHA256", "0" * 64)
    with pytest.raises(ValueError, match="damaged"):
        Tiktoken()


def test_loading_and_counting_open_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for load in (Toktok, Tiktoken):
        assert load().count(["hello world"]) == 2


def test_bytes_are_the_last_resort() -> None:
    counter = Bytes()
    assert (counter.name, counter.exact) == ("bytes", False)
    assert counter.count(["", "a", "x" * 37, "ü" * 37]) == 0 + 1 + 10 + 20


# -- loading -----------------------------------------------------------------------------------------


class Slow:
    """A tokenizer whose loading waits until it is let go."""

    name = "slow"
    exact = True

    def __init__(self, gate: threading.Event, loads: list[str]) -> None:
        loads.append(threading.current_thread().name)
        assert gate.wait(PATIENCE)
        self.threads: list[int] = []

    def count(self, texts: Sequence[str]) -> int:
        self.threads.append(threading.get_ident())
        return 1000


def test_until_it_is_loaded_figures_are_estimates_and_say_so() -> None:
    gate = threading.Event()
    loads: list[str] = []
    counter: Counter = Lazy((lambda: Slow(gate, loads),))
    assert isinstance(counter, Lazy)
    assert loads == []  # nothing before it is needed
    assert (counter.count(["x" * 37]), counter.name, counter.exact) == (10, "bytes", False)
    counter.warm()
    assert not counter.wait(0.0)
    gate.set()
    assert counter.wait(PATIENCE)
    assert (counter.count(["x" * 37]), counter.name, counter.exact) == (1000, "slow", True)
    assert loads == ["vocabulary"]  # once, in its own thread


async def test_who_can_wait_gets_the_exact_figure_from_the_first_call_on() -> None:
    gate = threading.Event()
    counter = Lazy((lambda: Slow(gate, []),), load_seconds=PATIENCE)
    waiting = asyncio.ensure_future(counter.count_async(["x"]))
    await asyncio.sleep(0)
    assert not waiting.done()  # the loop goes on meanwhile
    gate.set()
    assert await waiting == 1000
    assert await counter.count_async(["x"]) == 1000


async def test_it_is_loaded_when_nobody_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its library lets nothing else run meanwhile, so no stream may be under way."""
    monkeypatch.setattr(tokens, "QUIET_SECONDS", 1e-9)
    gate, busy, looked = threading.Event(), threading.Event(), threading.Event()
    gate.set()
    busy.set()

    def quiet() -> bool:
        looked.set()
        return not busy.is_set()

    loads: list[str] = []
    counter = Lazy((lambda: Slow(gate, loads),), quiet=quiet)
    assert counter.count(["x" * 37]) == 10
    assert looked.wait(PATIENCE)
    assert loads == []
    busy.clear()
    assert counter._loaded.wait(PATIENCE)
    assert counter.exact


async def test_who_waits_for_it_or_always_serves_gets_it_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = threading.Event()
    gate.set()
    waited = Lazy((lambda: Slow(gate, []),), load_seconds=PATIENCE, quiet=lambda: False)
    assert waited.count(["x" * 37]) == 10
    assert await waited.count_async(["x"]) == 1000
    monkeypatch.setattr(tokens, "BUSY_SECONDS", 0.01)
    busy = Lazy((lambda: Slow(gate, []),), quiet=lambda: False)
    busy.warm()
    assert busy._loaded.wait(PATIENCE)
    assert busy.exact


async def test_waiting_for_a_vocabulary_has_an_end() -> None:
    gate = threading.Event()
    counter = Lazy((lambda: Slow(gate, []),), load_seconds=0.01)
    assert await counter.count_async(["x" * 37]) == 10
    gate.set()
    assert counter.wait(PATIENCE)


async def test_long_texts_are_counted_outside_the_loop() -> None:
    gate = threading.Event()
    gate.set()
    slow = Slow(gate, [])
    counter = Lazy((lambda: slow,), load_seconds=PATIENCE)
    await counter.count_async(["x" * INLINE_CHARS])
    await counter.count_async(["x" * INLINE_CHARS, "x"])
    assert slow.threads[0] == threading.get_ident()
    assert slow.threads[1] != threading.get_ident()


def _missing() -> Tokenizer:
    raise ImportError("no wheel for this platform")


@pytest.mark.parametrize(
    ("candidates", "name"),
    [((_missing, Bytes), "bytes"), ((_missing, Toktok), "toktok"), ((_missing,), "bytes"), ((), "bytes")],
)
def test_a_library_that_is_missing_is_passed_over(candidates: tuple[Any, ...], name: str) -> None:
    counter = Lazy(candidates)
    assert counter.wait(PATIENCE)
    assert counter.name == name
    assert counter.count(["hello world"]) > 0


def test_the_order_is_toktok_then_tiktoken(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = offline()
    assert counter.wait(PATIENCE)
    assert (counter.name, counter.count(["hello world"])) == ("toktok", 2)

    real = importlib.import_module

    def without_toktok(name: str, package: str | None = None) -> Any:
        if name == "toktok":
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without_toktok)
    counter = offline()
    assert counter.wait(PATIENCE)
    assert (counter.name, counter.exact, counter.count(["hello world"])) == ("tiktoken", True, 2)
