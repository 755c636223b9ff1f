"""How a person signs in from a terminal: the address to open, the browser that comes back, a paste, a code.

The callback and a paste are awaited at the same time; whichever comes first counts. It prints to people,
keeps nothing and gives back a login.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import webbrowser
from contextlib import AsyncExitStack, suppress

from dragoman.cli import errand
from dragoman.onboarding import signin
from dragoman.onboarding.signin import BrowserSignIn, SignInFailed
from dragoman.upstream import callback
from dragoman.upstream.authfile import Login
from dragoman.upstream.callback import CallbackError
from dragoman.upstream.oauth import Issuer, Wait

SECONDS = 900.0
PORT = callback.PORT
_LONGEST_LINE = 16 * 1024
_PASTES = 5
sleep = asyncio.sleep


async def by_browser(issuer: Issuer, *, paste: bool, show: bool) -> Login:
    """Signs in with a browser. `paste`: it cannot come back; `show`: open it. Raises SignInFailed."""
    begun = signin.browser(issuer)
    errand.say("Open this address in a browser and log in:", "", f"  {begun.url}", "")
    async with AsyncExitStack() as stack:
        listening = None
        if not paste:
            try:
                listening = await stack.enter_async_context(callback.awaited(begun.state, PORT))
            except CallbackError as problem:
                errand.warn(str(problem))
        if listening is None or not sys.stdin.isatty():
            errand.say("Afterwards paste the address that the browser shows here, and press Enter.")
        else:
            errand.say("Waiting for the browser. If it cannot come back here, paste the address it shows.")
        if show and _has_browser():
            await asyncio.to_thread(webbrowser.open, begun.url)
        return await _first(begun, listening)


async def by_device(issuer: Issuer) -> Login:
    """Signs in with a code that is entered elsewhere. Raises SignInFailed."""
    begun = await signin.device(issuer)
    minutes = max(1, round((begun.expires_at - time.time()) / 60))
    errand.say(
        f"Open {begun.url} in any browser and enter this code within {minutes} minutes:",
        "",
        f"  {begun.user_code}",
        "",
    )
    pause = begun.device.interval
    while True:
        await sleep(pause)
        told = await begun.poll(time.time())
        if not isinstance(told, Wait):
            return told
        pause = told.seconds


async def _first(begun: BrowserSignIn, listening: callback.Callback | None) -> Login:
    """The login of the callback or of a paste, whichever is there first."""
    pasting = asyncio.ensure_future(_pasted(begun, endless=listening is not None))
    tasks: set[asyncio.Future[Login]] = {pasting}
    if listening is not None:
        tasks.add(asyncio.ensure_future(_called(begun, listening)))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _called(begun: BrowserSignIn, listening: callback.Callback) -> Login:
    try:
        code = await listening.code(SECONDS)
    except CallbackError as problem:
        raise SignInFailed(str(problem)) from None
    return await begun.code(code, time.time())


async def _pasted(begun: BrowserSignIn, *, endless: bool) -> Login:
    """The login of a pasted address; wrong ones are told and asked for again.

    Where input ends and the browser may still come back (`endless`), it waits for good.
    """
    last = "nothing was pasted: run it again, and paste the address that the browser shows"
    for _ in range(_PASTES):
        line = await _line()
        if line is None:
            break
        if not line.strip():
            continue
        try:
            return await begun.pasted(line, time.time())
        except SignInFailed as failed:
            if failed.over:
                raise
            last = str(failed)
            errand.warn(last)
    if endless:
        await asyncio.Event().wait()
    raise SignInFailed(last)


async def _line() -> str | None:
    """A line of standard input without holding up the loop; None at its end."""
    loop = asyncio.get_running_loop()
    try:
        source = sys.stdin.fileno()
        ready = asyncio.Event()
        loop.add_reader(source, ready.set)
    except (OSError, ValueError):  # a file, or no real input: it is there at once
        return sys.stdin.readline(_LONGEST_LINE) or None
    try:
        data = bytearray()
        while not data.endswith(b"\n") and len(data) < _LONGEST_LINE:
            await ready.wait()
            ready.clear()
            with suppress(BlockingIOError):
                # One byte at a time: what follows belongs to whoever reads next.
                byte = os.read(source, 1)
                if not byte:
                    return data.decode(errors="replace") or None
                data += byte
        return data.decode(errors="replace")
    finally:
        loop.remove_reader(source)


def _has_browser() -> bool:
    """Whether opening one shows a window, and not a text browser that takes the terminal."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
