"""`dragoman claude` with the real client, and nothing else set."""

from __future__ import annotations

import subprocess

from tests.support.claude import NEWEST, Open, binary
from tests.support.house import House, rule, say
from tests.support.zygote import COMMAND


def launched(house: House, claude: Open, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`dragoman claude -- ARGUMENTS` in a home of its own, with strays that would lead elsewhere."""
    client = claude()
    mine = {
        name: value
        for name, value in client.environment.items()
        if not name.startswith(("ANTHROPIC", "CLAUDE"))
    }
    stray = {"ANTHROPIC_API_KEY": "sk-ant-stray", "CLAUDE_CODE_USE_BEDROCK": "1", "DRAGOMAN_KEY": house.key}
    real = str(binary(f"claude-{NEWEST}"))
    return subprocess.run(
        [str(COMMAND), "claude", "--url", house.url, "--claude", real, "--", *arguments],
        env={**mine, **stray},
        cwd=client.work,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_launcher_starts_the_real_client(house: House, claude: Open) -> None:
    """`dragoman claude -- -p hi` answers, through the alias of the tier."""
    house.scenario(rule(say("Ahoy.")))
    done = launched(house, claude, "-p", "hi")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "Ahoy."
    assert [body["model"] for body in house.bodies()] == ["gpt-5.5"]
    house.verify()


def test_the_client_believes_in_the_upstreams_window(house: House, claude: Open) -> None:
    """behaviours T12: not in the million tokens that it gives to the name."""
    done = launched(house, claude, "-p", "/context")
    assert done.returncode == 0, done.stderr
    assert "272k" in done.stdout, done.stdout[:500]
    house.verify(conversations=0)
