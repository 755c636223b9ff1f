"""A whole house for a test: the simulator as upstream and a gateway in front of it, two processes.

`verify` is the law that every end-to-end test ends with: the strict upstream saw no breach of its contract,
warm turns read their prefix from the cache, and the gateway's log tells of no fault of its own.
"""

from __future__ import annotations

import itertools
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import logins
from tests.support.gateway import Gateway, Spawned, bare_environment, gateway, spawned
from tests.support.zygote import COMMAND

KEY = "sk-drg-end-to-end-tests"
# One model per cache contract: A is the longest prefix in blocks, B reads at boundaries only.
UPSTREAM = {"A": "gpt-5.5", "B": "gpt-5.6-sol"}
WARM = 0.95

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
    """The JSON behind a URL; with a body it is POSTed. Raises AssertionError with what was answered."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})})
    try:
        with _direct.open(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{url}: {error.code} {error.read()[:2000]!r}") from None


# -- scenarios -------------------------------------------------------------------------------------------


def say(text: str, **more: Any) -> dict[str, Any]:
    """A message of the model."""
    return {"message": {"text": text, **more}}


def think(*summary: str, tokens: int = 64) -> dict[str, Any]:
    """A sealed reasoning item."""
    return {"reasoning": {"summary": list(summary), "tokens": tokens, "seal_bytes": 1024}}


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """A call of one of the client's tools."""
    return {"function_call": {"name": name, "arguments": arguments}}


