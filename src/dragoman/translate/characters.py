"""Joins characters that a server cut in two.

A delta may end after the first half of a surrogate pair (JSON escapes characters beyond the BMP as two
code units). The half waits for the next delta; half a character that stays alone becomes U+FFFD, because
a lone half has no place in UTF-8.
"""

from __future__ import annotations

REPLACEMENT = "\ufffd"


def join(half: str, text: str) -> tuple[str, str]:
    """Text that can be sent, and the half that must wait. `half` is what waited before, or ""."""
    text = half + text
    try:
        text.encode()
    except UnicodeEncodeError:
        half = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
        text = text[: len(text) - len(half)]
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), half
    return text, ""
