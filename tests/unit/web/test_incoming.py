"""What is read of a caller's User-Agent: product and version, never a key that was put there."""

from __future__ import annotations

import pytest

from dragoman.web.incoming import Incoming, Message


async def receive() -> Message:
    raise AssertionError("nothing is read")


async def send(message: Message) -> None:
    raise AssertionError("nothing is sent")


@pytest.mark.parametrize(
    ("agent", "client"),
    [
        ("claude-cli/2.1.0 (external, cli)", "claude-cli/2.1.0"),
        ("Anthropic/Python 0.71.0", "Anthropic/Python 0.71.0"),
        ("AsyncOpenAI/Python 3.54.0", "AsyncOpenAI/Python 3.54.0"),
        ("Anthropic/JS 0.70.1 extra/1", "Anthropic/JS 0.70.1"),
        ("Anthropic/Python beta", "Anthropic/Python"),
        ("Anthropic/Python 1(x)", "Anthropic/Python"),
        ("Mozilla/5.0 7.1", "Mozilla/5.0"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("sk-drg-0123456789abcdef", "[…]"),
        ("tool/eyJhbGciOiJSUzI1NiJ9", "tool/[…]"),
        ("\x1b[31mred", ""),
        ("", ""),
    ],
)
def test_the_client_is_named_by_product_and_version(agent: str, client: str) -> None:
    headers = {"user-agent": agent} if agent else {}
    assert Incoming({}, receive, send, "/", "GET", headers, "req_1").client == client
