"""The request half as fixtures: client.json and case.json become upstream, plan or refused.json."""

from __future__ import annotations

import copy
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dragoman.translate.capability import capability
from dragoman.translate.messages.phases import hashed, mark
from dragoman.translate.messages.plan import Identity, Plan, Policy, Target
from dragoman.translate.messages.reasoning import Seal, seal_item
from dragoman.translate.messages.request import translate, validate
from dragoman.translate.models import profile
from dragoman.wire import jsonio
from dragoman.wire.errors import Refused
from tests.support.openapi import contract_problem, schema_problem

KEY = b"golden key, never used elsewhere"
GOLDEN = Path(__file__).parents[3] / "golden"
REQUESTS = sorted(path.name for path in (GOLDEN / "request").iterdir())
SEQUENCES = sorted(path.name for path in (GOLDEN / "request-sequence").iterdir())
TAG = "acct"


def _load(path: Path) -> Any:
    return jsonio.parse(path.read_bytes())


def _sealed(value: Any, envelopes: dict[str, str]) -> Any:
    """The fixture with `{{name}}` replaced by the envelope of that name."""
    if isinstance(value, str):
        return envelopes.get(value, value)
    if isinstance(value, list):
        return [_sealed(inner, envelopes) for inner in value]
    if isinstance(value, dict):
        return {name: _sealed(inner, envelopes) for name, inner in value.items()}
    return value


def _client(path: Path, case: dict[str, Any]) -> Any:
    envelopes = {
        f"{{{{{name}}}}}": seal_item(row["item"], Seal(KEY, row["account_tag"], row["model"]))
        for name, row in case.get("sealed", {}).items()
    }
    return _sealed(_load(path), envelopes)


def _phases(case: dict[str, Any]) -> dict[str, str]:
    """What is remembered: a case says for which texts, and with or without a call behind them."""
    return {
        mark(hashed(said["text"]), before_call=said["before_call"]): said["phase"]
        for said in case.get("phases", ())
    }


def _translate(request: Any, case: dict[str, Any], order: tuple[str, ...] = ()) -> Plan:
    known = profile(case["model"])
    able = capability(case["kind"], known, frozenset(case.get("learnt", ())))
    target = Target(case["kind"], case["model"], known, able, TAG, case.get("alias_effort"))
    return translate(
        request,
        target,
        Policy(KEY, **case.get("policy", {})),
        Identity(**case.get("identity", {})),
        case.get("recall", {}),
        phases=_phases(case),
        without_reasoning=case.get("without_reasoning", False),
        tool_order=order or case.get("tool_order", ()),
    )


def _told(plan: Plan) -> dict[str, Any]:
    """What a plan says besides its body, as far as it differs from the default. Phases are hashes."""
    told: dict[str, Any] = {}
    empty = Plan(body={})
    for entry in fields(Plan):
        value = getattr(plan, entry.name)
        if entry.name not in ("body", "phases") and value != getattr(empty, entry.name):
            told[entry.name] = sorted(value) if isinstance(value, frozenset) else value
    return told


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=dict) + "\n"


def _expect(path: Path, value: Any, rewrite: bool) -> None:
    """The file holds exactly this value, key order included; no file where there is nothing to say."""
    text = _pretty(value) if value else ""
    if rewrite:
        if text:
            path.write_text(text, encoding="utf-8")
        else:
            path.unlink(missing_ok=True)
    assert (path.read_text(encoding="utf-8") if path.exists() else "") == text


def _check_body(plan: Plan, case: dict[str, Any]) -> None:
    assert schema_problem(plan.body) == ""
    assert contract_problem(plan.body, case["kind"], case["model"]) == ""
    assert b"cache_control" not in jsonio.dump(plan.body)


@pytest.mark.parametrize("name", REQUESTS)
def test_request(name: str, rewrite_golden: bool) -> None:
    folder = GOLDEN / "request" / name
    case = _load(folder / "case.json")
    request = _client(folder / "client.json", case)
    before = copy.deepcopy(request)
    refused: dict[str, Any] = {}
    plan = Plan(body={})
    try:
        validate(request, lenient=case.get("policy", {}).get("lenient", False))
        plan = _translate(request, case)
    except Refused as refusal:
        refused = refusal.failure.anthropic()
    _expect(folder / "refused.json", refused, rewrite_golden)
    _expect(folder / "upstream.json", plan.body, rewrite_golden)
    _expect(folder / "plan.json", _told(plan), rewrite_golden)
    assert request == before
    if not refused:
        _check_body(plan, case)
        assert jsonio.dump(_translate(request, case).body) == jsonio.dump(plan.body)
    assert (folder / "note.md").read_text(encoding="utf-8").strip()


def _unmarked(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items without cache breakpoints, which say where to store and are no part of the prompt."""
    bare = copy.deepcopy(items)
    for item in bare:
        for field in ("content", "output"):
            if isinstance(parts := item.get(field), list):
                for part in parts:
                    part.pop("prompt_cache_breakpoint", None)
    return bare


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequence(name: str, rewrite_golden: bool) -> None:
    """Each turn's instructions and tools repeat, and its input extends, those of the turn before. B103"""
    folder = GOLDEN / "request-sequence" / name
    case = _load(folder / "case.json")
    before: Plan | None = None
    for number in range(1, len(list(folder.glob("turn*.json"))) + 1):
        request = _client(folder / f"turn{number}.json", case)
        order: tuple[str, ...] = ()
        if before is not None and case.get("remember_tools"):
            order = tuple(tool.get("name") or tool["type"] for tool in before.body["tools"])
        validate(request)
        plan = _translate(request, case, order)
        _expect(folder / f"upstream{number}.json", plan.body, rewrite_golden)
        _check_body(plan, case)
        if before is not None:
            assert plan.body.get("instructions") == before.body.get("instructions")
            for field in ("tools", "input"):
                earlier, later = _unmarked(before.body[field]), _unmarked(plan.body[field])
                assert jsonio.dump(later[: len(earlier)]) == jsonio.dump(earlier)
        before = plan
