"""The response object around the output."""

from __future__ import annotations

from typing import Any

from dragoman.simulator import envelope
from dragoman.simulator.models import Family, family
from dragoman.simulator.steps import Cost
from tests.support.simulated import oracle, request, tool


def known(name: str) -> Family:
    found = family(name)
    assert found is not None
    return found


def skeleton(model: str = "gpt-5.6", **more: Any) -> dict[str, Any]:
    return envelope.skeleton(request(model=model, **more), known(model), "resp_1", 12.7)


def test_a_response_is_whole_from_the_first_event() -> None:
    for response in (
        skeleton(tools=[tool()], instructions="i", max_output_tokens=20, service_tier="fast"),
        skeleton("gpt-4.1", temperature=0.5, metadata={"a": "b"}),
        envelope.failed(skeleton(), "server_error", "x"),
    ):
        oracle("Response").validate(response)


def test_the_request_is_echoed_or_not() -> None:
    body = request(tools=[tool()], instructions="i", user="u")
    echoed = envelope.skeleton(body, known("gpt-5.5"), "r", 0)
    silent = envelope.skeleton(body, known("gpt-5.5"), "r", 0, echo=False)
    assert (echoed["instructions"], len(echoed["tools"]), echoed["user"]) == ("i", 1, "u")
    assert (silent["instructions"], silent["tools"]) == (None, [])


def test_effective_settings_are_shown() -> None:
    assert skeleton()["reasoning"] == {
        "effort": "medium",
        "summary": None,
        "context": "all_turns",
        "mode": "standard",
    }
    assert skeleton("gpt-5.5", reasoning={"context": "auto"})["reasoning"]["context"] == "current_turn"
    assert skeleton("gpt-4.1")["reasoning"] == {"effort": None, "summary": None}
    assert skeleton(service_tier="fast")["service_tier"] == "priority"
    assert skeleton(service_tier="flex")["service_tier"] == "flex"
    assert skeleton()["prompt_cache_options"] == {"ttl": "30m", "mode": "implicit"}
    assert "prompt_cache_options" not in skeleton("gpt-5.5")


def test_endings() -> None:
    used = envelope.usage(100, 60, 30, Cost(20, 5))
    assert used["total_tokens"] == 120
    output = [{"type": "function_call"}]
    full = envelope.completed(skeleton(), output, used, 20.0, bare=False)
    assert (full["status"], full["completed_at"], full["output"], full["usage"]) == (
        "completed",
        20,
        output,
        used,
    )
    assert envelope.completed(skeleton(), output, used, 20.0, bare=True) == {
        "id": "resp_1",
        "usage": used,
        "end_turn": False,
    }
    short = envelope.incomplete(skeleton(), [], used, "content_filter")
    assert (short["status"], short["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})
    oracle("Response").validate(short)
