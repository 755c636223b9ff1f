"""The end of a browser login: what is believed, what the page says, and the pasted address."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest

from dragoman.upstream.callback import Callback, CallbackError, awaited, parse_callback

STATE = "st-1"


@pytest.mark.parametrize(
    "pasted",
    [
        f"http://localhost:1455/auth/callback?code=c-1&state={STATE}",
        f"  /auth/callback?state={STATE}&code=c-1&scope=openid ",
        f"code=c-1&state={STATE}",
    ],
)
def test_a_pasted_address_in_every_form(pasted: str) -> None:
    assert parse_callback(pasted, STATE) == "c-1"


@pytest.mark.parametrize(
    ("pasted", "word"),
    [
        ("", "no code"),
        ("http://localhost:1455/auth/callback", "no code"),
        ("c-1", "no code"),
        ("http://[::1/?code=c", "no address"),
        ("?" + "&".join(f"a{n}=1" for n in range(99)), "no address"),
        ("?code=c-1", "another log-in"),
        ("?code=c-1&state=other", "another log-in"),
        (f"?code=&state={STATE}", "empty"),
        (f"?error=access_denied&state={STATE}", "refused in the browser"),
        (f"?error=server_error&state={STATE}&error_description=<b>x", "failed at the issuer"),
    ],
)
def test_a_wrong_one_says_what_to_do(pasted: str, word: str) -> None:
    with pytest.raises(CallbackError, match=word) as caught:
        parse_callback(pasted, STATE)
    assert "<b>" not in str(caught.value)


async def ask(callback: Callback, head: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", callback.port)
    writer.write(f"{head}\r\nhost: localhost\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1]) if answer else 0, answer


async def test_the_browser_brings_the_code_once() -> None:
    async with awaited(STATE, 0) as callback:
        target = f"/auth/callback?code={quote('c/1')}&state={STATE}"
        assert (await ask(callback, "GET / HTTP/1.1"))[0] == 404
        assert (await ask(callback, f"POST {target} HTTP/1.1"))[0] == 405
        assert (await ask(callback, "GET /auth/callback?code=x&state=guess HTTP/1.1"))[0] == 400
        assert (await ask(callback, "GET /auth/callback?error=access_denied&state=guess HTTP/1.1"))[0] == 400
        status, page = await ask(callback, f"GET {target} HTTP/1.1")
        assert status == 200
        assert "You are logged in" in page
        assert "c/1" not in page
        assert (await ask(callback, f"GET {target} HTTP/1.1"))[0] == 410
        assert await callback.code(30) == "c/1"


async def test_a_refusal_ends_it_and_silence_too() -> None:
    async with awaited(STATE, 0) as callback:
        await ask(callback, f"GET /auth/callback?error=access_denied&state={STATE} HTTP/1.1")
        with pytest.raises(CallbackError, match="refused"):
            await callback.code(30)
    async with awaited(STATE, 0) as callback:
        with pytest.raises(CallbackError, match="in time"):
            await callback.code(0.01)


async def test_noise_is_no_answer_and_holds_nothing_up() -> None:
    async with awaited(STATE, 0) as callback:
        reader, writer = await asyncio.open_connection("127.0.0.1", callback.port)
        writer.write(b"x" * 100_000 + b"\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        _, silent = await asyncio.open_connection("127.0.0.1", callback.port)
        assert (await ask(callback, f"GET /auth/callback?code=c&state={STATE} HTTP/1.1"))[0] == 200
        silent.close()


async def test_a_taken_port_is_said_with_the_way_around() -> None:
    async with awaited(STATE, 0) as first:
        with pytest.raises(CallbackError, match="paste the address"):
            async with awaited(STATE, first.port):
                pass
