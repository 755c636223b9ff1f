"""Checks of the gateway's address and of the client key."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Any

from dragoman.cli.doctor.findings import Finding, error, fine, warn
from dragoman.cli.doctor.visit import Visit
from dragoman.serving.secret import CLIENT_KEY


def address(visit: Visit) -> Iterator[Finding]:
    """Nobody there, this gateway, or something else."""
    if visit.url is None:
        if visit.settings is not None:
            yield fine(
                "port", "server.port is 0: a free one is taken at every start; --url names a running gateway"
            )
        return
    if visit.door == "closed" and visit.url_given:
        yield error("port", f"nobody answers at {visit.url}", "check --url, or start the gateway there")
    elif visit.door == "closed":
        yield from _free(visit)
    elif visit.door == "other":
        yield error("port", f"what answers at {visit.url} is no dragoman")
    elif visit.ready is not None and visit.ready.status != 200:
        yield warn(
            "port", f"the gateway at {visit.url} is {visit.ready.json['status']}", "wait, or start it again"
        )
    elif parts := [name for name, state in _told(visit).items() if state == "degraded"]:
        yield warn(
            "port",
            f"the gateway at {visit.url} serves, but does not do well: {', '.join(sorted(parts))}",
            "look for event=store in its log, which says why; it goes on by itself when the cause is gone",
        )
    else:
        told = ", with the simulator behind it" if visit.simulated else ""
        yield fine("port", f"a gateway serves at {visit.url}{told}")


def _told(visit: Visit) -> Mapping[str, Any]:
    """What /readyz says."""
    said = None if visit.ready is None else visit.ready.json
    return said if isinstance(said, dict) else {}


def _free(visit: Visit) -> Iterator[Finding]:
    """Nobody answers: could `serve` bind it?"""
    if visit.settings is None:
        return
    host, port = visit.settings.server.host, visit.settings.server.port
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, where = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        yield error("port", f"{host}:{port} cannot be bound ({reason}), and nobody answers there")
        return
    yield fine("port", f"{host}:{port} is free; no gateway is running there")


def client_key(visit: Visit) -> Iterator[Finding]:
    """Whether a key was found and is known."""
    if visit.key_problem is not None:
        yield error("client-key", visit.key_problem, "choose a key with --key-env or --key-file")
        return
    if visit.door != "ours":
        return
    source = visit.key_source
    if isinstance(visit.models, dict):
        yield fine(
            "client-key", f"the gateway takes the key of {source}" if source else "the gateway needs no key"
        )
    elif source is None:
        yield error("client-key", "the gateway wants a client key and none was found")
    else:
        yield error("client-key", f"the gateway does not take the key of {source}", _instead(visit, source))


def _instead(visit: Visit, source: str) -> str:
    """What to do about a key that is not known: `key create --save` overwrites no file."""
    saved = visit.data / CLIENT_KEY
    if source == f"the file {saved}":
        return f"replace the text in {saved}, or remove it and `dragoman key create NAME --save`"
    return f"put a key that the gateway knows into {source}; `dragoman key create NAME` makes one"
