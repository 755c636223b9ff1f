"""The official TypeScript SDK against a live gateway, driven by a script in Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.claude import ROOT, binary
from tests.support.house import House, call, rule, say, think

SCRIPT = Path(__file__).parent / "clients" / "sdk.mjs"
TOOL = {"name": "look", "description": "Look out.", "input_schema": {"type": "object", "properties": {}}}
ASKED: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 2000,
    "messages": [{"role": "user", "content": "What is there? 🌊"}],
}


def run(house: House, case: str, request: dict[str, Any], **more: Any) -> Any:
    """What the script printed."""
    job = json.dumps({"case": case, "request": request, **more})
    done = subprocess.run(
        [str(binary("node")), str(SCRIPT), house.url, house.key, job],
        cwd=ROOT / ".e2e" / "clients",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def shape(message: dict[str, Any]) -> dict[str, Any]:
    """All but ids, seals and what only a whole answer has."""
    content = [
        {k: v for k, v in block.items() if k not in ("signature", "data", "id")}
        for block in message["content"]
    ]
    only_plain = ("service_tier", "cache_creation", "inference_geo")
    usage = {k: v for k, v in message["usage"].items() if k not in only_plain}
    kept = ("type", "role", "model", "stop_reason", "stop_sequence", "stop_details")
    return {"content": content, "usage": usage, **{key: message.get(key) for key in kept}}


CASES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "text": ([say("Water 水 everywhere 🌊.")], {}),
    "thinking and tools": (
        [think("Hm.", "Hm again."), say("I look."), call("look"), call("look", far=True)],
        {"tools": [TOOL], "thinking": {"type": "enabled", "budget_tokens": 1024}},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_streamed_message_equals_plain_message(house: House, name: str) -> None:
    """B73: content, usage and stop reason are the same both ways."""
    steps, more = CASES[name]
    house.scenario(rule(*steps))
    seen = run(house, "twin", {**ASKED, **more})
    assert shape(seen["streamed"]) == shape(seen["plain"])
    assert seen["events"][0] == "message_start" and seen["events"][-1] == "message_stop"
    assert [block["type"] for block in seen["plain"]["content"]] == [
        {"message": "text", "function_call": "tool_use", "reasoning": "thinking"}[kind]
        for step in steps
        for kind in step
    ]


def test_counting_and_models(house: House) -> None:
    """B76, B116."""
    counted = run(house, "count", {"model": ASKED["model"], "messages": ASKED["messages"]})
    assert counted["input_tokens"] > 0
    models = run(house, "models", {"model": "claude-gpt-5.5"})
    assert "claude-gpt-5.5" in models["listed"] and models["one"]["type"] == "model"
    assert house.bodies() == []


@pytest.mark.parametrize(
    ("preset", "status", "kind"),
    [
        ("429_rate_limit", 429, "rate_limit_error"),
        ("503_overloaded", 529, "overloaded_error"),
        ("400_context_length", 400, "invalid_request_error"),
    ],
)
def test_errors_have_status_type_and_request_id(house: House, preset: str, status: int, kind: str) -> None:
    """B79, B81: what the SDK's error object says."""
    house.scenario(rule(preset=preset))
    seen = run(house, "failure", ASKED)
    assert (seen["status"], seen["type"]) == (status, kind)
    assert seen["requestID"].startswith("req_")
