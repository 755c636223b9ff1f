"""How many tokens a picture or a PDF costs, from its header alone: nothing is decoded as a whole.

Pictures follow the cost rules of OpenAI's "Images and vision" guide: tiles of 512 pixels for older models,
patches of 32 pixels for newer ones. PDFs have no published formula beyond "text plus an image of each page":
a page is taken at PAGE tokens. All figures are estimates until the upstream reports its own.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from math import ceil, floor, sqrt
from typing import Any, NamedTuple

# A picture whose size nobody tells (an address, a damaged header) is taken for this many pixels square.
UNKNOWN_SIDE = 1024
PAGE = 1500
# Pages inside compressed streams cannot be counted; then a page is taken for every so many bytes.
PAGE_BYTES = 32 * 1024
_SCANNED = 4 * 1024 * 1024
_PATCH = 32
_TILE = 512
_LONGEST = 2048
_LONGEST_ORIGINAL = 6000
_ORIGINAL_PATCHES = 10_000
_JPEG_SEGMENTS = 512

_DATA_URL = re.compile(r"data:([^;,]*)[^,]{0,200};base64,", re.IGNORECASE)
_PAGE_MARK = re.compile(rb"/Type\s{0,8}/Page(?![A-Za-z])")
_FRAME = frozenset({*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})


@dataclass(frozen=True, slots=True)
class Tiles:
    """`base` tokens, and `tile` for each 512-pixel square once the picture is scaled to 2048 by 768."""

    base: int
    tile: int

    def cost(self, width: int, height: int, detail: str) -> int:
        if detail == "low":
            return self.base
        scale = min(1.0, _LONGEST / max(width, height))
        scale *= min(1.0, 768 / (min(width, height) * scale))
        across, down = (ceil(round(side * scale, 6) / _TILE) for side in (width, height))
        return self.base + self.tile * max(1, across) * max(1, down)


@dataclass(frozen=True, slots=True)
class Patches:
    """One token for each 32-pixel square, at most `budget` of them, times `factor`."""

    budget: int
    factor: float = 1.0

    def cost(self, width: int, height: int, detail: str) -> int:
        if detail == "low":
            longest, budget = _TILE, (_TILE // _PATCH) ** 2
        elif detail == "original":
            longest, budget = _LONGEST_ORIGINAL, _ORIGINAL_PATCHES
        else:
            longest, budget = _LONGEST, self.budget
        scale = min(1.0, longest / max(width, height))
        return ceil(_patches(width * scale, height * scale, budget) * self.factor)


# By the start of the model's name, the first row that matches wins.
PICTURES: tuple[tuple[re.Pattern[str], Tiles | Patches], ...] = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (r"gpt-4o-mini", Tiles(2833, 5667)),
        (r"gpt-4\.1-mini", Patches(1536, 1.62)),
        (r"gpt-4\.1-nano", Patches(1536, 2.46)),
        (r"(?:chat)?gpt-4", Tiles(85, 170)),
        (r"o4-mini", Patches(1536, 1.72)),
        (r"o\d", Tiles(75, 150)),
        (r"gpt-5(?:\.\d+)?-codex-mini", Patches(1536)),
        (r"gpt-[5-9](?:\.\d+)?-mini", Patches(1536, 1.62)),
        (r"gpt-[5-9](?:\.\d+)?-nano", Patches(1536, 2.46)),
        (r"gpt-5(?![.\d])|gpt-5\.1", Tiles(70, 140)),
        (r"gpt-5\.[23]", Patches(1536)),
        (r"gpt-[5-9]", Patches(2500)),
        (r"", Patches(1536)),
    )
)


class Pixels(NamedTuple):
    width: int
    height: int


def picture_rule(model: str) -> Tiles | Patches:
    """How a model counts pictures; a vendor's prefix (`openai/gpt-5.5`) does not matter."""
    name = model.rpartition("/")[2].lower()
    return next(rule for pattern, rule in PICTURES if pattern.match(name))


def picture_tokens(rule: Tiles | Patches, part: dict[str, Any]) -> int:
    """Tokens of an `input_image` part."""
    url = part.get("image_url")
    size = pixels(url) if isinstance(url, str) else None
    width, height = size or (UNKNOWN_SIDE, UNKNOWN_SIDE)
    return rule.cost(width, height, part.get("detail") or "auto")


