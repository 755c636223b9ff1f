"""The scenario language: which request gets which answer, first matching rule wins.

A scenario is JSON: a list of rules, or an object with `rules` and optionally `switches` and `accounts`. It
reads and matches; the steps, faults and presets a rule names are carried out elsewhere. Everything misspelt
is refused with its place, because a rule that silently never matches is a lost afternoon.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dragoman.simulator import presets
from dragoman.simulator.faults import Fault, parse_faults
from dragoman.simulator.steps import InvalidScenario, Step
from dragoman.simulator.steps import parse as parse_steps

_RULE_KEYS = (
    "name",
    "match",
    "steps",
    "terminal",
    "fault",
    "preset",
    "pace",
    "times",
    "usage",
    "headers",
)
_PACE_KEYS = ("headers_ms", "first_token_ms", "per_chunk_ms")
_USAGE_KEYS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "omit",
    "omit_details",
)
_TERMINALS = ("completed", "incomplete", "failed", "error_event", "none", "rst")


@dataclass(frozen=True, slots=True)
class View:
    """What of a request a rule can look at."""

    endpoint: str
    flavour: str
    account: str
    model: str
    headers: Mapping[str, str]
    lineage: str = ""
    turn: int = 0
    user: str = ""
    after_tool: bool = False
    tool_output: str = ""
    tools: frozenset[str] = frozenset()
    stream: bool = False
    effort: str = ""
    instructions: str = ""
    websocket: bool = False


@dataclass(frozen=True, slots=True)
class Terminal:
    """How a stream ends. `args` are code and message, or the reason of an incomplete answer."""

    kind: str = "completed"
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pace:
    """Milliseconds, scaled by the `speed` switch."""

    headers_ms: float = 0.0
    first_token_ms: float = 0.0
    per_chunk_ms: float = 0.0


@dataclass(slots=True)
class Rule:
    """One rule. `seen` counts requests that fit all its conditions but `nth`; `used` those it answered."""

    name: str
    match: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] | None = None
    terminal: Terminal = Terminal()
    faults: tuple[Fault, ...] = ()
    preset: presets.Use | None = None
    pace: Pace = Pace()
    times: int | None = None
    usage: Mapping[str, int] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seen: int = 0
    used: int = 0


@dataclass(slots=True)
class Scenario:
    """The rules in force, with the JSON they came from."""

    rules: list[Rule] = field(default_factory=list)
    source: list[Any] = field(default_factory=list)

    def choose(self, view: View) -> Rule | None:
        """The first rule that matches; counts it."""
        for rule in self.rules:
            if rule.times is not None and rule.used >= rule.times:
                continue
            # A rule that names no endpoint is about answers, not about counting or listing models.
            if view.endpoint != "create" and "endpoint" not in rule.match:
                continue
            if not all(_MATCHERS[key](wanted, view) for key, wanted in rule.match.items() if key != "nth"):
                continue
            rule.seen += 1
            if _nth(rule.match.get("nth"), rule.seen):
                rule.used += 1
                return rule
        return None


def parse(source: Sequence[Any]) -> Scenario:
    """Reads a list of rules. Raises InvalidScenario."""
    rules = [_rule(raw, index) for index, raw in enumerate(source)]
    return Scenario(rules, list(source))


def _rule(raw: Any, index: int) -> Rule:
    path = f"rules[{index}]"
    if not isinstance(raw, dict):
        raise InvalidScenario(f"{path}: must be an object")
    _known(raw, _RULE_KEYS, path)
    match = raw.get("match") or {}
    _check_match(match, f"{path}.match")
    for key, known in (("usage", _USAGE_KEYS), ("headers", None)):
        given = raw.get(key) or {}
        if not isinstance(given, dict):
            raise InvalidScenario(f"{path}.{key}: must be an object")
        if known is not None:
            _known(given, known, f"{path}.{key}")
    times = raw.get("times")
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
        raise InvalidScenario(f"{path}.times: must be a positive integer")
    return Rule(
        name=str(raw.get("name") or f"rule {index}"),
        match=match,
        steps=None if raw.get("steps") is None else parse_steps(raw["steps"], f"{path}.steps"),
        terminal=_terminal(raw.get("terminal", "completed"), f"{path}.terminal"),
        faults=parse_faults(raw.get("fault"), f"{path}.fault"),
        preset=_preset(raw.get("preset"), f"{path}.preset"),
        pace=_pace(raw.get("pace") or {}, f"{path}.pace"),
        times=times,
        usage=raw.get("usage"),
        headers=raw.get("headers") or {},
    )


def _known(raw: Mapping[str, Any], keys: Sequence[str], path: str) -> None:
    for key in raw:
        if key not in keys:
            raise InvalidScenario(f"{path}: no key {key!r}; there are: {', '.join(keys)}")


def _check_match(match: Any, path: str) -> None:
    if not isinstance(match, dict):
        raise InvalidScenario(f"{path}: must be an object")
    _known(match, ("nth", *_MATCHERS), path)
    for key in _PATTERNS & set(match):
        try:
            re.compile(match[key])
        except (re.error, TypeError) as error:
            raise InvalidScenario(f"{path}.{key}: no regular expression: {error}") from error
    nth = match.get("nth")
    if isinstance(nth, dict):
        _known(nth, ("every", "from", "to"), f"{path}.nth")
        if any(not isinstance(value, int) or value < 1 for value in nth.values()):
            raise InvalidScenario(f"{path}.nth: counts are positive integers")
    elif nth is not None and not isinstance(nth, int | list):
        raise InvalidScenario(f"{path}.nth: a number, a list of numbers, or every / from / to")


def _terminal(raw: Any, path: str) -> Terminal:
    if isinstance(raw, str):
        raw = {raw: {}}
    if not isinstance(raw, dict) or len(raw) != 1 or next(iter(raw)) not in _TERMINALS:
        raise InvalidScenario(f"{path}: one of {', '.join(_TERMINALS)}")
    kind, args = next(iter(raw.items()))
    if isinstance(args, str):
        args = {"reason": args} if kind == "incomplete" else {"code": args}
    if not isinstance(args, dict):
        raise InvalidScenario(f"{path}.{kind}: must be an object")
    _known(args, ("reason", "code", "message", "param", "wrapped", "after_events"), f"{path}.{kind}")
    return Terminal(kind, args)


def _preset(raw: Any, path: str) -> presets.Use | None:
    if raw is None:
        return None
    if isinstance(raw, str):
        raw = {"name": raw}
    if not isinstance(raw, dict) or raw.get("name") not in presets.NAMES:
        raise InvalidScenario(f"{path}: one of {', '.join(presets.NAMES)}")
    return presets.Use(raw["name"], {key: value for key, value in raw.items() if key != "name"})


def _pace(raw: Any, path: str) -> Pace:
    if not isinstance(raw, dict):
        raise InvalidScenario(f"{path}: must be an object")
    _known(raw, _PACE_KEYS, path)
    if any(isinstance(ms, bool) or not isinstance(ms, int | float) or ms < 0 for ms in raw.values()):
        raise InvalidScenario(f"{path}: milliseconds, not negative")
    return Pace(**raw)


def _nth(wanted: Any, seen: int) -> bool:
    match wanted:
        case None:
            return True
        case int():
            return seen == wanted
        case list():
            return seen in wanted
    first, last = wanted.get("from", 1), wanted.get("to", seen)
    return bool(first <= seen <= last and (seen - first) % wanted.get("every", 1) == 0)


def _search(wanted: Any, text: str) -> bool:
    return re.search(wanted, text, re.IGNORECASE | re.DOTALL) is not None


def _has_tools(wanted: Any, view: View) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    return all(name in view.tools for name in names)


def _has_headers(wanted: Any, view: View) -> bool:
    return all(_search(pattern, view.headers.get(name.lower(), "")) for name, pattern in wanted.items())


_MATCHERS: dict[str, Callable[[Any, View], bool]] = {
    "endpoint": lambda wanted, view: bool(wanted == view.endpoint),
    "flavour": lambda wanted, view: bool(wanted == view.flavour),
    "account": lambda wanted, view: fnmatch.fnmatchcase(view.account, wanted),
    "model": lambda wanted, view: fnmatch.fnmatchcase(view.model, wanted),
    "lineage": lambda wanted, view: fnmatch.fnmatchcase(view.lineage, wanted),
    "turn": lambda wanted, view: bool(wanted == view.turn),
    "user": lambda wanted, view: _search(wanted, view.user),
    "after_tool": lambda wanted, view: bool(wanted) == view.after_tool,
    "tool_output": lambda wanted, view: view.after_tool and _search(wanted, view.tool_output),
    "tools": _has_tools,
    "stream": lambda wanted, view: bool(wanted) == view.stream,
    "effort": lambda wanted, view: bool(wanted == view.effort),
    "instructions": lambda wanted, view: _search(wanted, view.instructions),
    "headers": _has_headers,
    "websocket": lambda wanted, view: bool(wanted) == view.websocket,
}
_PATTERNS = frozenset({"user", "tool_output", "instructions"})
