"""The sealed envelope: what goes in comes out, and nothing else does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.translate.messages.reasoning import Seal, open_item, open_search, seal_item, seal_search

KEY = b"k" * 32
SEAL = Seal(KEY, "acct", "gpt-5.5")
ITEM: dict[str, Any] = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Gründe 🙂"}],
    "encrypted_content": "gAAAA==",
    "status": "completed",
}


def test_an_item_comes_back_whole_and_in_fixed_order() -> None:
    """Everything that a replay needs is inside, since clients blank or edit the text. B26, B60"""
    opened = open_item(seal_item(ITEM, SEAL), KEY)
    assert opened is not None
    assert list(opened.item) == ["type", "id", "summary", "encrypted_content"]
    assert opened.item == {name: value for name, value in ITEM.items() if name != "status"}
    assert (opened.account_tag, opened.model) == ("acct", "gpt-5.5")


def test_sealing_is_constant_and_uses_url_characters_alone() -> None:
    """The client sends it back as it is; equal items are equal bytes."""
    text = seal_item(ITEM, SEAL)
    assert text == seal_item(dict(reversed(ITEM.items())), SEAL)
    assert re.fullmatch(r"dgm1\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{22}", text)


@given(st.text(max_size=40), st.integers(0, 30))
def test_any_content_survives(content: str, padding: int) -> None:
    item = {"type": "reasoning", "id": "rs_" + "x" * padding, "encrypted_content": content}
    if content.encode("utf-8", "ignore").decode() == content:
        opened = open_item(seal_item(item, SEAL), KEY)
        assert opened is not None and opened.item == item


@given(st.data())
def test_an_altered_envelope_is_not_ours(data: st.DataObject) -> None:
    """No error, only nothing. B27, behaviours C19"""
    text = seal_item(ITEM, SEAL)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters())
    altered = text[:place] + other + text[place + 1 :]
    assert (open_item(altered, KEY) is None) is (other != text[place])


@pytest.mark.parametrize(
    "text", [None, 5, "", "EqQBCgIYAhIM", "dgm1.", "dgm1.e30", "dgm1..", "dgm2.e30.AAAA"]
)
def test_what_is_not_ours_is_nothing(text: Any) -> None:
    """B27, B28"""
    assert open_item(text, KEY) is None
    assert open_search(text, KEY) is None


def test_another_key_opens_nothing() -> None:
    assert open_item(seal_item(ITEM, SEAL), b"other") is None


def test_searches_and_reasoning_are_not_taken_for_each_other() -> None:
    """B30"""
    call = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
    sealed = seal_search({**call, "results": [1]}, SEAL)
    opened = open_search(sealed, KEY)
    assert opened is not None and opened.item == call
    assert open_item(sealed, KEY) is None
    assert open_search(seal_item(ITEM, SEAL), KEY) is None


def test_a_pointer_keeps_its_url_alone() -> None:
    sealed = seal_search({"type": "url_citation", "url": "https://example.com", "title": "T"}, SEAL)
    opened = open_search(sealed, KEY)
    assert opened is not None and opened.item == {"type": "url_citation", "url": "https://example.com"}
