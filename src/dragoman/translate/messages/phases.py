"""The phase of what the model said: a comment on the way, or the answer itself.

An upstream wants it back with the text, and no client's dialect has a word for it. So it is known by a hash
of the text as the client got it; a text that is not known (said without a phase, cut here, joined by the
client, said before this process began) gets the likely one, the same in every process. Which texts are
remembered, and for how long, is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, cast

from dragoman.wire.responses import Phase

COMMENTARY: Final[Phase] = "commentary"
FINAL: Final[Phase] = "final_answer"
_WIDTH = 32


@dataclass(slots=True)
class Said:
    """A text that the client got.

    text    its hash
    before  calls that the client had been shown before it
    phase   as the upstream told it; None where it told none
    """

    text: str
    before: int
    phase: Phase | None


class Phases:
    """Tells the phase of the texts of one history. `known` maps a mark to the phase it was said with.

    guessed  marks of texts that were not known -> the phase they are sent with. Who remembers them sends
             them like this also when the model says the same once more in another phase.
    """

    __slots__ = ("_known", "guessed")

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self.guessed: dict[str, str] = {}

    def of(self, text: str, *, before_call: bool) -> Phase:
        """The phase to send. `before_call`: a call follows in the same answer."""
        name = mark(hashed(text), before_call=before_call)
        if (phase := self._known.get(name)) is not None:
            return cast("Phase", phase)
        guess = COMMENTARY if before_call else FINAL
        self.guessed[name] = guess
        return guess


def told(item: Mapping[str, Any], before: Phase | None = None) -> Phase | None:
    """The phase of an upstream's message; `before` is what an earlier shape of it had told.

    None where there is none, or a word of another kind: it is not known whether that could be sent back.
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
