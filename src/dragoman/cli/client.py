"""A small HTTP client for the command line: the gateway's own doors, and a look at upstreams.

Standard library only, so that a verb starts quickly. It follows no redirect (a key must not travel on), uses
the environment's proxies except for loopback, and never shows a key in what it raises.
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dragoman import __version__
from dragoman.serving.configured import is_loopback

_MOST_BYTES = 8 * 1024 * 1024


class Unreachable(Exception):
    """No HTTP answer, and why; `stage` is `name`, `connection`, `certificate` or `answer`."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `json` is None where the body is none."""

    status: int
    headers: Mapping[str, str]
    json: Any


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def opener(url: str, ca_file: Path | None = None) -> urllib.request.OpenerDirector:
    """How a URL is opened: proxies of the environment, never for loopback; no redirects."""
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if is_loopback(urlsplit(url).hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))
    if ca_file is not None:
        context = ssl.create_default_context(cafile=str(ca_file))
        handlers.append(urllib.request.HTTPSHandler(context=context))
    return urllib.request.build_opener(*handlers)


def call(
    director: urllib.request.OpenerDirector, request: urllib.request.Request, seconds: float
) -> tuple[HTTPResponse | urllib.error.HTTPError, Mapping[str, str]]:
    """The answer, whatever its status, and its header fields in lower case. Raises Unreachable."""
    try:
        answer: HTTPResponse | urllib.error.HTTPError = director.open(request, timeout=seconds)
    except urllib.error.HTTPError as error:
        answer = error
    except urllib.error.URLError as error:
        raise unreachable(error.reason if isinstance(error.reason, Exception) else error) from None
    except (OSError, HTTPException, ValueError) as error:
        raise unreachable(error) from None
    return answer, {name.lower(): value for name, value in answer.headers.items()}


def unreachable(error: Exception) -> Unreachable:
    """What a failed connection means in a few words."""
    import socket

    if isinstance(error, socket.gaierror):
        return Unreachable("name", f"the name is not known ({error.strerror})")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable("certificate", f"the certificate is not trusted ({error.verify_message})")
    if isinstance(error, ssl.SSLError):
        return Unreachable("certificate", f"TLS failed ({error.reason or 'no reason given'})")
    if isinstance(error, TimeoutError):
        return Unreachable("connection", "no answer in time")
    if isinstance(error, OSError):
        return Unreachable("connection", (error.strerror or type(error).__name__).lower())
    return Unreachable("answer", f"no HTTP answer ({type(error).__name__})")


@dataclass(frozen=True, slots=True)
class GatewayClient:
    """Asks one gateway. `token` None asks without a key."""

    url: str
    token: str | None = field(default=None, repr=False)
    seconds: float = 10.0

    def get(self, path: str) -> Reply:
        """A whole answer. Raises Unreachable."""
        return self._whole(self._request(path, None, {}), self.seconds)

    def post(self, path: str, body: Any, headers: Mapping[str, str], seconds: float) -> Reply:
        """A whole answer to a JSON body. Raises Unreachable."""
        return self._whole(self._request(path, body, headers), seconds)

    def stream(self, path: str, body: Any, seconds: float) -> tuple[Reply, Iterator[tuple[float, bytes]]]:
        """Head of an answer, then its pieces with their times of arrival (monotonic). Raises Unreachable."""
        answer, headers = call(opener(self.url), self._request(path, body, {}), seconds)
        if isinstance(answer, urllib.error.HTTPError):
            with answer:
                return Reply(answer.code, headers, parsed(answer.read(_MOST_BYTES))), iter(())
        return Reply(answer.status, headers, None), _pieces(answer)

    def _request(self, path: str, body: Any, headers: Mapping[str, str]) -> urllib.request.Request:
        data = None if body is None else json.dumps(body).encode()
        fields = {
            "User-Agent": f"dragoman-cli/{__version__}",
            "anthropic-version": "2023-06-01",
            **({"Authorization": f"Bearer {self.token}"} if self.token else {}),
            **({"Content-Type": "application/json"} if body is not None else {}),
            **headers,
        }
        return urllib.request.Request(self.url + path, data, fields)

    def _whole(self, request: urllib.request.Request, seconds: float) -> Reply:
        answer, headers = call(opener(self.url), request, seconds)
        with answer:
            try:
                body = answer.read(_MOST_BYTES)
            except (OSError, HTTPException) as error:
                raise unreachable(error) from None
            return Reply(answer.status or 0, headers, parsed(body))


def _pieces(answer: HTTPResponse) -> Iterator[tuple[float, bytes]]:
    with answer:
        try:
            while piece := answer.read1(65536):
                yield time.monotonic(), piece
        except (OSError, HTTPException) as error:
            raise unreachable(error) from None


def parsed(body: bytes) -> Any:
    """The JSON of a body, None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
