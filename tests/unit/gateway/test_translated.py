"""What every translated dialect does with a turn, put to both of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.gateway.chat import ChatCompletions
from dragoman.gateway.dialects import Dialect
from dragoman.gateway.messages import Messages
from dragoman.gateway.ports import Account
from dragoman.gateway.turn import DISTRUSTED, IGNORED
from dragoman.translate.messages.welljson import COMMA, CONTROLS
from dragoman.translate.models import Alias
from dragoman.wire import jsonio
from tests.support.streams import added, call_events, done, message
from tests.support.turns import ACCOUNT, admit, house, row
from tests.support.upstream import completed, created, delta

DIALECTS: dict[str, Dialect] = {"messages": Messages(), "chat": ChatCompletions()}


@pytest.fixture(params=sorted(DIALECTS))
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return DIALECTS[request.param]


def request(**fields: Any) -> dict[str, Any]:
    """One that both dialects understand."""
    question = {"role": "user", "content": "What do you see at sea?"}
    return {"model": "gpt-5.5", "max_tokens": 5000, "messages": [question], **fields}


def test_lane_headers_go_where_an_upstream_routes_by_them(dialect: Dialect) -> None:
    turn = admit(dialect, house(), request())
    assert turn.prepare(ACCOUNT, frozenset(), False, started=False)[1] == {}
    body, headers = turn.prepare(Account("b", "chatgpt", "tag-b"), frozenset(), False, started=False)
    assert set(headers) == {"session-id", "thread-id", "x-client-request-id"}
    assert len(set(headers.values())) == 1
    assert jsonio.parse(body)["prompt_cache_key"]
    assert turn.head()["x-dragoman-account"] == "tag-b"


def test_a_request_of_nobody_has_no_identity_to_send(dialect: Dialect) -> None:
    into = row()
    turn = admit(dialect, house(), request(messages=[{"role": "user", "content": ""}]), into)
    body, headers = turn.prepare(Account("b", "chatgpt", "tag-b"), frozenset(), False, started=False)
    assert headers == {} and "prompt_cache_key" not in jsonio.parse(body)
    assert (into.lineage, into.session_hash) == ("", None)
    assert turn.affinity is None


def test_the_alias_and_its_effort_are_noted(dialect: Dialect) -> None:
    into = row()
    aliases = [Alias("claude-*", "gpt-5.5", "high")]
    turn = admit(dialect, house(aliases), request(model="claude-x"), into)
    turn.prepare(ACCOUNT, frozenset(), False, started=False)
    assert (turn.requested, turn.model) == ("claude-x", "gpt-5.5")
    assert (into.requested_model, into.upstream_model, into.effort) == ("claude-x", "gpt-5.5", "high")


def test_so_many_ignored_fields_are_named_and_no_more(dialect: Dialect) -> None:
    into = row()
    many = {f"unknown_{place:03}": 1 for place in range(IGNORED + 5)}
    admit(dialect, house(), request(**many), into).prepare(ACCOUNT, frozenset(), False, started=False)
    assert len(into.ignored_fields) == IGNORED


def test_distrusted_conversations_are_few(dialect: Dialect) -> None:
    made = house()
    made.without_reasoning.update(dict.fromkeys(map(str, range(DISTRUSTED))))
    turn = admit(dialect, made, request())
    turn.distrust_reasoning()
    assert len(made.without_reasoning) == DISTRUSTED
    assert "0" not in made.without_reasoning


def test_an_answer_without_figures_is_kept_as_an_estimate(dialect: Dialect) -> None:
    into = row()
    made = house()
    turn = admit(dialect, made, request(), into)
    turn.prepare(ACCOUNT, frozenset(), False, started=False)
    turn.feed([created(), delta("Hello")])
    turn.settle(into)
    assert into.usage_source == "estimated" and into.input_tokens > 0
    assert len(made.turns) == 1


# -- phases ----------------------------------------------------------------------------------------------


def said(item_id: str, text: str, phase: str | None = None) -> list[dict[str, Any]]:
    """A message of the upstream's, whole."""
    fields = {} if phase is None else {"phase": phase}
    return [added(0, message(item_id)), done(0, message(item_id, text, **fields))]


