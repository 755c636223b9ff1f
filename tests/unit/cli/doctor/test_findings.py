"""The table of ids, and what a finding carries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dragoman.cli.doctor.findings import CATALOG, PAGE, error, fine, warn, worst

ROOT = Path(__file__).resolve().parents[4]


def test_every_id_is_explained_on_the_page() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == list(CATALOG)
    assert all(re.fullmatch(r"[a-z-]+", name) for name in CATALOG), "an id is its own anchor"
    for name, entry in CATALOG.items():
        assert entry.meaning.endswith(".") and entry.meaning in page, name
        assert entry.fix and not entry.fix.endswith("."), name


def test_what_is_fine_needs_no_remedy() -> None:
    assert fine("port", "x").fix is None
    assert warn("port", "x").fix == CATALOG["port"].fix
    assert error("port", "x", "do this").fix == "do this"
    assert error("port", "x").docs == "docs/reference/doctor.md#port"


def test_an_unknown_id_cannot_be_reported() -> None:
    with pytest.raises(KeyError):
        error("nothing", "x")


def test_the_worst_level_counts() -> None:
    assert worst([]) == "ok"
    assert worst([fine("port", ""), warn("port", "")]) == "warn"
    assert worst([error("port", ""), warn("port", "")]) == "error"