def pixels(url: str) -> Pixels | None:
    """Width and height of a picture inlined as a base64 data URL; None where they cannot be told."""
    head = _DATA_URL.match(url)
    if head is None:
        return None
    base64 = Base64(url, head.end())
    start = base64.read(0, 30)
    for magic, reader in _READERS:
        if start.startswith(magic):
            found = reader(base64, start)
            return found if found is not None and found.width > 0 and found.height > 0 else None
    return None


def file_tokens(part: dict[str, Any], texts: list[str]) -> int:
    """Tokens of an `input_file` part. What is plain text inside is put on `texts` and costs nothing here."""
    carried = part.get("file_data")
    head = _DATA_URL.match(carried) if isinstance(carried, str) else None
    if head is None:
        return PAGE
    base64 = Base64(carried or "", head.end())
    if head.group(1).startswith("text/"):
        texts.append(base64.read(0, base64.size).decode("utf-8", "replace"))
        return 0
    return PAGE * pdf_pages(base64)


def pdf_pages(base64: Base64) -> int:
    """Page marks in the first 4 MB, carried forward to the whole; by size where no mark is readable."""
    scanned = min(base64.size, _SCANNED)
    marks = len(_PAGE_MARK.findall(base64.read(0, scanned)))
    if marks:
        return ceil(marks * base64.size / scanned)
    return max(1, ceil(base64.size / PAGE_BYTES))


class Base64:
    """Base64 inside a longer string, read in places without decoding the rest."""

    __slots__ = ("_start", "_text", "size")

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._start = start
        self.size = (len(text) - start) * 3 // 4

    def read(self, at: int, length: int) -> bytes:
        """Bytes from an offset; fewer at the end, none where it is not base64."""
        first = at // 3
        last = -(-(at + length) // 3)
        piece = self._text[self._start + 4 * first : self._start + 4 * last]
        try:
            content = binascii.a2b_base64(piece + "=" * (-len(piece) % 4))
        except (binascii.Error, ValueError):
            return b""
        return content[at - 3 * first : at - 3 * first + length]


def _png(base64: Base64, start: bytes) -> Pixels:
    return Pixels(int.from_bytes(start[16:20]), int.from_bytes(start[20:24]))


def _gif(base64: Base64, start: bytes) -> Pixels:
    return Pixels(int.from_bytes(start[6:8], "little"), int.from_bytes(start[8:10], "little"))


def _webp(base64: Base64, start: bytes) -> Pixels | None:
    match start[12:16]:
        case b"VP8X":
            return Pixels(
                1 + int.from_bytes(start[24:27], "little"), 1 + int.from_bytes(start[27:30], "little")
            )
        case b"VP8L":
            bits = int.from_bytes(start[21:25], "little")
            return Pixels(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
        case b"VP8 ":
            sides = int.from_bytes(start[26:28], "little"), int.from_bytes(start[28:30], "little")
            return Pixels(sides[0] & 0x3FFF, sides[1] & 0x3FFF)
    return None


def _jpeg(base64: Base64, start: bytes) -> Pixels | None:
    """Walks from segment to segment: the size stands in the start of frame, often behind a thumbnail."""
    at = 2
    for _ in range(_JPEG_SEGMENTS):
        segment = base64.read(at, 9)
        if len(segment) < 9 or segment[0] != 0xFF:
            return None
        if segment[1] in _FRAME:
            return Pixels(int.from_bytes(segment[7:9]), int.from_bytes(segment[5:7]))
        # 0xFF may be repeated in front of a marker.
        at += 1 if segment[1] == 0xFF else 2 + int.from_bytes(segment[2:4])
    return None


_READERS = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"\xff\xd8\xff", _jpeg),
    (b"GIF8", _gif),
    (b"RIFF", _webp),
)


def _patches(width: float, height: float, budget: int) -> int:
    """Patches that cover a picture; a larger one is shrunk until no more than `budget` do."""
    patches = max(1, ceil(width / _PATCH)) * max(1, ceil(height / _PATCH))
    if patches <= budget:
        return patches
    shrink = sqrt(budget * _PATCH**2 / (width * height))
    across, down = width * shrink / _PATCH, height * shrink / _PATCH
    # Shrunk a little further, so that one side is a whole number of patches.
    shrink = min(max(1, floor(across)) / across, max(1, floor(down)) / down)
    across, down = round(across * shrink, 6), round(down * shrink, 6)
    return min(budget, max(1, ceil(across)) * max(1, ceil(down)))
