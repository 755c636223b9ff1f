"""Who is speaking: sources of the session, lanes, and the keys that are derived."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dragoman.cache.lineage import Lineage, client_cache_key, item_lineage, lineage, model_family
from tests.support import conversation
from tests.support.conversation import OTHER_SESSION, SESSION

SECRET = b"a gateway secret of some length"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def speak(
    request: dict[str, Any],
    headers: dict[str, str] | None = None,
    *,
    tenant: str = "laptop",
    model: str = "gpt-5.5",
    secret: bytes = SECRET,
    **options: bool,
) -> Lineage:
    return lineage(headers or {}, request, tenant=tenant, secret=secret, model=model, **options)


def bare(**fields: Any) -> dict[str, Any]:
    """A request that names no session."""
    return {
        "model": "claude-opus-5-5",
        "system": "You help.",
        "messages": [{"role": "user", "content": "Hello there."}],
        "tools": conversation.TOOLS,
        **fields,
    }


# -- one session, one key ----------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False], ids=["header", "user_id"])
def test_ten_turns_with_moving_marks_have_one_key_one_lane_and_one_affinity(named: bool) -> None:
    """B102, D5: what moves from turn to turn is no part of any key; keys fit 64 characters."""
    headers = conversation.headers() if named else {}
    turns = [speak(conversation.request(turn), headers) for turn in range(10)]
    assert len(set(turns)) == 1
    line = turns[0]
    assert line.lane == "main"
    for key in (line.cache_key, line.lane_key, line.affinity):
        assert key is not None
        assert UUID.fullmatch(key)
        assert len(key) <= 64
    assert line.lane_key == line.cache_key
    assert line.affinity != line.cache_key


def test_ten_turns_without_any_identity_share_the_anchor() -> None:
    """B102, B104: the anchor is taken from system prompt and first user text, spelled either way."""
    turns = []
    for turn in range(10):
        request = conversation.request(turn)
        del request["metadata"]
        turns.append(speak(request))
    assert len(set(turns)) == 1
    assert turns[0].source == "anchor"
    assert turns[0].session is not None
    assert turns[0].session.startswith("anchor-")


def test_keys_are_the_same_in_every_process() -> None:
    """Figures written down once: a changed derivation would re-roll every cache at an upgrade."""
    line = speak(conversation.request(0), conversation.headers())
    assert line.cache_key == "326f955d-bdff-21a8-dc4e-44b12f1f257a"
    assert line.session_hash == "2d368bd725415c8e476e4290487d9264"
    assert line.conversation_hash == "2f0d556b51f47b85e6349fb87abb35c3"


def test_two_sessions_with_the_same_prompt_have_different_keys() -> None:
    """B105."""
    one = speak(conversation.request(3), conversation.headers())
    two = speak(conversation.request(3), conversation.headers(OTHER_SESSION))
    for field in ("cache_key", "lane_key", "affinity", "session_hash", "conversation_hash"):
        assert getattr(one, field) != getattr(two, field)


def test_two_tenants_with_the_same_session_share_nothing() -> None:
    """D37: keys and hashes are salted per tenant and per gateway, 128 bits and more."""
    lines = [
        speak(conversation.request(0), conversation.headers()),
        speak(conversation.request(0), conversation.headers(), tenant="desktop"),
        speak(conversation.request(0), conversation.headers(), secret=b"another gateway"),
    ]
    for field in ("cache_key", "lane_key", "affinity", "session_hash", "conversation_hash"):
        values = {getattr(line, field) for line in lines}
        assert len(values) == 3
        assert all(len(value.replace("-", "")) == 32 for value in values)


def test_a_client_key_cannot_imitate_the_parts_of_another_tuple() -> None:
    """The parts are joined without ambiguity: moving a border gives another key."""
    request = bare(metadata={"user_id": conversation.user_id("b")})
    assert speak(request, tenant="a").cache_key != speak(request, tenant="a,b").cache_key
    assert speak(request, model="x").cache_key != speak(request, model='x","y').cache_key


def test_a_dated_snapshot_shares_the_key_of_its_model() -> None:
    request, headers = conversation.request(0), conversation.headers()
    key = speak(request, headers).cache_key
    assert speak(request, headers, model="gpt-5.5-2026-04-01").cache_key == key
    assert speak(request, headers, model="gpt-5.5-20260401").cache_key == key
    assert speak(request, headers, model="gpt-5.5-mini").cache_key != key
    assert model_family("gpt-4o-2024-08-06") == "gpt-4o"


def test_another_model_is_another_key_but_the_same_conversation() -> None:
    request, headers = conversation.request(0), conversation.headers()
    one, two = speak(request, headers), speak(request, headers, model="gpt-5.4")
    assert one.cache_key != two.cache_key
    assert one.lane_key != two.lane_key
    assert one.affinity == two.affinity
    assert one.conversation_hash == two.conversation_hash


# -- where the session is found ----------------------------------------------------------------------

LEGACY = f"user_{'a' * 64}_account__session_{SESSION}"
LEGACY_ACCOUNT = f"user_{'a' * 64}_account_{OTHER_SESSION}_session_{SESSION}"


@pytest.mark.parametrize(
    ("headers", "fields", "source"),
    [
        ({"x-claude-code-session-id": SESSION}, {}, "claude-code"),
        ({}, {"metadata": {"user_id": conversation.user_id()}}, "user-id"),
        ({}, {"metadata": {"user_id": LEGACY}}, "user-id"),
        ({}, {"metadata": {"user_id": LEGACY_ACCOUNT}}, "user-id"),
        ({"session-id": SESSION}, {}, "codex"),
        ({"session_id": SESSION}, {}, "codex"),
        ({"x-codex-session-id": SESSION}, {}, "codex"),
        ({"x-codex-conversation-id": SESSION}, {}, "codex"),
        ({"x-session-id": SESSION}, {}, "session"),
        ({"x-session-affinity": SESSION}, {}, "session"),
        ({}, {"prompt_cache_key": SESSION}, "cache-key"),
        ({}, {"promptCacheKey": SESSION}, "cache-key"),
    ],
)
def test_every_source_gives_the_same_session(
    headers: dict[str, str], fields: dict[str, Any], source: str
) -> None:
    """B104, B39: a session is one session, whichever way a client names it."""
    line = speak(bare(**fields), headers)
    assert (line.session, line.source) == (SESSION, source)
    reference = speak(bare(), {"x-claude-code-session-id": SESSION})
    assert line.session_hash == reference.session_hash
    assert line.cache_key == reference.cache_key
    assert line.affinity == reference.affinity


def test_sources_are_taken_in_the_order_of_trust() -> None:
    """B104: with every source present, taking away the first leaves the next."""
    headers = {
        "x-claude-code-session-id": "one",
        "session-id": "three",
        "session_id": "four",
        "x-codex-session-id": "five",
        "x-codex-conversation-id": "six",
        "x-session-id": "seven",
        "x-session-affinity": "eight",
    }
    request = bare(metadata={"user_id": conversation.user_id("two")}, prompt_cache_key="nine")
    seen = []
    for gone in ("x-claude-code-session-id", "metadata", *list(headers)[1:], "prompt_cache_key"):
        seen.append(speak(request, headers).session)
        headers.pop(gone, None)
        request.pop(gone, None)
    assert seen == ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert speak(request, headers).source == "anchor"
    assert speak({"messages": []}, headers).source == "none"


@pytest.mark.parametrize(
    "user_id",
    [
        "0f" * 32,  # a device alone would join all of its sessions
        f"user_{'a' * 64}",
        '{"device_id":"d"}',
        '{"session_id":""}',
        '{"session_id":7}',
        '["session_id"]',
        '{"session_id":',
        "",
        7,
        None,
        "user_a_account__session_" + "x" * 5000,
    ],
)
def test_a_user_id_without_session_falls_back_to_the_anchor(user_id: Any) -> None:
    """B104: malformed is as good as absent."""
    line = speak(bare(metadata={"user_id": user_id}))
    assert line.source == "anchor"
    assert line.session == speak(bare()).session


@pytest.mark.parametrize("metadata", [None, "text", []])
def test_metadata_of_another_shape_is_no_session(metadata: Any) -> None:
    assert speak(bare(metadata=metadata)).source == "anchor"


@pytest.mark.parametrize("value", ["", "   ", "\t"])
def test_a_blank_header_is_no_session(value: str) -> None:
    assert speak(bare(), {"x-claude-code-session-id": value}).source == "anchor"


@pytest.mark.parametrize("value", ["x" * 129, "with space", "ünïcode", 'quote"', "a/b", "\x00"])
def test_an_odd_or_long_header_is_hashed(value: str) -> None:
    """Nothing that a client sends in a header is worked with as it is unless it is a plain identifier."""
    line = speak(bare(), {"x-session-id": value})
    assert line.source == "session"
    assert line.session is not None
    assert re.fullmatch(r"[0-9a-f]{64}", line.session)


def test_a_plain_header_of_128_characters_is_taken_as_it_is() -> None:
    value = "aZ09._:-" * 16
    assert speak(bare(), {"x-session-id": value}).session == value


# -- the anchor --------------------------------------------------------------------------------------


def test_the_anchor_is_blind_to_spelling_marks_and_billing() -> None:
    one = bare(system=conversation.system(1), messages=[{"role": "user", "content": "Hello there."}])
    text = {"type": "text", "text": "Hello there.", **conversation.MARK}
    two = bare(system=conversation.system(2), messages=[{"role": "user", "content": [text]}])
    assert speak(one) == speak(two)


@pytest.mark.parametrize(
    "fields",
    [
        {"system": "You do not help."},
        {"system": None},
        {"messages": [{"role": "user", "content": "Hello there!"}]},
        {"messages": [{"role": "user", "content": "x" * 600 + "1"}]},
        {"messages": [{"role": "user", "content": "x" * 600 + "2"}]},
    ],
)
def test_the_anchor_takes_the_whole_system_and_first_text(fields: dict[str, Any]) -> None:
    """Also beyond 512 characters: clients' preambles are alike for a long way."""
    others = [bare(), bare(messages=[{"role": "user", "content": "x" * 600}])]
    assert speak(bare(**fields)).session not in {speak(other).session for other in others}


