"""Building blocks for tests that talk to the simulator: requests, images, an oracle for its events."""

from __future__ import annotations

import base64
import functools
import json
import struct
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator

from dragoman.simulator.contract import Flavour, Terms
from dragoman.simulator.exchange import Exchange
from dragoman.simulator.models import UNLISTED, family
from dragoman.simulator.opening import open_exchange
from dragoman.simulator.sealing import Sealer
from dragoman.simulator.state import State
from dragoman.simulator.switches import Switches, change
from dragoman.wire import sse

PNG_1X1 = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def png(width: int, height: int) -> bytes:
    """A PNG header of that size; enough for everything that reads headers only."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x06\0\0\0"


def as_data_url(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def user(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text, **more}]}


def assistant(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": text}


def call(call_id: str, name: str = "Read", arguments: str = "{}") -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def output(call_id: str, text: Any = "ok") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def tool(name: str = "Read", **members: str) -> dict[str, Any]:
    """A function tool whose members are required and have the given JSON types."""
    properties = {key: {"type": kind} for key, kind in members.items()}
    schema = {"type": "object", "properties": properties, "required": list(members)}
    return {"type": "function", "name": name, "description": "d", "parameters": schema, "strict": False}


def words(count: int, seed: str = "w") -> str:
    """A text of about two tokens per word, different for every seed."""
    return " ".join(f"{seed}{index % 97}" for index in range(count))


def text_of_tokens(wanted: int, seed: str = "a") -> str:
    """A text of exactly so many tokens of the pseudo-tokenizer: one letter and one blank are two."""
    letters = (f"{seed} " * (wanted // 2 + 1))[:wanted]
    return letters


def request(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A good streaming request of the public API."""
    return {
        "model": "gpt-5.5",
        "input": list(items) or [user("hello")],
        "stream": True,
        "store": False,
        **more,
    }


def codex_request(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A good request of the Codex flavour."""
    return request(*items, **{"instructions": "", "include": ["reasoning.encrypted_content"], **more})


def terms(model: str = "gpt-5.5", flavour: Flavour = "api", **more: Any) -> Terms:
    """Terms of judgement; `switches` may be a mapping."""
    switches = Switches()
    change(switches, more.pop("switches", {}))
    sealer = more.pop("sealer", Sealer(1))
    known = family(model) or UNLISTED
    return Terms(flavour, model, known, switches, more.pop("scope", "org-1"), sealer.open, **more)


def opened(
    state: State, body: dict[str, Any], flavour: Flavour = "api", headers: Mapping[str, str] | None = None
) -> Exchange:
    """Opens an exchange without a socket. Raises Refused."""
    record = state.log.open(state.clock.now(), "POST", "/v1/responses", [])
    state.log.keep(record, b"", b"")
    fields = {"authorization": "Bearer sk-test", **(headers or {})}
    outcome, _ = open_exchange(state, flavour, body, fields, record)
    state.log.close(record, "complete")
    assert isinstance(outcome, Exchange)
    return outcome


def played(exchange: Exchange) -> list[dict[str, Any]]:
    """All events of an exchange, with its prompt entered into the cache."""
    exchange.begin()
    return [frame for frame in exchange.frames() if isinstance(frame, dict)]


def answered(
    state: State, body: dict[str, Any], flavour: Flavour = "api", headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The finished response of a request."""
    exchange = opened(state, body, flavour, headers)
    played(exchange)
    return exchange.final


def events_of(raw: bytes) -> list[dict[str, Any]]:
    """The events of an SSE body."""
    decoder = sse.Decoder()
    found = [*decoder.feed(raw), *decoder.flush()]
    return [json.loads(event.data) for event in found]


@functools.cache
def _description() -> dict[str, Any]:
    raw = resources.files("dragoman.simulator").joinpath("openapi.json").read_text()
    description: dict[str, Any] = json.loads(raw.replace('"oneOf":', '"anyOf":'))
    return description


@functools.cache
def oracle(name: str) -> Draft202012Validator:
    """jsonschema's validator for a schema of OpenAI's description, with oneOf read as anyOf."""
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", **_description()})


@functools.cache
def _event_schemas() -> dict[str, str]:
    schemas = _description()["components"]["schemas"]
    listed = [branch["$ref"].rpartition("/")[2] for branch in schemas["ResponseStreamEvent"]["anyOf"]]
    return {schemas[name]["properties"]["type"]["enum"][0]: name for name in listed}


def check_event(event: dict[str, Any]) -> None:
    """Raises jsonschema's error unless the event fits its schema."""
    oracle(_event_schemas()[event["type"]]).validate(event)
