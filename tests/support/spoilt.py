"""Texts that a model writes as a call's arguments: objects, and what is nearly one.

`texts` draws anything from good JSON to none at all, most of it broken in one place; `cut` takes a text
apart.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

_KEYS = st.text(max_size=5)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(_KEYS, _VALUES, max_size=4)
# Text that is nearly JSON more often than not.
_CRUMBS = st.sampled_from(
    [
        *'{}[]:,"\\ \n\t',
        *("true", "null", "NaN", "-Infinity", "tru", "1", "-0.5e3", "01", "1e999", "1.", "+"),
        *(
            '"a"',
            '"b":',
            '"x\n"',
            "\\n",
            "\\u",
            "\\ud83d",
            "\\ude00",
            "\\x",
            "00",
            "é",
            "\x0b",
            "\u2028",
            "😀",
        ),
    ]
)
CRUMBS = st.lists(_CRUMBS, max_size=14).map("".join)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Anything at all, an object's text with something changed in it, or crumbs of one."""
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return draw(st.text(max_size=30))
    if kind == 1:
        return "{" + draw(CRUMBS)
    text = json.dumps(draw(OBJECTS), ensure_ascii=draw(st.booleans()))
    if kind == 2:
        return text[: draw(st.integers(0, len(text)))] + draw(CRUMBS)
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(CRUMBS) + text[at + draw(st.integers(0, 2)) :]


@st.composite
def cut(draw: st.DrawFn, text: str) -> list[str]:
    """A text in pieces."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]