@pytest.mark.parametrize(
    "messages",
    [
        [],
        None,
        "text",
        [{"role": "assistant", "content": "Hello."}],
        [{"role": "user", "content": [{"type": "image", "source": {}}]}],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": [{"type": "text", "text": 7}, "odd"]}],
    ],
)
def test_without_a_first_text_there_is_no_identity_at_all(messages: Any) -> None:
    """Nothing known: nothing is sent, since an identity made up each turn is worse than none."""
    line = speak(bare(messages=messages))
    assert line == Lineage(None, "none", None, "main")


def test_text_behind_a_system_message_of_the_conversation_is_the_first_user_text() -> None:
    request = bare(
        messages=[{"role": "system", "content": "Now."}, {"role": "user", "content": "Hello there."}]
    )
    assert speak(request).session == speak(bare()).session


# -- lanes -------------------------------------------------------------------------------------------


def side_call(**fields: Any) -> dict[str, Any]:
    """Title generation: no tools, one user message, a system prompt of its own."""
    return {
        "model": "claude-haiku-5-5",
        "system": [{"type": "text", "text": "Find a title."}],
        "messages": [{"role": "user", "content": "Mend the gate."}],
        "metadata": {"user_id": conversation.user_id()},
        **fields,
    }


def test_a_sub_agent_has_its_own_lane_on_the_same_account() -> None:
    """B106: the key is shared, the header is not, and the account follows the session."""
    main = speak(conversation.request(2), conversation.headers())
    agent = speak(
        conversation.request(
            0, system=[{"type": "text", "text": "You search."}], tools=conversation.TOOLS[:1]
        ),
        conversation.headers(agent="a0123456789abcdef"),
    )
    other = speak(conversation.request(0), conversation.headers(agent="afedcba9876543210"))
    assert (agent.lane, agent.agent) == ("agent", "a0123456789abcdef")
    assert agent.lane_key != main.lane_key
    assert other.lane_key not in {main.lane_key, agent.lane_key}
    assert len({main.conversation_hash, agent.conversation_hash, other.conversation_hash}) == 3
    assert main.cache_key == agent.cache_key == other.cache_key
    assert main.affinity == agent.affinity == other.affinity
    assert main.session_hash == agent.session_hash


