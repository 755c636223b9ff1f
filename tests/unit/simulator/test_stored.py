"""Stored responses."""

from __future__ import annotations

import pytest

from dragoman.simulator import stored as module
from dragoman.simulator.refusal import Refused
from dragoman.simulator.stored import Store, Stored
from tests.support.simulated import user

RESPONSE = {"id": "resp_1", "output": [{"type": "message", "id": "msg_1"}, {"type": "odd"}]}


def test_kept_found_and_deleted_within_its_scope() -> None:
    store = Store()
    store.keep("org", RESPONSE, [user("a")])
    assert store.get("org", "resp_1").response is RESPONSE
    assert store.items_of("org") == {"msg_1"}
    assert store.items_of("other") == frozenset()
    with pytest.raises(Refused, match="not found"):
        store.get("other", "resp_1")
    store.delete("org", "resp_1")
    with pytest.raises(Refused, match="resp_1"):
        store.get("org", "resp_1")


def test_the_past_comes_before_the_new_input() -> None:
    store = Store()
    store.keep("org", RESPONSE, [user("a")])
    body = {"previous_response_id": "resp_1", "input": "b"}
    merged = store.merged("org", body)
    assert merged is not None
    assert [item.get("role") or item.get("id") or item["type"] for item in merged] == [
        "user",
        "msg_1",
        "odd",
        "user",
    ]
    assert store.merged("org", {"input": "b"}) is None
    with pytest.raises(Refused) as caught:
        store.merged("other", body)
    assert caught.value.answer.breach == "previous_response"


def test_a_connection_remembers_its_own() -> None:
    own = Stored("org", {"id": "resp_9", "output": []}, [user("a")])
    merged = Store().merged("org", {"previous_response_id": "resp_9", "input": []}, own)
    assert merged == [user("a")]


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STORED", 2)
    store = Store()
    for number in range(4):
        store.keep("org", {"id": f"resp_{number}", "output": []}, [])
    with pytest.raises(Refused):
        store.get("org", "resp_1")
    assert store.get("org", "resp_3").items == []
