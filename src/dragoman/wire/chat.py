"""What travels to clients of OpenAI's Chat Completions: requests, chunks, whole completions.

TypedDicts for readers and type checkers; nothing is parsed or checked here. Follows OpenAI's public
description of `/chat/completions`, and only as far as this gateway reads or writes it.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Role = Literal["developer", "system", "user", "assistant", "tool", "function"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class CalledFunction(TypedDict):
    """`arguments` is JSON as text, exactly as the model wrote it."""

    name: str
    arguments: str


class ToolCall(TypedDict):
    id: str
    type: Literal["function"]
    function: CalledFunction


class RequestMessage(TypedDict):
    """A message of any role; which of the others it has depends on `role`."""

    role: Role
    content: NotRequired[str | list[dict[str, Any]] | None]
    refusal: NotRequired[str | None]
    tool_calls: NotRequired[list[ToolCall]]
    function_call: NotRequired[CalledFunction]
    tool_call_id: NotRequired[str]
    name: NotRequired[str]


class ChatRequest(TypedDict):
    """`POST /chat/completions`, as far as it is read."""

    model: str
    messages: list[RequestMessage]
    stream: NotRequired[bool]
    stream_options: NotRequired[dict[str, Any]]
    n: NotRequired[int]
    tools: NotRequired[list[dict[str, Any]]]
    tool_choice: NotRequired[str | dict[str, Any]]
    parallel_tool_calls: NotRequired[bool]
    functions: NotRequired[list[dict[str, Any]]]
    function_call: NotRequired[str | dict[str, Any]]
    response_format: NotRequired[dict[str, Any]]
    reasoning_effort: NotRequired[str]
    verbosity: NotRequired[Literal["low", "medium", "high"]]
    max_completion_tokens: NotRequired[int]
    max_tokens: NotRequired[int]
    stop: NotRequired[str | list[str] | None]
    temperature: NotRequired[float]
    top_p: NotRequired[float]
    logprobs: NotRequired[bool]
    top_logprobs: NotRequired[int]
    service_tier: NotRequired[str]
    web_search_options: NotRequired[dict[str, Any]]
    prompt_cache_key: NotRequired[str]
    prompt_cache_retention: NotRequired[str]


class Usage(TypedDict):
    """Prompt tokens include cached ones, completion tokens include reasoning."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int]
    completion_tokens_details: dict[str, int]


class Delta(TypedDict):
    """What a chunk adds to the message; a call is begun by `id` and name and goes on by its `index`."""

    role: NotRequired[Literal["assistant"]]
    content: NotRequired[str | None]
    refusal: NotRequired[str | None]
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[dict[str, Any]]]
    function_call: NotRequired[dict[str, str]]
    annotations: NotRequired[list[dict[str, Any]]]


class ChunkChoice(TypedDict):
    index: Literal[0]
    delta: Delta
    logprobs: dict[str, Any] | None
    finish_reason: FinishReason | None


class Chunk(TypedDict):
    """`usage` is null in all chunks but the last where the client asked for it, else missing."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    service_tier: NotRequired[str]
    system_fingerprint: None
    choices: list[ChunkChoice]
    usage: NotRequired[Usage | None]


class Message(TypedDict):
    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[dict[str, Any]]
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[ToolCall]]
    function_call: NotRequired[CalledFunction]


class Choice(TypedDict):
    index: Literal[0]
    message: Message
    logprobs: dict[str, Any] | None
    finish_reason: FinishReason


class Completion(TypedDict):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None
    service_tier: NotRequired[str]
    system_fingerprint: None