def test_a_sub_agent_that_only_the_billing_line_tells_has_its_own_lane() -> None:
    """B106, behind a client that does not send the header."""
    main = speak(conversation.request(1), conversation.headers())
    agent = speak(
        conversation.request(1, system=conversation.system(1, subagent=True)), conversation.headers()
    )
    later = speak(
        conversation.request(2, system=conversation.system(2, subagent=True)), conversation.headers()
    )
    assert agent.lane == "agent"
    assert agent.lane_key == later.lane_key != main.lane_key


def test_the_billing_flag_counts_in_the_billing_line_alone() -> None:
    quoted = "Explain x-anthropic-billing-header: cc_is_subagent=true;"
    behind = "x-anthropic-billing-header: cc_version=1;\ncc_is_subagent=true"
    for system in (quoted, behind):
        assert speak(conversation.request(0, system=system), conversation.headers()).lane == "main"


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-5.4-mini"])
def test_side_calls_leave_the_main_lane_alone(model: str) -> None:
    """B107: title generation and web search have lanes of their own and change nothing for the main loop."""
    headers = conversation.headers()
    before = speak(conversation.request(1), headers)
    title = speak(side_call(), headers, model=model)
    search = speak(side_call(tools=conversation.SEARCH), headers, model=model)
    assert (title.lane, search.lane) == ("plain", "search")
    assert len({before.lane_key, title.lane_key, search.lane_key}) == 3
    assert title.affinity == search.affinity == before.affinity
    assert speak(conversation.request(2), headers) == before


