"""ChatGPT logins for tests: unsigned tokens with the real claims, and files that hold them."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

from dragoman.simulator.oauth import CLAIM
from dragoman.simulator.server import Running

FAR = 4_000_000_000


def jwt(exp: float | str | None = FAR, auth: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token whose payload says this. `auth` is the object under OpenAI's own claim."""
    said = {**claims, **({} if exp is None else {"exp": exp}), **({} if auth is None else {CLAIM: auth})}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in ({"alg": "none"}, said)]
    return b".".join(part.rstrip(b"=") for part in parts).decode() + ".none"


def document(name: str = "acct-1", *, exp: float = FAR, **tokens: Any) -> dict[str, Any]:
    """What an auth.json of this account holds."""
    auth = {"chatgpt_account_id": name, "chatgpt_plan_type": "plus", "chatgpt_user_id": f"u-{name}"}
    made = {
        "id_token": jwt(exp, auth, email=f"{name}@example.com"),
        "access_token": jwt(exp, auth, jti=name),
        "refresh_token": f"rt-{name}",
        "account_id": name,
    }
    # A login that is old is renewed at the start already.
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"OPENAI_API_KEY": None, "tokens": {**made, **tokens}, "last_refresh": now}


def account(
    running: Running, folder: Path, name: str, *, exp: float = FAR, round_: int = 1, **more: Any
) -> dict[str, Any]:
    """An account that simulator and configuration know; returns its row of `[[accounts]]`.

    `round_` counts logins: each has a refresh token of its own.
    """
    made = document(name, exp=exp, **({} if round_ == 1 else {"refresh_token": f"rt-{name}-{round_}"}))
    file = folder / f"{name}.json"
    file.write_text(json.dumps(made))
    running.state.accounts.put(
        {
            "id": name,
            "kind": "codex",
            "access": made["tokens"]["access_token"],
            "refresh": made["tokens"]["refresh_token"],
            **more,
        }
    )
    return {
        "name": name,
        "kind": "chatgpt",
        "auth_file": str(file),
        "base_url": f"{running.url}/backend-api",
    }


def counted(running: Running) -> list[Any]:
    """What the issuer is asked for tokens from now on."""
    calls: list[Any] = []
    grants: Any = running.state.grants
    answer = grants.token

    def token(*arguments: Any) -> Any:
        calls.append(arguments[0])
        return answer(*arguments)

    grants.token = token
    return calls
