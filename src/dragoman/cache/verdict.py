"""Why a turn read its prompt from the upstream's cache or did not: for the log, and for clients that ask.

It compares what was sent with what was sent before and with what the upstream reported. Names that begin
with `likely_` are inferred, all others follow from the bytes and figures at hand; nothing is filled in. The
two cache contracts are those of OpenAI's prompt caching guide, the shapes Anthropic's cache diagnostics.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dragoman.cache.prefix import Divergence, Part, Prefix, compare
from dragoman.cache.turns import Turn

# blocks: before GPT-5.6, the longest prefix in blocks. breakpoints: from GPT-5.6, exact, where entries end.
Contract = Literal["blocks", "breakpoints"]
Name = Literal[
    "hit",
    "first_turn",
    "below_minimum",
    "model_changed",
    "settings_changed",
    "system_changed",
    "tools_changed",
    "tail_replaced",
    "messages_changed",
    "compacted",
    "reasoning_dropped",
    "account_switch",
    "key_changed",
    "expired",
    "partial",
    "likely_server_side",
    "unreported",
]
MINIMUM = 1024
BLOCK = 128
# Seconds without use after which an entry may be gone; it may also live longer.
LIFETIME: dict[Contract, float] = {"blocks": 600.0, "breakpoints": 1800.0}
# Replacing up to this many items at the end is a rewritten tail, more is a rewritten conversation.
TAIL = 4
# A read this close to the expected share is a hit: the end of a prompt is never wholly cached.
HIT_SHARE = 0.9
# How far a measured total may correct the sizes in bytes.
_SCALE = (0.25, 4.0)

_WORDS: dict[Name, str] = {
    "hit": "the earlier prompt was repeated and read from cache",
    "first_turn": "no earlier turn of this conversation is known",
    "below_minimum": "the earlier prompt was shorter than the upstream caches",
    "model_changed": "another upstream model than before",
    "settings_changed": "effort, verbosity, output format or parallel calls differ from before",
    "system_changed": "the system prompt differs from before",
    "tools_changed": "tools were added, removed, reordered or edited",
    "tail_replaced": "the end of the earlier prompt was replaced or taken back",
    "messages_changed": "an earlier message is not what it was",
    "compacted": "the messages start anew: a compaction, or an edited first message",
    "reasoning_dropped": "sealed reasoning of earlier turns is no longer part of the prompt",
    "account_switch": "another account than before served it; caches are per account",
    "key_changed": "the cache key or session header differs from before",
    "expired": "idle for longer than the upstream promises to keep it",
    "partial": "the earlier prompt was repeated, but only a part of it was read",
    "likely_server_side": "nothing changed on this side; eviction, routing or no cache upstream",
    "unreported": "the upstream reported no usage",
}
_CHANGED: dict[str, Name] = {
    "model": "model_changed",
    "settings": "settings_changed",
    "tools": "tools_changed",
    "system": "system_changed",
}


@dataclass(slots=True)
class Verdict:
    """One turn's cache story.

    name       the verdict; `detail` is the count or place that belongs to it
    segment    first part that differs from the earlier prompt, "" when none
    input, cached, written  as reported, None where the upstream reported nothing
    expected   tokens that repeating the earlier prompt should have read
    estimated  whether `expected` rests on bytes instead of a reported figure
    idle       seconds since the turn compared with, None without one
    """

    name: Name
    detail: int | None = None
    segment: str = ""
    input: int | None = None
    cached: int | None = None
    written: int | None = None
    expected: int = 0
    estimated: bool = False
    idle: float | None = None

    @property
    def label(self) -> str:
        """The name as the log has it, such as `tail_replaced(2)`."""
        return self.name if self.detail is None else f"{self.name}({self.detail})"

    @property
    def inferred(self) -> bool:
        """Whether the cause is inferred rather than seen."""
        return self.name in ("partial", "expired", "likely_server_side")

    def sentence(self) -> str:
        """One sentence for people: what was measured, then the cause, marked when it is inferred."""
        if self.cached is None:
            measured = "no usage was reported"
        else:
            about = "about " if self.estimated else ""
            measured = f"{self.cached} of {self.input} input tokens read from cache"
            measured += f" ({about}{self.expected} expected)" if self.expected else ""
        place = f" (first difference: {self.segment})" if self.segment else ""
        return f"{measured}: {'inferred: ' if self.inferred else ''}{_WORDS[self.name]}{place}"


@dataclass(frozen=True, slots=True)
class Story:
    """What a verdict's sentence says beside the figures that the log has in columns of their own.

    words      the cause; `inferred` where it is a guess
    expected   tokens that should have been read, 0 where nothing was expected; `estimated` where from bytes
    segment    first part that differs from the earlier prompt, "" when none
    """

    words: str
    inferred: bool
    expected: int
    estimated: bool
    segment: str


_STORY = re.compile(
    r"(?:no usage was reported|\d+ of \d+ input tokens read from cache(?: \((about )?(\d+) expected\))?): "
    r"(inferred: )?(.*?)(?: \(first difference: (.*)\))?"
)
# Nothing could have been read, or all of it was; a compaction begins anew on purpose.
_NO_MISS = frozenset(("hit", "first_turn", "below_minimum", "unreported", "compacted"))


def read_story(sentence: str) -> Story | None:
    """The sentence of a verdict taken apart again; None for one that is none."""
    found = _STORY.fullmatch(sentence)
    if found is None:
        return None
    about, expected, inferred, words, segment = found.groups()
    return Story(words, inferred is not None, int(expected or 0), about is not None, segment or "")


def missed(
    verdict: str, story: Story | None, cached: int, now_input: int, before_input: int | None
) -> tuple[int, bool] | None:
    """Tokens that could have been read from the cache and were not, and whether that is an estimate.

    `before_input` is the input of the turn before, None where that is not known. None where no miss happened
    or nothing is known of it.
    """
    if verdict.partition("(")[0] in _NO_MISS or story is None:
        return None
    if not story.segment:
        return (max(0, story.expected - cached), story.estimated) if story.expected else None
    # The prompt is another one from some place on; unchanged, the whole earlier one would have been there.
    if before_input is None:
        return None
    return max(0, min(before_input, now_input) - cached), True


def judge(
    before: Turn | None, now: Turn, contract: Contract, divergence: Divergence | None = None
) -> Verdict:
    """Explains an answered turn; `before` is the turn of the same conversation that it continues.

    `divergence` is how their prompts compare, where that is known already.
    """
    figures: dict[str, Any] = {
        "input": now.input_tokens,
        "cached": now.cached_tokens,
        "written": now.written_tokens,
    }
    if before is None:
        return Verdict("first_turn", **figures)
    if divergence is None:
        divergence = compare(before.prefix, now.prefix)
    figures |= {"segment": divergence.segment, "idle": max(0.0, now.at - before.at)}
    if divergence.intact:
        expected, estimated = expected_tokens(before, contract, _scale(before, now))
        return Verdict(
            _repeated(before, now, contract, expected), expected=expected, estimated=estimated, **figures
        )
    # What the common part would give by blocks; by breakpoints it depends on where entries were kept.
    expected = _in_blocks(round(divergence.kept_tokens * _scale(before, now))) if contract == "blocks" else 0
    name, detail = _changed(divergence, before, now)
    return Verdict(name, detail, expected=expected, estimated=True, **figures)


def expected_tokens(before: Turn, contract: Contract, scale: float = 1.0) -> tuple[int, bool]:
    """Tokens that a prompt repeating `before` should read, and whether that is an estimate.

    Blocks: the whole earlier input, rounded down to 128. Breakpoints: up to the last place of it where an
    entry ends. Nothing below 1,024. `scale` corrects what the bytes suggest, where nothing was measured.
    """
    total = before.input_tokens
    tokens = round(before.prefix.tokens * scale) if total is None else total
    estimated = total is None
    if contract == "blocks":
        return _in_blocks(tokens), estimated
    if before.prefix.boundary_size < before.prefix.size:
        tokens, estimated = round(tokens * before.prefix.boundary_size / before.prefix.size), True
    return (tokens if tokens >= MINIMUM else 0), estimated


def asks(request: Mapping[str, Any]) -> tuple[bool, str | None]:
    """Whether a client asks for diagnostics, and the message id it wants to be compared with."""
    asked = request.get("diagnostics")
    if not isinstance(asked, Mapping):
        return False, None
    previous = asked.get("previous_message_id")
    return True, previous if isinstance(previous, str) else None


def diagnostics(
    previous_id: str | None, before: Turn | None, now: Turn, contract: Contract
) -> dict[str, Any] | None:
    """Anthropic's `diagnostics` object, known before the upstream answers; None when there is nothing to say.

    `before` is the very turn that `previous_id` names, in whatever lane of the same client key.
    """
    if previous_id is None:
        return None
    if before is None:
        return {"cache_miss_reason": {"type": "previous_message_not_found"}}
    divergence = compare(before.prefix, now.prefix)
    moved = before.account != now.account
    for part, reason in _REASONS:
        if part not in divergence.changed:
            continue
        if reason == "unavailable" or (part != "model" and _by_gateway(part, before, now)):
            return {"cache_miss_reason": {"type": "unavailable"}}
        missed = round(divergence.missed_tokens * _scale(before))
        return {"cache_miss_reason": {"type": reason, "cache_missed_input_tokens": missed}}
    if moved or now.at - before.at > LIFETIME[contract]:
        return {"cache_miss_reason": {"type": "unavailable"}}
    return None


# What Anthropic has no name for (settings) comes before messages: it loses the cache of all of them.
_REASONS: tuple[tuple[Part, str], ...] = (
    ("model", "model_changed"),
    ("tools", "tools_changed"),
    ("system", "system_changed"),
    ("settings", "unavailable"),
    ("input", "messages_changed"),
)


def _by_gateway(part: Part, before: Turn, now: Turn) -> bool:
    """Whether a difference may come from translating for another account, not from the client."""
    if before.account == now.account:
        return part == "input" and _only_reasoning_dropped(before.prefix, now.prefix)
    # Another kind of upstream gets another translation; another account of a kind, no sealed reasoning.
    return before.kind != now.kind or part == "input"


def _only_reasoning_dropped(before: Prefix, now: Prefix) -> bool:
    """Without the sealed items, which are fewer now, the earlier input is repeated."""
    return len(now.sealed) < len(before.sealed) and now.bare_items.startswith(before.bare_items)


def _repeated(before: Turn, now: Turn, contract: Contract, expected: int) -> Name:
    """The verdict on a prompt that repeats the earlier one from its first byte to its last."""
    cached = now.cached_tokens
    if cached is None:
        return "unreported"
    if not expected:
        return "hit" if cached else "below_minimum"
    if cached >= HIT_SHARE * expected:
        return "hit"
    if before.account != now.account:
        return "account_switch"
    if (before.cache_key, before.lane_key) != (now.cache_key, now.lane_key):
        return "key_changed"
    if now.at - before.at > LIFETIME[contract]:
        return "expired"
    return "partial" if cached else "likely_server_side"


def _changed(divergence: Divergence, before: Turn, now: Turn) -> tuple[Name, int | None]:
    """The verdict on a prompt that stops repeating the earlier one."""
    kind = divergence.kind
    moved = before.account != now.account
    if kind != "model" and moved and (before.kind != now.kind or kind in ("input", "shortened")):
        return "account_switch", None
    if (name := _CHANGED.get(kind)) is not None:
        return name, None
    if _only_reasoning_dropped(before.prefix, now.prefix):
        return "reasoning_dropped", None
    had, has = (len(turn.prefix.item_sizes) - len(turn.prefix.sealed) for turn in (before, now))
    # Codex keeps the user's messages and puts what was done in short behind them.
    forgotten = before.prefix.answered and not now.prefix.answered
    if kind == "input" and (forgotten or (divergence.index <= before.prefix.head and has < had)):
        return "compacted", None
    # Where the first message differs there is no rest that a tail could be the tail of.
    whole = kind == "input" and divergence.index <= before.prefix.head
    if kind == "shortened" or (divergence.replaced_tail <= TAIL and not whole):
        return "tail_replaced", divergence.replaced_tail
    return "messages_changed", divergence.index


def _scale(*turns: Turn) -> float:
    """How many tokens the upstream counted for each that the bytes suggest, by the first of these turns that
    it counted: an answer that breaks off has no figures."""
    low, high = _SCALE
    for turn in turns:
        if turn.input_tokens and turn.prefix.tokens:
            return min(high, max(low, turn.input_tokens / turn.prefix.tokens))
    return 1.0


def _in_blocks(tokens: int) -> int:
    return tokens - tokens % BLOCK if tokens >= MINIMUM else 0