def test_side_calls_with_different_openings_are_different_lanes() -> None:
    headers = conversation.headers()
    title = speak(side_call(), headers)
    topic = speak(side_call(system="Is this a new topic?"), headers)
    assert title.lane_key != topic.lane_key
    assert (
        title.lane_key == speak(side_call(messages=[{"role": "user", "content": "Next."}]), headers).lane_key
    )


def test_the_main_lane_survives_a_system_prompt_or_tools_that_change() -> None:
    """A changed prompt is a miss to explain, not another speaker; a tool loaded late re-rolls no node."""
    headers = conversation.headers()
    main = speak(conversation.request(1), headers)
    assert speak(conversation.request(1, system="Another prompt."), headers) == main
    assert speak(conversation.request(1, tools=conversation.TOOLS[:2]), headers) == main
    assert speak(conversation.request(1, tools=[*conversation.TOOLS, *conversation.SEARCH]), headers) == main


def test_a_compaction_stays_in_its_lane_with_and_without_tools() -> None:
    """Its history holds tool calls, which no title call has: that is seen without any memory."""
    summarise = {"role": "user", "content": "Summarise what was done."}
    for agent in (None, "a0123456789abcdef"):
        headers = conversation.headers(agent=agent)
        request = conversation.request(5)
        before = speak(request, headers)
        request["messages"] = [*request["messages"], summarise]
        assert speak(request, headers) == before
        del request["tools"]
        assert speak(request, headers) == before
        assert speak({**request, "tools": []}, headers) == before


