"""Makes the request bodies: about 1 KB, and long tool conversations of any size, all of invented words.

Bodies are equal on every run (seeded). The last user text carries the marker that tells the upstream how to
answer; translators hand it on because it is text.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bench.relay.translation import to_responses

Json = dict[str, Any]
Door = Literal["messages", "chat", "responses"]

MODEL = "claude-sonnet-4-5"
_WORDS = """
the file function returns value error path config session token stream parse handle model gateway request
response cache account limit retry async await class import test module build node index key list dict string
number option result
""".split()  # noqa: SIM905 -- as a list it would be forty lines


class Answer(NamedTuple):
    """How the upstream answers: number of deltas, bytes of each, microseconds between them."""

    deltas: int
    size: int = 24
    pause_us: int = 0

    @property
    def marker(self) -> str:
        return f"BENCH:n={self.deltas},s={self.size},d={self.pause_us};"


class Body(NamedTuple):
    """A request: kilobytes (1 is the short one), whether it streams, the answer it asks for, and its API."""

    kilobytes: int
    stream: bool
    answer: Answer
    door: Door = "messages"


BODIES = {
    "plain_1k": Body(1, False, Answer(20)),
    "plain_200k": Body(200, False, Answer(20)),
    "plain_2000k": Body(2000, False, Answer(20)),
    "one_1k": Body(1, True, Answer(1)),
    "one_200k": Body(200, True, Answer(1)),
    "full_1k": Body(1, True, Answer(200)),
    "full_200k": Body(200, True, Answer(200)),
    "paced": Body(1, True, Answer(100, pause_us=20_000)),
    "burst": Body(1, True, Answer(20, pause_us=40_000)),
    "held": Body(1, True, Answer(60, pause_us=2_000_000)),
    "chat_plain_1k": Body(1, False, Answer(20), "chat"),
    "chat_plain_200k": Body(200, False, Answer(20), "chat"),
    "chat_full_1k": Body(1, True, Answer(200), "chat"),
    "chat_paced": Body(1, True, Answer(100, pause_us=20_000), "chat"),
    "responses_plain_1k": Body(1, False, Answer(20), "responses"),
    "responses_plain_200k": Body(200, False, Answer(20), "responses"),
    "responses_full_1k": Body(1, True, Answer(200), "responses"),
    "responses_paced": Body(1, True, Answer(100, pause_us=20_000), "responses"),
}


def request(name: str, model: str = MODEL) -> Json:
    """The request of that name, in the words of its API."""
    body = BODIES[name]
    made = _Writer(body.kilobytes).request(body, model)
    if body.door == "responses":
        return to_responses(made)
    return _as_chat(made) if body.door == "chat" else made


def write(folder: Path, model: str = MODEL) -> dict[str, Path]:
    """Writes every body as a file; returns name -> path."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.json" for name in BODIES}
    for name, path in paths.items():
        text = json.dumps(request(name, model), ensure_ascii=False, separators=(",", ":"))
        path.write_text(text, encoding="utf-8")
    return paths


