"""Lets through of a call's arguments what is a JSON object, while the model is still writing them.

Clients parse what they get at every delta, and a broken text ends their whole answer. So what can be mended
without a guess is mended (MENDED), at the first character that cannot be JSON the object ends behind its last
complete member, and text that just stops says so instead of being closed: a half command must not run. Good
text passes letter for letter and at once; held back is only what has no meaning yet: half an escape, a number
or literal, a comma and a key whose value has not begun. It never looks at what members say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from enum import StrEnum

from dragoman.wire import jsonio

# As deep as the official clients' parsers go; the whole answer is a few levels deeper than the input.
DEEPEST = 200

# What is told in the log, never with the text itself.
CONTROLS = "tool arguments: raw control characters in a text were escaped"
ESCAPES = "tool arguments: an escape that JSON has not was kept as text"
HALVES = "tool arguments: half a character was replaced"
NUMBERS = "tool arguments: a number that JSON has not became null"
COMMA = "tool arguments: a comma without a member was dropped"
BEHIND = "tool arguments: text behind the object was dropped"
CLOSED = "tool arguments: missing brackets were added"
BROKEN = "tool arguments: no JSON from some character on; ended behind the last complete member"
MENDED = (CONTROLS, ESCAPES, HALVES, NUMBERS, COMMA, BEHIND, CLOSED, BROKEN)


class Place(StrEnum):
    """Where in the text the next character stands."""

    BEFORE = "before the object"
    FIRST_KEY = "behind {"
    KEY = "behind a comma of an object"
    COLON = "behind a key"
    VALUE = "behind a colon"
    FIRST_ITEM = "behind ["
    ITEM = "behind a comma of a list"
    NEXT = "behind a value"
    STRING = "in a string"
    WORD = "in a number or literal"
    AFTER = "behind the object"
    DEAF = "behind the first fault"


_SPACE = re.compile(r"[ \t\n\r]+")
_LETTERS = re.compile(r"[-+.0-9A-Za-z]+")
_CONTROLS = re.compile(r"[\x00-\x1f]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
# What a string may hold up to its end: no raw control character, no foreign escape, no half of a pair.
_BODY = re.compile(
    r"""(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]
    |\\u(?:[0-9a-ce-fA-CE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}
          |[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))*+""",
    re.X,
)
_LONE_HALF = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_BEGUN = re.compile(
    r"""\\(?:u(?:[0-9a-fA-F]{0,3}
    |[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?))?\Z""",
    re.X,
)
_CLOSER = {"{": "}", "[": "]"}
_LITERALS = {literal: literal for literal in ("true", "false", "null")}
_LITERALS |= dict.fromkeys(("NaN", "Infinity", "-Infinity"), "null")


class WellJson:
    """Passes on one call's arguments. `mended` gets a sentence of MENDED for everything that is changed.

    The text must not hold half a character (see Text in items); it may be cut anywhere else.
    """

    __slots__ = (
        "_as_written",
        "_closers",
        "_flows",
        "_held",
        "_is_key",
        "_mended",
        "_out",
        "_place",
        "_rest",
        "_waits",
        "_word",
    )

    def __init__(self, mended: dict[str, None]) -> None:
        self._mended = mended
        self._as_written = True
        self._place = Place.BEFORE
        self._closers: list[str] = []
        self._flows = False  # in a string that the client already reads: the usual case
        self._rest = ""  # an escape whose end has not come
        self._word: list[str] = []
        self._out: list[str] = []
        self._held: list[str] = []  # what has no meaning yet
        self._waits = True  # whether more goes there
        self._is_key = False

    # -- what a call asks ----------------------------------------------------------------------------

    def feed(self, text: str) -> str:
        """Takes more of the arguments, returns what may be sent now."""
        if self._flows and _BODY.fullmatch(text):
            return text
        text, self._rest = self._rest + text, ""
        self._out = []
        at, end = 0, len(text)
        while at < end:
            at = _STEPS.get(self._place, WellJson._mark)(self, text, at)
        self._flows = self._place is Place.STRING and not self._is_key and not self._rest
        return "".join(self._out)

    @property
    def blank(self) -> bool:
        """Nothing was said so far."""
        return self._place is Place.BEFORE

    @property
    def sound(self) -> bool:
        """The text is an object, letter for letter as the model wrote it."""
        return self._as_written and self._place is Place.AFTER

    @property
    def unfinished(self) -> bool:
        """The text so far ends inside the object."""
        return self._place not in (Place.BEFORE, Place.AFTER, Place.DEAF)

    def finish(self) -> str | None:
        """There is no more: what the object still needs, or None where it ends in the middle of something.

        Brackets are only added behind a complete value: what began with a bracket and has nothing in it yet
        was cut, too.
        """
        self._out = []
        if self._place is Place.WORD and "".join(self._word) in _LITERALS:
            self._spelled()
        if self._place is Place.NEXT:
            self._note(CLOSED)
            self._end(Place.AFTER)
        return None if self.unfinished else "".join(self._out)

    # -- steps: each takes text from `at` on, and returns where it stopped -------------------------------

    def _mark(self, text: str, at: int) -> int:
        """Between values: space, and the one mark that may stand here."""
        begin, at = at, _end(_SPACE, text, at)
        if at > begin:
            self._put(text[begin:at])
            return at
        mark = text[at]
        act = _MARKS[self._place].get(mark)
        if act is None:
            self._give_up()
        else:
            act(self, mark)
        # The first letter of a word belongs to the word.
        return at if self._place is Place.WORD else at + 1

    def _string(self, text: str, at: int) -> int:
        begin, at = at, _end(_BODY, text, at)
        self._put(text[begin:at])
        if at == len(text):
            return at
        if text[at] == "\\":
            return self._escape(text, at)
        if text[at] == '"':
            self._put('"')
            self._place = Place.COLON if self._is_key else Place.NEXT
            return at + 1
        begin, at = at, _end(_CONTROLS, text, at)
        self._note(CONTROLS)
        self._put(jsonio.dump_text(text[begin:at])[1:-1])
        return at

    def _escape(self, text: str, at: int) -> int:
        """A backslash with which no good escape begins, at least not a complete one."""
        if _BEGUN.match(text, at):
            self._rest = text[at:]
            return len(text)
        if _LONE_HALF.match(text, at):
            self._note(HALVES)
            self._put("\\ufffd")
            return at + 6
        self._note(ESCAPES)
        self._put("\\\\")
        return at + 1

    def _letters(self, text: str, at: int) -> int:
        begin, at = at, _end(_LETTERS, text, at)
        self._word.append(text[begin:at])
        if at < len(text):
            self._spelled()
        return at

    def _deaf(self, text: str, at: int) -> int:
        return len(text)

    # -- marks ---------------------------------------------------------------------------------------

    def _open(self, mark: str) -> None:
        if len(self._closers) == DEEPEST:
            self._give_up()
            return
        self._release()
        self._out.append(mark)
        self._closers.append(_CLOSER[mark])
        self._place = Place.FIRST_KEY if mark == "{" else Place.FIRST_ITEM

    def _close(self, mark: str) -> None:
        if self._closers[-1] != mark:
            self._give_up()
            return
        self._out.append(self._closers.pop())
        self._place = Place.NEXT if self._closers else Place.AFTER

    def _close_behind_comma(self, mark: str) -> None:
        self._note(COMMA)
        self._held.clear()
        self._waits = False
        self._close(mark)

    def _comma(self, mark: str) -> None:
        self._waits = True
        self._put(mark)
        self._place = Place.KEY if self._closers[-1] == "}" else Place.ITEM

    def _colon(self, mark: str) -> None:
        self._put(mark)
        self._place = Place.VALUE

    def _key(self, mark: str) -> None:
        self._waits = self._is_key = True
        self._put(mark)
        self._place = Place.STRING

    def _quote(self, mark: str) -> None:
        self._release()
        self._is_key = False
        self._put(mark)
        self._place = Place.STRING

    def _letter(self, mark: str) -> None:
        self._waits = True
        self._place = Place.WORD

    # -- inside --------------------------------------------------------------------------------------

    def _put(self, piece: str) -> None:
        (self._held if self._waits else self._out).append(piece)

    def _release(self) -> None:
        self._out += self._held
        self._held.clear()
        self._waits = False

    def _spelled(self) -> None:
        """A number or literal has its last letter."""
        word = "".join(self._word)
        self._word.clear()
        said = _value(word)
        if said is None:
            self._give_up()
            return
        if said != word:
            self._note(NUMBERS)
        self._release()
        self._put(said)
        self._place = Place.NEXT

    def _give_up(self) -> None:
        """This character cannot be JSON: the object ends here, and nothing more is heard."""
        self._note(BEHIND if self._place is Place.AFTER else BROKEN)
        if self._place is Place.BEFORE:
            self._out.append("{}")
        self._held.clear()
        self._end(Place.DEAF)

    def _end(self, place: Place) -> None:
        self._out += reversed(self._closers)
        self._closers.clear()
        self._place = place

    def _note(self, sentence: str) -> None:
        self._as_written = False
        self._mended[sentence] = None


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where a match that begins at `at` ends."""
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _value(word: str) -> str | None:
    """A number or literal as JSON has it; None for anything else."""
    if word in _LITERALS:
        return _LITERALS[word]
    if _NUMBER.fullmatch(word) is None:
        return None
    return word if math.isfinite(float(word)) else "null"


Step = Callable[[WellJson, str, int], int]
_STEPS: dict[Place, Step] = {
    Place.STRING: WellJson._string,
    Place.WORD: WellJson._letters,
    Place.DEAF: WellJson._deaf,
}

Act = Callable[[WellJson, str], None]
_VALUES: dict[str, Act] = {
    '"': WellJson._quote,
    "{": WellJson._open,
    "[": WellJson._open,
    **dict.fromkeys("-0123456789tfnNI", WellJson._letter),
}
# What may stand where, and what it does. Anything else is no JSON.
_MARKS: dict[Place, dict[str, Act]] = {
    Place.BEFORE: {"{": WellJson._open},
    Place.FIRST_KEY: {'"': WellJson._key, "}": WellJson._close},
    Place.KEY: {'"': WellJson._key, "}": WellJson._close_behind_comma},
    Place.COLON: {":": WellJson._colon},
    Place.VALUE: _VALUES,
    Place.FIRST_ITEM: {**_VALUES, "]": WellJson._close},
    Place.ITEM: {**_VALUES, "]": WellJson._close_behind_comma},
    Place.NEXT: {",": WellJson._comma, "}": WellJson._close, "]": WellJson._close},
    Place.AFTER: {},
}
