"""What an image or a PDF is by its own bytes: format, size in pixels, number of pages.

It reads headers only and never decodes pixels. Formats: PNG, JPEG, GIF, WebP (the four that the Responses
API takes) and PDF. Anything else is None.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

_DATA_URL = re.compile(r"data:([a-z0-9.+/-]+)(?:;[a-z0-9=-]+)*;base64,", re.IGNORECASE)
_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_START_OF_FRAME = frozenset({*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})
PDF_PAGE_BYTES = 3072


class Image(NamedTuple):
    """Format and size; a size of 0 by 0 means that the header does not tell it."""

    media_type: str
    width: int
    height: int


class DataUrl(NamedTuple):
    media_type: str
    content: bytes


def data_url(url: str) -> DataUrl | None:
    """Splits a base64 data URL. None when it is no such URL or its base64 is broken."""
    head = _DATA_URL.match(url)
    if head is None:
        return None
    try:
        return DataUrl(head.group(1).lower(), base64.b64decode(url[head.end() :], validate=True))
    except (binascii.Error, ValueError):
        return None


def image(content: bytes) -> Image | None:
    """Recognises an image by its magic bytes."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        if len(content) < 24:
            return None
        return Image("image/png", int.from_bytes(content[16:20]), int.from_bytes(content[20:24]))
    if content.startswith((b"GIF87a", b"GIF89a")):
        return Image(
            "image/gif", int.from_bytes(content[6:8], "little"), int.from_bytes(content[8:10], "little")
        )
    if content.startswith(b"\xff\xd8\xff"):
        return Image("image/jpeg", *_jpeg_size(content))
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return Image("image/webp", *_webp_size(content))
    return None


def _jpeg_size(content: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 < len(content) and content[at] == 0xFF:
        if content[at + 1] in _START_OF_FRAME:
            return int.from_bytes(content[at + 7 : at + 9]), int.from_bytes(content[at + 5 : at + 7])
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
    return 0, 0


def _webp_size(content: bytes) -> tuple[int, int]:
    if content[12:16] == b"VP8X" and len(content) >= 30:
        return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
    if content[12:16] == b"VP8 " and len(content) >= 30:
        width = int.from_bytes(content[26:28], "little") & 0x3FFF
        return width, int.from_bytes(content[28:30], "little") & 0x3FFF
    if content[12:16] == b"VP8L" and len(content) >= 25:
        bits = int.from_bytes(content[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + ((bits >> 14) & 0x3FFF)
    return 0, 0


def is_pdf(content: bytes) -> bool:
    return content.startswith(b"%PDF-")


def pdf_pages(content: bytes) -> int:
    """Page markers where they are readable, else one page per 3 KB."""
    return len(_PAGE.findall(content)) or max(1, -(-len(content) // PDF_PAGE_BYTES))
