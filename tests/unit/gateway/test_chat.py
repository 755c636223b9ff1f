"""Chat Completions as turns: their words on the wire, what they ask of a pool, what they leave behind."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.gateway.chat import ChatCompletions
from dragoman.gateway.house import House
from dragoman.gateway.ports import Principal
from dragoman.translate.messages.failure import Cause, UpstreamFailure
from dragoman.wire import jsonio, sse
from dragoman.wire.errors import Failure, Kind, Refused
from tests.support.turns import ACCOUNT, admit, answered, house, row
from tests.support.upstream import completed, created, delta, failed

CHAT = ChatCompletions()
LOOK = {"type": "function", "function": {"name": "look"}}


def request(*answers: str, **fields: Any) -> dict[str, Any]:
    """A chat after so many answers."""
    said: list[dict[str, Any]] = [
        {"role": "system", "content": "You look out. " * 400},
        {"role": "user", "content": "What do you see?"},
    ]
    for text in answers:
        said += [{"role": "assistant", "content": text}, {"role": "user", "content": "And now?"}]
    return {"model": "gpt-5.5", "messages": said, **fields}


def begun(made: House | None = None, **fields: Any) -> Any:
    """A turn with its first attempt."""
    turn = admit(CHAT, made or house(), request(**fields))
    turn.prepare(ACCOUNT, frozenset(), False, started=False)
    return turn


def frames(data: bytes) -> list[Any]:
    return [
        "[DONE]" if event.data == b"[DONE]" else jsonio.parse(event.data)
        for event in sse.Decoder().feed(data)
    ]


def test_the_mark_of_the_end_follows_the_last_chunk_and_nothing_else() -> None:
    turn = begun(stream=True)
    first = turn.encode(turn.feed([created(), delta("Hello")]))
    assert sse.DONE not in first and not turn.over
    last = turn.encode(turn.feed([completed()]))
    assert frames(last)[-1] == "[DONE]" and turn.over and turn.complete
    assert frames(last)[-2]["choices"][0]["finish_reason"] == "stop"


def test_an_error_behind_the_head_is_followed_by_the_mark_of_the_end() -> None:
    turn = begun()
    assert [delta["choices"][0]["delta"]["role"] for delta in turn.begin()] == ["assistant"]
    told = frames(turn.encode(turn.refuse(Failure(Kind.OVERLOADED, "No capacity."))))
    assert told[0]["error"]["message"] == "No capacity." and told[1:] == ["[DONE]"]
    assert turn.client_failure == Failure(Kind.OVERLOADED, "No capacity.")


def test_a_failed_attempt_is_no_end() -> None:
    """Another attempt may follow: neither error nor mark is written, and the role still can be."""
    turn = begun()
    assert turn.feed([created(), failed("server_error")]) == []
    assert turn.over and turn.failure is not None and turn.client_failure is None
    opening = turn.encode(turn.begin())
    assert frames(opening)[0]["choices"][0]["delta"]["role"] == "assistant"
    assert sse.DONE not in opening
    turn.prepare(ACCOUNT, frozenset(), False, started=True)
    chunks = turn.feed([created(), delta("Hello"), completed()])
    assert not any("role" in choice["delta"] for chunk in chunks for choice in chunk["choices"])


def test_a_broken_stream_is_told_in_openais_words() -> None:
    turn = begun()
    turn.feed([created(), delta("Hello")])
    [error] = turn.break_off(UpstreamFailure(Cause.CUT, ""))
    assert error["error"]["code"] == "upstream_error"
    overflow = turn.explain(UpstreamFailure(Cause.CONTEXT, "300000 tokens, limit 272000"))
    assert (overflow.kind, overflow.param) == (Kind.CONTEXT_OVERFLOW, "messages")


def test_every_attempt_is_the_same_answer() -> None:
    """Id and time are those of the request, whoever serves it in the end."""
    turn = begun()
    first = turn.begin()[0]
    turn.prepare(ACCOUNT, frozenset(), False, started=True)
    second = turn.feed([created(), delta("Hello")])[0]
    assert {first[name] == second[name] for name in ("id", "created", "model")} == {True}
    assert first["id"].startswith("chatcmpl-") and first["created"] == 1_780_001_000


def test_a_whole_answer_is_the_fold_of_its_chunks() -> None:
    turn = begun(stream=False)
    turn.collect(turn.feed([created(), delta("Hel"), delta("lo")]))
    whole = turn.fold(turn.feed([completed(total=12, output=3, cached=4)]))
    assert whole["object"] == "chat.completion"
    assert whole["choices"][0]["message"]["content"] == "Hello"
    assert whole["usage"]["prompt_tokens_details"]["cached_tokens"] == 4
    assert turn.whole() == whole
    assert turn.immediate() is None


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({}, None),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 9}, 9),
        ({"max_tokens": 7, "max_completion_tokens": 9}, 9),
    ],
)
def test_the_newer_output_limit_counts(fields: dict[str, Any], limit: int | None) -> None:
    assert admit(CHAT, house(), request(**fields)).bounds() == (272_000, limit)


def test_the_row_names_model_lineage_and_figures() -> None:
    into = row()
    turn = admit(CHAT, house(), request(tools=[LOOK], seed=7), into)
    assert (into.requested_model, into.upstream_model, into.lane) == ("gpt-5.5", "gpt-5.5", "main")
    assert into.lineage and into.session_hash and into.conversation_hash
    turn.settle(into)
    assert into.usage_source == "none"  # nothing was sent
    turn.prepare(ACCOUNT, frozenset(), False, started=False)
    turn.feed([created(), delta("Hello"), completed(total=2000, output=5, cached=1024)])
    turn.settle(into)
    assert (into.input_tokens, into.cached_tokens, into.output_tokens) == (2000, 1024, 5)
    assert (into.usage_source, into.stop_reason, into.cache_verdict) == ("measured", "stop", "first_turn")
    assert into.ignored_fields == ["seed"]


def test_a_model_that_the_key_may_not_use_is_refused_with_its_name_in_the_row() -> None:
    into = row()
    narrow = Principal("narrow", tenant="narrow", models=("claude-*",))
    with pytest.raises(Refused) as refused:
        CHAT.admit(house(), narrow, {}, request(), into)
    assert refused.value.failure.kind is Kind.PERMISSION
    assert into.requested_model == "gpt-5.5"


def test_what_a_pool_asks() -> None:
    """The affinity is the session's; what its last turn left in a cache is counted in whole blocks."""
    made = house()
    before = admit(CHAT, made, request(tools=[LOOK]))
    assert before.affinity is not None and before.cached_tokens() == 0
    answered(CHAT, made, request(tools=[LOOK]), total=2000)
    after = admit(CHAT, made, request("A sail.", tools=[LOOK]))
    assert after.affinity == before.affinity
    assert after.cached_tokens() == 1920
    stranger = admit(CHAT, made, request(system="x") | {"messages": [{"role": "user", "content": "Hi"}]})
    assert stranger.cached_tokens() == 0 and stranger.affinity != before.affinity
    nobody = admit(CHAT, made, {"model": "gpt-5.5", "messages": [{"role": "user", "content": ""}]})
    assert nobody.affinity is None and nobody.cached_tokens() == 0


