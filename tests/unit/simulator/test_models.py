"""The table of model families."""

from __future__ import annotations

import pytest

from dragoman.simulator.models import LISTED, family


@pytest.mark.parametrize(
    ("name", "contract", "top_effort", "explicit"),
    [
        ("gpt-6", "B", "max", True),
        ("gpt-5.10", "B", "max", True),
        ("gpt-5.6-luna", "B", "max", True),
        ("gpt-5.5", "A", "xhigh", False),
        ("gpt-5.5-pro", "A", "xhigh", False),
        ("gpt-5.4-mini", "A", "xhigh", False),
        ("gpt-5.3-codex", "A", "xhigh", False),
        ("gpt-5.1", "A", "high", False),
        ("gpt-5-codex", "A", "high", False),
        ("o3", "A", "high", False),
    ],
)
def test_reasoning_models_have_their_contract_and_efforts(
    name: str, contract: str, top_effort: str, explicit: bool
) -> None:
    known = family(name)
    assert known is not None and known.reasons
    assert (known.contract, known.efforts[-1], known.explicit_cache) == (contract, top_effort, explicit)


@pytest.mark.parametrize("name", ["gpt-4.1", "gpt-4o-mini", "chatgpt-4o-latest", "gpt-5-chat-latest"])
def test_older_models_do_not_reason(name: str) -> None:
    known = family(name)
    assert known is not None and not known.reasons and known.default_effort is None


def test_a_name_of_another_vendor_is_unknown() -> None:
    assert family("claude-opus-5-5") is None


def test_every_listed_model_has_a_family_with_its_default_effort() -> None:
    for name in LISTED:
        known = family(name)
        assert known is not None
        assert known.default_effort in (None, *known.efforts)
