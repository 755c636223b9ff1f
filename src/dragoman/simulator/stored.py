"""Stored responses: what `store: true` keeps for previous_response_id, retrieval and item references.

Bounded; bound to the scope that made them. Nothing is stored for `store: false`, as on the real service.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.simulator.refusal import Refused, breach, denied
from dragoman.simulator.render import as_items

MAX_STORED = 200


@dataclass(slots=True)
class Stored:
    """A finished response and the whole input that led to it."""

    scope: str
    response: dict[str, Any]
    items: list[dict[str, Any]]


class Store:
    """Responses by id, the oldest forgotten first."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, Stored] = OrderedDict()

    def keep(self, scope: str, response: dict[str, Any], items: Sequence[dict[str, Any]]) -> None:
        self._by_id[response["id"]] = Stored(scope, response, list(items))
        while len(self._by_id) > MAX_STORED:
            self._by_id.popitem(last=False)

    def get(self, scope: str, identity: str) -> Stored:
        """A stored response. Raises Refused with a 404."""
        found = self._by_id.get(identity)
        if found is None or found.scope != scope:
            raise denied(404, f"Response with id '{identity}' not found.")
        return found

    def delete(self, scope: str, identity: str) -> None:
        self.get(scope, identity)
        del self._by_id[identity]

    def items_of(self, scope: str) -> frozenset[str]:
        """Ids of all output items that this scope has stored."""
        return frozenset(
            str(item["id"])
            for stored in self._by_id.values()
            if stored.scope == scope
            for item in stored.response.get("output", ())
            if item.get("id")
        )

    def merged(
        self, scope: str, body: Mapping[str, Any], connection: Stored | None = None
    ) -> list[dict[str, Any]] | None:
        """The input with the turns that previous_response_id stands for; None when it names none.

        `connection` is what a WebSocket remembers of its own last response.
        """
        previous = body.get("previous_response_id")
        if previous is None:
            return None
        if connection is not None and connection.response["id"] == previous:
            found: Stored | None = connection
        else:
            found = self._by_id.get(str(previous))
        if found is None or found.scope != scope:
            raise _not_found(str(previous))
        return [*found.items, *found.response.get("output", ()), *as_items(body.get("input"))]


def _not_found(identity: str) -> Refused:
    return breach(
        "previous_response",
        f"Previous response with id '{identity}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )
