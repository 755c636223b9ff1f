"""Counting a Responses request: by the upstream's own counter where there is one, else by the tokenizer.

It takes no place and writes no row; nothing is generated. A valid request always gets a number.
"""

from __future__ import annotations

import hashlib
from typing import Any

from dragoman.gateway.dialects import choose_model, who_counts
from dragoman.gateway.house import House
from dragoman.gateway.identity import key_policy
from dragoman.gateway.ports import Principal
from dragoman.translate.capability import capability
from dragoman.translate.messages.count import measure
from dragoman.translate.messages.plan import Target
from dragoman.translate.models import profile
from dragoman.translate.responses.request import prepare
from dragoman.wire import jsonio
from dragoman.wire.errors import Failure, Kind, Refused, invalid

# What the upstream's counter takes; everything else of a body costs no input tokens.
_COUNTED = frozenset(
    {"model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "parallel_tool_calls"}
)


async def count_input(house: House, principal: Principal, request: dict[str, Any]) -> dict[str, Any]:
    """`{"object": "response.input_tokens", "input_tokens": N}` for a checked request. Raises Refused."""
    if request.get("previous_response_id"):
        raise invalid("previous_response_id", "cannot be counted here: send the whole conversation as input")
    resolution = choose_model(house, principal, request["model"])
    account = who_counts(house, principal, resolution.model)
    if account is None:
        raise Refused(
            Failure(Kind.MODEL_NOT_FOUND, f"No account serves {request['model']!r}.", param="model")
        )
    known = profile(resolution.model)
    learnt = house.learnt.of(account.name, resolution.model, house.clock.monotonic())
    target = Target(
        account.kind,
        resolution.model,
        known,
        capability(account.kind, known, learnt),
        account.tag,
        resolution.effort,
    )
    made = prepare(request, target, key_policy(house.policy, principal), None)
    body = {name: value for name, value in made.body.items() if name in _COUNTED}
    key = hashlib.blake2b(jsonio.dump(body), digest_size=16).digest()
    tokens = house.counts.get(key)
    if tokens is None and account.kind == "openai":
        tokens = await house.upstream.count(account, body)
        if tokens is not None:
            house.counts.put(key, tokens)
    if tokens is None:
        found = measure(_itemised(body))
        counted = found.fixed + await house.counter.count_async(found.texts)
        tokens = house.calibration.apply(resolution.model, counted)
    return {"object": "response.input_tokens", "input_tokens": tokens}


def _itemised(body: dict[str, Any]) -> dict[str, Any]:
    words = body.get("input")
    return {**body, "input": [{"role": "user", "content": words}]} if isinstance(words, str) else body