class _Writer:
    """Invents texts, tools and turns from one seeded source."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def request(self, body: Body, model: str) -> Json:
        if body.kilobytes > 1:
            return self._conversation(body, model)
        return {
            "model": model,
            "max_tokens": 1024,
            "stream": body.stream,
            "system": self._text(300),
            "messages": [{"role": "user", "content": f"{self._text(400)} {body.answer.marker}"}],
        }

    def _conversation(self, body: Body, model: str) -> Json:
        size = body.kilobytes * 1024
        breakpoint_ = {"cache_control": {"type": "ephemeral"}}
        system = [
            {"type": "text", "text": self._text(60), **breakpoint_},
            {"type": "text", "text": self._text(min(14_000, size // 4)), **breakpoint_},
        ]
        messages: list[Json] = [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": self._text(min(3_000, size // 20))},
                    {"type": "text", "text": self._text(500)},
                ],
            }
        ]
        whole = {
            "model": model,
            "max_tokens": 32_000,
            "stream": body.stream,
            "metadata": {"user_id": f"user_{'a' * 64}_account__session_11111111-2222-3333-4444-555555555555"},
            "system": system,
            "tools": [self._tool(number) for number in range(min(25, size // 5_000))],
            "messages": messages,
        }
        length = len(json.dumps(whole))
        while length < size - 2_500:
            turn = self._turn(len(messages))
            messages += turn
            length += len(json.dumps(turn)) + 2
        last = {"type": "text", "text": f"{self._text(300)} {body.answer.marker}", **breakpoint_}
        messages[-1]["content"].append(last)
        return whole

    def _turn(self, number: int) -> list[Json]:
        call = f"toolu_{number:024d}"
        arguments = {
            "file_path": f"/srv/project/src/{self._random.choice(_WORDS)}.py",
            "old_string": self._text(self._between(50, 400)),
            "new_string": self._text(self._between(50, 600)),
        }
        text = self._text(self._between(200, 3_000))
        output = text if number % 4 == 1 else [{"type": "text", "text": text}]
        said = {"type": "text", "text": self._text(self._between(40, 300))}
        use = {"type": "tool_use", "id": call, "name": f"Tool{self._random.choice((1, 2, 4, 5))}"}
        return [
            {"role": "assistant", "content": [said, {**use, "input": arguments}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": call, "content": output}],
            },
        ]

    def _tool(self, number: int) -> Json:
        properties: Json = {
            f"param_{position}": {
                "type": self._random.choice(("string", "number", "boolean")),
                "description": self._text(self._between(60, 200)),
            }
            for position in range(self._between(2, 7))
        }
        item = {
            "type": "object",
            "properties": {
                "content": {"type": "string"},
                "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]},
            },
            "required": ["content", "status"],
            "additionalProperties": False,
        }
        properties["items"] = {"type": "array", "items": item}
        return {
            "name": f"Tool{number}" if number % 3 else f"mcp__server{number}__do_{number}",
            "description": self._text(self._between(300, 1_800)),
            "input_schema": {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "properties": properties,
                "required": list(properties)[:2],
                "additionalProperties": False,
            },
        }

    def _between(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def _text(self, length: int) -> str:
        words: list[str] = []
        written = 0
        while written < length:
            word = self._random.choice(_WORDS)
            if self._random.random() < 0.08:
                word += "\n"
            if self._random.random() < 0.03:
                word += ' "quoted" \\path é'
            words.append(word)
            written += len(word) + 1
        return " ".join(words)[:length]


def _as_chat(request: Json) -> Json:
    """The same conversation as a chat: one message for each text, call and result."""
    messages: list[Json] = [{"role": "system", "content": _joined(request["system"])}]
    for message in request["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts = [block["text"] for block in blocks if block["type"] == "text"]
        calls = [_called(block) for block in blocks if block["type"] == "tool_use"]
        messages += [
            {"role": "tool", "tool_call_id": block["tool_use_id"], "content": _joined(block["content"])}
            for block in blocks
            if block["type"] == "tool_result"
        ]
        if texts or calls:
            said = {"role": message["role"], "content": "\n".join(texts)}
            messages.append({**said, "tool_calls": calls} if calls else said)
    made: Json = {"model": request["model"], "stream": request["stream"], "messages": messages}
    if "tools" in request:
        made["tools"] = [_function(tool) for tool in request["tools"]]
    return made


def _called(block: Json) -> Json:
    function = {"name": block["name"], "arguments": json.dumps(block["input"], ensure_ascii=False)}
    return {"id": block["id"], "type": "function", "function": function}


def _function(tool: Json) -> Json:
    function = {"name": tool["name"], "description": tool["description"], "parameters": tool["input_schema"]}
    return {"type": "function", "function": function}


def _joined(content: str | list[Json]) -> str:
    return content if isinstance(content, str) else "\n".join(block["text"] for block in content)
