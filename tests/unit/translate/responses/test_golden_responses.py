"""Requests as fixtures: client.json and case.json become upstream, prepared or refused.json."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from dragoman.translate.capability import capability
from dragoman.translate.messages.plan import Policy, Target
from dragoman.translate.models import profile
from dragoman.translate.responses.request import Prepared, prepare, unfit
from dragoman.translate.responses.validate import read
from dragoman.wire import jsonio
from dragoman.wire.errors import Refused
from tests.support.openapi import create_response

GOLDEN = Path(__file__).parents[3] / "golden" / "responses" / "request"
CASES = sorted(folder.name for folder in GOLDEN.iterdir())


def target(case: dict[str, Any]) -> Target:
    known = profile(case["model"])
    able = capability(case["kind"], known, frozenset(case.get("learnt", ())))
    return Target(case["kind"], case["model"], known, able, "acct", case.get("alias_effort"))


def _prepared(request: Any, case: dict[str, Any]) -> Prepared:
    policy = Policy(b"golden key, never used elsewhere", **case.get("policy", {}))
    bare = case.get("without_reasoning", False)
    return prepare(request, target(case), policy, case.get("identity"), without_reasoning=bare)


def _expect(path: Path, value: Any, rewrite: bool) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n" if value else ""
    if rewrite:
        if text:
            path.write_text(text, encoding="utf-8")
        else:
            path.unlink(missing_ok=True)
    assert (path.read_text(encoding="utf-8") if path.exists() else "") == text


@pytest.mark.parametrize("name", CASES)
def test_golden_responses_request(name: str, rewrite_golden: bool) -> None:
    """What every case's note says."""
    folder = GOLDEN / name
    case = jsonio.parse((folder / "case.json").read_bytes())
    request = jsonio.parse((folder / "client.json").read_bytes())
    before = copy.deepcopy(request)
    refused: dict[str, Any] = {}
    made = Prepared({})
    try:
        asked = read(request)
        if (found := unfit(asked, target(case))) is not None:
            refused = {"unfit": list(found)}
        else:
            made = _prepared(asked, case)
    except Refused as refusal:
        refused = {"status": refusal.failure.status, "body": refusal.failure.openai()}
    told = {"ignored": list(made.ignored), "dropped_reasoning": made.dropped_reasoning}
    _expect(folder / "refused.json", refused, rewrite_golden)
    _expect(folder / "upstream.json", made.body, rewrite_golden)
    _expect(folder / "prepared.json", {key: value for key, value in told.items() if value}, rewrite_golden)
    assert request == before
    assert (folder / "note.md").read_text(encoding="utf-8").strip()
    if refused:
        assert "unfit" in refused or refused["body"]["error"]["param"]
        return
    if case["kind"] == "openai":
        assert [error.message for error in create_response().iter_errors(made.body)] == []
    assert jsonio.dump(_prepared(asked, case).body) == jsonio.dump(made.body)
