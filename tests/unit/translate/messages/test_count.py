"""What a translated body costs, and how estimates learn from what is reported."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from dragoman.simulator.models import family
from dragoman.simulator.render import Renderer
from dragoman.translate.messages.count import ITEM, REPLY, TOOL, Calibration, estimate, measure
from dragoman.translate.messages.media import PAGE
from dragoman.upstream.tokens import Toktok
from tests.support.bodies import body, data_url, picture, png, reasoning, tool, user


def fixed(sent: dict[str, Any]) -> int:
    return measure({"model": "gpt-5.5", **sent}).fixed - REPLY


def texts(sent: dict[str, Any]) -> list[str]:
    return measure({"model": "gpt-5.5", **sent}).texts


def characters(parts: list[str] | Any) -> int:
    return sum(map(len, parts))


# -- texts and overheads -----------------------------------------------------------------------------


def test_an_empty_body_costs_the_frame_of_the_answer() -> None:
    assert (texts({}), fixed({})) == ([], 0)
    assert (texts({"input": [], "tools": [], "instructions": ""}), fixed({"input": None})) == ([], 0)


def test_system_tools_and_messages_are_all_counted() -> None:
    """behaviours T2: what is left out of a count is missing from the client's context meter."""
    sent = {
        "instructions": "Be brief.",
        "tools": [tool("Read", description="Reads.\nA file.")],
        "text": {"format": {"type": "json_schema", "name": "output", "schema": {}}},
        "input": [user("Hello.")],
    }
    assert texts(sent) == [
        "Be brief.",
        "Read\nReads.\nA file.",
        '{"type":"object","properties":{"path":{"type":"string","description":"Where."}}}',
        '{"type":"json_schema","name":"output","schema":{}}',
        "Hello.",
    ]
    assert fixed(sent) == ITEM + TOOL + ITEM


def test_a_string_as_input_is_one_user_message() -> None:
    assert (texts({"input": "Hello."}), fixed({"input": "Hello."})) == (["Hello."], ITEM)


def test_a_tool_without_parameters_or_description_is_its_name() -> None:
    assert texts({"tools": [{"type": "function", "name": "Go"}]}) == ["Go\n"]


def test_hosted_tools_are_counted_as_written() -> None:
    assert texts({"tools": [{"type": "web_search"}]}) == ['{"type":"web_search"}']


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"role": "assistant", "content": "Hi."}, ["Hi."]),
        (
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]},
            ["Hi."],
        ),
        ({"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}, ["No."]),
        ({"type": "message", "content": [{"type": "unknown"}]}, [""]),
        ({"type": "message", "content": None}, []),
        ({"type": "function_call", "call_id": "c", "name": "Go", "arguments": "{}"}, ["Go\n{}"]),
        ({"type": "custom_tool_call", "call_id": "c", "name": "Go", "input": "x"}, ["Go\nx"]),
        ({"type": "function_call", "name": "Go"}, ["Go\n"]),
        ({"type": "function_call_output", "call_id": "c", "output": "out"}, ["out"]),
        ({"type": "custom_tool_call_output", "output": [{"type": "input_text", "text": "o"}]}, ["o"]),
        ({"type": "additional_tools", "tools": [tool("Late")]}, texts({"tools": [tool("Late")]})),
        ({"type": "additional_tools"}, []),
        (
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "q"}},
            ['{"action":{"query":"q"}}'],
        ),
    ],
)
def test_every_item_gives_what_the_model_reads_of_it(item: dict[str, Any], expected: list[str]) -> None:
    assert texts({"input": [item]}) == expected
    late = TOOL * len(item.get("tools", ()))
    assert fixed({"input": [item]}) == ITEM + late


def test_measuring_changes_nothing() -> None:
    sent = body(3)
    before = copy.deepcopy(sent)
    measure(sent)
    assert sent == before


# -- reasoning ---------------------------------------------------------------------------------------


