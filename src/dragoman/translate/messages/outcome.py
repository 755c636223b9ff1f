"""What an answer came to, for the ledger, the recall of arguments and the next attempt.

Values only. Nothing in here was shown to the client as such, and no text of the answer is kept except the
raw argument strings, which a later turn must replay byte by byte; of other texts a hash.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dragoman.translate.messages.phases import Said, mark
from dragoman.translate.messages.usage import NONE, Usage

_KINDS = 64  # distinct names that are counted; a peer that invents more is counted under "…"


@dataclass(slots=True)
class Outcome:
    """Filled in while the answer is translated.

    usage              measured, estimated or none; an estimate until the terminal event is in hand
    stop_reason        as told to the client, None when the answer did not end well
    web_searches       search actions that the upstream made
    arguments          call id (the client's) -> the argument string as the model wrote it
    repaired           what was mended in tool arguments: constant sentences, in order (see welljson)
    broken_off         calls that were closed although their arguments end in the middle
    ignored            event types that were not known -> how often
    hidden             item types that have no place in the client's dialect -> how often
    mismatched         snapshots that contradicted the deltas before them (the deltas were kept)
    dropped            calls that never got a name
    incomplete_reason  the upstream's own word where it stopped early
    output_bytes       text, arguments and reasoning that were seen, for an estimate
    spoke              there was text, a tool call or a search: the turn is not empty
    searches_shown     searches that the client was shown, page visits included
    sources_named      a search named its sources, so one that names none found none
    server_calls       calls of MCP servers that the client was shown
    tool_calls         calls that the client was shown
    call_ids           the ids they were shown under
    said               the texts that the client got, by hash, with the phase they were said in
    refusal            the text of a refusal
    rate_limits        the last `codex.rate_limits` event, raw
    """

    usage: Usage = NONE
    stop_reason: str | None = None
    stop_sequence: str | None = None
    web_searches: int = 0
    arguments: dict[str, str] = field(default_factory=dict)
    repaired: dict[str, None] = field(default_factory=dict)
    broken_off: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    hidden: dict[str, int] = field(default_factory=dict)
    mismatched: int = 0
    dropped: int = 0
    incomplete_reason: str | None = None
    response_id: str | None = None
    response_model: str | None = None
    service_tier: str | None = None
    output_bytes: int = 0
    spoke: bool = False
    searches_shown: int = 0
    sources_named: bool = False
    server_calls: int = 0
    tool_calls: int = 0
    call_ids: set[str] = field(default_factory=set)
    said: list[Said] = field(default_factory=list)
    refusal: str | None = None
    rate_limits: dict[str, Any] | None = None

    @property
    def calls(self) -> int:
        """Calls of every kind that the client was shown."""
        return self.tool_calls + self.searches_shown + self.server_calls

    @property
    def phases(self) -> dict[str, str]:
        """The phases of what was said, by the mark that a later turn asks for; the first counts."""
        phases: dict[str, str] = {}
        for said in self.said:
            if said.phase is not None:
                phases.setdefault(mark(said.text, before_call=self.calls > said.before), said.phase)
        return phases


def tally(counts: dict[str, int], name: str) -> None:
    """Counts a name that a peer chose, without letting the peer grow the table."""
    if name not in counts and len(counts) >= _KINDS:
        name = "…"
    counts[name] = counts.get(name, 0) + 1
