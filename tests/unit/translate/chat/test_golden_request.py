"""The request half as fixtures: client.json and case.json become upstream, plan or refused.json."""

from __future__ import annotations

import copy
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dragoman.translate.capability import capability
from dragoman.translate.chat.plan import ChatPlan
from dragoman.translate.chat.request import translate, validate
from dragoman.translate.messages.phases import hashed, mark
from dragoman.translate.messages.plan import Identity, Policy, Target
from dragoman.translate.models import profile
from dragoman.wire import jsonio
from dragoman.wire.errors import Refused
from tests.support.openapi import contract_problem, schema_problem

GOLDEN = Path(__file__).parents[3] / "golden" / "chat" / "request"
CASES = sorted(folder.name for folder in GOLDEN.iterdir())


def _translate(request: Any, case: dict[str, Any]) -> ChatPlan:
    known = profile(case["model"])
    able = capability(case["kind"], known, frozenset(case.get("learnt", ())))
    target = Target(case["kind"], case["model"], known, able, "acct", case.get("alias_effort"))
    policy = Policy(b"golden key, never used elsewhere", **case.get("policy", {}))
    order = case.get("tool_order", ())
    phases = {
        mark(hashed(said["text"]), before_call=said["before_call"]): said["phase"]
        for said in case.get("phases", ())
    }
    identity = Identity(**case.get("identity", {}))
    return translate(request, target, policy, identity, phases=phases, tool_order=order)


def _told(plan: ChatPlan) -> dict[str, Any]:
    """What a plan says besides its body, as far as it differs from the default. Phases are hashes."""
    told: dict[str, Any] = {}
    empty = ChatPlan(body={})
    for entry in fields(ChatPlan):
        value = getattr(plan, entry.name)
        if entry.name not in ("body", "phases") and value != getattr(empty, entry.name):
            told[entry.name] = value
    return told


def _expect(path: Path, value: Any, rewrite: bool) -> None:
    """The file holds exactly this value, key order included; no file where there is nothing to say."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=dict) + "\n" if value else ""
    if rewrite:
        if text:
            path.write_text(text, encoding="utf-8")
        else:
            path.unlink(missing_ok=True)
    assert (path.read_text(encoding="utf-8") if path.exists() else "") == text


@pytest.mark.parametrize("name", CASES)
def test_golden_chat_request(name: str, rewrite_golden: bool) -> None:
    """What every case's note says."""
    folder = GOLDEN / name
    case = jsonio.parse((folder / "case.json").read_bytes())
    request = jsonio.parse((folder / "client.json").read_bytes())
    before = copy.deepcopy(request)
    refused: dict[str, Any] = {}
    plan = ChatPlan(body={})
    try:
        validate(request)
        plan = _translate(request, case)
    except Refused as refusal:
        refused = {"status": refusal.failure.status, "body": refusal.failure.openai()}
    _expect(folder / "refused.json", refused, rewrite_golden)
    _expect(folder / "upstream.json", plan.body, rewrite_golden)
    _expect(folder / "plan.json", _told(plan) if plan.body else {}, rewrite_golden)
    assert request == before
    assert (folder / "note.md").read_text(encoding="utf-8").strip()
    if refused:
        assert refused["body"]["error"]["param"]
        return
    assert schema_problem(plan.body) == ""
    assert contract_problem(plan.body, case["kind"], case["model"]) == ""
    assert jsonio.dump(_translate(request, case).body) == jsonio.dump(plan.body)
