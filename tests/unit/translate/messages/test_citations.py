from __future__ import annotations

from typing import Any

import pytest

from dragoman.translate.messages import citations
from dragoman.translate.messages.reasoning import open_search
from tests.support.streams import (
    SEAL,
    Answer,
    Event,
    call_events,
    citation,
    cited_events,
    context,
    created,
    delta,
    done,
    reasoning_events,
    run,
    search_events,
    text_events,
)
from tests.support.streams import completed as end

A, B = citation("https://a.example", 0, 4, "A"), citation("https://b.example", 0, 4, "B")


@pytest.mark.parametrize(
    ("url", "domains", "expected"),
    [
        ("https://example.com/x", ("example.com",), True),
        ("https://www.example.com", ("example.com",), True),
        ("https://example.com.", ("EXAMPLE.com",), True),
        ("https://badexample.com", ("example.com",), False),
        ("https://example.com.evil.net", ("example.com",), False),
        ("https://example.com/blog/a", ("example.com/blog",), True),
        ("https://example.com/blog", ("example.com/blog/",), True),
        ("https://example.com/blogger", ("example.com/blog",), False),
        ("https://example.com/", ("other.com", "example.com"), True),
        ("https://user@example.com:8443/x", ("example.com",), True),
        ("not a url", ("example.com",), False),
        ("http://[broken", ("example.com",), True),
        ("http://[broken", (), False),
    ],
)
def test_blocked_domains_cover_what_lies_below_them(
    url: str, domains: tuple[str, ...], expected: bool
) -> None:
    """B43."""
    assert citations.blocked(url, domains) is expected


@pytest.mark.parametrize(
    ("annotation", "text", "cited"),
    [
        (citation("https://a.example", 2, 5), "0123456789", "234"),
        (citation("https://a.example", 0, 500), "x" * 400, "x" * 150),
        (citation("https://a.example", 5, 2), "0123456789", ""),
        (citation("https://a.example", 90, 99), "0123456789", ""),
        (citation("https://a.example", 0, 2) | {"end_index": "x"}, "0123456789", ""),
        (citation("https://a.example", 0, 2) | {"start_index": -4}, "0123456789", "01"),
        (citation("https://a.example", 0, 1), "漢字", "漢"),
    ],
)
def test_a_citation_quotes_its_place(annotation: dict[str, Any], text: str, cited: str) -> None:
    """B66."""
    found = citations.citation(annotation, text, context())
    assert found is not None
    assert found["cited_text"] == cited
    assert found["title"] == "T"
    opened = open_search(found["encrypted_index"], SEAL.key)
    assert opened is not None
    assert opened.item["url"] == "https://a.example"


@pytest.mark.parametrize(
    "annotation",
    [
        {"type": "file_citation", "url": "https://a.example"},
        {"type": "url_citation"},
        {"type": "url_citation", "url": 7},
        citation("https://example.com", 0, 1),
    ],
)
def test_other_annotations_are_no_citations(annotation: dict[str, Any]) -> None:
    frame = context(plan={"blocked_domains": ["example.com"]})
    assert citations.citation(annotation, "text", frame) is None


def test_a_citation_without_title() -> None:
    found = citations.citation(citation("https://a.example", 0, 1) | {"title": 7}, "text", context())
    assert found is not None
    assert found["title"] is None


def test_the_whole_search_rides_on_its_first_result() -> None:
    """B30: so that a later turn can replay it."""
    events = search_events(0, "ws_0", "https://a.example", "https://b.example")
    answer = run([created(), *events, *text_events(1, "msg_1", "Found."), end()]).checked()
    results = answer.content[1]["content"]
    first, second = (open_search(result["encrypted_content"], SEAL.key) for result in results)
    assert first is not None
    assert second is not None
    assert first.item["type"] == "web_search_call"
    assert first.item["action"] == events[-1]["item"]["action"]
    assert second.item == {"type": "web_search_source", "url": "https://b.example"}
    assert answer.automaton.outcome.web_searches == 1


def test_a_search_without_text_is_an_answer() -> None:
    """A side request for a search reads the results; they are not nothing."""
    answer = run([created(), *search_events(0, "ws_0", "https://a.example"), end()]).checked()
    assert answer.message["stop_reason"] == "end_turn"


def test_a_search_that_never_ends_is_not_shown() -> None:
    answer = run([created(), *search_events(0, "ws_0")[:3], *text_events(1, "msg_1", "Hm."), end()]).checked()
    assert [block["type"] for block in answer.content] == ["text"]


def test_bent_searches_are_survived() -> None:
    item = {
        "type": "web_search_call",
        "id": "ws",
        "action": {"queries": [7, ""], "sources": ["x", {"url": 7}]},
    }
    bent = [item, item | {"action": "x", "results": "y"}, item | {"action": {"query": 7, "queries": 8}}]
    events = [done(index, one | {"id": f"ws_{index}"}) for index, one in enumerate(bent)]
    answer = run([created(), *events, end()]).checked()
    assert [block.get("content", block.get("input")) for block in answer.content] == [{"query": ""}, []] * 3


def test_the_same_annotation_is_told_once_and_odd_ones_not_at_all() -> None:
    part = {"item_id": "msg_0", "output_index": 0, "content_index": 0}
    kind = "response.output_text.annotation.added"
    events: list[dict[str, Any]] = [created(), *text_events(0, "msg_0", "Hello.")[:3]]
    for annotation in (
        citation("https://a.example", 0, 2),
        citation("https://a.example", 0, 2),
        "x",
        citation("https://a.example", 0, 2) | {"url": ["unhashable"]},
        None,
    ):
        events.append({"type": kind, "annotation": annotation} | part)
    events += [*text_events(0, "msg_0", "Hello.")[3:], {"type": kind, "annotation": None} | part, end()]
    content = run(events).checked().content
    assert len(content[0]["citations"]) == 1


