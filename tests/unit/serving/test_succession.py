"""Passing the listening sockets from one process to the next: here both are one."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dragoman.serving.succession import NAME, Offer, Predecessor, TakeoverFailed, predecessor
from dragoman.web.door import listen

WAIT = 30.0


class Gateway:
    """What offers: bound sockets, and whether it was asked to hand over."""

    def __init__(self, data: Path, host: str = "127.0.0.1") -> None:
        self.sockets = listen(host, 0)
        self.port: int = self.sockets[0].getsockname()[1]
        self.retired = asyncio.Event()
        self.why: list[str] = []
        self.offer = Offer(data, lambda: self.sockets, self.retired.set, self.why.append)


@asynccontextmanager
async def offering(
    data: Path, host: str = "127.0.0.1", *, succeeding: bool = False
) -> AsyncIterator[Gateway]:
    one = Gateway(data, host)
    one.offer.open(succeeding=succeeding)
    try:
        yield one
    finally:
        one.offer.withdraw()
        one.offer.close()
        for sock in one.sockets:
            sock.close()


async def taken(data: Path) -> Predecessor | None:
    """Asks in a thread, as the one who answers is in this loop."""
    return await asyncio.to_thread(predecessor, data)


async def test_the_sockets_go_over_and_the_old_one_hands_over_when_told(tmp_path: Path) -> None:
    async with offering(tmp_path) as gateway:
        found = await taken(tmp_path)
        assert found is not None
        assert found.pid == os.getpid()
        (sock,) = found.listening_at("127.0.0.1", gateway.port) or []
        assert sock.getsockname() == gateway.sockets[0].getsockname()
        assert found.listening_at("127.0.0.1", 0) == [sock]
        assert not gateway.retired.is_set()
        found.retire()
        async with asyncio.timeout(WAIT):
            await gateway.retired.wait()
        gone = asyncio.ensure_future(found.gone())
        await asyncio.sleep(0.01)
        assert not gone.done()
        gateway.offer.withdraw()
        gateway.offer.close()
        async with asyncio.timeout(WAIT):
            await gone
        found.close()
    assert not (tmp_path / NAME).exists()


async def test_a_successor_that_goes_away_leaves_everything_as_it_was(tmp_path: Path) -> None:
    async with offering(tmp_path) as gateway:
        for _ in range(2):
            found = await taken(tmp_path)
            assert found is not None
            found.close()
        assert not gateway.retired.is_set()
        assert gateway.sockets[0].fileno() > 0


async def test_another_address_has_to_be_bound(tmp_path: Path) -> None:
    async with offering(tmp_path) as gateway:
        found = await taken(tmp_path)
        assert found is not None
        assert found.listening_at("127.0.0.1", gateway.port + 1) is None
        assert found.listening_at("0.0.0.0", gateway.port) is None
        found.close()


async def test_localhost_is_found_again_whatever_addresses_it_has(tmp_path: Path) -> None:
    async with offering(tmp_path, "localhost") as gateway:
        found = await taken(tmp_path)
        assert found is not None
        assert len(found.listening_at("localhost", gateway.port) or []) == len(gateway.sockets)
        found.close()


async def test_where_nobody_serves_there_is_nothing_to_take(tmp_path: Path) -> None:
    assert await taken(tmp_path) is None
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / NAME))
    stale.close()
    assert await taken(tmp_path) is None
    async with offering(tmp_path) as gateway:  # what a killed process left is no obstacle
        assert gateway.why == []
        assert ((tmp_path / NAME).stat().st_mode & 0o777) == 0o600


async def test_a_gateway_that_is_ending_says_so(tmp_path: Path) -> None:
    async with offering(tmp_path) as gateway:
        bound, gateway.sockets = gateway.sockets, []
        with pytest.raises(TakeoverFailed, match="is ending"):
            await taken(tmp_path)
        gateway.sockets = bound


async def test_one_that_speaks_otherwise_is_not_taken_over(tmp_path: Path) -> None:
    def answer(door: socket.socket) -> None:
        guest, _ = door.accept()
        with guest:
            guest.recv(64)
            guest.sendall(b"what?\n")

    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / NAME))
        door.listen()
        answering = asyncio.ensure_future(asyncio.to_thread(answer, door))
        with pytest.raises(TakeoverFailed, match="does not answer"):
            await taken(tmp_path)
        await answering


async def test_words_that_nobody_knows_end_the_line(tmp_path: Path) -> None:
    async with offering(tmp_path) as gateway:
        with socket.socket(socket.AF_UNIX) as line:
            line.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(line, str(tmp_path / NAME))
            await loop.sock_sendall(line, b"nonsense\n")
            async with asyncio.timeout(WAIT):
                assert await loop.sock_recv(line, 64) == b""
        assert not gateway.retired.is_set()


async def test_two_of_one_directory_the_first_keeps_its_offer(tmp_path: Path) -> None:
    async with offering(tmp_path) as first:
        second = Gateway(tmp_path)
        await asyncio.to_thread(lambda: None)
        second.offer.open()
        assert second.why == ["another gateway of this data directory is offering its own"]
        second.offer.withdraw()
        for sock in second.sockets:
            sock.close()
        found = await taken(tmp_path)
        assert found is not None
        assert found.listening_at("127.0.0.1", first.port)
        found.close()


async def test_what_a_successor_offers_is_not_withdrawn_by_the_old_one(tmp_path: Path) -> None:
    async with offering(tmp_path) as old, offering(tmp_path, succeeding=True) as new:
        old.offer.withdraw()
        found = await taken(tmp_path)
        assert found is not None
        assert found.listening_at("127.0.0.1", new.port)
        found.close()


async def test_a_long_path_is_reached_all_the_same(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    async with offering(deep) as gateway:
        assert gateway.why == []
        found = await taken(deep)
        assert found is not None
        found.close()


async def test_where_nothing_can_be_offered_it_serves_all_the_same(tmp_path: Path) -> None:
    async with offering(tmp_path / "missing") as gateway:
        assert gateway.why == ["No such file or directory"]


def test_a_system_without_such_sockets_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(TakeoverFailed, match="stop the old one first"):
        predecessor(tmp_path)
    Offer(tmp_path, list, lambda: None).open()
