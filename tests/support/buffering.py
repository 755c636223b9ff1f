"""A reverse proxy that does what a badly configured one does: it keeps an answer until it is complete."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_PATIENCE = 60.0


@contextmanager
def buffering(url: str) -> Iterator[str]:
    """The address of such a proxy in front of `url`. It serves connections that end after one answer."""
    target = urlsplit(url)
    assert target.hostname is not None and target.port is not None
    where = (target.hostname, target.port)
    listener = socket.create_server(("127.0.0.1", 0))
    links: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:  # closed at the end
                return
            links.append(threading.Thread(target=_link, args=(near, where), daemon=True))
            links[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (accepting, *links):
            thread.join(_PATIENCE)


def _link(near: socket.socket, where: tuple[str, int]) -> None:
    with near, socket.create_connection(where, timeout=_PATIENCE) as far:
        near.settimeout(_PATIENCE)
        forward = threading.Thread(target=_forward, args=(near, far), daemon=True)
        forward.start()
        kept = bytearray()
        with suppress(OSError):
            while piece := far.recv(65536):
                kept += piece
            near.sendall(kept)
            near.shutdown(socket.SHUT_WR)
        forward.join(_PATIENCE)


def _forward(near: socket.socket, far: socket.socket) -> None:
    with suppress(OSError):
        while piece := near.recv(65536):
            far.sendall(piece)