def spoken_to(*history: str) -> list[dict[str, Any]]:
    """A conversation after so many answers."""
    messages = [{"role": "user", "content": "What do you see?"}]
    for text in history:
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": "And now?"}]
    return messages


def sent(dialect: Dialect, made: Any, *history: str, answer: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The input that was sent for a conversation of so many answers, which is then answered."""
    into = row()
    turn = admit(dialect, made, request(messages=spoken_to(*history)), into)
    body, _ = turn.prepare(ACCOUNT, frozenset(), False, started=False)
    turn.feed([created(), *answer, completed()])
    turn.settle(into)
    items: list[dict[str, Any]] = jsonio.parse(body)["input"]
    return items


def spoken_in(items: list[dict[str, Any]]) -> list[str | None]:
    return [item.get("phase") for item in items if item["role"] == "assistant"]


def test_a_text_goes_back_in_the_phase_it_was_said_in(dialect: Dialect) -> None:
    """B103: and stays in it, whatever else is said."""
    made = house()
    first = sent(dialect, made, answer=said("m1", "The sea.", "commentary"))
    second = sent(dialect, made, "The sea.", answer=said("m2", "A ship."))
    third = sent(dialect, made, "The sea.", "A ship.", answer=said("m3", "The sea.", "final_answer"))
    last = sent(dialect, made, "The sea.", "A ship.", "The sea.", answer=said("m4", "Land."))
    assert spoken_in(last) == ["commentary", "final_answer", "commentary"]
    for before, after in ((first, second), (second, third), (third, last)):
        assert after[: len(before)] == before


def test_a_phase_that_was_guessed_stays_when_the_text_is_said_again(dialect: Dialect) -> None:
    """B103: after a restart nothing is known, and the history that was sent must not change under it."""
    made = house()
    first = sent(dialect, made, "The sea.", answer=said("m2", "The sea.", "commentary"))
    second = sent(dialect, made, "The sea.", "The sea.", answer=said("m3", "Land."))
    assert spoken_in(second) == ["final_answer", "final_answer"]
    assert second[: len(first)] == first


def test_a_phase_that_is_on_its_way_stays_whatever_another_conversation_hears(dialect: Dialect) -> None:
    made = house()
    turn = admit(dialect, made, request(messages=spoken_to("The sea.")))
    body, _ = turn.prepare(ACCOUNT, frozenset(), False, started=False)
    sent(dialect, made, "A ship.", answer=said("m2", "The sea.", "commentary"))
    assert sent(dialect, made, "The sea.", answer=said("m3", "Land.")) == jsonio.parse(body)["input"]


@given(
    turns=st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from(["Aye.", "No.", "The sea."]),
            st.sampled_from(["commentary", "final_answer", None]),
        ),
        max_size=12,
    )
)
def test_each_turn_extends_the_one_before_whatever_is_said(
    turns: list[tuple[bool, str, str | None]],
) -> None:
    """B103: for two conversations at a time, which say the same texts in different phases."""
    made = house()
    talks: dict[bool, list[str]] = {True: ["Aye."], False: []}
    before: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for which, text, phase in turns:
        dialect = DIALECTS["messages" if which else "chat"]
        items = sent(dialect, made, *talks[which], answer=said("m1", text, phase))
        assert items[: len(before[which])] == before[which]
        before[which] = items
        talks[which].append(text)


def test_phases_are_kept_for_each_tenant_alone(dialect: Dialect) -> None:
    made = house()
    sent(dialect, made, answer=said("m1", "The sea.", "commentary"))
    assert set(made.phases.of("laptop").values()) == {"commentary"}
    assert dict(made.phases.of("desktop")) == {}


def test_a_text_before_a_call_is_found_again(dialect: Dialect) -> None:
    made = house()
    tools: dict[str, Any]
    call: dict[str, Any]
    if dialect is DIALECTS["messages"]:
        tools = {"tools": [{"name": "Read", "input_schema": {"type": "object"}}]}
        use = {"type": "tool_use", "id": "call_1", "name": "Read", "input": {}}
        call = {"role": "assistant", "content": [{"type": "text", "text": "Looking."}, use]}
    else:
        tools = {"tools": [{"type": "function", "function": {"name": "Read"}}]}
        function = {"name": "Read", "arguments": "{}"}
        calls = [{"id": "call_1", "type": "function", "function": function}]
        call = {"role": "assistant", "content": "Looking.", "tool_calls": calls}
    into = row()
    turn = admit(dialect, made, request(**tools), into)
    turn.prepare(ACCOUNT, frozenset(), False, started=False)
    answer = [*said("m1", "Looking.", "final_answer"), *call_events(1, 1, "Read", "{}")]
    turn.feed([created(), *answer, completed()])
    turn.settle(into)
    asked = {"role": "user", "content": "What do you see at sea?"}
    turn = admit(dialect, made, request(messages=[asked, call], **tools))
    body, _ = turn.prepare(ACCOUNT, frozenset(), False, started=False)
    assert spoken_in([item for item in jsonio.parse(body)["input"] if "role" in item]) == ["final_answer"]


# -- figures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("cut", [{}, {"max_tokens": 2}], ids=["stop sequence", "limit"])
def test_client_and_row_are_told_the_same_figures_of_an_answer_that_is_cut(
    dialect: Dialect, stream: bool, cut: dict[str, Any]
) -> None:
    """B36, B37: those of the upstream, where they lie in the read that held the cut."""
    chat = dialect is DIALECTS["chat"]
    fields = dict(cut) or {"stop" if chat else "stop_sequences": ["END"]}
    if chat and stream:
        fields["stream_options"] = {"include_usage": True}
    into = row()
    into.stream = stream
    turn = admit(dialect, house(), request(stream=stream, **fields), into)
    turn.prepare(Account("b", "chatgpt", "tag-b"), frozenset(), False, started=False)
    whole = turn.fold(turn.feed([created(), delta("one END two"), completed(output=12, total=30)]))
    turn.settle(into)
    told = whole["usage"]
    assert (told.get("output_tokens") or told.get("completion_tokens")) == into.output_tokens == 12
    assert (told.get("input_tokens") or told.get("prompt_tokens")) == into.input_tokens == 30
    assert into.usage_source == "measured"
    assert turn.over and turn.complete


def test_unknown_events_are_counted(dialect: Dialect) -> None:
    made = house()
    turn = admit(dialect, made, request())
    turn.prepare(ACCOUNT, frozenset(), False, started=False)
    turn.feed([created(), {"type": "response.something.new"}, delta("Hello"), completed()])
    turn.settle(row())
    assert made.unknown_events == 1


def test_what_was_mended_in_arguments_stands_in_the_row_without_their_text(dialect: Dialect) -> None:
    """Beside what was mended in the history, and of the attempt that answered alone."""
    into, made = row(), house()
    orphan = {
        "messages": {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "a", "content": "x"}],
        },
        "chat": {"role": "tool", "tool_call_id": "a", "content": "x"},
    }
    history = [
        {"role": "user", "content": "Look."},
        orphan["chat" if dialect is DIALECTS["chat"] else "messages"],
    ]
    turn = admit(dialect, made, request(messages=history), into)
    for arguments in ('{"secret":1} secret', '{"secret":"a\nb",}'):
        turn.prepare(ACCOUNT, frozenset(), False, started=False)
        turn.feed([created(), *call_events(0, 1, "Bash", arguments), completed()])
    turn.settle(into)
    assert into.repaired[1:] == [CONTROLS, COMMA]
    assert "tool" in into.repaired[0] and "secret" not in str(into.repaired)
