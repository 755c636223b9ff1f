"""Runs the real opencode, isolated: a home and a working folder of its own, no network, nothing inherited.

It speaks Chat Completions, through its provider for OpenAI-compatible servers, or Responses, through the one
for OpenAI. Every way out except the gateway leads to a dead proxy. The binary comes from
`scripts/clients.sh`; nothing of what the client sends is ever written down here.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.claude import DEAD_PROXY, binary

MODEL = "gpt-5.5"
PATIENCE = 180.0


@dataclass(frozen=True)
class Finished:
    """One run that ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """What the model said, as far as it stands on standard output."""
        return self.out.strip()


class Opencode:
    """One installation with one home and one working folder; several runs continue one another."""

    def __init__(
        self,
        base_url: str,
        key: str,
        place: Path,
        *,
        model: str = MODEL,
        window: int = 272_000,
        package: str = "@ai-sdk/openai-compatible",
    ) -> None:
        self.work = place / "work"
        home = place / "home"
        for folder in (self.work, home):
            folder.mkdir(parents=True, exist_ok=True)
        described = {"name": model, "tool_call": True, "limit": {"context": window, "output": 32_000}}
        provider: dict[str, Any] = {
            "npm": package,
            "name": "The gateway",
            "options": {"baseURL": f"{base_url}/v1", "apiKey": key},
            "models": {model: described},
        }
        settings = {
            "provider": {"gateway": provider},
            "model": f"gateway/{model}",
            "small_model": f"gateway/{model}",
            "autoupdate": False,
            "share": "disabled",
            "permission": {"bash": "allow", "edit": "allow"},
        }
        (self.work / "opencode.json").write_text(json.dumps(settings))
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
            "HTTPS_PROXY": DEAD_PROXY,
            "HTTP_PROXY": DEAD_PROXY,
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def run(self, prompt: str, *flags: str, patience: float = PATIENCE) -> Finished:
        """`opencode run PROMPT`. Waits for the end."""
        done = subprocess.run(
            [str(binary("opencode")), "run", *flags, prompt],
            env=self.environment,
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience,
            check=False,
        )
        return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())
