"""Secrets to plant, and the search for them: each field that somebody can fill has a marker of its own.

A marker is shaped like what people put into that field by mistake or by nature (a key, a token, prose). It
holds a core that stands nowhere else, and only the core is searched: plain, and in the forms in which bytes
travel.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

# Name of the field -> how a secret in it looks.
SHAPES: Mapping[str, str] = {
    # the configuration
    "client key": "sk-drg-{}aaaaBBBB1111",
    "upstream key": "sk-proj-{}ccccDDDD2222",
    "upstream key of the second account": "sk-svcacct-{}eeee3333",
    "organization": "org-{}Ffff4444",
    "project": "proj_{}Gggg5555",
    # header fields of the client
    "unknown key": "sk-ant-api03-{}hhhh6666",
    "unknown bearer": "eyJhbGciOiJ{}.eyJzdWIiOiJ{}.c2ln",
    "cookie": "session={}",
    "request id": "sk-live-{}",
    "user agent": "sk-ua-{}",
    "beta header": "private-beta-{}",
    "session header": "{}-0000-session",
    "traceparent": "00-{}-trace-01",
    "tracestate": "vendor={}",
    "baggage": "user={}",
    "custom header": "custom {}",
    "query": "{}query",
    "path": "{}path",
    "proxy credentials": "Basic {}",
    # the body of the client
    "system prompt": "You are {} and keep it to yourself.",
    "user text": "My password is {}, remember it.",
    "assistant text": "As I said, {}.",
    "thinking": "The user means {}.",
    "signature": "EpAB{}==",
    "tool name": "tool_{}",
    "tool description": "Calls the internal host {}.corp.",
    "tool schema": "field_{}",
    "tool arguments": "--token {}",
    "tool result": "cat .env: TOKEN={}",
    "document": "Confidential: {}.",
    "document title": "{}.pdf",
    "image data": "{}",
    "image url": "https://pictures.example/{}.png?sig=1",
    "user id": "user_{}_account_1",
    "model": "sk-model-{}",
    "model of a family": "gpt-5.5-sk-proj-{}",
    "unknown field": "sk-field-{}",
    "value of an unknown field": "whatever {}",
    "stop sequence": "STOP {}",
    "cache key": "tenant-{}",
    "server token": "mcp {}",
    "previous message": "msg_{}",
    "malformed body": "broken {}",
    "wrong role": "sk-role-{}",
    "wrong type": "sk-type-{}",
    "wrong value": "sk-value-{}",
    # the upstream
    "key in an upstream error": "Incorrect API key provided: sk-proj-{}aaaa. You can find it on the page.",
    "organisation in an upstream error": "Rate limit reached for org-{}aaaa0000 on tokens per min.",
    "page of an upstream": "<html><head><title>{}</title></head><body>nginx</body></html>",
    "upstream code": "sk-code-{}",
    "upstream parameter": "param_{}",
    "upstream header": "hdr {}",
    "upstream address": "http://127.0.0.1:9/{}",
    "upstream response id": "resp_{}0123456789",
    "upstream event": "response.sk_{}",
    "malformed event": "not json {}",
    "answer": "The answer is {}.",
    "reasoning summary": "Thinking of {}.",
    "sealed reasoning": "gAAAAAB{}==",
    "arguments of the model": '{{"secret":"{}"}}',
    # faults of our own
    "exception": "KeyError about {}",
    "library": "Task exception was never retrieved\nfuture: ValueError('{}')",
    "key in a library's message": "connecting with Bearer {} failed",
}


def core(name: str) -> str:
    """What is searched for: letters and digits, so that no text form of it differs from it."""
    return f"Zq{list(SHAPES).index(name):02d}mRkR"


def planted(name: str) -> str:
    """The secret as it stands in its field."""
    inner = core(name)
    return SHAPES[name].replace("{}", inner).replace("{{", "{").replace("}}", "}")


def found(text: str, name: str) -> bool:
    """Whether a text holds the marker: as it is, in any case, in base64 at any offset, or in hexadecimal."""
    inner = core(name)
    if inner.lower() in text.lower() or inner.encode().hex() in text.lower():
        return True
    return any(form in text for form in _base64(inner))


def _base64(inner: str) -> Iterator[str]:
    """The part of the encoding that does not depend on what stands around, at each of the three offsets."""
    for offset, cut in ((0, 0), (1, 2), (2, 3)):
        whole = base64.b64encode(b"\0" * offset + inner.encode()).decode().rstrip("=")
        yield whole[cut : len(whole) - 1 if (offset + len(inner)) % 3 else len(whole)]


@dataclass(frozen=True, slots=True)
class Place:
    """Where nothing of a secret may be found; `read` gives all of its text."""

    name: str
    read: Callable[[], str]


def hits(place: Place) -> list[str]:
    """The markers that a place holds."""
    text = place.read()
    return [name for name in SHAPES if found(text, name)]
