"""From steps to events: order, indexes, schemas."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator.answer import Event, Frame, Mint, Pause, Verbatim, Voice, items
from dragoman.simulator.steps import Step, parse
from tests.support.simulated import check_event


def voice(**more: Any) -> Voice:
    return Voice(
        Mint(1),
        lambda item, following, tokens, size: f"gAAAAA{item}:{following}:{tokens}",
        lambda item, tokens, size: f"gAAAAAcompact:{tokens}",
        **more,
    )


def frames(steps: list[Any], **more: Any) -> tuple[list[Frame], Voice]:
    speaking = voice(**more)
    return list(items(parse(steps, "steps"), speaking)), speaking


def events(steps: list[Any], **more: Any) -> list[Event]:
    """Events as they would be sent, each checked against OpenAI's schema."""
    found = [frame for frame in frames(steps, **more)[0] if isinstance(frame, dict)]
    for number, event in enumerate(found):
        check_event({**event, "sequence_number": number})
    return found


def types(found: list[Event]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in found]


def test_a_message_in_the_documented_order() -> None:
    note = {"url": "https://e.com/a", "title": "A", "text": "b"}
    found = events([{"message": {"text": "a b", "chunks": 2, "phase": "commentary", "annotations": [note]}}])
    assert types(found) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
    ]
    item = found[-1]["item"]
    assert (item["phase"], item["status"], item["content"][0]["text"]) == ("commentary", "completed", "a b")
    assert item["content"][0]["annotations"][0] == {
        "type": "url_citation",
        "url": "https://e.com/a",
        "title": "A",
        "start_index": 2,
        "end_index": 3,
    }


def test_a_refusal_is_a_message_with_another_part() -> None:
    found = events([{"refusal": "I cannot"}])
    assert "refusal.delta" in types(found)
    assert types(found)[-3] == "refusal.done"
    assert found[-1]["item"]["content"] == [{"type": "refusal", "refusal": "I cannot"}]


def test_reasoning_has_summaries_and_the_whole_seal_only_when_done() -> None:
    found = events([{"reasoning": {"summary": ["one", "two"], "tokens": 9}}, {"message": "x"}])
    assert types(found)[:9] == [
        "output_item.added",
        *["reasoning_summary_part.added", "reasoning_summary_text.delta"],
        *["reasoning_summary_text.done", "reasoning_summary_part.done"],
        *["reasoning_summary_part.added", "reasoning_summary_text.delta"],
        *["reasoning_summary_text.done", "reasoning_summary_part.done"],
    ]
    added, done = found[0]["item"], found[9]["item"]
    assert done["encrypted_content"].endswith(":message:9")
    assert done["encrypted_content"].startswith(added["encrypted_content"])
    assert added["encrypted_content"] != done["encrypted_content"]
    assert [part["text"] for part in done["summary"]] == ["one", "two"]


@pytest.mark.parametrize(
    ("following", "kind"),
    [
        ([{"function_call": {"name": "f"}}], "function_call"),
        ([{"comment": "c"}, {"web_search": ["q"]}], "web_search_call"),
        ([{"interleave": [{"function_call": {"name": "f"}}]}], "function_call"),
        ([{"interleave": []}], ""),
        ([], ""),
    ],
)
def test_a_seal_names_the_item_that_follows(following: list[Any], kind: str) -> None:
    found = events([{"reasoning": {"tokens": 5}}, *following])
    done = next(event for event in found if event["type"] == "response.output_item.done")
    assert done["item"]["encrypted_content"].split(":")[1] == kind


def test_summaries_and_seals_only_where_wanted() -> None:
    bare = events([{"reasoning": {"summary": ["one"]}}], summaries=False, encrypted=False)
    assert types(bare) == ["output_item.added", "output_item.done"]
    assert "encrypted_content" not in bare[1]["item"]
    unsealed = events([{"reasoning": {"summary": [], "sealed": False}}])
    assert "encrypted_content" not in unsealed[1]["item"]


def test_raw_reasoning_of_open_models() -> None:
    found = events([{"reasoning_text": {"text": "thinking aloud", "chunks": 2}}])
    assert types(found)[1:4] == ["reasoning_text.delta", "reasoning_text.delta", "reasoning_text.done"]
    assert found[-1]["item"]["content"] == [{"type": "reasoning_text", "text": "thinking aloud"}]
    assert "encrypted_content" not in found[-1]["item"]
    assert "encrypted_content" in events([{"reasoning_text": {"text": "t", "sealed": True}}])[-1]["item"]


def test_arguments_are_split_where_told() -> None:
    step = {"function_call": {"name": "Read", "arguments": '{"a":"b"}', "split": [3, 5], "call_id": "c1"}}
    found = events([step])
    deltas = [event["delta"] for event in found if event["type"].endswith(".delta")]
    assert deltas == ['{"a', '":', '"b"}']
    item = found[-1]["item"]
    assert (item["call_id"], item["name"], item["arguments"], item["status"]) == (
        "c1",
        "Read",
        '{"a":"b"}',
        "completed",
    )


def test_arguments_may_come_whole_and_with_a_namespace() -> None:
    step = {"function_call": {"name": "f", "arguments": "{}", "deltas": False, "namespace": "ns"}}
    found = events([step])
    assert types(found) == ["output_item.added", "function_call_arguments.done", "output_item.done"]
    assert found[-1]["item"]["namespace"] == "ns"
    assert found[0]["item"]["call_id"].startswith("call_")


