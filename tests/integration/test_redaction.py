"""reliability X3: no secret and no prompt in logs, metrics, spans, rows, or in answers that did not bring it.

Every field that a client, a configuration or an upstream can fill holds a marker of its own. Requests that
succeed and that fail in every known way run through a whole gateway; then each place is searched for all
markers. To search one more place (a database file, answers of an admin API) add it to `places`.
"""

from __future__ import annotations

import base64
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dragoman.gateway.ports import Row
from dragoman.telemetry.ledger import Fanout
from dragoman.telemetry.traces import Tracer
from dragoman.web import messages as door
from dragoman.wire import jsonio
from tests.support.inprocess import Gateway, gateway
from tests.support.markers import SHAPES, Place, found, hits, planted
from tests.support.scenarios import HEADERS, KEY, NARROW_KEY, SCENARIOS, Scenario, endless, everything
from tests.support.upstream import Talk, Upstream, upstream

Style = Literal["console", "json"]
# Planted by this file itself, in exceptions and lines of libraries.
FAULTS = ("exception", "library", "key in a library's message")


def settings(first: Upstream, second: Upstream) -> dict[str, Any]:
    """A configuration with a marker in each of its secrets."""
    work = {
        "name": "work",
        "kind": "openai",
        "base_url": first.url,
        "api_key": planted("upstream key"),
        "organization": planted("organization"),
        "project": planted("project"),
    }
    spare = {
        "name": "spare",
        "kind": "responses",
        "base_url": second.url,
        "api_key": planted("upstream key of the second account"),
    }
    return {
        "accounts": [work, spare],
        "keys": [
            {"name": "laptop", "key": KEY},
            {"name": "narrow", "key": NARROW_KEY, "models": ["claude-*"]},
        ],
        "server": {"max_body_bytes": 200_000},
    }


class Broken:
    """A ledger that fails, in words that hold a secret."""

    def record(self, row: Row) -> None:
        raise KeyError(planted("exception"))


