"""Stop sequences, which the Responses API does not have, found in text that arrives in pieces.

Text that may yet become a stop sequence is held back, everything before it is released at once. The first
sequence that is complete wins, of two that end together the longer; so the result is the same however the
text was cut. It never looks at tool arguments or thinking: it is only given visible text.
"""

from __future__ import annotations

from collections.abc import Iterable


class StopScanner:
    """Scans one visible text. After `hit` is set nothing more is released."""

    __slots__ = ("_held", "_longest", "_needles", "hit")

    def __init__(self, sequences: Iterable[str]) -> None:
        self._needles = tuple(sequence for sequence in sequences if sequence)
        self._longest = max(map(len, self._needles), default=0)
        self._held = ""
        self.hit: str | None = None

    @property
    def held(self) -> int:
        """Characters that are held back."""
        return len(self._held)

    def feed(self, text: str) -> str:
        """Takes more text, returns what may be shown now."""
        if self.hit is not None:
            return ""
        text = self._held + text
        ends = [(at + len(needle), at, needle) for needle in self._needles if (at := text.find(needle)) >= 0]
        if ends:
            _, start, self.hit = min(ends)
            self._held = ""
            return text[:start]
        keep = self._doubtful(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """The text ended here: what was held back is text after all."""
        held, self._held = self._held, ""
        return held

    def _doubtful(self, text: str) -> int:
        """Length of the longest end of text with which a needle could begin."""
        for length in range(min(self._longest - 1, len(text)), 0, -1):
            tail = text[len(text) - length :]
            if any(needle.startswith(tail) for needle in self._needles):
                return length
        return 0


class PrefixStripper:
    """Takes a text that repeats the prefill away from the head of an answer.

    The model is asked to continue a given beginning, but some repeat it first. Text is held back as long
    as it could be that repetition.
    """

    __slots__ = ("_held", "_open", "_prefix")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._held = ""
        self._open = bool(prefix)

    @property
    def held(self) -> int:
        """Characters that are held back."""
        return len(self._held)

    def feed(self, text: str) -> str:
        """Takes more text, returns what does not repeat the prefix."""
        if not self._open:
            return text
        self._held += text
        if self._held.startswith(self._prefix):
            self._held = self._held[len(self._prefix) :]
        elif self._prefix.startswith(self._held):
            return ""
        return self.flush()

    def flush(self) -> str:
        """The head is over: what is held back does not repeat the prefix, so it is text."""
        self._open = False
        held, self._held = self._held, ""
        return held
