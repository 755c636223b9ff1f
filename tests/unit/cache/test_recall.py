"""The bounded memory of argument strings."""

from __future__ import annotations

import pytest

from dragoman.cache.recall import Recall


def test_the_models_own_spelling_is_remembered_letter_for_letter() -> None:
    recall = Recall()
    raw = '{"b": 1.0, "a":"\\u00e9"}'
    recall.remember("laptop", {"call_1": raw})
    known = recall.of("laptop")
    assert known["call_1"] == known.get("call_1") == raw
    assert "call_1" in known
    assert (list(known), len(known)) == (["call_1"], 1)


def test_what_is_not_known_is_missing() -> None:
    known = Recall().of("laptop")
    assert known.get("call_1") is None
    assert "call_1" not in known
    with pytest.raises(KeyError):
        known["call_1"]


def test_tenants_do_not_see_each_other() -> None:
    recall = Recall()
    recall.remember("laptop", {"call_1": "{}"})
    recall.remember("desktop", {"call_2": "{}"})
    assert list(recall.of("laptop")) == ["call_1"]
    assert recall.of("desktop").get("call_1") is None
    assert len(recall.of("nobody")) == 0


def test_a_call_id_that_is_used_again_takes_the_later_string() -> None:
    recall = Recall()
    recall.remember("laptop", {"call_1": "{}"})
    held = recall.held
    recall.remember("laptop", {"call_1": '{"a":1}'})
    assert recall.of("laptop")["call_1"] == '{"a":1}'
    assert recall.held == held + 5
    assert len(recall) == 1


def test_the_longest_unused_string_goes_first() -> None:
    recall = Recall(entries=3)
    recall.remember("laptop", {"a": "1", "b": "2", "c": "3"})
    assert recall.of("laptop")["a"] == "1"  # read: used
    recall.remember("laptop", {"d": "4"})
    assert list(recall.of("laptop")) == ["c", "a", "d"]


def test_memory_is_bounded_in_bytes() -> None:
    recall = Recall(size=100_000)
    for number in range(200):
        recall.remember("laptop", {f"call_{number}": "x" * 5000})
    assert recall.held <= 100_000
    assert 10 < len(recall) < 20


def test_one_huge_string_does_not_push_out_all_others() -> None:
    recall = Recall(size=100_000)
    recall.remember("laptop", {"small": "{}"})
    recall.remember("laptop", {"huge": "x" * 50_000})
    assert list(recall.of("laptop")) == ["small"]
    recall.remember("laptop", {"small": "x" * 50_000})
    assert len(recall) == 0
    assert recall.held == 0


def test_what_is_learnt_once_stays() -> None:
    """The same text may be said again in another phase: what was sent is sent like that again."""
    recall = Recall()
    recall.learn("laptop", {"a": "commentary", "b": ""})
    recall.learn("laptop", {"a": "final_answer", "b": "final_answer", "c": "final_answer"})
    recall.learn("desktop", {"a": "final_answer"})
    assert dict(recall.of("laptop")) == {"a": "commentary", "b": "", "c": "final_answer"}
    assert dict(recall.of("desktop")) == {"a": "final_answer"}
    assert len(recall) == 4