def test_a_talk_without_tools_keeps_one_lane_from_its_first_message() -> None:
    talk = bare(tools=None)
    first = speak(talk)
    talk["messages"] = [
        *talk["messages"],
        {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
        {"role": "user", "content": "And now?"},
    ]
    assert first.lane == "plain"
    assert speak(talk) == first


def test_keys_per_lane_are_a_setting() -> None:
    headers = conversation.headers()
    agent_headers = conversation.headers(agent="a1")
    shared = speak(conversation.request(0), agent_headers)
    own = speak(conversation.request(0), agent_headers, per_lane_key=True)
    main = speak(conversation.request(0), headers, per_lane_key=True)
    assert own.cache_key != shared.cache_key
    assert own.cache_key == own.lane_key
    assert main == speak(conversation.request(0), headers)


def test_counting_touches_neither_key_nor_account_of_the_conversation() -> None:
    request = {name: conversation.request(0)[name] for name in ("model", "messages", "tools")}
    talking = speak(request, conversation.headers())
    counting = speak(request, conversation.headers(), counting=True)
    assert counting.lane == "count"
    for field in ("cache_key", "lane_key", "affinity", "conversation_hash"):
        assert getattr(counting, field) != getattr(talking, field)
    assert counting.session_hash == talking.session_hash


# -- the client's own key ----------------------------------------------------------------------------


def test_a_long_client_key_is_hashed_and_stable() -> None:
    """B112: 300 characters in, at most 64 out, never the client's own."""
    chosen = "team-" * 60
    request = conversation.request(0, prompt_cache_key=chosen)
    first = speak(request, conversation.headers())
    assert first.cache_key is not None
    assert len(first.cache_key) <= 64
    assert first.cache_key not in chosen
    assert first == speak(conversation.request(7, prompt_cache_key=chosen), conversation.headers())
    assert first.cache_key != speak(conversation.request(0), conversation.headers()).cache_key


def test_both_spellings_of_the_client_key_are_equal_and_snake_case_wins() -> None:
    """B112."""
    assert speak(bare(prompt_cache_key="k")) == speak(bare(promptCacheKey="k"))
    assert client_cache_key({"prompt_cache_key": "snake", "promptCacheKey": "camel"}) == "snake"
    assert client_cache_key({"prompt_cache_key": "  ", "promptCacheKey": "camel"}) == "camel"


@pytest.mark.parametrize("blank", ["", "   ", None, 7])
def test_a_blank_client_key_is_ignored(blank: Any) -> None:
    """B112."""
    assert speak(bare(prompt_cache_key=blank, promptCacheKey=blank)) == speak(bare())


def test_a_client_key_joins_sessions_in_the_key_but_not_in_the_session_header() -> None:
    """It says what may share a prefix; who speaks is still the session's business."""
    request = conversation.request(0, prompt_cache_key="shared")
    one = speak(request, conversation.headers())
    two = speak(request, conversation.headers(OTHER_SESSION))
    assert one.cache_key == two.cache_key
    assert one.lane_key != two.lane_key
    assert one.affinity != two.affinity
    assert speak(request, conversation.headers(), tenant="desktop").cache_key != one.cache_key


def test_no_key_or_hash_shows_what_it_was_made_from() -> None:
    """B39, D37: neither session nor device nor the client's key appears in anything that may leave."""
    request = conversation.request(0, prompt_cache_key="shared")
    line = speak(request, conversation.headers(agent="a1"))
    leaving = [line.cache_key, line.lane_key, line.affinity, line.session_hash, line.conversation_hash]
    for raw in (SESSION, "d" * 64, "shared", "a1-"):
        assert not any(raw in (value or "") for value in leaving)


@pytest.mark.parametrize(
    "fields",
    [
        {"system": 7},
        {"system": [7, {"type": "text"}]},
        {"tools": "Bash"},
        {"tools": [7]},
        {"tools": [{"type": 7, "name": "x"}]},
        {"messages": [7, {"role": "user", "content": 7}]},
    ],
)
def test_a_malformed_request_is_never_a_fault_here(fields: dict[str, Any]) -> None:
    """Validation says what is wrong with it; identity only must not fall over."""
    assert speak(bare(**fields), conversation.headers()).session == SESSION


# -- the Responses side --------------------------------------------------------------------------------


def respond(headers: dict[str, str] | None = None, *, tenant: str = "laptop", **request: Any) -> Lineage:
    per_lane = bool(request.pop("per_lane_key", False))
    return item_lineage(
        headers or {}, request, tenant=tenant, secret=SECRET, model="gpt-5.5", per_lane_key=per_lane
    )


@pytest.mark.parametrize(
    "name", ["session-id", "session_id", "x-codex-session-id", "thread-id", "conversation_id"]
)
def test_codex_names_its_session_in_headers(name: str) -> None:
    """Old and new spellings; what a client sent never comes out as it was."""
    line = respond({name: "01a2-session"}, input="Hello.", prompt_cache_key="01a2-session")
    assert (line.source, line.lane, line.agent) == ("codex", "main", None)
    assert line.cache_key is not None and "01a2" not in line.cache_key
    assert line.lane_key == line.cache_key
    assert line == respond({name: "01a2-session"}, input="Other words.", prompt_cache_key="01a2-session")


def test_a_thread_that_is_not_the_session_is_an_agent() -> None:
    """They share the session's key and account, each has a lane of its own."""
    main = respond({"session-id": "s", "thread-id": "s"}, input="x")
    agent = respond({"session-id": "s", "thread-id": "t"}, input="x")
    assert (main.lane, agent.lane, agent.agent) == ("main", "agent", "t")
    assert main.cache_key == agent.cache_key and main.affinity == agent.affinity
    assert main.lane_key != agent.lane_key and main.conversation_hash != agent.conversation_hash
    own = respond({"session-id": "s", "thread-id": "t"}, input="x", per_lane_key=True)
    assert own.cache_key != main.cache_key


def test_a_compaction_without_tools_is_still_the_main_lane() -> None:
    """It repeats the prompt: another lane would read nothing from the cache."""
    headers = {"session-id": "s", "thread-id": "s"}
    assert respond(headers, input="x", tools=[]) == respond(headers, input="x", tools=[{"type": "function"}])


def test_a_title_of_another_client_has_a_lane_of_its_own() -> None:
    """It shares key and account with the conversation, but is no turn of it."""
    headers = {"x-session-affinity": "ses_1"}
    system = {"role": "developer", "content": "Find a title."}
    main = respond(headers, input="x", tools=[{"type": "function"}])
    title = respond(headers, input=[system, {"role": "user", "content": "x"}])
    assert (main.lane, title.lane) == ("main", "plain")
    assert main.cache_key == title.cache_key and main.conversation_hash != title.conversation_hash
    other = respond(
        headers, input=[{"role": "developer", "content": "Sum up."}, {"role": "user", "content": "x"}]
    )
    assert other.lane_key != title.lane_key
    summary = respond(headers, input=[{"role": "user", "content": "x"}, {"type": "function_call"}])
    assert summary == main


def test_others_are_known_by_a_session_header_a_key_or_their_first_words() -> None:
    assert respond({"x-session-affinity": "ses_1"}, input="x").source == "session"
    assert respond(input="x", prompt_cache_key="mine").source == "cache-key"
    assert respond(input="x").source == "anchor"
    assert respond(input="x", prompt_cache_key="mine", tenant="other") != respond(
        input="x", prompt_cache_key="mine"
    )


def test_the_anchor_is_the_instructions_and_the_words_up_to_the_first_users() -> None:
    system = {"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]}
    user = {"role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
    first = respond(input=[system, user], instructions="You help.")
    later = [system, user, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "More."}]
    assert respond(input=later, instructions="You help.") == first
    assert respond(input=[user], instructions="You help.") != first
    assert respond(input=[system, user]) != first


@pytest.mark.parametrize("nothing", [[{"role": "user", "content": []}], [{"type": "reasoning"}], None, ""])
def test_without_words_nobody_is_known(nothing: Any) -> None:
    line = respond(input=nothing)
    assert (line.source, line.cache_key, line.affinity) == ("none", None, None)


def test_a_text_and_the_message_it_stands_for_are_one_conversation() -> None:
    item = {"role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
    assert respond(input="Hello.") == respond(input=[item]) == respond(input=[item, {"role": "assistant"}])


# -- chats -------------------------------------------------------------------------------------------


def chat(*more: dict[str, Any], system: str = "You help.", **fields: Any) -> dict[str, Any]:
    """A chat that names no session; `more` are the messages behind the first question."""
    return {
        "model": "gpt-5.5",
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": "Hello there."},
            *more,
        ],
        **fields,
    }


LOOK = {"type": "function", "function": {"name": "look"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
ANSWERED: list[dict[str, Any]] = [
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "A sail."},
]


def test_the_turns_of_a_chat_share_the_anchor_of_their_first_words() -> None:
    """B102: without any identity the instructions and the first question tell chats apart."""
    turns = [chat(), chat(*ANSWERED), chat(*ANSWERED, {"role": "user", "content": "And now?"})]
    assert len({speak({**turn, "tools": [LOOK]}) for turn in turns}) == 1
    first = speak(chat())
    assert first.source == "anchor"
    assert speak(chat(system="You help others.")).session != first.session
    without = [{"role": "user", "content": "Hello there."}]
    assert speak({**chat(), "messages": without}).session != first.session
    parts = [{"type": "text", "text": "You help."}]
    spelt = chat()
    spelt["messages"][0] = {"role": "developer", "content": parts}
    assert speak(spelt) == first


@pytest.mark.parametrize(
    ("header", "source"), [("x-session-affinity", "session"), ("session-id", "codex"), (None, "cache-key")]
)
def test_a_chat_is_known_by_its_header_or_its_key(header: str | None, source: str) -> None:
    headers = {} if header is None else {header: "s-1"}
    line = speak(chat(prompt_cache_key="s-1"), headers)
    assert (line.session, line.source) == ("s-1", source)


@pytest.mark.parametrize("field", ["user", "safety_identifier"])
def test_who_asks_is_no_session(field: str) -> None:
    """A person has many conversations: their name would join them all."""
    assert speak(chat(**{field: "ann"})) == speak(chat())


@pytest.mark.parametrize(
    ("request_", "lane"),
    [
        (chat(), "plain"),
        (chat(tools=[LOOK]), "main"),
        (chat(functions=[{"name": "look"}]), "main"),
        (chat(web_search_options={}), "search"),
        (chat(tools=[LOOK], web_search_options={}), "main"),
        (chat(*ANSWERED), "main"),
        (chat({"role": "assistant", "function_call": {"name": "look", "arguments": "{}"}}), "main"),
        (chat({"role": "function", "name": "look", "content": "A sail."}), "main"),
    ],
)
def test_the_lane_of_a_chat_is_what_it_can_do(request_: dict[str, Any], lane: str) -> None:
    assert speak(request_).lane == lane


def test_plain_chats_of_one_session_are_told_apart_by_their_instructions() -> None:
    headers = {"x-session-id": "s-1"}
    title, talk = speak(chat(system="Find a title."), headers), speak(chat(), headers)
    assert title.affinity == talk.affinity
    assert title.conversation_hash != talk.conversation_hash
