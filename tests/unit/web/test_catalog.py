"""`/v1/models` in both shapes."""

from __future__ import annotations

from typing import Any

import anthropic.types
import pytest

from dragoman.translate.models import PublishedModel, parse_aliases, profile, published
from dragoman.web import catalog
from dragoman.web.incoming import Incoming
from dragoman.wire import jsonio

ROWS = published(parse_aliases({"claude-opus-x": "gpt-5.5@high", "claude-*": "house-model"}), ["gpt-5.5"])
MANY = [PublishedModel(f"m{n}", f"M {n}", "gpt-5.5", ROWS[0].profile) for n in range(50)]


async def _ask(
    rows: list[PublishedModel],
    wanted: str = "",
    *,
    query: str = "",
    speaks_anthropic: bool = True,
    path: str = "/v1/models",
) -> tuple[int, Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("a list has no body to read")

    headers = {"anthropic-version": "2023-06-01"} if speaks_anthropic else {}
    scope = {"query_string": query.encode(), "headers": []}
    await catalog.serve(Incoming(scope, receive, send, path, "GET", headers, "req_1"), rows, wanted)
    assert dict(sent[0]["headers"])[b"request-id"] == b"req_1"
    return sent[0]["status"], jsonio.parse(sent[1]["body"])


async def test_anthropics_shape_when_its_version_is_named() -> None:
    """B116."""
    status, told = await _ask(ROWS)
    assert status == 200
    assert [row["id"] for row in told["data"]] == [
        "claude-opus-x",
        "gpt-5.5",
        "claude-gpt-5.5",
        "claude-house-model",
    ]
    assert (told["has_more"], told["first_id"], told["last_id"]) == (
        False,
        "claude-opus-x",
        "claude-house-model",
    )
    first = told["data"][0]
    assert first["type"] == "model"
    assert first["display_name"] == ROWS[0].display_name
    assert first["max_input_tokens"] == ROWS[0].profile.context_window
    assert first["max_tokens"] == ROWS[0].profile.max_output_tokens
    for row in told["data"]:
        anthropic.types.ModelInfo.model_validate(row, strict=False)


async def test_capabilities_claim_only_what_is_known() -> None:
    _, told = await _ask(ROWS)
    known, unknown = told["data"][0]["capabilities"], told["data"][3]["capabilities"]
    assert known["effort"]["high"] == {"supported": True}
    assert known["effort"]["max"] == {"supported": "max" in ROWS[0].profile.efforts}
    assert known["thinking"]["types"]["adaptive"] == {"supported": True}
    assert known["server_tools"]["web_search"] == {"supported": True}
    assert unknown["server_tools"]["web_search"] == {"supported": False}
    assert known["batch"] == unknown["batch"] == {"supported": False}
    assert unknown["effort"]["supported"] == bool(ROWS[3].profile.efforts)
    assert known.keys() == anthropic.types.ModelCapabilities.model_fields.keys()


async def test_openais_shape_otherwise() -> None:
    """B116."""
    status, told = await _ask(ROWS, speaks_anthropic=False, query="limit=1")
    assert status == 200
    assert told["object"] == "list"
    assert [row["id"] for row in told["data"]] == [row.id for row in ROWS]
    first = told["data"][0]
    assert {name: first[name] for name in ("id", "object", "created", "owned_by")} == {
        "id": "claude-opus-x",
        "object": "model",
        "created": 0,
        "owned_by": "dragoman",
    }


async def test_openais_shape_tells_limits_and_levels() -> None:
    known = profile("gpt-5.5")
    _, told = await _ask([PublishedModel("gpt-5.5", "", "gpt-5.5", known)], speaks_anthropic=False)
    row = told["data"][0]
    assert (row["context_window"], row["max_output_tokens"]) == (
        known.context_window,
        known.max_output_tokens,
    )
    assert row["supported_reasoning_efforts"] == list(known.efforts)
    assert row["default_reasoning_effort"] == known.default_effort
    assert row["input_modalities"] == ["text", "image", "file"]


async def test_codex_is_told_of_models_that_are_not_claudes() -> None:
    """The backend's catalogue: what Codex reads of a model, and levels that Codex knows."""
    rows = published(parse_aliases({"claude-opus-x": "gpt-5.5", "fast": "gpt-4.1"}), ["gpt-5.5"])
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("a list has no body to read")

    incoming = Incoming({}, receive, send, "/backend-api/codex/models", "GET", {}, "req_1")
    await catalog.serve_codex(incoming, rows)
    told = jsonio.parse(sent[1]["body"])["models"]
    assert [model["slug"] for model in told] == ["fast", "gpt-5.5"]
    levels = [level["effort"] for level in told[1]["supported_reasoning_levels"]]
    assert "none" not in levels and "high" in levels
    assert told[0]["supported_reasoning_levels"] == []
    assert told[0]["prefer_websockets"] is False


async def test_anthropics_prefix_speaks_anthropic_too() -> None:
    _, told = await _ask(ROWS, speaks_anthropic=False, path="/anthropic/v1/models")
    assert "has_more" in told


@pytest.mark.parametrize("speaks_anthropic", [True, False])
async def test_one_model(speaks_anthropic: bool) -> None:
    status, told = await _ask(ROWS, "claude-gpt-5.5", speaks_anthropic=speaks_anthropic)
    assert (status, told["id"]) == (200, "claude-gpt-5.5")
    assert ("type" in told) is speaks_anthropic


@pytest.mark.parametrize("speaks_anthropic", [True, False])
async def test_an_unknown_model_is_a_404_in_the_right_envelope(speaks_anthropic: bool) -> None:
    """B88."""
    status, told = await _ask(ROWS, "nothing", speaks_anthropic=speaks_anthropic)
    assert status == 404
    if speaks_anthropic:
        assert told["error"]["type"] == "not_found_error"
        assert told["request_id"] == "req_1"
    else:
        assert told["error"]["code"] == "model_not_found"


async def test_no_models_at_all() -> None:
    _, told = await _ask([])
    assert told == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize(
    ("query", "first", "last", "more"),
    [
        ("", "m0", "m19", True),
        ("limit=1000", "m0", "m49", False),
        ("limit=50", "m0", "m49", False),
        ("limit=49", "m0", "m48", True),
        ("after_id=m19", "m20", "m39", True),
        ("after_id=m29", "m30", "m49", False),
        ("before_id=m30", "m10", "m29", True),
        ("before_id=m20", "m0", "m19", False),
        ("before_id=m5&limit=3", "m2", "m4", True),
        ("after_id=m49", None, None, False),
        ("before_id=m0", None, None, False),
        ("limit=1&limit=2", "m0", "m1", True),
    ],
)
async def test_paging(query: str, first: str | None, last: str | None, more: bool) -> None:
    _, told = await _ask(MANY, query=query)
    assert (told["first_id"], told["last_id"], told["has_more"]) == (first, last, more)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=0", "limit: "),
        ("limit=1001", "limit: "),
        ("limit=9999999999", "limit: "),
        ("limit=-1", "limit: "),
        ("limit=x", "limit: "),
        ("limit=%C2%B2", "limit: "),
        ("after_id=nothing", "after_id: "),
        ("before_id=nothing", "before_id: "),
        ("before_id=m1&after_id=m2", "before_id: "),
    ],
)
async def test_a_wrong_parameter_is_named(query: str, said: str) -> None:
    status, told = await _ask(MANY, query=query)
    assert status == 400
    assert told["error"]["message"].startswith(said)
