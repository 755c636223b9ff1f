"""The check of the pictures that the docs show, and that screens do not style each other."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from scripts import budgets


def png(width: int = 1280, height: int = 800, more: int = 0) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(more)


@pytest.mark.parametrize(
    ("content", "breach"),
    [
        (png(), None),
        (None, "is not there"),
        (b"GIF89a" + bytes(40), "is no PNG"),
        (b"", "is no PNG"),
        (png(more=200_000), "kB (cap 200)"),
        (png(16, 16), "16 × 16 pixels"),
        (png(1280, 9000), "1280 × 9000 pixels"),
    ],
)
def test_a_picture_is_there_and_of_a_sane_size(
    tmp_path: Path, content: bytes | None, breach: str | None
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "console.md").write_text("![One](images/console-one.png)\n")
    if content is not None:
        (tmp_path / "images" / "console-one.png").write_bytes(content)
    found = list(budgets.pictures(tmp_path))
    assert len(found) == (0 if breach is None else 1)
    assert breach is None or breach in found[0]


def test_a_picture_that_nobody_shows_is_told(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "console.md").write_text("No pictures.\n")
    (tmp_path / "images" / "console-old.png").write_bytes(png())
    assert list(budgets.pictures(tmp_path)) == [
        "docs/images/console-old.png: docs/console.md does not show it"
    ]


def test_two_screens_do_not_style_each_other(tmp_path: Path) -> None:
    """A class of both is told; those of base and parts are everybody's, and so is what stands deeper."""
    (tmp_path / "base.css").write_text(".shared { color: red }")
    (tmp_path / "parts.css").write_text(".card { color: red }")
    (tmp_path / "keys.css").write_text(
        "/* .note { } */ .mine .note { color: red } .shared.a, .both { color: red }"
    )
    (tmp_path / "log.css").write_text(
        "@media (max-width: 1px) { .card, .both { color: red } }\n.note, .card { color: red }"
    )
    assert list(budgets.styles(tmp_path)) == ["style/log.css: .both is a class of style/keys.css too"]