def test_sealed_reasoning_counts_by_the_length_of_its_seal() -> None:
    item = {
        "type": "reasoning",
        "encrypted_content": "x" * 4000,
        "summary": [{"type": "summary_text", "text": "S"}],
    }
    sent = {"model": "gpt-5.6", "input": [user("a"), item]}
    assert fixed(sent) == 2 * ITEM + (3000 - 650) // 4
    assert texts(sent) == ["a", "S"]
    short = {"type": "compaction", "encrypted_content": "x" * 100}
    assert fixed({"input": [short]}) == ITEM
    assert (
        fixed({"input": [{"type": "reasoning", "content": [{"type": "reasoning_text", "text": "T"}]}]})
        == ITEM
    )


@pytest.mark.parametrize(
    ("model", "context", "kept"),
    [
        ("gpt-5.6", None, True),
        ("gpt-5.6", "current_turn", False),
        ("gpt-5.5", None, False),
        ("gpt-5.5", "auto", False),
        ("gpt-5.5", "all_turns", True),
    ],
)
def test_older_models_forget_reasoning_at_the_next_user_message(
    model: str, context: str | None, kept: bool
) -> None:
    old = {**reasoning(1), "encrypted_content": "x" * 8000}
    items = [user("a"), old, user("b"), old]
    settings: dict[str, Any] = {} if context is None else {"reasoning": {"context": context}}
    each = ITEM + (6000 - 650) // 4
    assert fixed({"model": model, "input": items, **settings}) == 2 * ITEM + (2 if kept else 1) * each


# -- pictures ----------------------------------------------------------------------------------------


def test_a_megabyte_of_png_is_a_picture_not_a_text() -> None:
    """B77, D30: base64 never reaches the tokenizer."""
    shot = png(1600, 1200, padding=1_050_000)
    for model in ("gpt-5.5", "gpt-5", "gpt-5-mini", "gpt-4o", "gpt-5.6", "other"):
        sent = {"model": model, "input": [{"role": "user", "content": [picture(shot)]}]}
        found = measure(sent)
        assert characters(found.texts) == 0
        assert 500 < found.fixed < 3000
    result = {"type": "function_call_output", "call_id": "c", "output": [picture(shot)]}
    assert (
        fixed({"input": [result]})
        == ITEM + fixed({"input": [{"role": "user", "content": [picture(shot)]}]}) - ITEM
    )


def test_files_cost_their_pages_and_their_name() -> None:
    part = {
        "type": "input_file",
        "filename": "a.pdf",
        "file_data": data_url(b"%PDF-1.7 /Type /Page ", "application/pdf"),
    }
    sent = {
        "input": [{"role": "user", "content": [part, {"type": "input_file", "file_url": "https://x.test/a"}]}]
    }
    assert texts(sent) == ["a.pdf", ""]
    assert fixed(sent) == ITEM + 2 * PAGE


# -- estimates ---------------------------------------------------------------------------------------


def test_an_estimate_is_texts_by_the_tokenizer_and_the_rest_by_formula() -> None:
    """behaviours T6: the real vocabulary, not a division of characters."""
    sent = body(4)
    measured = measure(sent)
    assert estimate(sent, characters) == measured.fixed + characters(measured.texts)
    real = Toktok().count
    assert estimate(sent, real) == measured.fixed + real(measured.texts)


def test_nothing_learnt_changes_nothing() -> None:
    calibration = Calibration()
    assert calibration.factor("gpt-5.5") == 1.0
    assert calibration.apply("gpt-5.5", 1234.4) == 1234
    assert calibration.apply("gpt-5.5", 0) == 1
    assert calibration.wants("gpt-5.5")


def test_the_factor_is_learnt_from_reported_figures() -> None:
    """behaviours T6: after one answer the estimate is where the upstream counts."""
    calibration = Calibration()
    calibration.learn("gpt-5.5", 1000, 1300)
    assert calibration.apply("gpt-5.5", 2000) == 2600
    assert calibration.factor("gpt-5.4") == 1.0


