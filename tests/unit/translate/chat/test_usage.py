"""Token figures of a completion: what was written to the cache is told where the upstream told it."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.completion_usage import CompletionUsage

from dragoman.translate.chat.usage import told
from dragoman.translate.messages.usage import NONE, measured


@pytest.mark.parametrize(
    ("details", "written"),
    [
        ({"cached_tokens": 5, "cache_write_tokens": 7}, 7),
        ({"cached_tokens": 5, "cache_write_tokens": 0}, 0),
        ({"cached_tokens": 5}, None),
        (None, None),
    ],
)
def test_writes_to_the_cache(details: Any, written: int | None) -> None:
    usage = measured({"input_tokens": 20, "input_tokens_details": details, "output_tokens": 3})
    assert usage is not None
    found = CompletionUsage.model_validate(told(usage)).prompt_tokens_details
    assert found is not None and found.cache_write_tokens == written
    assert ("cache_write_tokens" in told(usage)["prompt_tokens_details"]) is (written is not None)


def test_an_estimate_knows_nothing_of_them() -> None:
    assert "cache_write_tokens" not in told(NONE)["prompt_tokens_details"]
