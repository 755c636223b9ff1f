"""One gateway takes another's place without a connection refused: the listening sockets go over.

A gateway that serves offers them at a socket of its data directory, which its own user alone may open. A
successor takes them, makes itself ready, and only then asks the old one to hand over; if it does not come so
far, nothing has happened. Who may be asked and what a drain does are decided elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dragoman.wire import jsonio

NAME = "serve.sock"
ANSWER_SECONDS = 10.0
_MOST_SOCKETS = 16
# A path of this kind of socket has 107 bytes at most; longer ones are reached through the directory.
_MOST_BYTES = 100
_TAKE, _RETIRE = b"take\n", b"retire\n"


class TakeoverFailed(Exception):
    """A gateway runs here, and its sockets cannot be had; the message says why and what to do."""


class Offer:
    """What a running gateway offers. `sockets` are what it listens on now (none: it is ending)."""

    def __init__(
        self,
        data: Path,
        sockets: Callable[[], Sequence[socket.socket]],
        retire: Callable[[], None],
        told: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._data = data
        self._sockets = sockets
        self._retire = retire
        self._told = told
        self._door: socket.socket | None = None
        self._inode = 0
        self._guests: set[socket.socket] = set()

    def open(self, *, succeeding: bool = False) -> None:
        """Begins to offer, inside the running loop. Another live gateway of this directory keeps its place,
        unless this one is `succeeding` it. Where none can be offered, `told` says why, and that is all.
        """
        if not hasattr(socket, "AF_UNIX"):
            return
        if not succeeding and (other := _call(self._data)) is not None:
            other.close()
            self._told("another gateway of this data directory is offering its own")
            return
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _reachable(self._data) as place:
                draft = place / f".{NAME}.{os.getpid()}"
                draft.unlink(missing_ok=True)
                door.bind(str(draft))
                draft.chmod(0o600)
                door.listen(4)
                self._inode = draft.stat().st_ino
                draft.replace(place / NAME)
        except OSError as error:
            door.close()
            self._told(error.strerror or type(error).__name__)
            return
        door.setblocking(False)
        self._door = door
        asyncio.get_running_loop().add_reader(door, self._accept)

    def withdraw(self) -> None:
        """Offers nothing more; successors that were served are told the end by `close`."""
        if self._door is None:
            return
        asyncio.get_running_loop().remove_reader(self._door)
        self._door.close()
        self._door = None
        with contextlib.suppress(OSError), _reachable(self._data) as place:
            if (place / NAME).stat().st_ino == self._inode:  # else it is the successor's by now
                (place / NAME).unlink()

    def close(self) -> None:
        """The last that this process does: whoever took over knows by it that everything is written."""
        for guest in list(self._guests):
            self._dismiss(guest)

    def _accept(self) -> None:
        if self._door is None:
            return
        try:
            guest, _ = self._door.accept()
        except OSError:
            return
        guest.setblocking(False)
        self._guests.add(guest)
        asyncio.get_running_loop().add_reader(guest, self._heard, guest)

    def _heard(self, guest: socket.socket) -> None:
        try:
            said = guest.recv(64)
            if said == _TAKE:
                self._give(guest)
            elif said == _RETIRE:
                self._retire()
            else:
                self._dismiss(guest)
        except BlockingIOError:
            return
        except OSError:
            self._dismiss(guest)

    def _give(self, guest: socket.socket) -> None:
        sockets = self._sockets()[:_MOST_SOCKETS]
        told = jsonio.dump({"pid": os.getpid(), "sockets": len(sockets)}) + b"\n"
        socket.send_fds(guest, [told], [one.fileno() for one in sockets])

    def _dismiss(self, guest: socket.socket) -> None:
        self._guests.discard(guest)
        with contextlib.suppress(RuntimeError):  # no loop runs any more
            asyncio.get_running_loop().remove_reader(guest)
        guest.close()


class Predecessor:
    """The gateway whose place is taken: its process and the sockets that came from it."""

    def __init__(self, line: socket.socket, pid: int, sockets: list[socket.socket]) -> None:
        self._line = line
        self.pid = pid
        self.sockets = sockets

    def listening_at(self, host: str, port: int) -> list[socket.socket] | None:
        """Its sockets, where they are all that `host` and `port` (0: any) ask for; the others are closed.

        None where this configuration wants another address, which has to be bound then.
        """
        infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        wanted = {(family, address[0]) for family, _, _, _, address in infos}
        has = {
            (int(one.family), one.getsockname()[0]): one
            for one in self.sockets
            if port in (0, one.getsockname()[1])
        }
        there = {int(family) for family, _ in has}
        # A machine without IPv6 may still name ::1 localhost.
        wanted = {(family, name) for family, name in wanted if family != socket.AF_INET6 or family in there}
        if not wanted or any(place not in has for place in wanted):
            return None
        return [one for place, one in has.items() if place in wanted]

    def retire(self) -> None:
        """This process serves: the old one may hand over. Raises OSError when it is gone already."""
        self._line.sendall(_RETIRE)

    async def gone(self) -> None:
        """Waits until the old process has written everything and ended, or was killed."""
        self._line.setblocking(False)
        with contextlib.suppress(OSError):
            while await asyncio.get_running_loop().sock_recv(self._line, 64):
                pass

    def close(self) -> None:
        """Lets go of it; without `retire` it goes on serving."""
        self._line.close()
        for one in self.sockets:
            one.close()


def predecessor(data: Path) -> Predecessor | None:
    """The gateway that serves from this data directory; None where none does. Raises TakeoverFailed."""
    if not hasattr(socket, "AF_UNIX") or not hasattr(socket, "recv_fds"):
        raise TakeoverFailed("this system cannot pass sockets between processes: stop the old one first")
    line = _call(data)
    if line is None:
        return None
    try:
        line.settimeout(ANSWER_SECONDS)
        line.sendall(_TAKE)
        told, descriptors, _, _ = socket.recv_fds(line, 4096, _MOST_SOCKETS)
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        found = jsonio.parse(told)
        pid = int(found["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        line.close()
        raise TakeoverFailed(
            "the gateway of this data directory does not answer: stop it first, then start without --takeover"
        ) from None
    if not sockets:
        line.close()
        raise TakeoverFailed(
            f"the gateway of this data directory (process {pid}) is ending: start again once it has ended"
        )
    return Predecessor(line, pid, sockets)


def answers(data: Path) -> bool:
    """Whether a gateway of this data directory offers its place; True where none could."""
    if not hasattr(socket, "AF_UNIX"):
        return True
    line = _call(data)
    if line is not None:
        line.close()
    return line is not None


def _call(data: Path) -> socket.socket | None:
    """A connection to the gateway of a data directory, where one listens."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(ANSWER_SECONDS)
    try:
        with _reachable(data) as place:
            line.connect(str(place / NAME))
    except OSError:
        line.close()
        return None
    return line


@contextlib.contextmanager
def _reachable(data: Path) -> Iterator[Path]:
    """The directory under a path that is short enough for a socket. Raises OSError where there is none."""
    if len(os.fsencode(data)) + len(NAME) + 10 < _MOST_BYTES:
        yield data
        return
    directory = os.open(data, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        yield Path(f"/proc/self/fd/{directory}")
    finally:
        os.close(directory)
