"""`make bench-micro`: the pure functions alone, in microseconds of one core.

Each row is the best of several rounds (noise only adds). The body is the 200 KB tool conversation of the big
benchmark; an event is one text delta of 24 bytes, an argument delta has 4 characters of 10,000.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from bench import bodies
from dragoman.budget.limits import Amounts, Limit, Meters, Reservation
from dragoman.budget.pricing import Consumption, Price, Rates, cost
from dragoman.cache.lineage import lineage
from dragoman.cache.prefix import compare, digest
from dragoman.gateway.flow import Gate
from dragoman.routing.policy import Demand
from dragoman.routing.pool import Member, Outcome, Pool
from dragoman.translate.capability import capability
from dragoman.translate.messages.count import measure
from dragoman.translate.messages.plan import Identity, Plan, Policy, Target
from dragoman.translate.messages.reasoning import Seal
from dragoman.translate.messages.request import translate, validate
from dragoman.translate.messages.stream import AnswerContext, ResponsesToMessages
from dragoman.translate.messages.welljson import WellJson
from dragoman.translate.models import profile
from dragoman.wire import jsonio, sse

_ROUND_SECONDS = 0.15
_ROUNDS = 5
_MODEL = "gpt-5.1"
_SEED = b"bench" * 8
_EVENTS = 1000
_DELTAS = 2500
_NOW = 1_795_780_800.0


class Row(NamedTuple):
    """One timed call; `units` is how many things it does at once (events of a stream)."""

    name: str
    call: Callable[[], Any]
    units: int = 1


def main() -> int:
    """Times every row and prints a table."""
    print("| function | µs |\n|---|---|")
    for row in _rows():
        print(f"| {row.name} | {_best(row.call) / row.units * 1e6:,.2f} |", flush=True)
    return 0


def _best(call: Callable[[], Any]) -> float:
    call()
    count = 1
    while (spent := _time(call, count)) < _ROUND_SECONDS / 4:
        count *= 2
    count = max(1, int(count * _ROUND_SECONDS / spent))
    return min(_time(call, count) for _ in range(_ROUNDS)) / count


def _time(call: Callable[[], Any], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - began


def _rows() -> Iterator[Row]:
    small, large = bodies.request("full_1k"), bodies.request("full_200k")
    data = jsonio.dump(large)
    plan = _plan(large)
    upstream = jsonio.dump(plan.body)
    yield Row("parse 200 KB", lambda: jsonio.parse(data))
    yield Row("validate 1 KB", lambda: validate(small))
    yield Row("validate 200 KB", lambda: validate(large))
    yield Row("translate 1 KB", lambda: _plan(small))
    yield Row("translate 200 KB", lambda: _plan(large))
    yield Row("write 200 KB", lambda: jsonio.dump(plan.body))
    yield Row("lineage 200 KB", lambda: _lineage(large))
    yield Row("prefix 200 KB", lambda: digest(plan.body))
    prefix = digest(plan.body)
    yield Row("compare two equal prefixes", lambda: compare(prefix, prefix))
    yield Row("measure 200 KB for counting", lambda: measure(plan.body))
    yield Row("parse the translated 200 KB", lambda: jsonio.parse(upstream))
    stream = b"".join(_frames())
    chunks = list(_frames())
    yield Row("text delta, one by one: decode, translate, write", lambda: _relay(chunks), _EVENTS)
    yield Row("text delta, whole stream in one chunk", lambda: _relay([stream]), _EVENTS)
    yield Row("  of it: decode frames", lambda: sse.Decoder().feed(stream), _EVENTS)
    frames = sse.Decoder().feed(stream)
    yield Row("  of it: parse events", lambda: [jsonio.parse_event(frame.data) for frame in frames], _EVENTS)
    events = [jsonio.parse_event(frame.data) for frame in frames]
    yield Row("  of it: translate", lambda: _translate_all(events), _EVENTS)
    answer = _translate_all(events)
    yield Row("  of it: write", lambda: sse.encode_all(answer), _EVENTS)
    deltas = list(_argument_deltas(plain=True))
    yield Row("argument delta in a plain text: translate", lambda: _translate_all(deltas), _DELTAS)
    code = list(_argument_deltas(plain=False))
    yield Row("argument delta of code in nested objects: translate", lambda: _translate_all(code), _DELTAS)
    pieces = [str(event["delta"]) for event in deltas[-_DELTAS:]]
    yield Row("  of it, in a plain text: the guard", lambda: _guard(pieces), _DELTAS)
    pieces_of_code = [str(event["delta"]) for event in code[-_DELTAS:]]
    yield Row("  of it, code: the guard", lambda: _guard(pieces_of_code), _DELTAS)
    meters = _meters()
    yield Row("reserve and settle under 4 limits", lambda: _settle(meters))
    price = Price(Rates(1_250_000, 125_000, 1_250_000, 10_000_000))
    used = Consumption(15_603, 15_104, 0, 900)
    yield Row("cost of a request", lambda: cost(price, used))
    for count in (1, 10, 100):
        yield Row(f"choice among {count} accounts, new session", _choice(count, None))
        yield Row(f"choice among {count} accounts, pinned session", _choice(count, "session"))
    yield Row("a call from choice to end, 100 accounts", _call(100))
    yield Row("a place at the gate and back, not crowded", _places, _EVENTS)


def _plan(request: dict[str, Any]) -> Plan:
    row = profile(_MODEL)
    target = Target("openai", _MODEL, row, capability("openai", row), "tag")
    return translate(request, target, Policy(_SEED), Identity("key"), {})


def _lineage(request: dict[str, Any]) -> Any:
    return lineage({}, request, tenant="key:bench", secret=_SEED, model=_MODEL)


def _answer() -> ResponsesToMessages:
    context = AnswerContext(
        message_id="msg_bench",
        model="claude-sonnet-4-5",
        input_estimate=100,
        plan=Plan({}),
        seal=Seal(_SEED, "tag", _MODEL),
        betas=frozenset(),
        count=len,
        diagnostics=None,
        diagnostics_asked=False,
    )
    return ResponsesToMessages(context)


def _relay(chunks: list[bytes]) -> None:
    decoder, answer = sse.Decoder(), _answer()
    for chunk in chunks:
        said = [
            event for frame in decoder.feed(chunk) for event in answer.feed(jsonio.parse_event(frame.data))
        ]
        sse.encode_all(said)


def _translate_all(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answer = _answer()
    return [said for event in events for said in answer.feed(event)]


def _guard(pieces: list[str]) -> None:
    guard = WellJson({})
    for piece in pieces:
        guard.feed(piece)


def _argument_deltas(*, plain: bool) -> Iterator[dict[str, Any]]:
    """A call with arguments of 10,000 characters, four a delta: one long text, or edits of code."""
    item = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "Edit", "arguments": ""}
    response = {"id": "resp_1", "object": "response", "status": "in_progress", "model": _MODEL, "output": []}
    yield {"type": "response.created", "response": response}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    edit = {"old": 'if x == "y":\n\treturn 1\n', "new": "if x:\n\treturn \\d\n", "line": 12, "all": True}
    value: Any = {"text": "lorem ipsum dolor sit amet " * 400} if plain else {"edits": [edit] * 120}
    text = jsonio.dump_text(value)[: _DELTAS * 4]
    for at in range(0, _DELTAS * 4, 4):
        yield {
            "type": "response.function_call_arguments.delta",
            "item_id": "fc_1",
            "output_index": 0,
            "delta": text[at : at + 4],
        }


def _pool(count: int) -> Pool:
    """Accounts with two usage windows each, none like the other."""
    pool = Pool(
        Member(f"account-{number}", "chatgpt", weight=1 + number % 3, concurrency=8)
        for number in range(count)
    )
    for number in range(count):
        windows = {
            f"{slot}_window": {
                "used_percent": number % 90,
                "limit_window_seconds": seconds,
                "reset_after_seconds": seconds / 2,
            }
            for slot, seconds in (("primary", 18_000), ("secondary", 604_800))
        }
        pool.usage(f"account-{number}", {"rate_limit": windows}, _NOW)
    return pool


def _choice(count: int, affinity: str | None) -> Callable[[], Any]:
    pool, demand = _pool(count), Demand(_MODEL, affinity=affinity, cached_tokens=15_104)
    return lambda: pool.select(demand, _NOW)


def _call(count: int) -> Callable[[], Any]:
    pool, demand, outcome = _pool(count), Demand(_MODEL, affinity="session"), Outcome()

    def call() -> None:
        name = pool.select(demand, _NOW).order[0]
        lease = pool.started(name, _NOW, model=_MODEL, affinity="session")
        pool.report(lease, outcome, _NOW)
        pool.ended(lease)

    return call


def _places() -> None:
    async def guests() -> None:
        gate = Gate(1024, 256, 5.0, lambda: 0.5)
        for _ in range(_EVENTS):
            async with gate.place("bench"):
                pass

    asyncio.run(guests())


def _meters() -> Meters:
    return Meters(
        [
            Limit("requests", "minute", 10**12),
            Limit("tokens", "day", 10**15, "claude-*"),
            Limit("output_tokens", "5h", 10**15),
            Limit("cost_usd", "month", 10**18),
        ]
    )


def _settle(meters: Meters) -> None:
    now = time.time()
    found = meters.reserve("claude-sonnet-4-5", Amounts(1, 15_000, 8192, 200_000), now)
    assert isinstance(found, Reservation)
    found.settle(Amounts(1, 15_603, 900, 37_047), now)


def _frames() -> Iterator[bytes]:
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    item = {"id": "msg_1", "type": "message", "status": "in_progress", "content": [], "role": "assistant"}
    response = {"id": "resp_1", "object": "response", "status": "in_progress", "model": _MODEL, "output": []}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **at, "part": part},
        *(
            {"type": "response.output_text.delta", **at, "delta": "lorem ipsum dolor sit am", "logprobs": []}
            for _ in range(_EVENTS)
        ),
    ]
    for number, event in enumerate(events):
        yield sse.encode({**event, "sequence_number": number})


if __name__ == "__main__":
    sys.exit(main())
