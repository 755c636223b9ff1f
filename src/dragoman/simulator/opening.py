"""From a request's bytes to an exchange: judged, matched, rendered, looked up.

It runs the rooms in the order in which the service notices things: credentials, model, contract, script,
limits, length, cache. Whatever ends the request on the way is raised as Refused or returned as an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.simulator import envelope, generative, limits, presets, reading
from dragoman.simulator.accounts import Account
from dragoman.simulator.cache import Asked, Found
from dragoman.simulator.contract import Flavour, Terms
from dragoman.simulator.exchange import Exchange
from dragoman.simulator.faults import Fault, find
from dragoman.simulator.ledger import Turn
from dragoman.simulator.log import Record
from dragoman.simulator.models import UNLISTED, Family, family
from dragoman.simulator.refusal import Answer, Refused, breach, denied, error_body
from dragoman.simulator.render import Prompt, as_items
from dragoman.simulator.scenario import Rule, Terminal, View
from dragoman.simulator.state import State
from dragoman.simulator.steps import Fitted, Step, fit
from dragoman.simulator.stored import Stored

_OVERFLOW = "Your input exceeds the context window of this model. Please adjust your input and try again."

Outcome = Exchange | presets.Page | Answer


def open_exchange(
    state: State,
    flavour: Flavour,
    body: Any,
    headers: Mapping[str, str],
    record: Record,
    *,
    websocket: bool = False,
    connection: Stored | None = None,
) -> tuple[Outcome, tuple[Fault, ...]]:
    """Judges a request and prepares its answer. Raises Refused.

    Returns what to answer with, and the faults that delivery must commit.
    """
    now = state.clock.now()
    account = state.accounts.authenticate(flavour, headers, now)
    record.account = account.id
    terms, body = judge_model(state, flavour, account, body, websocket=websocket)
    record.model, record.lineage = terms.model, lineage_of(state, flavour, account, body, headers)
    state.validator.create(body, terms)
    merged = state.store.merged(account.scope, body, connection)
    whole = as_items(body.get("input")) if merged is None else merged
    state.validator.history(whole, terms, state.store.items_of(account.scope))
    read = reading.read(body, whole)
    rule = state.scenario.choose(_view(state, flavour, record, body, headers, read, websocket=websocket))
    rule = rule or Rule("generative")
    record.rule = rule.name
    terminal = rule.terminal
    if rule.preset is not None:
        effect = presets.strike(rule.preset, account, terms.model, now)
        if not isinstance(effect, presets.Ending):
            return effect, rule.faults
        after = rule.preset.args.get("after_events", "half")
        terminal = Terminal(
            effect.kind, {"code": effect.code, "message": effect.message, "after_events": after}
        )
    if (scripted := find(rule.faults, "http")) is not None:
        return http_fault(scripted), rule.faults
    exchange = _prepare(state, terms, account, body, whole, record, rule, terminal, read, headers)
    return exchange, rule.faults


def _prepare(
    state: State,
    terms: Terms,
    account: Account,
    body: dict[str, Any],
    whole: list[dict[str, Any]],
    record: Record,
    rule: Rule,
    terminal: Terminal,
    read: reading.Reading,
    headers: Mapping[str, str],
) -> Exchange:
    now = state.clock.now()
    prompt = render(state, terms.family, {**body, "input": whole})
    response = envelope.skeleton(body, terms.family, state.mint.new("resp"), now, echo=state.switches.echo)
    limits.admit(account, terms.model, prompt.tokens, now)
    exchange = Exchange(
        state=state,
        account=account,
        flavour=terms.flavour,
        family=terms.family,
        body=body,
        merged=whole,
        rule=rule,
        record=record,
        prompt=prompt,
        asked=None,
        found=Found(0),
        turn=None,
        fitted=fit((), None),
        terminal=terminal,
        response=response,
    )
    if prompt.tokens > window(state, terms.model, terms.family) and body.get("truncation") != "auto":
        _overflow(exchange)
        return exchange
    _look_up(exchange, headers)
    steps = rule.steps
    if steps is None:
        steps = generative.compose(body, read, terms.family, state.switches)
        if prompt.tokens >= _compaction_threshold(body):
            steps = (Step("compaction"), *steps)
    exchange.fitted = _fitted(steps, body, terms.family)
    if exchange.fitted.full and terminal.kind == "completed":
        exchange.terminal = Terminal("incomplete", {"reason": "max_output_tokens"})
    return exchange


def judge_model(
    state: State, flavour: Flavour, account: Account, body: Any, *, websocket: bool = False
) -> tuple[Terms, dict[str, Any]]:
    """The terms for this body. Raises Refused for a body that is no object or a model nobody has."""
    if not isinstance(body, dict):
        raise breach("body", "Invalid type for request body: expected an object.", code="invalid_type")
    model = body.get("model")
    if not isinstance(model, str):
        message = "you must provide a model parameter"
        raise breach("model", message, param="model", code="missing_required_parameter")
    known = family(model) or (UNLISTED if _listed(model, state.switches.models) else None)
    if known is None or (account.models and not _listed(model, account.models)):
        if flavour == "codex":
            text = f"The '{model}' model is not supported when using Codex with a ChatGPT account."
            raise Refused(Answer(400, {"detail": text}))
        text = f"The model `{model}` does not exist or you do not have access to it."
        raise denied(404, text, param="model", code="model_not_found")
    terms = Terms(
        flavour,
        model,
        known,
        state.switches,
        account.scope,
        state.sealer.open,
        verified=account.verified,
        websocket=websocket,
    )
    return terms, body


def render(state: State, known: Family, body: Mapping[str, Any]) -> Prompt:
    """The prompt of a body."""
    return state.renderer.render(
        body,
        known,
        sealed_tokens=state.sealer.tokens,
        render_summaries=state.switches.render_summaries,
    )


def window(state: State, model: str, known: Family) -> int:
    """The context window of a model, as switched or as known."""
    return state.switches.windows.get(model, state.switches.windows.get("*", known.window))


def lineage_of(
    state: State, flavour: Flavour, account: Account, body: Mapping[str, Any], headers: Mapping[str, str]
) -> str:
    """Who is speaking: the session header on the Codex flavour, else the cache key."""
    route = _route(state, headers) if flavour == "codex" else None
    return f"{account.scope}/{route or body.get('prompt_cache_key') or '-'}"


def _route(state: State, headers: Mapping[str, str]) -> str | None:
    return next((headers[name] for name in state.switches.session_header if headers.get(name)), None)


def _listed(model: str, names: list[str]) -> bool:
    return "*" in names or model in names


def _view(
    state: State,
    flavour: Flavour,
    record: Record,
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    read: reading.Reading,
    *,
    websocket: bool,
) -> View:
    return View(
        endpoint="create",
        flavour=flavour,
        account=record.account,
        model=record.model,
        lineage=record.lineage.partition("/")[2],
        turn=state.next_turn(record.lineage),
        user=read.user,
        after_tool=read.after_tool,
        tool_output="\n".join(read.outputs),
        tools=reading.tool_names(read),
        stream=body.get("stream") is True,
        effort=str((body.get("reasoning") or {}).get("effort") or ""),
        instructions=str(body.get("instructions") or ""),
        headers=headers,
        websocket=websocket,
    )


def http_fault(fault: Fault) -> Answer | presets.Page:
    """The answer that an `http` fault describes."""
    headers = {str(key): str(value) for key, value in (fault.args.get("headers") or {}).items()}
    if (wait := fault.args.get("retry_after")) is not None:
        headers["retry-after"] = str(wait)
    status = int(fault.number("status", 500))
    body = fault.args.get("body")
    if isinstance(body, str):
        return presets.Page(status, headers.pop("content-type", "text/plain"), body)
    default = error_body("A scripted failure.", "server_error", code="server_error")
    return Answer(status, body or default, headers)


def _overflow(exchange: Exchange) -> None:
    """Too long: a 400, or a stream that fails at once, by flavour."""
    state = exchange.state
    how = state.switches.overflow
    if how == "by_flavour":
        how = "stream" if exchange.flavour == "codex" else "status"
    if how == "status" or not exchange.stream:
        raise denied(400, _OVERFLOW, param="input", code="context_length_exceeded")
    exchange.terminal = Terminal("failed", {"code": "context_length_exceeded", "message": _OVERFLOW})


def _look_up(exchange: Exchange, headers: Mapping[str, str]) -> None:
    state, account, body = exchange.state, exchange.account, exchange.body
    codex = exchange.flavour == "codex"
    pin = headers.get("x-codex-turn-state", "") if codex and state.switches.turn_state_affinity else ""
    exchange.asked = Asked(
        scope=account.scope,
        codex=codex,
        contract=exchange.family.contract,
        prompt=exchange.prompt,
        cache_key=body.get("prompt_cache_key"),
        route=_route(state, headers) if codex else None,
        pinned=state.sealer.open_pin(account.scope, pin) if pin else None,
        mode=(body.get("prompt_cache_options") or {}).get("mode") or "implicit",
        retention=body.get("prompt_cache_retention"),
    )
    exchange.found = state.cache.look_up(exchange.asked)
    exchange.turn = state.ledger.compare(
        exchange.record.lineage,
        exchange.family.contract,
        exchange.prompt,
        exchange.merged,
        exchange.found,
        state.clock.now(),
        account.id,
    )
    exchange.record.cache = _cache_facts(exchange.found, exchange.turn)


def _compaction_threshold(body: Mapping[str, Any]) -> float:
    """Prompt tokens from which the client wants the server to compact."""
    rules = body.get("context_management") or ()
    wanted = [rule.get("compact_threshold") for rule in rules if rule.get("type") == "compaction"]
    return min((tokens for tokens in wanted if tokens is not None), default=float("inf"))


def _fitted(steps: tuple[Step, ...], body: Mapping[str, Any], known: Family) -> Fitted:
    limit = body.get("max_output_tokens") or known.max_output
    return fit(steps, min(int(limit), known.max_output))


def _cache_facts(found: Found, turn: Turn | None) -> dict[str, Any]:
    return {
        "machine": found.machine,
        "read": found.read,
        "write": found.write,
        "miss_reason": turn.miss_reason if turn else None,
        "first_divergent_segment": turn.diverged if turn else None,
    }
