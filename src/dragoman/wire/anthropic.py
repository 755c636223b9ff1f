"""What travels on Anthropic's side: Messages requests, content blocks, answers and stream events.

TypedDicts for readers and type checkers; nothing is parsed or checked here, and unknown fields are no
error. Follows the public Messages API (version 2023-06-01 and its betas).
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Role = Literal["user", "assistant", "system"]
StopReason = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
]


class CacheControl(TypedDict):
    type: Literal["ephemeral"]
    ttl: NotRequired[Literal["5m", "1h"]]


class Source(TypedDict):
    """Where an image or document is: `base64` (media_type, data), `url`, `text`, `content` or `file`."""

    type: Literal["base64", "url", "text", "content", "file"]
    media_type: NotRequired[str]
    data: NotRequired[str]
    url: NotRequired[str]
    content: NotRequired[str | list[dict[str, Any]]]
    file_id: NotRequired[str]


class TextBlock(TypedDict):
    type: Literal["text"]
    text: str
    citations: NotRequired[list[dict[str, Any]] | None]
    cache_control: NotRequired[CacheControl | None]


class ImageBlock(TypedDict):
    type: Literal["image"]
    source: Source
    cache_control: NotRequired[CacheControl | None]


class DocumentBlock(TypedDict):
    type: Literal["document"]
    source: Source
    title: NotRequired[str | None]
    context: NotRequired[str | None]
    citations: NotRequired[dict[str, Any] | None]
    cache_control: NotRequired[CacheControl | None]


class SearchResultBlock(TypedDict):
    type: Literal["search_result"]
    source: str
    title: str
    content: list[TextBlock]


class ThinkingBlock(TypedDict):
    type: Literal["thinking"]
    thinking: str
    signature: str


class RedactedThinkingBlock(TypedDict):
    type: Literal["redacted_thinking"]
    data: str


class ToolUseBlock(TypedDict):
    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class ServerToolUseBlock(TypedDict):
    type: Literal["server_tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class ToolResultBlock(TypedDict):
    type: Literal["tool_result"]
    tool_use_id: str
    content: NotRequired[str | list[dict[str, Any]] | None]
    is_error: NotRequired[bool | None]
    cache_control: NotRequired[CacheControl | None]


class WebSearchResult(TypedDict):
    type: Literal["web_search_result"]
    url: str
    title: str
    encrypted_content: str
    page_age: str | None


class WebSearchToolResultBlock(TypedDict):
    """`content` is a list of results, or an error object with `error_code`."""

    type: Literal["web_search_tool_result"]
    tool_use_id: str
    content: list[WebSearchResult] | dict[str, Any]


class Message(TypedDict):
    """One turn of a conversation. `output_config` may stand on system messages."""

    role: Role
    content: str | list[dict[str, Any]]
    output_config: NotRequired[dict[str, Any] | None]


class Tool(TypedDict):
    """A client's tool (no `type`, or `custom`) or one that Anthropic defines (`type` with a date)."""

    name: str
    type: NotRequired[str | None]
    description: NotRequired[str]
    input_schema: NotRequired[dict[str, Any]]
    strict: NotRequired[bool]
    defer_loading: NotRequired[bool]
    input_examples: NotRequired[list[dict[str, Any]]]
    cache_control: NotRequired[CacheControl | None]


class ToolChoice(TypedDict):
    type: Literal["auto", "any", "none", "tool"]
    name: NotRequired[str]
    disable_parallel_tool_use: NotRequired[bool]


class Thinking(TypedDict):
    type: Literal["enabled", "adaptive", "disabled"]
    budget_tokens: NotRequired[int]
    display: NotRequired[str]


class OutputConfig(TypedDict, total=False):
    effort: str | None
    format: dict[str, Any] | None
    task_budget: dict[str, Any] | None


class MessagesRequest(TypedDict):
    """`POST /v1/messages`. count_tokens takes the same without `max_tokens`."""

    model: str
    messages: list[Message]
    max_tokens: NotRequired[int]
    system: NotRequired[str | list[TextBlock] | None]
    stream: NotRequired[bool]
    stop_sequences: NotRequired[list[str]]
    temperature: NotRequired[float]
    top_p: NotRequired[float]
    top_k: NotRequired[int]
    metadata: NotRequired[dict[str, Any] | None]
    tools: NotRequired[list[Tool]]
    tool_choice: NotRequired[ToolChoice]
    thinking: NotRequired[Thinking]
    output_config: NotRequired[OutputConfig]
    service_tier: NotRequired[Literal["auto", "standard_only"]]
    cache_control: NotRequired[CacheControl | None]


class Usage(TypedDict):
    """Tokens of an answer; each token stands in exactly one of the three input fields."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    cache_creation: NotRequired[dict[str, int]]
    output_tokens_details: NotRequired[dict[str, int]]
    server_tool_use: NotRequired[dict[str, int] | None]
    service_tier: NotRequired[str | None]


class MessageAnswer(TypedDict):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: Usage


class MessageStart(TypedDict):
    type: Literal["message_start"]
    message: MessageAnswer


class ContentBlockStart(TypedDict):
    type: Literal["content_block_start"]
    index: int
    content_block: dict[str, Any]


class ContentBlockDelta(TypedDict):
    type: Literal["content_block_delta"]
    index: int
    delta: dict[str, Any]


class ContentBlockStop(TypedDict):
    type: Literal["content_block_stop"]
    index: int


class MessageDelta(TypedDict):
    type: Literal["message_delta"]
    delta: dict[str, Any]
    usage: Usage


class MessageStop(TypedDict):
    type: Literal["message_stop"]


class Ping(TypedDict):
    type: Literal["ping"]


class ErrorEvent(TypedDict):
    type: Literal["error"]
    error: dict[str, Any]


StreamEvent = (
    MessageStart
    | ContentBlockStart
    | ContentBlockDelta
    | ContentBlockStop
    | MessageDelta
    | MessageStop
    | Ping
    | ErrorEvent
)
