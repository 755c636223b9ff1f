"""What a translated body costs as input: the texts for a tokenizer, everything else by formula.

It counts what is sent, tools and system prompt included, and never a picture's base64. A learnt factor per
model and kind of estimate brings it nearer to what the upstream reports. It neither knows a tokenizer nor
calls one by itself. Overheads are those of OpenAI's cookbook on counting tokens, rounded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dragoman.translate.messages.media import Patches, Tiles, file_tokens, picture_rule, picture_tokens
from dragoman.translate.models import profile
from dragoman.wire import jsonio

# Tokens around each item (role and end marks), around each tool, and in front of the answer.
ITEM = 4
TOOL = 8
REPLY = 3
# Sealed reasoning is base64 of ciphertext with a fixed frame: what is left holds about four bytes a token.
_SEALED_FRAME = 650
_SEALED_BYTES = 4
# Names and places in an item that the model does not read.
_UNREAD = frozenset({"type", "id", "status", "call_id", "created_by"})

Basis = Literal["tokens", "bytes"]


@dataclass(slots=True)
class Measured:
    """A body taken apart: `texts` to be tokenized, `fixed` tokens for all that is no text."""

    texts: list[str] = field(default_factory=list)
    fixed: int = REPLY


def measure(body: Mapping[str, Any]) -> Measured:
    """Takes an upstream body apart. Its `input` may be a string."""
    found = Measured()
    if instructions := body.get("instructions"):
        found.texts.append(instructions)
        found.fixed += ITEM
    _tools(body.get("tools") or (), found)
    if form := (body.get("text") or {}).get("format"):
        found.texts.append(jsonio.dump_text(form))
    items = body.get("input") or ()
    if isinstance(items, str):
        items = ({"role": "user", "content": items},)
    model = str(body.get("model") or "")
    rule = picture_rule(model)
    forgotten = _last_user(items) if _forgets(body, model) else 0
    for number, item in enumerate(items):
        kind = item.get("type", "message")
        if kind == "reasoning" and number < forgotten:
            continue
        found.fixed += ITEM
        _ITEMS.get(kind, _other)(item, found, rule)
    return found


def estimate(body: Mapping[str, Any], count: Callable[[Sequence[str]], int]) -> int:
    """Input tokens of an upstream body by a tokenizer's `count` and the formulas."""
    measured = measure(body)
    return measured.fixed + count(measured.texts)


class Calibration:
    """How much an upstream really counts for each token estimated here, learnt per model.

    `basis` keeps estimates of different kinds apart: by tokenizer, or by bytes. The factor is a running
    mean, held within LOW and HIGH, so that one odd answer (an upstream that counts a hidden prompt, one that
    reports nothing sensible) cannot spoil it. At most `models` of them are kept.
    """

    LOW = 0.33
    HIGH = 3.0
    # Below this the fixed overheads dominate and teach nothing about texts.
    SMALLEST = 200
    _MEMORY = 8

    def __init__(self, models: int = 128) -> None:
        self._models = models
        self._learnt: OrderedDict[tuple[str, Basis], tuple[float, int]] = OrderedDict()

    def learn(self, model: str, estimate: float, reported: int, basis: Basis = "tokens") -> None:
        """Takes in one pair of an estimate and the input tokens that the upstream reported for it."""
        if estimate < self.SMALLEST or reported < self.SMALLEST:
            return
        ratio = min(self.HIGH, max(self.LOW, reported / estimate))
        factor, seen = self._learnt.pop((model, basis), (1.0, 0))
        seen = min(seen + 1, self._MEMORY)
        self._learnt[model, basis] = (factor + (ratio - factor) / seen, seen)
        while len(self._learnt) > self._models:
            self._learnt.popitem(last=False)

    def factor(self, model: str, basis: Basis = "tokens") -> float:
        """The learnt factor, 1 where nothing is known."""
        return self._learnt.get((model, basis), (1.0, 0))[0]

    def apply(self, model: str, estimate: float, basis: Basis = "tokens") -> int:
        """An estimate brought nearer to what this model's upstream reports; at least 1."""
        return max(1, round(estimate * self.factor(model, basis)))

    def wants(self, model: str, basis: Basis = "tokens") -> bool:
        """Whether another pair would still change much: the first few of each model."""
        return self._learnt.get((model, basis), (1.0, 0))[1] < self._MEMORY


# -- parts of a body ---------------------------------------------------------------------------------

Rule = Tiles | Patches


def _tools(tools: Sequence[Mapping[str, Any]], found: Measured) -> None:
    for tool in tools:
        found.fixed += TOOL
        if tool.get("type") != "function":
            found.texts.append(jsonio.dump_text(tool))
            continue
        # Name and description as the model reads them, not as JSON escapes them.
        found.texts.append(f"{tool.get('name')}\n{tool.get('description') or ''}")
        if parameters := tool.get("parameters"):
            found.texts.append(jsonio.dump_text(parameters))


def _parts(parts: Any, found: Measured, rule: Rule) -> None:
    """A message's content or a tool's output: a string or a list of parts."""
    if isinstance(parts, str):
        found.texts.append(parts)
        return
    for part in parts or ():
        match part.get("type"):
            case "input_image":
                found.fixed += picture_tokens(rule, part)
            case "input_file":
                found.texts.append(part.get("filename") or "")
                found.fixed += file_tokens(part, found.texts)
            case _:
                found.texts.append(part.get("text") or part.get("refusal") or "")


def _message(item: Mapping[str, Any], found: Measured, rule: Rule) -> None:
    _parts(item.get("content"), found, rule)


def _output(item: Mapping[str, Any], found: Measured, rule: Rule) -> None:
    _parts(item.get("output"), found, rule)


def _call(item: Mapping[str, Any], found: Measured, rule: Rule) -> None:
    found.texts.append(f"{item.get('name')}\n{item.get('arguments') or item.get('input') or ''}")


def _sealed(item: Mapping[str, Any], found: Measured, rule: Rule) -> None:
    """Sealed reasoning by the length of its seal; a summary counts as text, as if it were rendered."""
    seal = item.get("encrypted_content") or ""
    found.fixed += max(0, len(seal) * 3 // 4 - _SEALED_FRAME) // _SEALED_BYTES
    for field_name in ("summary", "content"):
        _parts(item.get(field_name), found, rule)


def _late_tools(item: Mapping[str, Any], found: Measured, rule: Rule) -> None:
    _tools(item.get("tools") or (), found)


def _other(item: Mapping[str, Any], found: Measured, rule: Rule) -> None:
    found.texts.append(jsonio.dump_text({name: item[name] for name in item if name not in _UNREAD}))


_ITEMS: dict[str, Callable[[Mapping[str, Any], Measured, Rule], None]] = {
    "message": _message,
    "function_call": _call,
    "custom_tool_call": _call,
    "function_call_output": _output,
    "custom_tool_call_output": _output,
    "reasoning": _sealed,
    "compaction": _sealed,
    "additional_tools": _late_tools,
}


def _forgets(body: Mapping[str, Any], model: str) -> bool:
    """Whether reasoning of earlier turns leaves the prompt at the next user message."""
    context = (body.get("reasoning") or {}).get("context") or "auto"
    return context == "current_turn" or (context == "auto" and not profile(model).breakpoints)


def _last_user(items: Sequence[Mapping[str, Any]]) -> int:
    """Index of the last user message, 0 when there is none."""
    users = (number for number, item in enumerate(items) if item.get("role") == "user")
    return max(users, default=0)
