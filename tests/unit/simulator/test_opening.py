"""Opening a request: credentials, model, contract, script, limits, length."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.simulator.contract import Flavour
from dragoman.simulator.exchange import Exchange
from dragoman.simulator.models import family
from dragoman.simulator.opening import Outcome, judge_model, lineage_of, open_exchange, window
from dragoman.simulator.presets import Page
from dragoman.simulator.refusal import Answer, Refused
from dragoman.simulator.state import State
from tests.support.simulated import (
    call,
    codex_request,
    opened,
    output,
    played,
    request,
    text_of_tokens,
    tool,
    user,
)

BEARER = {"authorization": "Bearer sk-test"}


def outcome(
    state: State, body: Any, flavour: Flavour = "api", headers: dict[str, str] | None = None
) -> Outcome:
    record = state.log.open(0, "POST", "/v1/responses", [])
    return open_exchange(state, flavour, body, headers or BEARER, record)[0]


def refused(state: State, body: Any, flavour: Flavour = "api") -> Answer:
    with pytest.raises(Refused) as caught:
        outcome(state, body, flavour)
    return caught.value.answer


@pytest.mark.parametrize(
    ("body", "rule"),
    [([], "body"), ("x", "body"), ({"input": "x"}, "model"), ({"model": 5, "input": "x"}, "model")],
)
def test_bodies_without_a_model_break_the_contract(body: Any, rule: str) -> None:
    assert refused(State(), body).breach == rule


def test_an_unknown_model_is_refused_without_being_a_breach() -> None:
    answer = refused(State(), request(model="claude-opus-5-5"))
    assert (answer.status, answer.breach, answer.body["error"]["code"]) == (404, "", "model_not_found")
    answer = refused(State(), codex_request(model="claude-opus-5-5"), "codex")
    assert answer.body["detail"].startswith("The 'claude-opus-5-5' model is not supported when using Codex")


def test_other_names_can_be_allowed() -> None:
    assert isinstance(outcome(State({"models": ["llama-9"]}), request(model="llama-9")), Exchange)
    assert isinstance(outcome(State({"models": ["*"]}), request(model="anything")), Exchange)


def test_an_account_may_have_some_models_only() -> None:
    state = State()
    state.accounts.put({"id": "x", "key": "sk-test", "models": ["gpt-5.6"]})
    assert refused(state, request()).status == 404
    assert isinstance(outcome(state, request(model="gpt-5.6")), Exchange)


def test_the_contract_comes_before_the_script() -> None:
    state = State(rules=[{"preset": "500"}])
    assert refused(state, request(bogus=1)).breach == "unknown_parameter"
    scripted = outcome(state, request())
    assert isinstance(scripted, Answer) and scripted.status == 500


def test_scripted_answers() -> None:
    def fault(**more: Any) -> Outcome:
        return outcome(State(rules=[{"fault": {"kind": "http", **more}}]), request())

    plain = fault(status=503, retry_after=2, headers={"x-a": 1})
    assert isinstance(plain, Answer)
    assert (plain.status, dict(plain.headers)) == (503, {"retry-after": "2", "x-a": "1"})
    assert isinstance(page := fault(body="oops", headers={"content-type": "text/html"}), Page)
    assert (page.status, page.content_type, page.text) == (500, "text/html", "oops")
    assert isinstance(shaped := fault(body={"detail": "no"}), Answer)
    assert shaped.body == {"detail": "no"}
    assert isinstance(outcome(State(rules=[{"preset": "502_html"}]), request()), Page)


def test_rules_see_the_request() -> None:
    state = State(
        rules=[{"name": "mine", "match": {"user": "needle", "tools": ["Read"], "after_tool": True}}]
    )
    exchange = opened(
        state, request(user("find the needle"), call("c"), output("c", "hay"), tools=[tool("Read")])
    )
    assert exchange.record.rule == "mine"
    assert opened(state, request(user("needle"))).record.rule == "generative"


def test_turns_of_a_lineage_are_counted() -> None:
    state = State(rules=[{"name": "third", "match": {"turn": 3}}])
    names = [opened(state, request(prompt_cache_key="k")).record.rule for _ in range(4)]
    assert names == ["generative", "generative", "third", "generative"]
    assert opened(state, request(prompt_cache_key="other")).record.rule == "generative"


@pytest.mark.parametrize(
    ("flavour", "headers", "expected"),
    [
        ("api", {}, "org/k"),
        ("api", {"session-id": "s"}, "org/k"),
        ("codex", {"session-id": "s"}, "x/s"),
        ("codex", {"session_id": "u"}, "x/u"),
        ("codex", {}, "x/k"),
    ],
)
def test_the_lineage_is_the_session_or_the_key(flavour: Any, headers: dict[str, str], expected: str) -> None:
    state = State()
    account = state.accounts.put({"id": "x", "kind": flavour, "org": "org"})
    assert lineage_of(state, flavour, account, {"prompt_cache_key": "k"}, headers) == expected
    assert lineage_of(state, "api", account, {}, {}).endswith("/-")


def test_too_long_a_prompt() -> None:
    switches = {"windows": {"gpt-5.5": 100}}
    body = request(user(text_of_tokens(200)))
    answer = refused(State(switches), body)
    assert (answer.status, answer.body["error"]["code"], answer.breach) == (
        400,
        "context_length_exceeded",
        "",
    )
    exchange = opened(State(switches), {**body, "truncation": "auto"})
    assert played(exchange)[-1]["type"] == "response.completed"
    streamed = played(opened(State({**switches, "overflow": "stream"}), body))
    assert [event["type"] for event in streamed][1:] == ["response.in_progress", "response.failed"]
    assert streamed[-1]["response"]["error"]["code"] == "context_length_exceeded"
    codex = codex_request(user(text_of_tokens(200)))
    assert played(opened(State(switches), codex, "codex"))[-1]["type"] == "response.failed"
    assert refused(State({**switches, "overflow": "status"}), codex, "codex").status == 400
    assert refused(State({**switches, "overflow": "stream"}), {**body, "stream": False}).status == 400


def test_windows_can_be_set_for_all_models() -> None:
    known = family("gpt-5.5")
    assert known is not None
    assert window(State(), "gpt-5.5", known) == 272_000
    assert window(State({"windows": {"*": 9, "gpt-5.4": 8}}), "gpt-5.5", known) == 9
    assert window(State({"windows": {"*": 9, "gpt-5.4": 8}}), "gpt-5.4", known) == 8


def test_the_server_compacts_where_the_client_wants_it() -> None:
    wanted = [{"type": "compaction", "compact_threshold": 1000}]
    for size, kinds in ((1500, ["compaction", "reasoning", "message"]), (100, ["reasoning", "message"])):
        exchange = opened(State(), request(user(text_of_tokens(size)), context_management=wanted))
        played(exchange)
        assert [item["type"] for item in exchange.final["output"]] == kinds


def test_limits_apply() -> None:
    state = State(frozen=True)
    state.accounts.put({"id": "x", "key": "sk-test", "rpm": 1})
    opened(state, request())
    assert refused(state, request()).status == 429


def test_a_preset_may_expire_the_token_for_what_follows() -> None:
    state = State(rules=[{"preset": "401_expired", "times": 1}], frozen=True)
    state.accounts.put({"id": "c", "kind": "codex", "access": "sk-test"})
    assert isinstance(first := outcome(state, codex_request(), "codex"), Answer)
    assert (first.status, first.breach) == (401, "")
    assert refused(state, codex_request(), "codex").body["error"]["code"] == "token_expired"


def test_unknown_previous_responses_are_refused() -> None:
    answer = refused(State(), request(previous_response_id="resp_none"))
    assert answer.body["error"]["code"] == "previous_response_not_found"


def test_the_terms_carry_what_the_account_is() -> None:
    state = State()
    account = state.accounts.put({"id": "x", "org": "o", "verified": False})
    terms, body = judge_model(state, "api", account, request())
    assert (terms.scope, terms.verified, terms.codex) == ("o", False, False)
    assert body["model"] == "gpt-5.5"