def test_the_second_turn_is_explained_by_the_first() -> None:
    made = house()
    answered(CHAT, made, request(), total=2000)
    _, second = answered(CHAT, made, request("Hello"), total=2100, cached=1920)
    assert second.cache_verdict == "hit"


@pytest.mark.parametrize("field", ["tools", "functions"])
def test_tools_keep_the_order_in_which_they_were_sent(field: str) -> None:
    """B108."""
    made = house()
    named = [{"name": name} for name in ("look", "steer", "anchor")]
    tools: list[Any] = (
        named if field == "functions" else [{"type": "function", "function": one} for one in named]
    )
    answered(CHAT, made, request(**{field: tools}))
    turn = admit(CHAT, made, request("Hello", **{field: tools[::-1]}))
    body, _ = turn.prepare(ACCOUNT, frozenset(), False, started=False)
    assert [tool["name"] for tool in jsonio.parse(body)["tools"]] == ["look", "steer", "anchor"]


def test_a_held_stream_does_not_hold_its_prompt() -> None:
    turn = begun(tools=[LOOK])
    turn.commit()
    assert "You look out" not in repr(vars(turn))
    assert turn.cached_tokens() == 0 and turn.bounds() == (272_000, None)
    with pytest.raises(RuntimeError, match="no attempt"):
        admit(CHAT, house(), request()).begin()
