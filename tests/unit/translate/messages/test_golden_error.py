"""The golden refusals: what an upstream says, what is made of it, and what the client is told.

Each folder of tests/golden/error is one behaviour: an HTTP answer (upstream.json) or an event
(upstream.sse), the classified failure with the advice and the client's error (client.json), and the rule
in words with the behaviours it proves (note.md).
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dragoman.translate.messages.failure import ADVICE, UpstreamFailure, from_event, from_http, to_client
from dragoman.wire import jsonio, sse
from tests.support.streams import NOW

GOLDEN = Path(__file__).parents[3] / "golden" / "error"
CASES = sorted(folder.name for folder in GOLDEN.iterdir())


def failure_of(name: str) -> UpstreamFailure:
    folder = GOLDEN / name
    if (folder / "upstream.sse").exists():
        [event] = sse.Decoder().feed((folder / "upstream.sse").read_bytes())
        return from_event(jsonio.parse(event.data), now=NOW)
    answer = json.loads((folder / "upstream.json").read_text())
    body = answer["body"]
    data = body.encode() if isinstance(body, str) else jsonio.dump(body)
    return from_http(answer["status"], answer["headers"], data, now=NOW)


def told(failure: UpstreamFailure) -> dict[str, Any]:
    client = to_client(failure, tokens=275_000, window=272_000)
    return {
        "failure": asdict(failure),
        "advice": ADVICE[failure.cause]._asdict(),
        "client": {"status": client.status, "headers": client.headers(), "body": client.anthropic("req_1")},
    }


@pytest.mark.parametrize("name", CASES)
def test_golden_error(name: str, rewrite_golden: bool) -> None:
    """What every case's note says. The notes hold these ids:

    B68 B82 B84 B85 B87 B88 D14 D15 D16 D35
    behaviours C19, behaviours C23, behaviours E1, behaviours E3, behaviours E12, behaviours T9,
    behaviours T10
    """
    file = GOLDEN / name / "client.json"
    found = json.dumps(told(failure_of(name)), indent=2, ensure_ascii=False) + "\n"
    if rewrite_golden:
        file.write_text(found)
    assert found == file.read_text()


def test_golden_error_notes_and_ids_agree() -> None:
    pattern = r"\b[BD]\d+\b|behaviours [STCE]\d+"
    noted = {
        found for name in CASES for found in re.findall(pattern, (GOLDEN / name / "note.md").read_text())
    }
    assert noted == set(re.findall(pattern, test_golden_error.__doc__ or ""))


@pytest.mark.parametrize("name", CASES)
def test_golden_errors_tell_nothing_that_identifies_an_account(name: str) -> None:
    """reliability E6: no ids, no keys, no markup in what is kept of an upstream's words."""
    text = (GOLDEN / name / "client.json").read_text()
    for mark in (
        "sk-",
        "org-A",
        "proj_A",
        "user-A",
        "req_0",
        "gAAAA",
        "@example",
        "<html",
        "<title",
        "Bearer",
    ):
        assert mark not in text


@pytest.mark.parametrize("name", CASES)
def test_golden_errors_never_blame_the_clients_key(name: str) -> None:
    """A pool account's 401 or 403 is not the client's."""
    client = json.loads((GOLDEN / name / "client.json").read_text())["client"]
    assert client["status"] not in (401, 403)
    assert client["body"]["error"]["message"]
