"""Responses as turns: what they ask of a pool, what they refuse before anything is sent, what they leave."""

from __future__ import annotations

from typing import Any, cast

import pytest

from dragoman.gateway.compaction import Compaction
from dragoman.gateway.house import House
from dragoman.gateway.ports import Account, Answer, Row, UpstreamError
from dragoman.gateway.responses import Responses
from dragoman.translate.messages.failure import Cause, UpstreamFailure
from dragoman.wire import jsonio
from dragoman.wire.errors import Failure, Kind, Refused
from tests.support.turns import ACCOUNT, admit, house, row
from tests.support.upstream import completed, created, delta, frame

RESPONSES = Responses()
CHATGPT = Account("b", "chatgpt", "tag-b")
LONG = "You look out. " * 600


def request(*answers: str, **fields: Any) -> dict[str, Any]:
    """A conversation after so many answers."""
    items: list[dict[str, Any]] = [
        {"role": "developer", "content": LONG},
        {"role": "user", "content": "What?"},
    ]
    for text in answers:
        items += [{"role": "assistant", "content": text}, {"role": "user", "content": "And now?"}]
    return {"model": "gpt-5.5", "input": items, "prompt_cache_key": "mine", **fields}


def frames(*events: dict[str, Any]) -> list[bytes]:
    return [frame(event).removesuffix(b"\n\n") for event in events]


def served(made: House, *answers: str, account: Account = ACCOUNT, **fields: Any) -> tuple[Any, Row]:
    """A turn that was answered and settled, and its row."""
    into = row()
    turn = admit(RESPONSES, made, request(*answers, **fields), into)
    turn.prepare(account, frozenset(), False, started=False)
    turn.feed(frames(created(), delta("Hello"), completed(total=3000, cached=2000)))
    turn.settle(into)
    return turn, into


def test_a_conversation_asks_for_its_account_and_knows_what_is_cached() -> None:
    made = house()
    first = admit(RESPONSES, made, request())
    assert first.affinity and first.cached_tokens() == 0
    _, told = served(made)
    assert (told.cache_verdict, told.input_tokens, told.cached_tokens) == ("first_turn", 3000, 2000)
    later = admit(RESPONSES, made, request("Hello"))
    assert later.affinity == first.affinity
    assert later.cached_tokens() == 3000 - 3000 % 128
    assert served(made, "Hello")[1].cache_verdict == "partial"


def test_who_is_unknown_asks_for_nobody() -> None:
    turn = admit(RESPONSES, house(), {"model": "gpt-5.5", "input": [{"role": "user", "content": ""}]})
    assert turn.affinity is None
    body, headers = turn.prepare(CHATGPT, frozenset(), False, started=False)
    assert "prompt_cache_key" not in jsonio.parse(body) and headers == {}


def test_what_an_account_cannot_do_is_found_before_anything_is_sent() -> None:
    turn = admit(RESPONSES, house(), request(tools=[{"type": "code_interpreter"}]))
    with pytest.raises(UpstreamError) as found:
        turn.prepare(CHATGPT, frozenset(), False, started=False)
    assert found.value.failure.cause is Cause.UNFIT
    told = turn.explain(found.value.failure)
    assert (told.kind, told.param, told.error_code) == (
        Kind.INVALID_REQUEST,
        "tools.0.type",
        "unsupported_parameter",
    )
    turn.prepare(ACCOUNT, frozenset(), False, started=False)


def test_a_response_is_continued_by_its_keeper_alone() -> None:
    made = house()
    served(made)
    turn = admit(RESPONSES, made, request(previous_response_id="resp_1"))
    turn.prepare(ACCOUNT, frozenset(), False, started=False)
    with pytest.raises(UpstreamError) as found:
        turn.prepare(Account("c", "openai", "tag-c"), frozenset(), False, started=False)
    assert turn.explain(found.value.failure).param == "previous_response_id"
    with pytest.raises(Refused, match="no response of this id"):
        admit(RESPONSES, made, request(previous_response_id="resp_2"))


