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
from dataclasses import dataclass, field
from pathlib import Path

from bench.bodies import Door

ROOT = Path(__file__).resolve().parent.parent
KEY = "sk-drg-bench-0123456789"
_BIN = Path(sys.executable).parent
_CHAT = "/v1/chat/completions"

_DRAGOMAN = """\
[server]
port = {port}
[models]
"claude-*" = "gpt-5.1@medium"
[logging]
format = "json"
[[accounts]]
name = "bench"
kind = "openai"
base_url = "{upstream}"
api_key = "sk-upstream-0123456789"
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

    `scenarios` names those it takes part in; all where it is empty. `chat` is its path for Chat Completions,
    "" where it has none.
    """

    name: str
    command: Sequence[str] = ()
    path: str = "/v1/messages"
    chat: str = ""
    headers: Sequence[str] = (f"x-api-key: {KEY}",)
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    missing: str = ""
    scenarios: Sequence[str] = ()

    def path_of(self, door: Door) -> str:
        """Where it answers this API, "" where it does not."""
        return self.chat if door == "chat" else self.path

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
    upstream = f"http://127.0.0.1:{upstream_port}/v1"
    config = folder / "config.toml"
    return Spec(
        "dragoman",
        (str(_BIN / "dragoman"), "serve", "--config", str(config), "--data-dir", str(folder)),
        chat=_CHAT,
        files={"config.toml": (_DRAGOMAN + _KEYS).format(port=port, upstream=upstream, key=KEY)},
        version=_tell([sys.executable, "-c", "import dragoman; print(dragoman.__version__)"]),
    )


def unledgered(port: int, upstream_port: int, folder: Path) -> Spec:
    """The same without keys, limits, database and metrics."""
    upstream = f"http://127.0.0.1:{upstream_port}/v1"
    return Spec(
        "unledgered",
        (sys.executable, "-m", "bench.unledgered", str(folder / "config.toml"), str(folder)),
        files={"config.toml": _DRAGOMAN.format(port=port, upstream=upstream)},
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
        files={"nginx.conf": config},
        version=_tell([binary, "-v"]).removeprefix("nginx version: nginx/"),
    )


OWN = {"dragoman": dragoman, "unledgered": unledgered, "bare": bare, "nginx": nginx}


def peer(name: str, port: int, upstream_port: int, folder: Path) -> Spec:
    """A row of peers.toml. Raises KeyError where there is none of that name."""
    row = tomllib.loads((ROOT / "bench" / "peers.toml").read_text())[name]
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
        path=row["path"],
        chat=row.get("chat", ""),
        headers=row["headers"],
        environment={key: fill(value) for key, value in row.get("environment", {}).items()},
        files={key: fill(value) for key, value in row.get("files", {}).items()},
        version=_tell([fill(word) for word in row["version"]]),
    )


def _tell(command: list[str]) -> str:
    """What a program says about itself, on one line."""
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return " ".join((said.stdout + said.stderr).split())[:80]
