"""What a client of Chat Completions is told of an upstream's refusal: OpenAI's envelope, the same table.

Each folder of tests/golden/chat/error is one behaviour: the upstream's HTTP answer (upstream.json), the
client's status, fields and body (client.json), and the rule in words (note.md).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dragoman.translate.chat.failure import to_client
from dragoman.translate.messages.failure import from_http
from dragoman.wire import jsonio
from tests.support.streams import NOW

GOLDEN = Path(__file__).parents[3] / "golden" / "chat" / "error"
CASES = sorted(folder.name for folder in GOLDEN.iterdir())


@pytest.mark.parametrize("name", CASES)
def test_golden_chat_error(name: str, rewrite_golden: bool) -> None:
    """What every case's note says."""
    folder = GOLDEN / name
    answer = json.loads((folder / "upstream.json").read_text())
    window = None if name.endswith("without-figures") else 272_000
    failure = from_http(answer["status"], answer["headers"], jsonio.dump(answer["body"]), now=NOW)
    client = to_client(failure, tokens=275_000, window=window)
    told = {"status": client.status, "headers": client.headers(), "body": client.openai()}
    found = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    file = folder / "client.json"
    if rewrite_golden:
        file.write_text(found)
    assert found == file.read_text()
    assert client.status not in (401, 403)
    assert (folder / "note.md").read_text().strip()
