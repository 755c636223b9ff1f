"""Small truths about tool calls on their way to the client: ids, and arguments filled in for nothing.

Call ids stay as they are, because the client sends them back; only an id that Anthropic's pattern does
not allow is replaced, deterministically. Some models fill an optional argument with an empty text that
the client's tool then rejects: EMPTY_OPTIONAL names those, and they are cut out of the JSON text while it
streams, without holding back more than the beginning of such a member.
"""

from __future__ import annotations

import re
from collections.abc import Container
from hashlib import sha256

# Tool name (the client's) -> arguments that must be left out when they are empty. Reading a file with
# `pages: ""` fails in the client, which takes the text for a page range.
EMPTY_OPTIONAL: dict[str, tuple[str, ...]] = {"Read": ("pages",)}

_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NOT_ID = re.compile(r"[^a-zA-Z0-9_-]")
_KEPT = 47


def client_call_id(call_id: str, taken: Container[str] = ()) -> str:
    """The id under which the client knows a call: the upstream's own unless it is odd or taken."""
    if _ID.fullmatch(call_id) and call_id not in taken:
        return call_id
    seed = call_id
    while True:
        digest = sha256(seed.encode("utf-8", "replace")).hexdigest()[:16]
        made = f"{_NOT_ID.sub('_', call_id)[:_KEPT]}_{digest}"
        if made not in taken:
            return made
        seed += "'"


class Trimmer:
    """Cuts `"key":""` members out of a flat JSON object that arrives in pieces.

    In JSON text a quote inside a string is escaped, so the pattern cannot match inside a value.
    """

    __slots__ = ("_doubtful", "_held", "_member")

    def __init__(self, keys: tuple[str, ...]) -> None:
        names = "|".join(map(re.escape, keys))
        first = rf'(?<=\{{)\s*"(?:{names})"\s*:\s*""\s*,'
        later = rf',\s*"(?:{names})"\s*:\s*""(?=\s*[,}}])'
        self._member = re.compile(f"{first}|{later}")
        self._doubtful = re.compile(
            "|".join(rf"[{{,]\s*(?:{_beginnings(list(key))})?\Z" for key in (f'"{key}"' for key in keys))
        )
        self._held = ""

    def feed(self, text: str) -> str:
        """Takes more JSON text, returns what may be sent now."""
        text = self._member.sub("", self._held + text)
        doubt = self._doubtful.search(text)
        cut = doubt.start() if doubt else len(text)
        self._held = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """The arguments are complete."""
        held, self._held = self._held, ""
        return held


def _beginnings(rest: list[str]) -> str:
    """A pattern for every beginning of the quoted key, and behind it of `: ""` up to the next mark."""
    if not rest:
        return r'\s*(?::\s*(?:"(?:"\s*)?)?)?'
    inner = _beginnings(rest[1:])
    return re.escape(rest[0]) + (f"(?:{inner})?" if rest[1:] else inner)


def trimmed(name: str, arguments: str) -> str:
    """What the client gets of a call's raw arguments. Replays compare the client's input with this."""
    keys = EMPTY_OPTIONAL.get(name)
    if keys is None:
        return arguments
    trimmer = Trimmer(keys)
    return trimmer.feed(arguments) + trimmer.flush()
