"""How each gateway is started: dragoman, the bare relay, nginx, and the peers that peers.toml describes.

Each gets a folder of its own with the files it needs and no setting of the user's. dragoman runs as in
production: client keys, limits, log rows, lineage and sealed reasoning are all on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.bodies import Door

ROOT = Path(__file__).resolve().parent.parent
KEY = "sk-drg-bench-0123456789"
_BIN = Path(sys.executable).parent
_CHAT = "/v1/chat/completions"
_RESPONSES = "/v1/responses"
# What three accounts are put to; failovers are measured against them.
POOL = ("plain_1k_c16", "paced_c48", "paced_c200", "pooled_1000", "failover_1k", "failover_200k")

_DRAGOMAN = """\
[server]
port = {port}
[models]
"claude-*" = "gpt-5.1@medium"
[logging]
format = "json"
"""
_ACCOUNT = """\
[[accounts]]
name = "{name}"
kind = "openai"
base_url = "{upstream}"
api_key = "{key}"
{more}
"""
_KEYS = """\
[[keys]]
name = "bench"
key = "{key}"
concurrency = 100000
limits = [
  {{ measure = "requests", per = "minute", max = 100000000 }},
  {{ measure = "tokens", per = "day", max = 1000000000000 }},
  {{ measure = "cost_usd", per = "month", max = 1000000, models = "claude-*" }},
]
"""

_SHARED = """\
[database]
url = "{url}"
[secrets]
key_env = "BENCH_SECRET"
"""

# Bytes pass through: what the kernel, HTTP and one hop cost without any translation.
_NGINX = """\
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 64m;
  client_body_buffer_size 4m;
  keepalive_requests 10000000;
  upstream models {{
    server 127.0.0.1:{upstream_port};
    keepalive 1024;
    keepalive_requests 10000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://models;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 300s;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Spec:
    """A gateway that can be started. `missing` says in one line why it cannot, "" otherwise.

    `scenarios` names those it takes part in; all where it is empty. `path` (Messages), `chat` and `responses`
    are its paths for these APIs, "" where it has none. `prepare` is a command that must succeed once it runs.
    """

    name: str
    command: Sequence[str] = ()
    path: str = "/v1/messages"
    chat: str = ""
    responses: str = ""
    headers: Sequence[str] = (f"x-api-key: {KEY}",)
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    missing: str = ""
    scenarios: Sequence[str] = ()
    prepare: Sequence[str] = ()

    def path_of(self, door: Door) -> str:
        """Where it answers this API, "" where it does not."""
        return {"messages": self.path, "chat": self.chat, "responses": self.responses}[door]

    def lay_out(self, folder: Path) -> None:
        """Writes the gateway's files into its own folder."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def dragoman(port: int, upstream_port: int, folder: Path) -> Spec:
    """The gateway of this repository, from the environment that runs the bench."""
    made = _with_accounts("dragoman", port, folder, [_account(upstream_port, "bench")])
    return replace(made, chat=_CHAT)


def pool(port: int, upstream_port: int, folder: Path) -> Spec:
    """The gateway on three accounts that serve alike."""
    accounts = [_account(upstream_port, f"bench-{number}") for number in range(3)]
    return _with_accounts("pool", port, folder, accounts, POOL)


def sharing(name: str, port: int, upstream_port: int, folder: Path, url: str) -> Spec:
    """The gateway with its store at that URL and a secret that others have, too."""
    made = dragoman(port, upstream_port, folder)
    config = made.files["config.toml"] + _SHARED.format(url=url)
    secret = {"BENCH_SECRET": "one secret for all that share a database"}
    return replace(made, name=name, files={"config.toml": config}, environment=secret)


def failing(port: int, upstream_port: int, folder: Path) -> Spec:
    """The gateway on two accounts, of which the first is preferred and refuses: what a failover costs."""
    first = _account(upstream_port, "refuses", "sk-refuse-0123456789", "priority = 1")
    return _with_accounts(
        "failing", port, folder, [first, _account(upstream_port, "serves")], ("failover_1k", "failover_200k")
    )


def _account(upstream_port: int, name: str, key: str = "sk-upstream-0123456789", more: str = "") -> str:
    return _ACCOUNT.format(name=name, upstream=f"http://127.0.0.1:{upstream_port}/v1", key=key, more=more)


def _with_accounts(
    name: str, port: int, folder: Path, accounts: Sequence[str], scenarios: Sequence[str] = ()
) -> Spec:
    config = _DRAGOMAN.format(port=port) + "".join(accounts) + _KEYS.format(key=KEY)
    return Spec(
        name,
        (str(_BIN / "dragoman"), "serve", "--config", str(folder / "config.toml"), "--data-dir", str(folder)),
        chat=_CHAT,
        responses=_RESPONSES,
        files={"config.toml": config},
        version=_tell([sys.executable, "-c", "import dragoman; print(dragoman.__version__)"]),
        scenarios=scenarios,
    )


def unledgered(port: int, upstream_port: int, folder: Path) -> Spec:
    """The same without keys, limits, database and metrics."""
    config = _DRAGOMAN.format(port=port) + _account(upstream_port, "bench")
    return Spec(
        "unledgered",
        (sys.executable, "-m", "bench.unledgered", str(folder / "config.toml"), str(folder)),
        files={"config.toml": config},
        environment={"PYTHONPATH": str(ROOT)},
        scenarios=("plain_1k_c1", "plain_1k_c16", "plain_200k_c8", "full_1k_c16"),
    )


def bare(port: int, upstream_port: int, folder: Path) -> Spec:
    """The relay of bench/relay."""
    command = [str(_BIN / "uvicorn"), "bench.relay.app:app", "--app-dir", str(ROOT)]
    options = ["--port", str(port), "--no-access-log", "--log-level", "warning", "--backlog", "4096"]
    versions = (
        "from importlib.metadata import version as v; print('uvicorn', v('uvicorn'), 'aiohttp', v('aiohttp'))"
    )
    return Spec(
        "bare",
        command + options,
        chat=_CHAT,
        responses=_RESPONSES,
        environment={"UPSTREAM": f"http://127.0.0.1:{upstream_port}/v1/responses"},
        version=_tell([sys.executable, "-c", versions]),
    )


def nginx(port: int, upstream_port: int, folder: Path) -> Spec:
    """nginx, where it is installed; the variable NGINX names one outside PATH."""
    binary = os.environ.get("NGINX") or shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        return Spec("nginx", missing="not installed")
    config = _NGINX.format(port=port, upstream_port=upstream_port, folder=folder)
    return Spec(
        "nginx",
        (binary, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")),
        chat=_CHAT,
        responses=_RESPONSES,
        files={"nginx.conf": config},
        version=_tell([binary, "-v"]).removeprefix("nginx version: nginx/"),
    )


OWN = {
    "dragoman": dragoman,
    "pool": pool,
    "failing": failing,
    "unledgered": unledgered,
    "bare": bare,
    "nginx": nginx,
}


def peer(name: str, port: int, upstream_port: int, folder: Path) -> Spec:
    """A row of peers.toml. Raises KeyError where there is none of that name."""
    rows = tomllib.loads((ROOT / "bench" / "peers.toml").read_text())
    row = rows[name]
    if "like" in row:
        base = rows[row["like"]]
        row = {**base, **row, "environment": {**base["environment"], **row["environment"]}}
    binaries = ROOT / row["bin"]
    values = {
        "{port}": str(port),
        "{upstream}": f"http://127.0.0.1:{upstream_port}/v1",
        "{folder}": str(folder),
        "{bin}": str(binaries),
    }

    def fill(text: str) -> str:
        for mark, value in values.items():
            text = text.replace(mark, value)
        return text

    command = [fill(word) for word in row["command"]]
    if not Path(command[0]).exists():
        return Spec(name, missing=f"not installed; `{row['install']}` would do it")
    return Spec(
        name,
        command,
        path=row.get("path", ""),
        chat=row.get("chat", ""),
        responses=row.get("responses", ""),
        headers=row["headers"],
        environment={key: fill(value) for key, value in row.get("environment", {}).items()},
        files={key: fill(value) for key, value in row.get("files", {}).items()},
        version=_tell([fill(word) for word in row["version"]]),
        scenarios=row.get("scenarios", ()),
        prepare=[fill(word) for word in row.get("prepare", ())],
    )


def _tell(command: list[str]) -> str:
    """What a program says about itself, on one line."""
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return " ".join((said.stdout + said.stderr).split())[:80]
