"""The types of Anthropic's side agree with the official SDK."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest
from anthropic import types as sdk
from anthropic.types import message_create_params

from dragoman.wire import anthropic

# The newest SDK has dropped them, clients still send them.
_FORMER = {"temperature", "top_p", "top_k"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (anthropic.TextBlock, sdk.TextBlockParam),
        (anthropic.ImageBlock, sdk.ImageBlockParam),
        (anthropic.DocumentBlock, sdk.DocumentBlockParam),
        (anthropic.SearchResultBlock, sdk.SearchResultBlockParam),
        (anthropic.ThinkingBlock, sdk.ThinkingBlockParam),
        (anthropic.RedactedThinkingBlock, sdk.RedactedThinkingBlockParam),
        (anthropic.ToolUseBlock, sdk.ToolUseBlockParam),
        (anthropic.ServerToolUseBlock, sdk.ServerToolUseBlockParam),
        (anthropic.ToolResultBlock, sdk.ToolResultBlockParam),
        (anthropic.WebSearchToolResultBlock, sdk.WebSearchToolResultBlockParam),
        (anthropic.WebSearchResult, sdk.WebSearchResultBlockParam),
        (anthropic.Tool, sdk.ToolParam),
        (anthropic.CacheControl, sdk.CacheControlEphemeralParam),
        (anthropic.MessagesRequest, message_create_params.MessageCreateParamsNonStreaming),
    ],
)
def test_every_member_is_in_the_sdk(ours: Any, theirs: Any) -> None:
    assert set(get_type_hints(ours)) <= set(theirs.__annotations__) | _inherited(theirs) | _FORMER


def _inherited(theirs: Any) -> set[str]:
    return {name for base in theirs.__orig_bases__ for name in getattr(base, "__annotations__", ())}


def test_answers_and_usage_are_the_sdks() -> None:
    assert set(anthropic.MessageAnswer.__annotations__) <= set(sdk.Message.model_fields)
    assert set(anthropic.Usage.__annotations__) <= set(sdk.Usage.model_fields)
    assert set(get_args(anthropic.StopReason)) >= set(get_args(sdk.StopReason))


def test_every_stream_event_has_its_own_type() -> None:
    kinds = [get_args(get_type_hints(event)["type"]) for event in get_args(anthropic.StreamEvent)]
    names = [kind[0] for kind in kinds]
    assert sorted(names) == [
        "content_block_delta",
        "content_block_start",
        "content_block_stop",
        "error",
        "message_delta",
        "message_start",
        "message_stop",
        "ping",
    ]
