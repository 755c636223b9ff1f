"""The HTTP doors of both flavours: create, count, compact, stored responses, models, usage.

Each handler opens a log record, lets the rooms behind it judge and answer, and closes the record whatever
happens; a client that leaves is noted as such.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from dragoman.simulator import limits, presets
from dragoman.simulator.accounts import Account
from dragoman.simulator.answer import Pause
from dragoman.simulator.catalogue import codex_models, public_model, public_models
from dragoman.simulator.contract import Flavour
from dragoman.simulator.delivery import Delivery
from dragoman.simulator.exchange import Exchange, base_headers
from dragoman.simulator.faults import CUTS, Fault, find
from dragoman.simulator.incoming import lowered, note_headers, open_record, read_json
from dragoman.simulator.log import Record
from dragoman.simulator.opening import http_fault, judge_model, open_exchange, render
from dragoman.simulator.presets import Page
from dragoman.simulator.refusal import Answer, Refused
from dragoman.simulator.render import as_items
from dragoman.simulator.scenario import Pace, View
from dragoman.simulator.sealing import Claims
from dragoman.simulator.state import State
from dragoman.wire import jsonio

STATE: web.AppKey[State] = web.AppKey("state", State)
Door = Callable[[web.Request, State, Record], Awaitable[web.StreamResponse]]

# An error that ends a non-streaming request, by its code; everything else is a 500.
_STATUS = {
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "usage_limit_reached": 429,
    "context_length_exceeded": 400,
    "invalid_prompt": 400,
    "cyber_policy": 400,
    "server_is_overloaded": 503,
    "slow_down": 503,
}


def door(handler: Door) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Wraps a handler: record, refusals, departures."""

    async def opened(request: web.Request) -> web.StreamResponse:
        state = request.app[STATE]
        log = state.log  # a reset may replace it while this request runs
        record = open_record(request, state)
        ended = "error"
        try:
            response = await handler(request, state, record)
            ended = record.ended or "complete"
            record.status = record.status or response.status
            return response
        except Refused as refused:
            ended = "refused"
            return _refuse(state, record, refused.answer)
        except (asyncio.CancelledError, ConnectionError):
            ended = "client_gone"
            raise
        finally:
            log.close(record, ended)

    return opened


def create(flavour: Flavour) -> Door:
    """`POST …/responses`."""

    async def handle(request: web.Request, state: State, record: Record) -> web.StreamResponse:
        body = await read_json(request, state, record)
        outcome, faults = open_exchange(state, flavour, body, lowered(request), record)
        delivery = Delivery(request, record, faults, Pace(), state.switches.speed, lambda: None)
        if (refused := find(faults, "connect_refused")) is not None:
            state.refuse(refused.number("seconds", 1.0))
            return await delivery.reset()
        if not isinstance(outcome, Exchange):
            await delivery.hold()
            return _plain(state, record, outcome, faults)
        delivery.pace, delivery.on_content = outcome.rule.pace, outcome.begin
        if outcome.stream:
            return await _stream(delivery, outcome)
        return await _whole(delivery, outcome, state)

    return handle


async def _scripted(
    request: web.Request, state: State, record: Record, endpoint: str, account: Account, model: str = ""
) -> web.StreamResponse | None:
    """What a rule for a side endpoint wants instead of the ordinary answer, or None."""
    view = View(
        endpoint=endpoint,
        flavour=account.kind,
        account=account.id,
        model=model,
        headers=lowered(request),
    )
    rule = state.scenario.choose(view)
    if rule is None:
        return None
    record.rule, record.model = rule.name, model
    delivery = Delivery(request, record, rule.faults, rule.pace, state.switches.speed, lambda: None)
    await delivery.hold()
    if (refused := find(rule.faults, "connect_refused")) is not None:
        state.refuse(refused.number("seconds", 1.0))
        return await delivery.reset()
    if (cut := find(rule.faults, *CUTS)) is not None:
        return await delivery.reset(hard=cut.kind == "rst")
    if rule.preset is not None:
        effect = presets.strike(rule.preset, account, model, state.clock.now())
        if not isinstance(effect, presets.Ending):
            return _plain(state, record, effect, rule.faults)
    if (scripted := find(rule.faults, "http")) is not None:
        return _plain(state, record, http_fault(scripted), rule.faults)
    return None


async def _stream(delivery: Delivery, exchange: Exchange) -> web.StreamResponse:
    if exchange.terminal.kind == "rst":
        delivery.faults = (*delivery.faults, Fault("rst", {"at_end": True}))
    return await delivery.stream(exchange.frames(), exchange.headers())


async def _whole(delivery: Delivery, exchange: Exchange, state: State) -> web.StreamResponse:
    headers = exchange.headers()
    for frame in exchange.frames():
        if isinstance(frame, Pause):
            await asyncio.sleep(frame.ms * state.switches.speed / 1000)
    if exchange.terminal.kind in ("none", "rst"):
        return await delivery.reset()
    if exchange.error is not None:
        status = _STATUS.get(str(exchange.error["error"]["code"]), 500)
        return web.json_response(exchange.error, status=status, headers=headers, dumps=jsonio.dump_text)
    shown = exchange.final
    if exchange.body.get("background"):
        shown = {**exchange.response, "status": "queued"}
    return await delivery.whole(jsonio.dump(shown), headers)


def _plain(state: State, record: Record, outcome: Answer | Page, faults: tuple[Fault, ...]) -> web.Response:
    record.ended = "scripted"
    if isinstance(outcome, Page):
        headers = {"content-type": outcome.content_type}
        response = web.Response(status=outcome.status, headers=headers, body=outcome.text.encode())
    else:
        response = _respond(state, record, outcome)
    if find(faults, "goaway"):
        response.force_close()
    return response