SPOKEN = {
    "prose": "The gate at the end of the lane was old, and nobody remembered who had hung it there. ",
    "code": "def mend(gate: Gate) -> int:\n    for hinge in gate.hinges:\n        hinge.turn(90)\n\n",
    "json": '{"path":"/srv/app/main.py","lines":[1,2,3],"ok":true,"note":null,"size":12345}\n',
    "german": "Größere Änderungen an der Straße müssen vorher angekündigt werden, sagte die Behörde. ",
    "chinese": "请修好大门，然后告诉我你做了什么。",
}


def spoken(text: str, turn: int) -> dict[str, Any]:
    """A conversation about one kind of text, with tools."""
    items = [user(text * 10)]
    for number in range(turn):
        items.append({"type": "message", "role": "assistant", "content": text})
        call = {
            "type": "function_call",
            "call_id": f"c{number}",
            "name": "Read",
            "arguments": '{"path":"/f"}',
        }
        items += [call, {"type": "function_call_output", "call_id": f"c{number}", "output": text * 8}]
    tools = [tool(name, description=SPOKEN["prose"] * 5) for name in ("Bash", "Read", "Write")]
    return {"model": "gpt-5.5", "instructions": SPOKEN["prose"] * 40, "input": items, "tools": tools}


@pytest.mark.parametrize("kind", SPOKEN)
def test_a_count_comes_within_a_tenth_of_what_an_upstream_reports(kind: str) -> None:
    """B76: against an upstream with another tokenizer altogether (twice as many tokens), once it answered."""
    served = family("gpt-5.5")
    assert served is not None
    calibration, count = Calibration(), Toktok().count
    for turn in range(1, 7):
        sent = spoken(SPOKEN[kind], turn)
        guess = estimate(sent, count)
        reported = Renderer().render(sent, served, sealed_tokens=len).tokens
        if turn > 1:
            assert calibration.apply("gpt-5.5", guess) == pytest.approx(reported, rel=0.1)
        calibration.learn("gpt-5.5", guess, reported)


def test_models_and_kinds_of_estimate_are_kept_apart() -> None:
    calibration = Calibration()
    calibration.learn("gpt-5.5", 1000, 1300)
    calibration.learn("gpt-5.5", 1000, 700, "bytes")
    assert calibration.factor("gpt-5.5") == 1.3
    assert calibration.factor("gpt-5.5", "bytes") == 0.7


def test_the_factor_is_a_running_mean_that_one_odd_answer_cannot_spoil() -> None:
    calibration = Calibration()
    for _ in range(20):
        calibration.learn("m", 1000, 1100)
    calibration.learn("m", 1000, 90_000)
    assert 1.1 < calibration.factor("m") < 1.4
    for _ in range(40):
        calibration.learn("m", 1000, 900)
    assert calibration.factor("m") == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(("reported", "factor"), [(10**9, 3.0), (201, 0.33)])
def test_the_factor_stays_sane(reported: int, factor: float) -> None:
    calibration = Calibration()
    for _ in range(10):
        calibration.learn("m", 10_000, reported)
    assert calibration.factor("m") == pytest.approx(factor)


@pytest.mark.parametrize(("guess", "reported"), [(10, 5000), (5000, 0), (0, 0), (199, 199)])
def test_small_or_missing_figures_teach_nothing(guess: int, reported: int) -> None:
    calibration = Calibration()
    calibration.learn("m", guess, reported)
    assert calibration.factor("m") == 1.0


def test_a_few_pairs_are_enough() -> None:
    calibration = Calibration()
    pairs = 0
    while calibration.wants("m"):
        calibration.learn("m", 1000, 1100)
        pairs += 1
    assert pairs == 8
    assert calibration.wants("m", "bytes")


def test_the_number_of_models_is_bounded() -> None:
    calibration = Calibration(models=3)
    for number in range(5):
        calibration.learn(f"m{number}", 1000, 1500)
    assert [calibration.factor(f"m{number}") for number in range(5)] == [1.0, 1.0, 1.5, 1.5, 1.5]
