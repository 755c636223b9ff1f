"""The same gateway over TLS to its upstream, once: nginx in front of the upstream, a certificate for the run.

It needs nginx and openssl and says so where one is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import gateways
from bench.machine import Cores, Group, free_port
from bench.measure import Driver, Upstream
from bench.scenarios import SCENARIOS

_REPEATS = 2
_SCENARIOS = ("plain_1k_c16", "paced_c50")

_FRONT = """\
daemon off;
master_process off;
pid {folder}/front.pid;
error_log {folder}/front.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 10000000;
  upstream models {{ server 127.0.0.1:{upstream_port}; keepalive 1024; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/cert.pem;
    ssl_certificate_key {folder}/key.pem;
    location / {{
      proxy_pass http://models;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def measure(
    driver: Driver,
    upstream: Upstream,
    files: dict[str, Path],
    cores: Cores,
    add: Callable[[str, str, int, dict[str, Any]], None],
    folder: Path,
    stack: ExitStack,
) -> list[str]:
    """Adds rows of dragoman with a TLS upstream; returns a note where that cannot be had."""
    front = gateways.nginx(0, upstream.port, folder)
    if front.missing or shutil.which("openssl") is None:
        return ["TLS left out: it needs nginx and openssl"]
    home = folder / "gateways" / "front"
    front_port = free_port()
    text = _FRONT.format(folder=home, port=front_port, upstream_port=upstream.port)
    replace(front, files={"front.conf": text}).lay_out(home)
    _certificate(home)
    terminator = Group(
        [front.command[0], "-c", str(home / "front.conf"), "-e", str(home / "front.log")], cores.load
    )
    stack.callback(terminator.stop)
    port, own = free_port(), folder / "gateways" / "dragoman-tls"
    spec = gateways.dragoman(port, upstream.port, own)
    config = spec.files["config.toml"].replace(
        f"http://127.0.0.1:{upstream.port}/v1", f"https://127.0.0.1:{front_port}/v1"
    )
    config = f'{config}[upstream]\nca_file = "{home / "cert.pem"}"\n'
    log = stack.enter_context((folder / "dragoman-tls.log").open("wb"))
    gateway = driver.start(replace(spec, files={"config.toml": config}), port, own, files, log)
    stack.callback(gateway.group.stop)
    driver.warm_up(gateway)
    for repeat in range(_REPEATS):
        for name in _SCENARIOS:
            add("dragoman", f"tls_{name}", repeat, driver.run(gateway, SCENARIOS[name]))
    return []


def _certificate(folder: Path) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ})
