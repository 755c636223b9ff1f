from __future__ import annotations

import pytest

from dragoman.translate.chat.fold import ChatFold
from tests.support.chats import context, run
from tests.support.streams import completed, created, text_events


def test_half_an_answer_is_none() -> None:
    fold = ChatFold()
    for chunk in run([created(), *text_events(0, "msg_0", "Hel")], close=False).chunks:
        fold.add(chunk)
    with pytest.raises(ValueError, match="finish reason"):
        fold.completion()


def test_an_error_adds_nothing() -> None:
    fold = ChatFold()
    for chunk in run([created(), *text_events(0, "msg_0", "Hello."), completed()]).chunks:
        fold.add(chunk)
    before = fold.completion()
    fold.add({"error": {"message": "x"}})
    assert fold.completion() == before


def test_a_completion_is_complete() -> None:
    events = [created(), *text_events(0, "msg_0", "Hello."), completed()]
    assert run(events, context(plan={"include_usage": True})).completion == {
        "id": "chatcmpl-golden",
        "object": "chat.completion",
        "created": 1_780_000_000,
        "model": "gpt-golden",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello.", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 1200,
            "completion_tokens": 50,
            "total_tokens": 1250,
            "prompt_tokens_details": {"cached_tokens": 1000, "audio_tokens": 0, "cache_write_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 20,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": None,
    }


def test_an_empty_text_is_an_empty_content() -> None:
    """An answer that ended at its very first character is still a text."""
    events = [created(), *text_events(0, "msg_0", "END"), completed()]
    answer = run(events, context(plan={"stop_sequences": ["END"]}))
    assert answer.message["content"] == ""
    assert answer.finish == ["stop"]