def rule(*steps: dict[str, Any], match: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """One rule of a scenario; the first that matches a request wins."""
    made: dict[str, Any] = {"match": dict(match or {}), **more}
    if steps:
        made["steps"] = list(steps)
    return made


def half_a_message(text: str) -> list[dict[str, Any]]:
    """The beginning of a message whose end never comes."""
    item = {"type": "message", "id": "msg_half", "role": "assistant", "status": "in_progress", "content": []}
    place = {"item_id": "msg_half", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    events: list[dict[str, Any]] = [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        {"type": "response.output_text.delta", **place, "delta": text, "logprobs": []},
    ]
    return [{"raw_event": {"event": event}} for event in events]


def once(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A rule that is used up by one request: several in a row are a script."""
    return rule(*steps, times=1, **more)


def assert_extends(bodies: Sequence[dict[str, Any]]) -> None:
    """Each request to the upstream repeats the one before it and adds to its end.

    Cache marks may move: they are no part of the prompt. A difference is told by its place alone, so that
    no client's prompt gets into a log.
    """
    for number, (before, now) in enumerate(itertools.pairwise(bodies), start=1):
        for part in ("model", "instructions", "tools", "reasoning", "text", "parallel_tool_calls"):
            assert before.get(part) == now.get(part), f"request {number} changed {part}"
        old, new = _unmarked(before["input"]), _unmarked(now["input"])
        changed = [index for index, item in enumerate(old) if new[index : index + 1] != [item]]
        kinds = [(index, before["input"][index].get("type")) for index in changed]
        assert not changed, f"request {number} changed items of the one before: {kinds}"


def _unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unmarked(one) for one in value]
    if isinstance(value, dict):
        return {key: _unmarked(one) for key, one in value.items() if key != "prompt_cache_breakpoint"}
    return value


# -- the simulator ---------------------------------------------------------------------------------------


@dataclass
class Simulator:
    """The upstream and its admin interface."""

    url: str
    run: Spawned

    def scenario(self, *rules: dict[str, Any]) -> None:
        fetch(f"{self.url}/__sim/scenario", {"rules": list(rules)})

    def tune(self) -> None:
        """People take seconds for a turn, tests milliseconds: nothing spills over for too many requests."""
        self.switch(rate_per_key=0)

    def switch(self, **switches: Any) -> None:
        fetch(f"{self.url}/__sim/switches", switches)

    def advance(self, seconds: float) -> None:
        """Moves the clock that cache lifetimes, rates and quotas live by."""
        fetch(f"{self.url}/__sim/clock", {"advance": seconds})

    def account(self, name: str, **fields: Any) -> None:
        """Makes an account, or changes some of its fields."""
        fetch(f"{self.url}/__sim/accounts", {"id": name, **fields})

    def reset(self) -> None:
        fetch(f"{self.url}/__sim/reset", {})

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = fetch(f"{self.url}/__sim/report")
        return found

    def requests(self) -> list[dict[str, Any]]:
        found: dict[str, Any] = fetch(f"{self.url}/__sim/requests")
        listed: list[dict[str, Any]] = found["requests"]
        return listed


@contextmanager
def simulator(place: Path) -> Iterator[Simulator]:
    """Runs `dragoman simulate` until the block ends."""
    argv: list[str | Path] = [COMMAND, "simulate", "--port", "0"]
    with spawned("simulator", argv, place, bare_environment(place / "home")) as run:
        url = run.await_line(r"(http://127\.0\.0\.1:\d+)").group(1)
        made = Simulator(url, run)
        made.tune()
        yield made


# -- the house -------------------------------------------------------------------------------------------


@dataclass
class Observed:
    """What is asked of the simulator beside a gateway."""

    sim: Simulator

    def scenario(self, *rules: dict[str, Any]) -> None:
        self.sim.scenario(*rules)

    def start_over(self) -> None:
        """A simulator as on the first day."""
        self.sim.reset()
        self.sim.tune()

    def bodies(self) -> list[dict[str, Any]]:
        """What the upstream was asked to generate, oldest first."""
        asked = [one for one in self.sim.requests() if one["path"].endswith("/responses")]
        return [json.loads(one["body"]) for one in asked]

    def breaches(self) -> list[dict[str, Any]]:
        """The upstream's rules that were broken; a header of the client that came through is one too."""
        report = self.sim.report()
        return [*report["breach_list"], *({"header": name} for name in report["forbidden_headers"])]


@dataclass
class House(Observed):
    """Simulator and gateway, two processes."""

    gate: Gateway
    contract: str
    reopen: Callable[[], Gateway]
    key: str = KEY

    @property
    def url(self) -> str:
        return self.gate.url

    def restart(self) -> None:
        """Ends the gateway and starts it again with the same data directory, at another address."""
        assert self.gate.faults() == []
        self.gate = self.reopen()

    def rows(self) -> list[dict[str, Any]]:
        """The gateway's ledger lines since it was started, oldest first."""
        lines = (json.loads(line) for line in self.gate.run.complained().splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("event") == "request"]

    def verify(self, conversations: int = 1, *, broken: int = 0) -> None:
        """The law of every end-to-end test.

        `conversations` is how many the upstream saw: one per agent and per side call, one more after a
        compaction. `broken` says how many turns departed from their prefix because the client wanted it.
        """
        assert self.breaches() == []
        assert self.gate.faults() == []
        seen = self.sim.report()["conversations"]
        assert len(seen) == conversations, [(one["lineage"], one["turns"]) for one in seen]
        rows = [row for one in seen for row in one["rows"]]
        departed = [row for row in rows if row["diverged"] is not None]
        assert len(departed) == broken, departed
        for row in rows:
            if row["turn"] > 1 and row["cacheable"]:
                assert row["read"] >= WARM * row["cacheable"], row


CONFIG = """
[server]
drain_seconds = 1
{server}
[upstream]
{upstream}
[models]
"claude-*" = "{model}"
{account}
[[keys]]
name = "tests"
key = "{key}"
"""


API_ACCOUNT = """
[[accounts]]
name = "simulated"
kind = "openai"
base_url = "{base}/v1"
api_key = "sk-simulated"
"""
CHATGPT_ACCOUNT = """
[[accounts]]
name = "{name}"
kind = "chatgpt"
base_url = "{base}/backend-api"
auth_file = "{file}"
"""


def _accounts(sim: Simulator, place: Path, flavour: str, names: Sequence[str]) -> str:
    """The accounts' tables, which the simulator knows as well."""
    if flavour == "api":
        return API_ACCOUNT.format(base=sim.url)
    tables = [f'[chatgpt]\nissuer = "{sim.url}"\n']
    for name in names:
        login = logins.document(name)
        tokens = login["tokens"]
        sim.account(name, kind="codex", access=tokens["access_token"], refresh=tokens["refresh_token"])
        file = place / f"{name}.json"
        file.write_text(json.dumps(login))
        tables.append(CHATGPT_ACCOUNT.format(name=name, base=sim.url, file=file))
    return "".join(tables)


@contextmanager
def house(
    place: Path,
    contract: str = "A",
    *,
    server: str = "",
    upstream: str = "",
    flavour: str = "api",
    accounts: Sequence[str] = ("simulated",),
) -> Iterator[House]:
    """Runs both. `server` and `upstream` are TOML lines for these tables; `flavour` is api or chatgpt.

    `accounts` names the accounts of ChatGPT plans, which the simulator knows by the same names.
    """
    with ExitStack() as stack:
        sim = stack.enter_context(simulator(place / "simulator"))
        config = CONFIG.format(
            server=server,
            upstream=upstream,
            model=UPSTREAM[contract],
            account=_accounts(sim, place, flavour, accounts),
            key=KEY,
        )
        inner = stack.enter_context(ExitStack())

        def open_gate() -> Gateway:
            inner.close()
            return inner.enter_context(gateway(place / "gateway", config))

        yield House(sim, open_gate(), contract, open_gate)
