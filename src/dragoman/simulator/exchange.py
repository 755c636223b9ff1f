"""One request that is answered with a response: its headers, its frames, its final response.

It is prepared by opening.py and knows no socket; http.py and websocket.py deliver what it produces. Usage is
settled when the terminal event is made; the prompt enters the cache when the first content leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dragoman.simulator import answer, envelope, limits
from dragoman.simulator.accounts import Account
from dragoman.simulator.answer import Frame, Voice
from dragoman.simulator.cache import Asked, Found
from dragoman.simulator.contract import Flavour
from dragoman.simulator.faults import find
from dragoman.simulator.ledger import Turn
from dragoman.simulator.log import Record
from dragoman.simulator.models import Family
from dragoman.simulator.refusal import error_body
from dragoman.simulator.render import Prompt
from dragoman.simulator.scenario import Rule, Terminal
from dragoman.simulator.sealing import Claims
from dragoman.simulator.state import State
from dragoman.simulator.steps import Fitted
from dragoman.wire import jsonio


@dataclass(slots=True)
class Exchange:
    """A request that will be answered with a response, and everything needed to do so."""

    state: State
    account: Account
    flavour: Flavour
    family: Family
    body: dict[str, Any]
    merged: list[dict[str, Any]]
    rule: Rule
    record: Record
    prompt: Prompt
    asked: Asked | None
    found: Found
    turn: Turn | None
    fitted: Fitted
    terminal: Terminal
    response: dict[str, Any]
    final: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None

    @property
    def stream(self) -> bool:
        return self.body.get("stream") is True

    def begin(self) -> None:
        """The first content is about to leave: from now on the prompt may be in the cache."""
        if self.state.switches.visible_after == "first_token":
            self._enter()

    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        now = self.state.clock.now()
        fields = {**base_headers(self.state, self.account, self.body["model"], now), **self.rule.headers}
        fields["x-sim-cache"] = jsonio.dump_text(self.record.cache or {})
        if self.flavour == "codex":
            fields["x-codex-turn-state"] = self.state.sealer.mint_pin(self.account.scope, self.found.machine)
        return fields

    def frames(self) -> Iterator[Frame]:
        """The whole stream, numbered; `final` holds the finished response afterwards."""
        number = 0
        for frame in self._frames():
            if isinstance(frame, dict) and not frame["type"].startswith("codex."):
                frame = {"type": frame["type"], "sequence_number": number, **frame}
                number += 1
            yield frame

    def _frames(self) -> Iterator[Frame]:
        switches = self.state.switches
        if self.flavour == "codex" and switches.rate_limits_event:
            yield limits.rate_limits_event(self.account, self.state.clock.now())
        yield {"type": "response.created", "response": self.response}
        if self.body.get("background"):
            yield {"type": "response.queued", "response": {**self.response, "status": "queued"}}
        yield {"type": "response.in_progress", "response": self.response}
        voice = self._voice()
        frames = answer.items(self.fitted.steps, voice)
        stop = self._stops_at(frames)
        if stop is None:
            yield from frames
        else:
            yield from stop
        if self.terminal.kind not in ("none", "rst"):
            yield self._end(voice)
        if switches.visible_after == "end":
            self._enter()

    def _stops_at(self, frames: Iterator[Frame]) -> list[Frame] | None:
        """The frames before a failure that strikes in the middle; None where everything is sent."""
        after = self.terminal.args.get("after_events")
        if self.terminal.kind not in ("failed", "error_event", "none", "rst") or after is None:
            return None
        listed = list(frames)
        return listed[: len(listed) // 2] if after == "half" else listed[: int(after)]

    def _voice(self) -> Voice:
        include = self.body.get("include") or ()
        state, scope, model = self.state, self.account.scope, str(self.body["model"])

        def seal(item: str, following: str, tokens: int, size: int) -> str:
            claims = Claims(item, self.response["id"], state.next_seal(), scope, model, following, tokens)
            return state.sealer.mint(claims, size)

        def seal_compaction(item: str, tokens: int, size: int) -> str:
            claims = Claims(
                item, self.response["id"], state.next_seal(), scope, model, "", tokens, "compaction"
            )
            return state.sealer.mint(claims, size)

        options = self.body.get("stream_options") or {}
        return Voice(
            state.mint,
            seal,
            seal_compaction,
            summaries=bool((self.body.get("reasoning") or {}).get("summary")),
            encrypted=self.flavour == "api" or "reasoning.encrypted_content" in include,
            sources="web_search_call.action.sources" in include,
            obfuscate=self.flavour == "api"
            and state.switches.obfuscation
            and options.get("include_obfuscation") is not False,
            chunk_chars=state.switches.chunk_chars,
            done_items=find(self.rule.faults, "no_done_item") is None,
        )

    def _end(self, voice: Voice) -> dict[str, Any]:
        """The terminal event; settles what it reports."""
        kind, args = self.terminal.kind, self.terminal.args
        now = self.state.clock.now()
        if kind in ("failed", "error_event"):
            code, message = (
                str(args.get("code", "server_error")),
                str(args.get("message", "The model failed.")),
            )
            self.error = error_body(message, code=code, param=args.get("param"))
            self.final = envelope.failed(self.response, code, message)
            if kind == "failed":
                return {"type": "response.failed", "response": self.final}
            flat = {"code": code, "message": message, "param": args.get("param")}
            return {"type": "error", "error": flat} if args.get("wrapped") else {"type": "error", **flat}
        used = envelope.usage(self.prompt.tokens, self.found.read, self.found.write, self.fitted.cost)
        self.record.usage = used
        self._settle(used, now)
        shown = _overridden(used, self.rule.usage)
        if kind == "incomplete":
            self.final = envelope.incomplete(self.response, voice.output, shown, str(args.get("reason")))
        else:
            self.final = envelope.completed(self.response, voice.output, shown, now, bare=False)
        if self.body.get("store") is not False and self.flavour == "api":
            self.state.store.keep(self.account.scope, self.final, self.merged)
        event = self.final
        if kind == "completed" and self._bare():
            event = envelope.completed(self.response, voice.output, shown, now, bare=True)
        return {"type": f"response.{kind}", "response": _without_usage(event, self.rule.usage)}

    def _bare(self) -> bool:
        fault = find(self.rule.faults, "omit_output_in_completed")
        if fault is not None:
            return bool(fault.args.get("value", True))
        switch = self.state.switches.omit_output_in_completed
        return switch == "always" or (switch == "codex" and self.flavour == "codex")

    def _settle(self, used: dict[str, Any], now: float) -> None:
        limits.settle(self.account, used, now)
        totals = self.state.totals
        totals.requests += 1
        totals.input_tokens += used["input_tokens"]
        totals.cached_tokens += used["input_tokens_details"]["cached_tokens"]
        totals.cache_write_tokens += used["input_tokens_details"]["cache_write_tokens"]
        totals.output_tokens += used["output_tokens"]
        totals.reasoning_tokens += used["output_tokens_details"]["reasoning_tokens"]

    def _enter(self) -> None:
        if self.asked is not None and self.turn is not None:
            self.state.cache.commit(self.asked, self.found)
            self.state.ledger.record(self.turn)
            self.turn = None


def base_headers(state: State, account: Account, model: str, now: float) -> dict[str, str]:
    """Headers that every answer to an account carries."""
    identity = state.mint.new("req")
    fields = {"x-request-id": identity, "openai-processing-ms": "1", **limits.headers(account, now)}
    if account.kind == "api":
        return {**fields, "openai-version": "2020-10-01", "openai-organization": account.org}
    return {
        **fields,
        "x-oai-request-id": identity,
        "openai-model": model,
        "x-models-etag": 'W/"simulated"',
        "x-reasoning-included": "true",
    }


def _overridden(used: dict[str, Any], wanted: Mapping[str, int] | None) -> dict[str, Any]:
    """The usage that is shown, where a rule wants it wrong or partial."""
    if not wanted:
        return used
    shown = {**used}
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        shown[name] = wanted.get(name, used[name])
    for name, inner in (
        ("input_tokens_details", ("cached_tokens", "cache_write_tokens")),
        ("output_tokens_details", ("reasoning_tokens",)),
    ):
        shown[name] = {key: wanted.get(key, used[name][key]) for key in inner}
        if wanted.get("omit_details"):
            del shown[name]
    return shown


def _without_usage(event: dict[str, Any], wanted: Mapping[str, int] | None) -> dict[str, Any]:
    if not (wanted and wanted.get("omit")):
        return event
    return {key: value for key, value in event.items() if key != "usage"}