@dataclass
class Told:
    """What went out, by scenario, and what came in."""

    house: Gateway
    spans: InMemorySpanExporter
    upstreams: list[Upstream]
    answers: list[tuple[Scenario, str]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)

    def places(self) -> list[Place]:
        """Where nothing may be found."""
        return [
            Place("log", self.house.log.getvalue),
            Place("metrics", lambda: "\n".join(self.metrics)),
            Place("spans", lambda: "\n".join(one.to_json() for one in self.spans.get_finished_spans())),
            Place("rows", lambda: "\n".join(map(repr, self.house.rows))),
        ]

    def repeated(self) -> list[tuple[Scenario, str]]:
        """Which answers hold which markers."""
        return [
            (scenario, name)
            for scenario, answer in self.answers
            for name in hits(Place(scenario.name, lambda answer=answer: answer))  # type: ignore[misc]
        ]

    async def run(self, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
        """Sends the request and keeps what was answered, header fields included."""
        for up in self.upstreams:
            up.play(scenario.script)
        # Each scenario finds accounts that nothing is held against.
        pool = self.house.assembly.house.pool
        pool.replace(())
        pool.replace(self.house.assembly.fleet.members)
        made = scenario.body()
        body = made if isinstance(made, bytes) else jsonio.dump(made)
        headers = {name: value for name, value in {**HEADERS, **scenario.headers}.items() if value}
        headers.setdefault("content-type", "application/json")
        url = self.house.url + scenario.path
        self.sent.append(f"{url} {headers} {body.decode()}")
        with monkeypatch.context() as patch:
            if scenario.fault:
                patch.setattr(door, "validate", _raise)
            async with self.house.session.request(
                scenario.method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                content = await response.read()
        assert response.status == scenario.status, (scenario.name, response.status, content[:2000])
        fields = "".join(f"{name}: {value}\n" for name, value in response.headers.items())
        self.answers.append((scenario, fields + content.decode()))

    async def read_metrics(self) -> None:
        for accept in ("", "application/openmetrics-text"):
            self.metrics.append((await self.house.get("/metrics", {"accept": accept})).body.decode())


def _raise(*_: Any, **__: Any) -> None:
    raise KeyError(planted("exception"))


def _noting(say: Callable[[Talk, bytes], Awaitable[None]], said: list[str]) -> Any:
    async def noted(talk: Talk, data: bytes) -> None:
        said.append(data.decode("latin-1"))
        await say(talk, data)

    return noted


@asynccontextmanager
async def everything_said(
    tmp_path: Path, style: Style, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Told]:
    """A gateway after all scenarios, still running."""
    spans = InMemorySpanExporter()
    tracer = Tracer("1", SimpleSpanProcessor(spans))
    async with upstream() as first, upstream() as second:
        table = settings(first, second)
        async with gateway(tmp_path, table, style=style, level="debug", tracer=tracer) as house:
            told = Told(house, spans, [first, second])
            inner = house.assembly.house
            inner.ledger = Fanout(inner.ledger, Broken(), logger=house.assembly.app._logger)
            monkeypatch.setattr(Talk, "say", _noting(Talk.say, told.said))
            for scenario in SCENARIOS:
                await told.run(scenario, monkeypatch)
            await leave(told)
            logging.getLogger("asyncio").error(planted("library"))
            logging.getLogger("aiohttp").warning(planted("key in a library's message"))
            await told.read_metrics()
            yield told


async def leave(told: Told) -> None:
    """A client that goes away while the answer comes."""
    for up in told.upstreams:
        up.play(endless)
    count = len(told.house.rows)
    headers = {**HEADERS, "content-type": "application/json"}
    body = jsonio.dump(everything())
    async with told.house.session.post(
        told.house.url + "/v1/messages", data=body, headers=headers
    ) as response:
        await response.content.readany()
        response.close()
    assert (await told.house.row(count + 1)).outcome == "client_gone"


@pytest.mark.parametrize("style", ["console", "json"])
async def test_nothing_that_was_planted_is_found(
    tmp_path: Path, style: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    """reliability X3."""
    async with everything_said(tmp_path, style, monkeypatch) as told:
        for place in told.places():
            assert len(place.read()) > 1000, f"{place.name} is empty: nothing was tested"
            assert hits(place) == [], place.name
            assert (tmp_path / "secret").read_text().strip() not in place.read(), place.name
        repeated = {(scenario.name, name) for scenario, name in told.repeated()}
        allowed = {(scenario.name, name) for scenario in SCENARIOS for name in scenario.own_words}
        assert repeated - allowed == set()
        assert allowed - repeated == set(), "exceptions that nothing needs"
        outcomes = Counter(row.outcome for row in told.house.rows)
        assert set(outcomes) == {"ok", "refused", "upstream_error", "client_gone"}
        assert told.house.log.getvalue().count("ledger_fault") == 1


async def test_every_marker_was_really_planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that finds nothing proves nothing unless everything was there to be found."""
    async with everything_said(tmp_path, "json", monkeypatch) as told:
        received = [f"{seen.headers} {seen.body}" for up in told.upstreams for seen in up.seen]
        there = "\n".join([*told.sent, *received, *told.said])
        missing = [name for name in SHAPES if name not in FAULTS and not found(there, name)]
        assert missing == []
        # What goes upstream by design does, so the requests were not refused before they got anywhere.
        for name in (
            "system prompt",
            "user text",
            "image data",
            "tool schema",
            "upstream key",
            "organization",
        ):
            assert found("\n".join(received), name), name
        for name in ("client key", "cookie", "tracestate", "baggage", "custom header", "cache key"):
            assert not found("\n".join(received), name), name


@pytest.mark.parametrize("name", SHAPES)
def test_the_search_finds_a_marker_in_every_form(name: str) -> None:
    secret = planted(name)
    forms = [secret, secret.upper(), secret.encode().hex(), repr(secret)]
    forms += [base64.b64encode(b"x" * shift + secret.encode() + b"y").decode() for shift in range(4)]
    for form in forms:
        assert found(f"before {form} after", name)
        assert [other for other in SHAPES if found(form, other)] == [name]
