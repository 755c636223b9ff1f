"""What every translated dialect does with a turn, put to both of them."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.gateway.chat import ChatCompletions
from dragoman.gateway.dialects import Dialect
from dragoman.gateway.messages import Messages
from dragoman.gateway.ports import Account
from dragoman.gateway.turn import DISTRUSTED, IGNORED
from dragoman.translate.messages.welljson import COMMA, CONTROLS
from dragoman.translate.models import Alias
from dragoman.wire import jsonio
from tests.support.streams import call_events
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
