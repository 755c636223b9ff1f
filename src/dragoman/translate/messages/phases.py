"""The phase of what the model said: a comment on the way, or the answer itself.

An upstream wants it back with the text, and no client's dialect has a word for it. So it is known by a hash
of the text as the client got it; a text that is not known (cut here, joined by the client, said before this
process began) gets the likely one. Which texts are remembered, and for how long, is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from dragoman.wire.responses import Phase

COMMENTARY: Final[Phase] = "commentary"
FINAL: Final[Phase] = "final_answer"
NONE = ""  # what is remembered of a text that came without a phase
_WIDTH = 32
_SENT: Mapping[str, Phase] = {COMMENTARY: COMMENTARY, FINAL: FINAL}


@dataclass(slots=True)
class Said:
    """A text that the client got.

    text    its hash
    before  calls that the client had been shown before it
    phase   as the upstream told it, NONE where it told none; None while that is not known
    """

    text: str
    before: int
    phase: str | None


class Phases:
    """Tells the phase of the texts of one history. `known` maps a mark to the phase it was said with.

    guessed  marks of texts that were not known -> the phase they are sent with. Who remembers them sends
             them like this also when the model says the same once more in another phase.
    """

    __slots__ = ("_known", "guessed")

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self.guessed: dict[str, str] = {}

    def of(self, text: str, *, before_call: bool) -> Phase | None:
        """The phase to send, if one is to be sent. `before_call`: a call follows in the same answer."""
        name = mark(hashed(text), before_call=before_call)
        phase = self._known.get(name)
        if phase is None:
            phase = self.guessed[name] = COMMENTARY if before_call else FINAL
        return _SENT.get(phase)


def told(item: Mapping[str, Any], before: str | None = NONE) -> str | None:
    """The phase of an upstream's message; `before` is what an earlier shape of it had told.

    None for a word of another kind: it is not known whether that could be sent back.
    """
    phase = item.get("phase")
    if phase is None:
        return before
    return phase if phase in (COMMENTARY, FINAL) else None


def hashed(text: str) -> str:
    """A text's hash, half characters included."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_WIDTH]


def mark(text: str, *, before_call: bool) -> str:
    """What a text is remembered under, by its hash.

    A short text ("Done.") may be said in both ways; what follows it mostly tells them apart.
    """
    return f"{text}+" if before_call else text
