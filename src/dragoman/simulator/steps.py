"""Steps: what a scripted (or invented) answer consists of, checked and costed.

A step is one output item or one disturbance of the stream. This file knows their spelling in scenario files,
what they cost in tokens and how an answer is shortened to an output limit; answer.py turns them into events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dragoman.simulator import tokens
from dragoman.wire import jsonio


class InvalidScenario(ValueError):
    """A scenario file says something that is not in the language; the message names the place."""


# Step kind -> the keys its object may have; the first one is what a bare string stands for.
SPELLING: dict[str, tuple[str, ...]] = {
    "message": ("text", "phase", "chunks", "annotations", "repeat", "status"),
    "refusal": ("text", "chunks"),
    "reasoning": ("summary", "tokens", "seal_bytes", "text", "sealed"),
    "reasoning_text": ("text", "tokens", "chunks", "sealed"),
    "function_call": ("name", "arguments", "split", "call_id", "namespace", "deltas"),
    "custom_tool_call": ("name", "input", "split", "call_id"),
    "web_search": ("queries", "sources", "annotations", "action", "url", "status"),
    "image_generation": ("result", "partial_images"),
    "compaction": ("tokens", "seal_bytes"),
    "interleave": ("steps",),
    "raw_event": ("event",),
    "comment": ("text",),
    "keepalive": (),
    "sleep_ms": ("ms",),
}
# Step kind -> type of the output item it makes; the others make none.
ITEM_OF = {
    "message": "message",
    "refusal": "message",
    "reasoning": "reasoning",
    "reasoning_text": "reasoning",
    "function_call": "function_call",
    "custom_tool_call": "custom_tool_call",
    "web_search": "web_search_call",
    "image_generation": "image_generation_call",
    "compaction": "compaction",
}
_LISTS = frozenset({"summary", "queries", "sources", "annotations", "split", "partial_images", "steps"})
_NUMBERS = frozenset({"chunks", "repeat", "tokens", "seal_bytes", "ms"})
_CALL_COST = 20
_IMAGE_COST = 1000
_REASONING_COST = 64


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `cut` means that the output limit ended the answer inside it."""

    kind: str
    args: Mapping[str, Any] = field(default_factory=dict)
    cut: bool = False

    @property
    def item(self) -> str:
        return ITEM_OF.get(self.kind, "")

    def text(self) -> str:
        """The whole text the step stands for."""
        match self.kind:
            case "function_call":
                arguments = self.args.get("arguments", "{}")
                return arguments if isinstance(arguments, str) else jsonio.dump_text(arguments)
            case "custom_tool_call":
                return str(self.args.get("input", ""))
            case "reasoning":
                return "\n\n".join(self.args.get("summary", ()))
        return str(self.args.get("text", "")) * int(self.args.get("repeat", 1))


def parse(raw: Any, path: str) -> tuple[Step, ...]:
    """Reads a list of steps. Raises InvalidScenario."""
    if not isinstance(raw, list):
        raise InvalidScenario(f"{path}: must be a list of steps")
    return tuple(_step(one, f"{path}[{index}]") for index, one in enumerate(raw))


def _step(raw: Any, path: str) -> Step:
    if isinstance(raw, str):
        raw = {raw: {}}
    if not isinstance(raw, dict) or len(raw) != 1:
        raise InvalidScenario(f"{path}: a step is an object with one key, its kind")
    kind, value = next(iter(raw.items()))
    if kind not in SPELLING:
        raise InvalidScenario(f"{path}: no step {kind!r}; there are: {', '.join(SPELLING)}")
    keys = SPELLING[kind]
    if kind == "raw_event" and isinstance(value, dict) and "event" not in value:
        value = {"event": value}
    if not isinstance(value, dict):
        if not keys:
            raise InvalidScenario(f"{path}.{kind}: takes nothing")
        value = {keys[0]: value}
    for key, given in value.items():
        if key not in keys:
            raise InvalidScenario(f"{path}.{kind}: no key {key!r}; there are: {', '.join(keys) or 'none'}")
        _check_kind(key, given, f"{path}.{kind}.{key}")
    if kind in ("function_call", "custom_tool_call") and not isinstance(value.get("name"), str):
        raise InvalidScenario(f"{path}.{kind}: needs a name")
    if kind == "interleave":
        return Step(kind, {"steps": parse(value.get("steps"), f"{path}.interleave")})
    return Step(kind, value)


def _check_kind(key: str, given: Any, path: str) -> None:
    if key in _LISTS and not isinstance(given, list):
        raise InvalidScenario(f"{path}: must be a list")
    if key in _NUMBERS and (isinstance(given, bool) or not isinstance(given, int | float) or given < 0):
        raise InvalidScenario(f"{path}: must be a number, not negative")
    if key == "text" and not isinstance(given, str):
        raise InvalidScenario(f"{path}: must be a string")


@dataclass(slots=True)
class Cost:
    """Output tokens of an answer, reasoning included in `output`."""

    output: int = 0
    reasoning: int = 0


def cost(step: Step) -> Cost:
    """What one step costs."""
    match step.kind:
        case "reasoning" | "reasoning_text":
            spent = int(step.args.get("tokens") or max(_REASONING_COST, tokens.count(step.text())))
            return Cost(spent, spent)
        case "message" | "refusal":
            return Cost(tokens.count(step.text()))
        case "function_call" | "custom_tool_call":
            return Cost(tokens.count(str(step.args["name"])) + tokens.count(step.text()))
        case "web_search":
            return Cost(_CALL_COST)
        case "image_generation":
            return Cost(_IMAGE_COST)
        case "compaction":
            return Cost(int(step.args.get("tokens", _IMAGE_COST)))
    return Cost()


@dataclass(slots=True)
class Fitted:
    """The steps that fit an output limit, and what they cost. `full` means that the limit was hit."""

    steps: list[Step]
    cost: Cost
    full: bool = False


def fit(steps: Iterable[Step], limit: int | None) -> Fitted:
    """Cuts an answer where its output limit ends, inside a text if need be."""
    fitted = Fitted([], Cost())
    for step in steps:
        group: Sequence[Step] = step.args["steps"] if step.kind == "interleave" else (step,)
        spent = [cost(one) for one in group]
        left = None if limit is None else limit - fitted.cost.output
        total = sum(one.output for one in spent)
        if left is not None and total > left:
            if step.kind != "interleave" and left > 0:
                _add_cut(fitted, step, left)
            fitted.full = True
            return fitted
        fitted.steps.append(step)
        fitted.cost.output += total
        fitted.cost.reasoning += sum(one.reasoning for one in spent)
    return fitted


def _add_cut(fitted: Fitted, step: Step, left: int) -> None:
    fitted.cost.output += left
    if step.kind in ("reasoning", "reasoning_text"):
        fitted.cost.reasoning += left
        fitted.steps.append(replace(step, args={**step.args, "tokens": left}, cut=True))
        return
    key = {"message": "text", "refusal": "text", "function_call": "arguments", "custom_tool_call": "input"}
    if step.kind in key:
        shortened = {**step.args, key[step.kind]: tokens.cut(step.text(), left)}
        shortened.pop("repeat", None)
        shortened.pop("split", None)
        fitted.steps.append(replace(step, args=shortened, cut=True))
