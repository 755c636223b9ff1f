"""Compaction as a Turn: a conversation goes up, its sealed short form comes back as one JSON document.

It is counted, limited and tried again like any generation. The sealed form can be read by the account that
made it and by no other, which the affinity of the conversation sees to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.cache.prefix import Prefix
from dragoman.gateway.house import House
from dragoman.gateway.ports import Account, Principal, Row
from dragoman.gateway.responses import ResponsesTurn
from dragoman.gateway.turn import admitted
from dragoman.translate.messages import usage as usages
from dragoman.translate.messages.plan import Target

# What the operation takes, on every kind of account that has it.
_FIELDS = frozenset(
    {
        "model",
        "input",
        "instructions",
        "previous_response_id",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "service_tier",
    }
)
_KINDS = frozenset({"openai", "chatgpt"})


class Compaction:
    """Admits requests of the compaction door."""

    def admit(
        self,
        house: House,
        principal: Principal,
        headers: Mapping[str, str],
        request: dict[str, Any],
        row: Row,
    ) -> CompactionTurn:
        """Judges model access and finds out who is speaking. Raises Refused."""
        resolution = admitted(house, principal, request["model"], row)
        return CompactionTurn(house, principal, headers, request, row, resolution)


class CompactionTurn(ResponsesTurn):
    """One compaction on its way."""

    suffix = "/compact"
    completes = False  # a short form is no response

    def _output_limit(self) -> int | None:
        return None  # how much comes back is the upstream's to say

    def _shaped(self, body: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in body.items() if name in _FIELDS}

    def _misfit(self, account: Account, target: Target) -> tuple[str, str] | None:
        if account.kind not in _KINDS:
            return "model", "the accounts that serve this model offer no compaction"
        return super()._misfit(account, target)

    def _remember(self, prefix: Prefix, account: Account, row: Row, usage: usages.Usage, name: str) -> None:
        """The conversation goes on from the short form: this prompt is nothing to compare it with."""