def _refuse(state: State, record: Record, answer: Answer) -> web.Response:
    if answer.breach:
        param = answer.body["error"]["param"] if "error" in answer.body else None
        state.log.breach(record, answer.breach, answer.message, param)
    return _respond(state, record, answer)


def _respond(state: State, record: Record, answer: Answer) -> web.Response:
    record.status = answer.status
    account = state.accounts.get(record.account)
    headers = base_headers(state, account, record.model, state.clock.now()) if account else {}
    return web.json_response(
        answer.body, status=answer.status, headers={**headers, **answer.headers}, dumps=jsonio.dump_text
    )


def _reply(state: State, account: Account, body: Any) -> web.Response:
    headers = base_headers(state, account, "", state.clock.now())
    return web.json_response(body, headers=headers, dumps=jsonio.dump_text)


def _account(request: web.Request, state: State, record: Record, flavour: Flavour) -> Account:
    note_headers(state, record, dict(request.headers))
    account = state.accounts.authenticate(flavour, lowered(request), state.clock.now())
    record.account = account.id
    return account


async def count(request: web.Request, state: State, record: Record) -> web.StreamResponse:
    """`POST /v1/responses/input_tokens`."""
    body = await read_json(request, state, record)
    account = state.accounts.authenticate("api", lowered(request), state.clock.now())
    record.account = account.id
    terms, body = judge_model(state, "api", account, body)
    state.validator.side("TokenCountsBody", body, terms)
    if (instead := await _scripted(request, state, record, "input_tokens", account, terms.model)) is not None:
        return instead
    counted = render(state, terms.family, body).tokens
    return _reply(state, account, {"object": "response.input_tokens", "input_tokens": counted})


def compact(flavour: Flavour) -> Door:
    """`POST …/responses/compact`: keeps the user's words, seals the rest."""

    async def handle(request: web.Request, state: State, record: Record) -> web.StreamResponse:
        body = await read_json(request, state, record)
        account = state.accounts.authenticate(flavour, lowered(request), state.clock.now())
        record.account = account.id
        terms, body = judge_model(state, flavour, account, body)
        state.validator.side("CompactResponseMethodPublicBody", body, terms)
        if (instead := await _scripted(request, state, record, "compact", account, terms.model)) is not None:
            return instead
        items = as_items(body.get("input"))
        state.validator.history(items, terms, state.store.items_of(account.scope))
        prompt = render(state, terms.family, body)
        spent = min(2000, 100 + prompt.tokens // 20)
        identity = state.mint.new("resp")
        item = state.mint.new("cmp")
        claims = Claims(
            item, identity, state.next_seal(), account.scope, terms.model, "", spent, "compaction"
        )
        sealed = {"type": "compaction", "id": item, "encrypted_content": state.sealer.mint(claims)}
        usage = {
            "input_tokens": prompt.tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": spent,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt.tokens + spent,
        }
        limits.settle(account, usage, state.clock.now())
        compacted = {
            "id": identity,
            "object": "response.compaction",
            "created_at": int(state.clock.now()),
            "output": [*_kept(items, state), sealed],
            "usage": usage,
        }
        return _reply(state, account, compacted)

    return handle


def _kept(items: list[dict[str, Any]], state: State) -> list[dict[str, Any]]:
    """The user's messages, as output items."""
    kept = []
    for item in items:
        if item.get("type", "message") != "message" or item.get("role") != "user":
            continue
        content = item["content"]
        parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
        kept.append(
            {
                "type": "message",
                "id": item.get("id") or state.mint.new("msg"),
                "role": "user",
                "status": "completed",
                "content": parts,
            }
        )
    return kept


async def stored(request: web.Request, state: State, record: Record) -> web.StreamResponse:
    """`GET`, `DELETE` and `POST …/cancel` of a stored response, and its input items."""
    account = _account(request, state, record, "api")
    identity = request.match_info["id"]
    found = state.store.get(account.scope, identity)
    if request.method == "DELETE":
        state.store.delete(account.scope, identity)
        return _reply(state, account, {"id": identity, "object": "response", "deleted": True})
    if request.path.endswith("/input_items"):
        rows = [{"id": state.mint.new("msg"), **item} for item in found.items]
        page = {
            "object": "list",
            "data": rows,
            "first_id": rows[0]["id"] if rows else None,
            "last_id": rows[-1]["id"] if rows else None,
            "has_more": False,
        }
        return _reply(state, account, page)
    return _reply(state, account, found.response)


async def models(request: web.Request, state: State, record: Record) -> web.StreamResponse:
    """`GET /v1/models` and `/v1/models/{model}`."""
    account = _account(request, state, record, "api")
    if (instead := await _scripted(request, state, record, "models", account)) is not None:
        return instead
    listed = account.models or state.switches.models or None
    if (name := request.match_info.get("model")) is not None:
        return _reply(state, account, public_model(name, listed))
    return _reply(state, account, public_models(listed))


async def codex_catalogue(request: web.Request, state: State, record: Record) -> web.StreamResponse:
    """`GET /backend-api/codex/models`."""
    account = _account(request, state, record, "codex")
    if (instead := await _scripted(request, state, record, "models", account)) is not None:
        return instead
    version = request.query.get("client_version", "")
    return _reply(state, account, codex_models(version, account.models or None))


async def usage(request: web.Request, state: State, record: Record) -> web.StreamResponse:
    """`GET /backend-api/wham/usage`."""
    account = _account(request, state, record, "codex")
    if (instead := await _scripted(request, state, record, "usage", account)) is not None:
        return instead
    return _reply(state, account, limits.usage_page(account, state.clock.now()))