@pytest.mark.parametrize("nobody", [{"store": False}, {"account": CHATGPT}])
def test_what_nobody_keeps_is_not_remembered(nobody: dict[str, Any]) -> None:
    made = house()
    served(made, **nobody)
    with pytest.raises(Refused):
        admit(RESPONSES, made, request(previous_response_id="resp_1"))


class _Headed:
    """An answer of which only the header fields are looked at."""

    complete = False

    def __init__(self, state: str) -> None:
        self.headers = {"x-codex-turn-state": state}

    def frames(self) -> None:
        return None


def test_the_backends_turn_state_comes_back_to_the_account_that_gave_it() -> None:
    made = house()
    asked = request(tools=[{"type": "function", "name": "look", "parameters": {}}])
    turn = admit(RESPONSES, made, asked)
    turn.prepare(CHATGPT, frozenset(), False, started=False)
    turn.read(cast("Answer", _Headed("pin-1")))
    results = [*asked["input"], {"type": "function_call_output", "call_id": "call_1", "output": "done"}]
    again = admit(RESPONSES, made, {**asked, "input": results})
    _, headers = again.prepare(CHATGPT, frozenset(), False, started=False)
    assert headers["x-codex-turn-state"] == "pin-1"
    for account in (ACCOUNT, Account("c", "chatgpt", "tag-c")):
        assert "x-codex-turn-state" not in again.prepare(account, frozenset(), False, started=False)[1]
    other_turn = admit(RESPONSES, made, asked)
    assert "x-codex-turn-state" not in other_turn.prepare(CHATGPT, frozenset(), False, started=False)[1]


def test_a_refusal_before_any_attempt_is_a_response_that_failed() -> None:
    turn = admit(RESPONSES, house(), request())
    told = turn.encode(turn.refuse(Failure(Kind.OVERLOADED, "No capacity.")))
    begun, failed, rest = told.split(b"\n\n")
    assert begun.startswith(b"event: response.created\n") and failed.startswith(b"event: response.failed\n")
    assert rest == b"" and b'"id":"resp_test"' in begun and b'"id":"resp_test"' in failed
    assert turn.client_failure is not None and turn.over and not turn.complete
    assert turn.begin() == [] and turn.encode([]) == b"" and turn.immediate() is None


def test_a_failed_attempt_leaves_nothing_behind() -> None:
    made, into = house(), row()
    turn = admit(RESPONSES, made, request(), into)
    turn.settle(into)
    assert into.usage_source == "none"
    with pytest.raises(RuntimeError):
        turn.whole()
    turn.prepare(ACCOUNT, frozenset(), False, started=False)
    assert turn.feed(frames(created())) == [] and turn.close() == []
    assert turn.failure is not None and turn.failure.cause is Cause.CUT
    turn.settle(into)
    assert into.usage_source == "none" and turn.cached_tokens() == 0
    assert turn.break_off(UpstreamFailure(Cause.TIMEOUT))


def test_a_compaction_sends_what_the_operation_takes_and_is_no_turn() -> None:
    made, into = house(), row()
    turn = admit(Compaction(), made, request(tools=[], temperature=1, max_output_tokens=100), into)
    assert turn.bounds()[1] is None and turn.suffix == "/compact"
    body, _ = turn.prepare(ACCOUNT, frozenset(), False, started=False)
    assert set(jsonio.parse(body)) == {"model", "input", "prompt_cache_key"}
    turn.feed(frames(completed(total=3000)))
    turn.settle(into)
    assert into.input_tokens == 3000 and into.cache_verdict is None
    assert admit(RESPONSES, made, request()).cached_tokens() == 0
    with pytest.raises(UpstreamError):
        turn.prepare(Account("r", "responses", "tag-r"), frozenset(), False, started=False)


def test_a_lineage_whose_reasoning_was_refused_is_marked() -> None:
    made = house()
    turn = admit(RESPONSES, made, request())
    turn.distrust_reasoning()
    sealed = {"type": "reasoning", "summary": [], "encrypted_content": "x"}
    again = admit(RESPONSES, made, request() | {"input": [*request()["input"], sealed]})
    body, _ = again.prepare(ACCOUNT, frozenset(), False, started=False)
    assert sealed not in jsonio.parse(body)["input"]