def test_custom_calls() -> None:
    found = events([{"custom_tool_call": {"name": "patch", "input": "*** Begin", "split": [3]}}])
    assert types(found)[1:4] == [
        "custom_tool_call_input.delta",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
    ]
    assert found[-1]["item"]["input"] == "*** Begin"


def test_a_search_shows_its_sources_when_done_and_lends_its_notes_to_the_message() -> None:
    search = {
        "queries": ["q"],
        "sources": ["https://e.com/a", {"url": "https://e.com/b"}],
        "annotations": [{"url": "https://e.com/a"}],
    }
    found = events([{"web_search": search}, {"message": "text"}, {"message": "more"}])
    assert types(found)[1:4] == [
        f"web_search_call.{word}" for word in ("in_progress", "searching", "completed")
    ]
    assert "sources" not in found[0]["item"]["action"]
    assert [source["url"] for source in found[4]["item"]["action"]["sources"]] == [
        "https://e.com/a",
        "https://e.com/b",
    ]
    notes = [event["annotation"] for event in found if "annotation" in event["type"]]
    assert len(notes) == 1
    assert (notes[0]["title"], notes[0]["start_index"], notes[0]["end_index"]) == ("https://e.com/a", 0, 4)
    assert "sources" not in events([{"web_search": search}], sources=False)[-1]["item"]["action"]


@pytest.mark.parametrize(
    ("args", "action"),
    [
        ({"action": "open_page", "url": "https://e.com/"}, {"type": "open_page", "url": "https://e.com/"}),
        (
            {"action": "find_in_page", "queries": ["needle"]},
            {"type": "find_in_page", "url": "https://example.com/", "pattern": "needle"},
        ),
        ({"status": "failed"}, {"type": "search", "query": "example", "queries": ["example"], "sources": []}),
    ],
)
def test_other_search_actions(args: dict[str, Any], action: dict[str, Any]) -> None:
    done = events([{"web_search": args}])[-1]["item"]
    assert done["action"] == action
    assert done["status"] == args.get("status", "completed")


def test_images_and_compactions() -> None:
    found = events(
        [{"image_generation": {"result": "aGk=", "partial_images": ["aA=="]}}, {"compaction": {"tokens": 9}}]
    )
    assert types(found)[1:5] == [
        "image_generation_call.in_progress",
        "image_generation_call.generating",
        "image_generation_call.partial_image",
        "image_generation_call.completed",
    ]
    assert found[-1]["item"]["encrypted_content"] == "gAAAAAcompact:9"


def test_indexes_run_over_items_only() -> None:
    found = events([{"message": "a"}, {"comment": "x"}, {"sleep_ms": 1}, {"function_call": {"name": "f"}}])
    added = [event["output_index"] for event in found if event["type"] == "response.output_item.added"]
    assert added == [0, 1]


def test_interleaved_calls_take_turns() -> None:
    call = {"function_call": {"name": "f", "arguments": "abcdef", "split": [2, 4]}}
    found = events([{"interleave": [call, call]}, {"message": "x"}])
    indexes = [event["output_index"] for event in found if event["type"].endswith("arguments.delta")]
    assert indexes == [0, 1, 0, 1, 0, 1]
    assert found[-1]["output_index"] == 2


def test_finished_items_are_collected_in_order() -> None:
    _, speaking = frames([{"reasoning": {}}, {"message": "a"}])
    assert [item["type"] for item in speaking.output] == ["reasoning", "message"]


def test_the_done_event_can_be_withheld() -> None:
    found, speaking = frames([{"message": "a"}], done_items=False)
    assert all(isinstance(frame, dict) and frame["type"] != "response.output_item.done" for frame in found)
    assert speaking.output[0]["content"][0]["text"] == "a"


def test_disturbances() -> None:
    found, _ = frames(
        [{"comment": "hi"}, "keepalive", {"sleep_ms": 7}, {"raw_event": {"type": "odd"}}, {"raw_event": "x"}]
    )
    assert found == [
        Verbatim(b": hi\n\n"),
        {"type": "keepalive"},
        Pause(7.0),
        {"type": "odd"},
        Verbatim(b"x"),
    ]


def test_a_cut_item_is_incomplete() -> None:
    speaking = voice()
    steps = [Step("message", {"text": "ab"}, cut=True), Step("reasoning", {"tokens": 1}, cut=True)]
    list(items(steps, speaking))
    assert [item["status"] for item in speaking.output] == ["incomplete", "incomplete"]


def test_obfuscation_and_empty_texts() -> None:
    found = events([{"message": "abc"}, {"message": ""}], obfuscate=True, chunk_chars=2)
    deltas = [event for event in found if event["type"].endswith(".delta")]
    assert [event["delta"] for event in deltas] == ["ab", "c"]
    assert all(event["obfuscation"] for event in deltas)


def test_ids_are_deterministic_and_distinct() -> None:
    one, other = Mint(1), Mint(1)
    made = [one.new("msg") for _ in range(3)]
    assert made == [other.new("msg") for _ in range(3)]
    assert len(set(made)) == 3
    assert len(made[0]) == len("msg_") + 32
    assert Mint(2).new("msg") != made[0]
