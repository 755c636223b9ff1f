"""Rows on a terminal: columns that can be read, and a story in words."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.cli.ledger import printable
from dragoman.cli.rowtext import Columns, dollars, span, story
from dragoman.store.walk import FIELDS

ROW: dict[str, Any] = dict.fromkeys(FIELDS) | {
    "request_id": "req_1",
    "time": "2026-07-03T12:00:00.000Z",
    "key": "laptop",
    "client": "claude-cli/2.1.0",
    "requested_model": "claude-opus-4-8",
    "upstream_model": "gpt-5.5",
    "effort": "high",
    "account": "work",
    "attempts": [{"account": "home", "cause": "rate_limit", "status": 429, "code": "slow_down"}],
    "lineage": "11111111-1111",
    "session_hash": "5" * 32,
    "lane": "main",
    "status": 200,
    "outcome": "ok",
    "stop_reason": "end_turn",
    "input_tokens": 12345,
    "cached_tokens": 12000,
    "written_tokens": 0,
    "output_tokens": 321,
    "reasoning_tokens": 100,
    "usage_source": "measured",
    "cost_usd": 0.0123,
    "anthropic_cost_usd": 0.0456,
    "queue_ms": 0.1,
    "first_token_ms": 340.2,
    "duration_ms": 4210.0,
    "ignored_fields": ["top_k"],
    "repaired": [],
    "dropped_reasoning": 0,
    "cache_verdict": "hit",
    "cache_story": "12000 of 12345 input tokens read from cache",
    "stream": True,
    "route": "messages",
}
REFUSED = ROW | {
    "request_id": "req_2",
    "key": "",
    "client": "",
    "requested_model": "claude-\x1b[31mred\n",
    "upstream_model": "",
    "account": "",
    "attempts": [],
    "status": 401,
    "outcome": "refused",
    "error_type": "authentication_error",
    "stop_reason": None,
    "usage_source": "none",
    "cost_usd": None,
    "anthropic_cost_usd": None,
    "cache_verdict": None,
    "cache_story": None,
    "first_token_ms": None,
}


def test_columns_line_up_and_say_the_essential() -> None:
    columns = Columns([ROW, REFUSED])
    header, first, second = columns.header(), columns.line(ROW), columns.line(REFUSED)
    for name, text in (
        ("KEY", "laptop"),
        ("MODEL", "claude-opus-4-8 → gpt-5.5@high"),
        ("OUTCOME", "200 ok"),
        ("CACHE ", "hit"),
        ("REQUEST", "req_1"),
    ):
        assert first[header.index(name) :].startswith(text)
    for text in ("12,345", "12,000", "321", "$0.0123", "340 ms", "4.2 s"):
        assert text in first
    assert "401 authentication_error" in second
    assert second.index("req_2") == first.index("req_1")


def test_what_clients_send_cannot_move_the_cursor() -> None:
    """Control characters of a model's name are shown, not obeyed."""
    for line in (Columns([REFUSED]).line(REFUSED), *story(REFUSED)):
        assert line.isprintable()
    assert "claude-\\x1b[31mred\\n" in Columns([REFUSED]).line(REFUSED)
    assert printable("größe → 5") == "größe → 5"


def test_a_wide_cell_pushes_only_its_own_line() -> None:
    columns = Columns([])
    wide = ROW | {"key": "k" * 64}
    assert len(columns.line(wide)) > len(columns.line(ROW))
    assert columns.line(ROW).index("req_1") == columns.header().index("REQUEST")


def test_the_story_tells_everything_in_words() -> None:
    text = "\n".join(story(ROW))
    for part in (
        "req_1  2026-07-03T12:00:00.000Z  200 ok",
        "key laptop, claude-cli/2.1.0, streamed, lane main",
        "asked for claude-opus-4-8, served as gpt-5.5 at effort high; account work",
        "200, answered, stopped by end_turn",
        "home failed: rate_limit (429, slow_down)",
        "12,345 in (12,000 from cache, 0 written), 321 out (100 reasoning), measured",
        "$0.0123; claude-opus-4-8 itself would have cost $0.0456",
        "queue 0 ms, first token 340 ms, whole 4.2 s",
        "hit: 12000 of 12345 input tokens read from cache",
        "top_k",
        "5" * 32,
    ):
        assert part in text, part
    assert "repaired" not in text


def test_the_story_of_a_refusal_claims_nothing() -> None:
    text = "\n".join(story(REFUSED))
    assert "which led to no upstream model" in text
    assert "refused before any upstream was asked, told authentication_error" in text
    assert "none were used" in text
    for absent in ("cost", "attempts", "cache", "$"):
        assert absent not in text.replace("from cache", "")


def test_a_cost_that_is_not_known_is_not_free() -> None:
    unpriced = ROW | {"cost_usd": None, "anthropic_cost_usd": None, "dropped_reasoning": 2}
    text = "\n".join(story(unpriced))
    assert "unknown: gpt-5.5 has no price" in text
    assert "2 thinking blocks" in text
    assert " ? " in Columns([unpriced]).line(unpriced)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "?"), (0.0, "$0.0000"), (0.00001234, "$0.0000123"), (1234.5, "$1,234.5000")],
)
def test_money_is_shown_with_its_digits(value: float | None, text: str) -> None:
    assert dollars(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.4, "0 ms"), (999.0, "999 ms"), (1250.0, "1.2 s")]
)
def test_durations_are_short(value: float | None, text: str) -> None:
    assert span(value) == text
