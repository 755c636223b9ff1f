"""One sign-in of a ChatGPT account at the issuer, by browser or by device code, from beginning to tokens.

A browser sign-in has a state and a verifier of its own, so several may be under way. Nothing is kept here
and nothing waits: callers poll and tell what the browser brought back. Failures are sentences that say what
to do.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from dragoman.upstream.authfile import AuthFileError, Login, identity, login_of
from dragoman.upstream.callback import CallbackError, parse_callback
from dragoman.upstream.oauth import CALLBACK, Device, Granted, Issuer, Problem, Wait, challenge, verifier


class SignInFailed(Exception):
    """There is no login; the message is one sentence. `over` tells that this sign-in cannot go on."""

    def __init__(self, sentence: str, *, over: bool = True) -> None:
        super().__init__(sentence)
        self.over = over


@dataclass(slots=True)
class BrowserSignIn:
    """The user goes to `url`; the browser comes back to an address with a code, which can be pasted, too."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    secret: str = field(repr=False)
    issuer: Issuer = field(repr=False)
    redirect_uri: str = CALLBACK

    async def pasted(self, address: str, now: float) -> Login:
        """The login for the address that the browser came back to. Raises SignInFailed."""
        try:
            code = parse_callback(address, self.state)
        except CallbackError as problem:
            raise SignInFailed(str(problem), over=False) from None
        return await self.code(code, now)

    async def code(self, code: str, now: float) -> Login:
        """The login for a code, which can be exchanged once. Raises SignInFailed."""
        return _login(await self.issuer.exchange(code, self.secret, self.redirect_uri), now)


def browser(issuer: Issuer, redirect_uri: str = CALLBACK) -> BrowserSignIn:
    """Begins one; asks nobody anything."""
    secret, state = verifier(secrets.token_bytes(64)), secrets.token_urlsafe(32)
    return BrowserSignIn(
        issuer.authorize_url(state, challenge(secret), redirect_uri), state, secret, issuer, redirect_uri
    )


@dataclass(slots=True)
class DeviceSignIn:
    """The user opens `url` anywhere and enters `user_code`; times in seconds and epoch seconds."""

    device: Device
    issuer: Issuer = field(repr=False)

    @property
    def url(self) -> str:
        return self.device.url

    @property
    def user_code(self) -> str:
        return self.device.user_code

    @property
    def expires_at(self) -> float:
        return self.device.expires_at

    async def poll(self, now: float) -> Login | Wait:
        """Asks the issuer once. Raises SignInFailed."""
        outcome = await self.issuer.device_poll(self.device)
        return outcome if isinstance(outcome, Wait) else _login(outcome, now)


async def device(issuer: Issuer) -> DeviceSignIn:
    """Begins one. Raises SignInFailed."""
    begun = await issuer.device_start()
    if isinstance(begun, Problem):
        raise SignInFailed(begun.sentence)
    return DeviceSignIn(begun, issuer)


def _login(outcome: Granted | Problem, now: float) -> Login:
    if isinstance(outcome, Problem):
        raise SignInFailed(outcome.sentence)
    login = login_of(outcome.access_token, outcome.refresh_token, outcome.id_token, last_refresh=now)
    try:
        identity(login.account_id, login.claims)
    except AuthFileError:
        raise SignInFailed(
            "The issuer's tokens name no account: check chatgpt.issuer and chatgpt.client_id."
        ) from None
    if login.account_id is None:
        raise SignInFailed("The login names no ChatGPT account: sign in again and choose a workspace.")
    return login
