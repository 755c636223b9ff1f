"""Images and PDFs by their own bytes."""

from __future__ import annotations

import struct

import pytest

from dragoman.simulator import media
from tests.support.simulated import PNG_1X1, as_data_url, png

GIF = b"GIF89a" + struct.pack("<HH", 640, 480) + b"\0" * 8
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x04\0\0"
    + b"\xff\xc0\x00\x11\x08"
    + struct.pack(">HH", 30, 40)
    + b"\x03"
    + b"\0" * 20
)
VP8X = b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 8 + (99).to_bytes(3, "little") + (49).to_bytes(3, "little")
VP8 = b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 10 + struct.pack("<HH", 70, 80)
VP8L = b"RIFF\0\0\0\0WEBPVP8L" + b"\0" * 5 + (11 | (21 << 14)).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(12, 34), ("image/png", 12, 34)),
        (PNG_1X1, ("image/png", 1, 1)),
        (GIF, ("image/gif", 640, 480)),
        (JPEG, ("image/jpeg", 40, 30)),
        (b"\xff\xd8\xff\xe0", ("image/jpeg", 0, 0)),
        (VP8X, ("image/webp", 100, 50)),
        (VP8, ("image/webp", 70, 80)),
        (VP8L, ("image/webp", 12, 22)),
        (b"RIFF\0\0\0\0WEBPxxxx", ("image/webp", 0, 0)),
    ],
)
def test_knows_the_four_formats_and_their_sizes(content: bytes, expected: tuple[str, int, int]) -> None:
    assert media.image(content) == expected


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"<svg/>", b"BM1234"])
def test_anything_else_is_no_image(content: bytes) -> None:
    assert media.image(content) is None


def test_a_data_url_is_split() -> None:
    assert media.data_url(as_data_url(b"abc")) == ("image/png", b"abc")
    assert media.data_url("data:text/plain;charset=utf-8;base64,aGk=") == ("text/plain", b"hi")


@pytest.mark.parametrize(
    "url", ["https://example.com/a.png", "data:image/png,abc", "data:image/png;base64,a!"]
)
def test_other_urls_and_broken_base64_are_refused(url: str) -> None:
    assert media.data_url(url) is None


def test_pages_of_a_pdf_are_counted_or_estimated() -> None:
    assert media.is_pdf(b"%PDF-1.7 ...")
    assert not media.is_pdf(b"PK..")
    assert media.pdf_pages(b"%PDF /Type /Pages /Type /Page x /Type/Page y") == 2
    assert media.pdf_pages(b"%PDF-" + b"x" * 7000) == 3
