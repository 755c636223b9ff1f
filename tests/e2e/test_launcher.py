"""`dragoman claude` with the real client, and nothing else set."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.claude import NEWEST, Open, binary
from tests.support.gateway import COMMAND
from tests.support.house import House, rule, say


def test_the_launcher_starts_the_real_client(house: House, claude: Open, tmp_path: Path) -> None:
    """behaviours E7: `dragoman claude -- -p hi` answers; the client compacts by the model's window."""
    house.scenario(rule(say("Ahoy.")))
    client = claude()
    mine = {
        name: value
        for name, value in client.environment.items()
        if not name.startswith(("ANTHROPIC", "CLAUDE"))
    }
    stray = {"ANTHROPIC_API_KEY": "sk-ant-stray", "CLAUDE_CODE_USE_BEDROCK": "1", "DRAGOMAN_KEY": house.key}
    real = str(binary(f"claude-{NEWEST}"))
    done = subprocess.run(
        [str(COMMAND), "claude", "--url", house.url, "--claude", real, "--", "-p", "hi"],
        env={**mine, **stray},
        cwd=client.work,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "Ahoy."
    assert [body["model"] for body in house.bodies()] == ["gpt-5.5"]
    house.verify()
