"""Tokens of pictures and PDFs from their headers."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from dragoman.translate.messages.media import (
    PAGE,
    UNKNOWN_SIDE,
    Base64,
    Patches,
    Tiles,
    file_tokens,
    pdf_pages,
    picture_rule,
    picture_tokens,
    pixels,
)
from tests.support.bodies import data_url, png


def jpeg(width: int, height: int, *, before: bytes = b"", frame: int = 0xC0) -> bytes:
    size = struct.pack(">BHH", 8, height, width)
    return (
        b"\xff\xd8" + before + bytes((0xFF, frame)) + b"\x00\x11" + size + b"\x03" + b"\0" * 9 + b"\xff\xd9"
    )


def segment(kind: int, length: int) -> bytes:
    return bytes((0xFF, kind)) + struct.pack(">H", length + 2) + b"\x11" * length


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0" * 20


def webp(kind: bytes, content: bytes) -> bytes:
    return b"RIFF" + b"\0" * 4 + b"WEBP" + kind + b"\0" * 4 + content + b"\0" * 16


# -- size --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        png(640, 480),
        png(640, 480, padding=100_000),
        gif(640, 480),
        b"GIF87a" + gif(640, 480)[6:],
        jpeg(640, 480),
        jpeg(640, 480, frame=0xC2),
        jpeg(640, 480, before=segment(0xE0, 14) + segment(0xE1, 60_000) + segment(0xE2, 60_001)),
        jpeg(640, 480, before=segment(0xC4, 400) + b"\xff\xff"),
        webp(b"VP8X", b"\0" * 4 + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")),
        webp(b"VP8L", b"\x2f" + (639 | 479 << 14).to_bytes(4, "little")),
        webp(b"VP8 ", b"\0" * 6 + struct.pack("<HH", 640, 480 | 0x4000)),
    ],
    ids=[
        "png", "padded", "gif89", "gif87", "jpeg", "progressive", "thumbnails", "filled",
        "webp-x", "webp-l", "webp",
    ],
)  # fmt: skip
def test_the_size_is_read_from_the_header(content: bytes) -> None:
    """B77: PNG, JPEG, GIF and WebP, the formats that the upstream takes."""
    assert pixels(data_url(content)) == (640, 480)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a.png",
        "data:image/png,plain",
        data_url(b"no picture at all"),
        data_url(b""),
        "data:image/png;base64,!!!!",
        "data:image/png;base64,ünïcode",
        "data:image/png;base64,A",
        data_url(png(1, 1)[:18]),
        data_url(webp(b"VP9 ", b"")),
        data_url(b"\xff\xd8\xff\xe0"),
        data_url(b"\xff\xd8\xff\xe0\x00\x04\x00\x00no more segments here"),
        data_url(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 2000),
    ],
)
def test_what_has_no_readable_size_has_none(url: str) -> None:
    assert pixels(url) is None


def test_a_header_is_read_without_decoding_the_rest() -> None:
    """Broken base64 far behind the header does not matter, because it is not looked at."""
    assert pixels(data_url(png(640, 480)) + "*" * 1000) == (640, 480)


def test_base64_is_read_in_any_place() -> None:
    content = bytes(range(256)) * 3
    text = "in front" + base64.b64encode(content).decode()
    carried = Base64(text, len("in front"))
    for at in range(0, len(content), 7):
        for length in (0, 1, 2, 3, 10):
            assert carried.read(at, length) == content[at : at + length]
    assert carried.read(len(content) - 1, 100) == content[-1:]
    assert carried.read(10_000, 3) == b""
    bare = Base64(base64.b64encode(b"abcd").decode().rstrip("="), 0)
    assert bare.read(0, 4) == b"abcd"


# -- cost --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        # OpenAI's own examples: tiles, then patches.
        ("gpt-4o", (1024, 1024), "high", 765),
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4o", (4096, 8192), "low", 85),
        ("gpt-4.1-mini", (1024, 1024), "auto", 1659),
        ("gpt-4.1-mini", (1800, 2400), "auto", 2353),
        # The other families.
        ("gpt-4o", (100, 100), "auto", 255),
        ("gpt-4o", (1, 1), "auto", 255),
        ("gpt-5", (1024, 1024), "auto", 630),
        ("gpt-5-2025-08-07", (1024, 1024), "auto", 630),
        ("gpt-5.1-codex", (1024, 1024), "low", 70),
        ("o3", (1024, 1024), "auto", 675),
        ("o4-mini", (1024, 1024), "auto", 1762),
        ("gpt-5-mini", (1024, 1024), "auto", 1659),
        ("gpt-5-nano", (1024, 1024), "auto", 2520),
        ("gpt-5.3-codex", (1024, 1024), "auto", 1024),
        ("gpt-5.1-codex-mini", (1024, 1024), "auto", 1024),
        ("gpt-5.5", (1024, 1024), "auto", 1024),
        ("gpt-5.5", (64, 64), "auto", 4),
        ("gpt-5.5", (1, 1), "auto", 1),
        ("gpt-5.5", (4096, 4096), "high", 2500),
        ("gpt-5.5", (4096, 4096), "low", 256),
        ("gpt-5.5", (3200, 3200), "original", 10_000),
        ("gpt-5.5", (20_000, 10), "auto", 64),
        ("gpt-5.5", (2_000_000_000, 1), "auto", 64),
        ("openai/gpt-5.6-mini", (4096, 4096), "auto", 2465),
        ("some-open-model", (4096, 4096), "auto", 1521),
    ],
)
def test_a_picture_costs_what_the_models_rule_says(
    model: str, size: tuple[int, int], detail: str, tokens: int
) -> None:
    assert picture_rule(model).cost(*size, detail) == tokens


@pytest.mark.parametrize("rule", [Tiles(85, 170), Patches(1536), Patches(2500)])
def test_no_picture_is_free_or_beyond_the_budget(rule: Tiles | Patches) -> None:
    for width in (1, 31, 512, 513, 1000, 2049, 5000, 30_000):
        for height in (1, 33, 768, 1500, 2048, 9000):
            assert 1 <= rule.cost(width, height, "auto") <= 2500


def test_a_picture_of_unknown_size_is_taken_for_a_thousand_pixels_square() -> None:
    rule = picture_rule("gpt-5.5")
    assert rule.cost(UNKNOWN_SIDE, UNKNOWN_SIDE, "auto") == 1024
    for part in (
        {"image_url": "https://example.org/a.png"},
        {"file_id": "file_1"},
        {"image_url": data_url(b"")},
    ):
        assert picture_tokens(rule, part) == 1024
    assert picture_tokens(rule, {"image_url": data_url(png(64, 64)), "detail": None}) == 4


# -- files -------------------------------------------------------------------------------------------


def pdf(pages: int, *, padding: int = 0) -> bytes:
    mark = b"<< /Type /Page /Parent 2 0 R >>\n" + b"%" * padding
    return b"%PDF-1.7\n<< /Type /Pages /Count 9 >>\n" + mark * pages


def as_file(content: bytes, kind: str = "application/pdf") -> dict[str, Any]:
    return {"type": "input_file", "filename": "a", "file_data": data_url(content, kind)}


@pytest.mark.parametrize("pages", [1, 3, 40])
def test_a_pdf_costs_by_the_page(pages: int) -> None:
    texts: list[str] = []
    assert file_tokens(as_file(pdf(pages)), texts) == PAGE * pages
    assert texts == []


def test_pages_in_compressed_streams_are_guessed_from_the_size() -> None:
    assert file_tokens(as_file(b"%PDF-1.7\n" + b"x" * 100), []) == PAGE
    assert file_tokens(as_file(b"%PDF-1.7\n" + b"x" * 100_000), []) == 4 * PAGE


def test_a_long_pdf_is_read_in_part_and_carried_forward() -> None:
    content = pdf(600, padding=10_000)
    pages = pdf_pages(Base64(base64.b64encode(content).decode(), 0))
    assert pages == pytest.approx(600, rel=0.02)


def test_a_text_file_is_text() -> None:
    texts: list[str] = []
    assert file_tokens(as_file("Grüße".encode(), "text/plain"), texts) == 0
    assert texts == ["Grüße"]


@pytest.mark.parametrize(
    "part", [{"file_url": "https://example.org/a.pdf"}, {"file_id": "f"}, {"file_data": "x"}]
)
def test_a_file_that_is_not_at_hand_counts_as_one_page(part: dict[str, Any]) -> None:
    assert file_tokens(part, []) == PAGE
