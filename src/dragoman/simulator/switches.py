"""The switches: every open question about the real service is one field here, with its default.

They are set through the constructor, a scenario file or the admin interface. A wrong name or value is refused
by name. It never acts on them: each room reads its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints


class InvalidSwitch(ValueError):
    """No such switch, or a value it does not take."""


@dataclass(slots=True)
class Switches:
    """See docs/simulator.md for what each one means."""

    seed: int = 1
    speed: float = 1.0
    strict_keys: bool = False
    log_requests: int = 1000
    log_bytes: int = 64 * 1024 * 1024
    echo: bool = True
    obfuscation: bool = True
    chunk_chars: int = 16

    # The prompt cache.
    machines: int = 8
    machine_down: list[int] = field(default_factory=list)
    miss_every: int = 0
    capacity: int = 20_000
    rate_per_key: int = 15
    floor: Literal["none", "instructions_tools"] = "instructions_tools"
    lookback: int = 80
    visible_after: Literal["first_token", "end"] = "first_token"
    uncached_tail_blocks: int = 0
    idle_ttl: float = 420.0
    extended_ttl: float = 86_400.0
    breakpoint_ttl: float = 1_800.0
    default_retention: Literal["in_memory", "24h"] = "in_memory"
    render_summaries: bool = True
    session_header: list[str] = field(default_factory=lambda: ["session-id", "session_id"])
    turn_state_affinity: bool = False

    # The request contract.
    models: list[str] = field(default_factory=list)
    windows: dict[str, int] = field(default_factory=dict)
    max_tool_name: Literal[64, 128] = 64
    api_item_ids: Literal["accept", "require"] = "require"
    codex_item_ids: Literal["accept", "reject", "require"] = "accept"
    codex_tool_choice: Literal["auto_only", "all"] = "all"
    codex_accepts: list[str] = field(default_factory=list)
    codex_effort_none: Literal["accept", "reject"] = "reject"
    require_instructions: bool = True
    overflow: Literal["by_flavour", "status", "stream"] = "by_flavour"

    # The answers.
    omit_output_in_completed: Literal["codex", "always", "never"] = "codex"
    rate_limits_event: bool = False
    tool_probability: float = 0.0
    reply_words: int = 0


_HINTS = get_type_hints(Switches)
NAMES = tuple(entry.name for entry in fields(Switches))


def change(switches: Switches, wanted: Mapping[str, Any]) -> None:
    """Sets several switches, all or none. Raises InvalidSwitch."""
    for name, value in wanted.items():
        if name not in _HINTS:
            raise InvalidSwitch(f"no switch named {name!r}; there are: {', '.join(NAMES)}")
        if not _fits(value, _HINTS[name]):
            raise InvalidSwitch(f"switch {name!r} does not take {value!r}")
    for name, value in wanted.items():
        setattr(switches, name, float(value) if _HINTS[name] is float else value)


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin is Literal:
        return value in get_args(hint) and not isinstance(value, bool)
    if origin is list:
        return isinstance(value, list) and all(_fits(one, get_args(hint)[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(one, get_args(hint)[1]) for one in value.values())
    if hint is bool:
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if hint is float:
        return isinstance(value, int | float) and value >= 0
    if hint is int:
        return isinstance(value, int) and value >= 0
    return isinstance(value, hint)