# -- results that are owed -------------------------------------------------------------------------------


def pages(answer: Answer) -> list[Any]:
    """The blocks of an answer: their types, but of a result the titles of its pages, or "error"."""
    told: list[Any] = []
    for block in answer.checked().content:
        content = block.get("content")
        if isinstance(content, list):
            told.append([result["title"] for result in content])
        else:
            told.append(block["type"] if content is None else "error")
    return told


def test_text_is_not_held_back_for_a_result() -> None:
    """B66, B58: only the result waits, until its message is over."""
    answer = run([created(), *search_events(0, "ws_0")], close=False)
    assert answer.kinds[-1] == "content_block_stop"
    events = cited_events(1, "msg_1", "Found.", A)
    told = [[out["type"] for out in answer.automaton.feed(event)] for event in events]
    assert told[2:4] == [["content_block_start", "content_block_delta"], ["content_block_delta"]]
    assert told[-1] == ["content_block_stop", "content_block_start", "content_block_stop"]
    assert not any(told[4:-1])


def test_the_search_rides_on_the_first_page_that_is_cited() -> None:
    """B30, B66: whatever the order of the blocks, a later turn can replay it."""
    answer = run([created(), *search_events(0, "ws_0"), *cited_events(1, "msg_1", "Found.", B, A), end()])
    assert pages(answer) == ["server_tool_use", "text", ["B", "A"]]
    first, second = (
        open_search(found["encrypted_content"], SEAL.key) for found in answer.content[2]["content"]
    )
    assert first is not None and second is not None
    assert (first.item["type"], first.item["id"]) == ("web_search_call", "ws_0")
    assert second.item == {"type": "web_search_source", "url": "https://a.example"}


def test_titles_come_from_whoever_knows_them() -> None:
    """The first citation that has one, then the search's own results, then the address."""
    known = [
        {"url": "https://a.example", "title": "Of the search"},
        {"url": "https://b.example", "title": "B0"},
    ]
    search = search_events(0, "ws_0", results=known)
    notes = [
        A | {"title": None},
        A | {"start_index": 1},
        B | {"title": ""},
        citation("https://c.example", 0, 1, ""),
    ]
    answer = run([created(), *search, *cited_events(1, "msg_1", "Found.", *notes), end()])
    assert pages(answer)[-1] == ["A", "B0", "https://c.example"]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([*search_events(0, "w0"), *text_events(1, "m", "x")], ["server_tool_use", "text", []]),
        ([*search_events(0, "w0")], ["server_tool_use", []]),
        (
            [*search_events(0, "w0"), *search_events(1, "w1"), *cited_events(2, "m", "x", A)],
            ["server_tool_use", [], "server_tool_use", "text", ["A"]],
        ),
        (
            [
                *search_events(0, "w0"),
                *search_events(1, "w1", status="failed"),
                *cited_events(2, "m", "x", A),
            ],
            ["server_tool_use", "server_tool_use", "error", "text", ["A"]],
        ),
        (
            [*search_events(0, "w0"), *text_events(1, "m", "x"), *cited_events(2, "n", "y", A)],
            ["server_tool_use", "text", "text", ["A"]],
        ),
        (
            [*search_events(0, "w0"), *cited_events(1, "m", "x", A), *cited_events(2, "n", "y", B)],
            ["server_tool_use", "text", ["A"], "text"],
        ),
        (
            [*search_events(0, "w0"), *reasoning_events(1, "r", "Hm."), *cited_events(2, "n", "y", B)],
            ["server_tool_use", "thinking", "text", ["B"]],
        ),
        (
            [*search_events(0, "w0"), *call_events(1, 1, "Bash", "{}"), *cited_events(2, "n", "y", B)],
            ["server_tool_use", [], "tool_use", "text"],
        ),
        (
            [*cited_events(0, "m", "x", A), *search_events(1, "w1")],
            ["text", "server_tool_use", []],
        ),
        (
            [
                *search_events(0, "w0", "https://a.example"),
                *search_events(1, "w1"),
                *cited_events(2, "m", "x", A),
            ],
            ["server_tool_use", ["https://a.example"], "server_tool_use", [], "text"],
        ),
    ],
)
def test_each_search_is_answered_once_in_its_place(events: list[Event], expected: list[Any]) -> None:
    """B66, behaviours S1."""
    assert pages(run([created(), *events, end()])) == expected


def test_a_search_behind_an_end_of_ours_is_owed_nothing() -> None:
    """B37: the cap ends the answer, whatever comes."""
    frame = context(plan={"visible_cap": 1})
    whole = end(
        [
            {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "one two"}]},
            search_events(1, "w")[-1]["item"],
        ]
    )
    assert pages(run([created(), whole], frame)) == ["text"]


def test_an_answer_that_breaks_off_makes_up_no_result() -> None:
    """B69, D20: also where the gateway gives up."""
    events = [created(), *search_events(0, "ws_0"), *cited_events(1, "msg_1", "Found.", A)[:4]]
    assert run(events).checked().kinds[-2:] == ["content_block_delta", "error"]
    half = delta("function_call_arguments", "ws_0", 0, "{}")
    assert run([*events, half]).checked().kinds[-2:] == ["content_block_delta", "error"]
