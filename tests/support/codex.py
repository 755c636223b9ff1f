"""Runs the real Codex CLI, isolated: a home and a working folder of its own, no network, nothing inherited.

Every way out except the gateway leads to a dead proxy. The binary comes from `scripts/clients.sh`; nothing
of what the client sends is ever written down here.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.claude import DEAD_PROXY, binary

MODEL = "gpt-5.5"
PATIENCE = 180.0

CONFIG = """
model = "{model}"
model_provider = "gateway"
sandbox_mode = "danger-full-access"
approval_policy = "never"
check_for_update_on_startup = false
{settings}
[analytics]
enabled = false
[model_providers.gateway]
name = "The gateway"
base_url = "{base}"
env_key = "GATEWAY_KEY"
wire_api = "responses"
{provider}
"""

# How a test opens a client: `codex(settings="…", provider="…")`.
Open = Callable[..., "Codex"]


@dataclass(frozen=True)
class Finished:
    """One run that ended. Its standard output is one JSON event a line."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    @property
    def text(self) -> str:
        """What the model said last."""
        said = [item["text"] for item in self.items("agent_message")]
        return said[-1] if said else ""

    @property
    def problems(self) -> str:
        """What the client told the user of failures."""
        return "\n".join(
            json.dumps(event) for event in self.events if event["type"] in ("error", "turn.failed")
        )

    def items(self, kind: str) -> list[dict[str, Any]]:
        """Finished items of a kind, in order."""
        done = [event["item"] for event in self.events if event["type"] == "item.completed"]
        return [item for item in done if item["type"] == kind]


class Codex:
    """One installation with one home and one working folder; several runs continue one another."""

    def __init__(
        self,
        base_url: str,
        key: str,
        place: Path,
        *,
        settings: str = "",
        provider: str = "",
        model: str = MODEL,
    ) -> None:
        self.home = place / "home"
        self.work = place / "work"
        self.home.mkdir(parents=True, exist_ok=True)
        self.work.mkdir(parents=True, exist_ok=True)
        config = CONFIG.format(model=model, base=base_url, settings=settings, provider=provider)
        (self.home / "config.toml").write_text(config)
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(place),
            "CODEX_HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "GATEWAY_KEY": key,
            "HTTPS_PROXY": DEAD_PROXY,
            "HTTP_PROXY": DEAD_PROXY,
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def run(self, prompt: str, *flags: str, patience: float = PATIENCE) -> Finished:
        """`codex exec PROMPT` in a new session. Waits for the end."""
        return self._run("exec", "--json", "--skip-git-repo-check", *flags, prompt, patience=patience)

    def resume(self, prompt: str, *flags: str, patience: float = PATIENCE) -> Finished:
        """The last session, continued."""
        return self._run(
            "exec", "--json", "--skip-git-repo-check", *flags, "resume", "--last", prompt, patience=patience
        )

    def _run(self, *argv: str, patience: float) -> Finished:
        done = subprocess.run(
            [str(binary("codex")), *argv],
            env=self.environment,
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience,
            check=False,
        )
        return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())
