"""The ring: the newest key seals, every key opens, a value belongs to its record, a rotation is followed."""

from __future__ import annotations

import pytest

from dragoman.store.engine import StoreError
from dragoman.store.ring import Ring


def test_what_is_sealed_opens_for_its_record_alone() -> None:
    ring = Ring(["text"])
    sealed = ring.seal("meta:root", b"value")
    assert b"value" not in sealed.encode()
    assert ring.open("meta:root", sealed) == b"value"
    with pytest.raises(StoreError, match="belongs to another record"):
        ring.open("meta:pepper", sealed)
    with pytest.raises(StoreError, match="belongs to another record"):
        ring.open("meta:roo", ring.seal("meta:root", b""))


def test_another_ring_or_an_altered_value_does_not_open() -> None:
    sealed = Ring(["text"]).seal("r", b"value")
    with pytest.raises(StoreError, match="no key of the ring opens r"):
        Ring(["other"]).open("r", sealed)
    with pytest.raises(StoreError, match="no key of the ring"):
        Ring(["text"]).open("r", sealed[:-4] + "AAA=")
    with pytest.raises(StoreError, match="no key of the ring"):
        Ring(["other"]).renew(sealed)
    with pytest.raises(StoreError, match="empty"):
        Ring([])


def test_the_newest_key_seals_and_older_ones_still_open() -> None:
    sealed = Ring(["old"]).seal("r", b"value")
    both = Ring(["new", "old"])
    assert both.open("r", sealed) == b"value"
    assert not both.current(sealed)
    renewed = both.renew(sealed)
    assert both.current(renewed)
    assert Ring(["new"]).open("r", renewed) == b"value"
    assert Ring(["new"]).open("r", both.seal("r", b"other")) == b"other"


def test_a_process_that_runs_follows_a_rotation() -> None:
    """X2: it opens what a newer key sealed, seals with the newest, and still opens what it knew."""
    present = ["old"]
    running = Ring(present, lambda: present)
    early = running.seal("r", b"early")
    present = ["new", "old"]
    assert running.open("r", Ring(["new"]).seal("r", b"fresh")) == b"fresh"
    present = ["newest"]
    assert Ring(["newest"]).open("r", running.seal("r", b"late")) == b"late"
    assert running.open("r", early) == b"early"


def test_a_file_that_cannot_be_read_changes_nothing() -> None:
    running = Ring(["old"], lambda: [])
    assert running.open("r", running.seal("r", b"value")) == b"value"
    with pytest.raises(StoreError, match="no key of the ring"):
        running.open("r", Ring(["new"]).seal("r", b"value"))
