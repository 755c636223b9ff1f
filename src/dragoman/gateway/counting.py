"""count_tokens: exact where the upstream counts quickly, else by an offline tokenizer. Never a generation.

It takes no place, no account pin and no cache key of a conversation. A valid request always gets a number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from dragoman.gateway.dialects import choose_model, who_counts
from dragoman.gateway.house import House
from dragoman.gateway.ports import Account, Principal
from dragoman.translate.capability import capability
from dragoman.translate.messages.count import measure
from dragoman.translate.messages.plan import Identity, Target
from dragoman.translate.messages.request import translate
from dragoman.translate.models import profile
from dragoman.wire import jsonio
from dragoman.wire.errors import Failure, Kind, Refused

# What the upstream's counter takes; everything else of a body costs no input tokens.
_COUNTED = frozenset(
    {"model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "parallel_tool_calls"}
)
_NOTHING: Mapping[str, str] = {}


async def count_tokens(
    house: House, principal: Principal, headers: Mapping[str, str], request: dict[str, Any]
) -> dict[str, Any]:
    """`{"input_tokens": N}` for a validated request. Raises Refused for a model the key may not use.

    With `context_management` it is told what it counts without edits, too: the same, as none is applied.
    """
    resolution = choose_model(house, principal, request["model"])
    account = who_counts(house, principal, resolution.model)
    if account is None:
        raise Refused(Failure(Kind.MODEL_NOT_FOUND, f"model: no account serves {request['model']!r}"))
    body = _body(house, account, resolution.model, request)
    key = hashlib.blake2b(jsonio.dump(body), digest_size=16).digest()
    tokens = house.counts.get(key)
    if tokens is None and account.kind == "openai" and house.counts.may_ask:
        house.counts.asking += 1
        try:
            tokens = await house.upstream.count(account, body)
        finally:
            house.counts.asking -= 1
        if tokens is not None:
            house.counts.put(key, tokens)
    if tokens is None:
        found = measure(body)
        estimate = found.fixed + await house.counter.count_async(found.texts)
        tokens = house.calibration.apply(resolution.model, estimate)
    counted: dict[str, Any] = {"input_tokens": tokens}
    if request.get("context_management") is not None:
        counted["context_management"] = {"original_input_tokens": tokens}
    return counted


def _body(house: House, account: Account, model: str, request: dict[str, Any]) -> dict[str, Any]:
    known = profile(model)
    learnt = house.learnt.of(account.name, model, house.clock.monotonic())
    target = Target(account.kind, model, known, capability(account.kind, known, learnt), account.tag)
    plan = translate(request, target, house.policy, Identity(), _NOTHING)
    return {name: value for name, value in plan.body.items() if name in _COUNTED}
