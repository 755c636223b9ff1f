"""The whole contract, in the order in which the service looks: shape, parameters, tools, items, history.

It raises the refusal and changes nothing. An item that was found good is remembered by its bytes, so that a
long history costs its newest items only.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.simulator import history, items, offers, parameters
from dragoman.simulator.contract import Terms
from dragoman.simulator.refusal import Refused, breach
from dragoman.simulator.schema import Flaw, schemas
from dragoman.wire import jsonio

_REMEMBERED = 20_000


class Validator:
    """Checks requests; holds the memory of good items and tool lists."""

    def __init__(self) -> None:
        self._good: OrderedDict[bytes, None] = OrderedDict()

    def create(self, body: Mapping[str, Any], terms: Terms) -> None:
        """A create request, but for what holds between its items."""
        try:
            parameters.check_names(body, terms)
            self._shape(body, terms)
            parameters.check_values(body, terms)
            tools = body.get("tools") or []
            offers.check_tools(tools, "tools", terms)
            self._items(body.get("input"), terms)
            offers.check_choice(body, terms)
        except Flaw as flaw:
            raise _breach(flaw) from flaw

    def history(self, whole: Sequence[Mapping[str, Any]], terms: Terms, stored: frozenset[str]) -> None:
        """The whole input in its order; `stored` are ids of items the server itself has kept."""
        history.check(whole, terms, stored)

    def side(self, name: str, body: Mapping[str, Any], terms: Terms) -> None:
        """A request to a side endpoint, against its own schema (`name`)."""
        try:
            known = schemas().members(name)
            for key in body:
                if key not in known:
                    raise Flaw(key, "unknown_parameter", f"Unknown parameter: '{key}'.")
            rest = {key: value for key, value in body.items() if key not in ("input", "tools")}
            schemas().check(name, rest)
            if body.get("tools") is not None:
                schemas().check("ToolsArray", body["tools"], "tools")
                offers.check_tools(body["tools"], "tools", terms)
            self._items(body.get("input"), terms)
            offers.check_choice(body, terms)
        except Flaw as flaw:
            raise _breach(flaw) from flaw

    def _shape(self, body: Mapping[str, Any], terms: Terms) -> None:
        """Everything but the items, which have their own rules and memory."""
        plain = {
            key: value
            for key, value in body.items()
            if key not in ("input", "tools") and key in schemas().members("CreateResponse")
        }
        schemas().check("CreateResponse", plain)
        tools = body.get("tools")
        if tools is not None:
            key = _fingerprint(b"tools", tools)
            if not self._passed(key):
                schemas().check("ToolsArray", tools, "tools")
                self._remember(key)
        if not isinstance(body.get("input"), list) and body.get("input") is not None:
            schemas().check("InputParam", body["input"], "input")

    def _items(self, value: Any, terms: Terms) -> None:
        if not isinstance(value, list):
            return
        settings = f"{terms.flavour} {terms.family.pattern} {terms.switches}".encode()
        for index, item in enumerate(value):
            key = _fingerprint(settings, item)
            if not self._passed(key):
                items.check(item, index, terms)
                self._remember(key)

    def _passed(self, key: bytes) -> bool:
        if key not in self._good:
            return False
        self._good.move_to_end(key)
        return True

    def _remember(self, key: bytes) -> None:
        self._good[key] = None
        while len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)


def _fingerprint(settings: bytes, value: Any) -> bytes:
    return hashlib.blake2b(settings + b"\0" + jsonio.dump(value), digest_size=16).digest()


def _breach(flaw: Flaw) -> Refused:
    last = flaw.path.rpartition(".")[2]
    if flaw.code == "unknown_parameter" and last in ("cache_control", "prompt_cache_breakpoint"):
        rule = last
    elif flaw.code == "missing_required_parameter" and last == "strict":
        rule = "strict"
    else:
        rule = flaw.code
    return breach(rule, flaw.message, param=flaw.path, code=flaw.code)
