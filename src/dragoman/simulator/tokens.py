"""The pseudo-tokenizer: deterministic, the same for counting, for billing and for cache blocks.

A text is cut into words, runs of white space and single other characters; each piece costs one token per
four bytes of UTF-8, begun ones included. Images cost 85 plus 170 per tile of 512 pixels, PDFs 1,500 per page.
It resembles no real vocabulary and is never used to bill anybody.
"""

from __future__ import annotations

import re
from array import array

from dragoman.simulator import media

_PIECES = re.compile(r"\w+|\s+|[^\w\s]")

ITEM = 4
TOOL = 8
IMAGE_BASE = 85
IMAGE_TILE = 170
IMAGE_UNKNOWN = 765
PDF_PAGE = 1500
FILE_UNKNOWN = 1500
_TILE = 512


def ends(text: str) -> array[int]:
    """The byte offset at which each token of the text ends, in order."""
    out = array("I")
    add = out.append
    at = 0
    ascii_only = text.isascii()
    for piece in _PIECES.findall(text):
        size = len(piece) if ascii_only else len(piece.encode())
        stop = at + size
        while at + 4 < stop:
            at += 4
            add(at)
        at = stop
        add(at)
    return out


def count(text: str) -> int:
    """Tokens of a text."""
    if text.isascii():
        return sum((len(piece) + 3) // 4 for piece in _PIECES.findall(text))
    return sum((len(piece.encode()) + 3) // 4 for piece in _PIECES.findall(text))


def cut(text: str, budget: int) -> str:
    """The longest prefix of whole pieces that costs at most `budget` tokens."""
    spent = 0
    for piece in _PIECES.finditer(text):
        spent += (len(piece.group().encode()) + 3) // 4
        if spent > budget:
            return text[: piece.start()]
    return text


def image(url: str | None, detail: str = "auto") -> int:
    """Tokens of an image part: by its size where the URL carries the bytes, else a fixed figure."""
    if detail == "low":
        return IMAGE_BASE
    found = media.data_url(url) if url else None
    seen = media.image(found.content) if found else None
    if seen is None or not seen.width or not seen.height:
        return IMAGE_UNKNOWN
    return IMAGE_BASE + IMAGE_TILE * -(-seen.width // _TILE) * -(-seen.height // _TILE)


def file(file_data: str | None) -> int:
    """Tokens of a file part: by its pages where it carries a PDF, by its text otherwise."""
    found = media.data_url(file_data) if file_data else None
    if found is None:
        return FILE_UNKNOWN
    if media.is_pdf(found.content):
        return PDF_PAGE * media.pdf_pages(found.content)
    return count(found.content.decode("utf-8", "replace"))
