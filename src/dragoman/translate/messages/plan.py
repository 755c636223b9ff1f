"""The values that the two halves of the Messages translation share.

A Target says what this attempt is sent to, a Policy what the operator decided, a Plan is the translated
request together with everything the answer's translation has to know about it. All are values: an
attempt on another account makes a new Plan from the same untouched client request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from dragoman.translate.capability import Capability
from dragoman.translate.models import ModelProfile

UpstreamKind = Literal["openai", "responses", "chatgpt"]
Thinking = Literal["shown", "omitted", "unasked", "off"]

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Target:
    """What one attempt is sent to. `account_tag` binds sealed reasoning to the account that minted it."""

    kind: UpstreamKind
    model: str
    profile: ModelProfile
    capability: Capability
    account_tag: str
    alias_effort: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decided, equal for every request. `seal_key` signs what travels in signatures."""

    seal_key: bytes
    default_effort: str | None = None
    key_effort: str | None = None
    enforced_effort: str | None = None
    max_effort: str | None = None
    strict_history: bool = False
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is speaking, as far as the upstream body needs it (see cache/lineage)."""

    prompt_cache_key: str | None = None
    safety_identifier: str | None = None


@dataclass(slots=True)
class Plan:
    """A translated request. `body` is what is sent; the rest is for the way back and for the log.

    body             the Responses request, keys in fixed order, always `stream: true`
    tool_names       upstream tool name -> the client's name (only names that were changed)
    custom_tools     upstream names of tools that the client declared as free-text (custom) tools
    stop_sequences   texts to scan for in visible output
    visible_cap      cut visible output after this many tokens (counted by estimate), None = upstream's cap
    thinking         whether reasoning is shown as thinking text, sealed without text, shown only where the
                     upstream wrote a summary (the client said nothing of it), or not emitted
    web_search_max   most web searches the client allows, None = no limit
    blocked_domains  domains whose search results are filtered out
    mcp_servers      upstream label -> the client's name of each MCP server that is offered
    structured       the client asked for a JSON schema answer
    ignored          request fields accepted without effect, as paths, sorted
    repaired         what was mended in the history, one short constant phrase each
    dropped_reasoning  thinking blocks that could not be replayed (foreign, broken, other account)
    replayed_reasoning number of reasoning items that are in `body`
    phases           marks of texts in the history whose phase is not known -> how they are sent (see phases)
    prefill          text with which the client began the answer itself; if the answer repeats it, it is cut
    """

    body: dict[str, Any]
    tool_names: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    custom_tools: frozenset[str] = frozenset()
    stop_sequences: tuple[str, ...] = ()
    visible_cap: int | None = None
    thinking: Thinking = "unasked"
    web_search_max: int | None = None
    blocked_domains: tuple[str, ...] = ()
    mcp_servers: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    structured: bool = False
    ignored: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    dropped_reasoning: int = 0
    replayed_reasoning: int = 0
    phases: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    prefill: str = ""
