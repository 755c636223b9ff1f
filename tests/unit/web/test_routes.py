"""The route table: exact paths, honest 404 and 405, the envelope of the surface that was asked."""

from __future__ import annotations

import pytest

from dragoman.web.incoming import Incoming
from dragoman.web.routes import MESSAGES_PATHS, Route, Router, model_id, speaks_anthropic
from dragoman.wire.errors import Failure, Kind


async def door(incoming: Incoming) -> None:
    raise AssertionError("not called here")


async def models(incoming: Incoming) -> None:
    raise AssertionError("not called here")


ROUTER = Router({path: Route("key", {"POST": door}) for path in MESSAGES_PATHS}, {"GET": models})


@pytest.mark.parametrize("path", [*MESSAGES_PATHS, "/v1/messages/"])
def test_every_spelling_of_the_messages_path_is_taken(path: str) -> None:
    """behaviours E8."""
    assert ROUTER.find("POST", path) is door


def test_another_method_is_405_and_not_an_invalid_request() -> None:
    """D38."""
    found = ROUTER.find("GET", "/v1/messages")
    assert isinstance(found, Failure)
    assert found.status == 405
    assert found.anthropic()["error"]["type"] == "not_found_error"


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/anthropic/v2/messages", "/v1/messages/batches", "/v1/files"]
)
def test_an_unknown_path_is_404(path: str) -> None:
    """B88: an unknown route is not_found_error."""
    found = ROUTER.find("POST", path)
    assert isinstance(found, Failure)
    assert found.kind is Kind.NOT_FOUND


def test_batches_are_named_in_the_answer() -> None:
    found = ROUTER.find("POST", "/v1/messages/batches")
    assert isinstance(found, Failure)
    assert "Batches" in found.message


def test_a_model_id_may_hold_slashes() -> None:
    assert ROUTER.find("GET", "/v1/models/vendor/model-1") is models
    assert model_id("/v1/models/vendor/model-1") == "vendor/model-1"
    assert model_id("/v1/models") == ""
    assert isinstance(ROUTER.find("POST", "/v1/models/x"), Failure)


@pytest.mark.parametrize(
    ("path", "headers", "anthropic"),
    [
        ("/v1/messages/x", {}, True),
        ("/anthropic/v1/nothing", {}, True),
        ("/v1/nothing", {"anthropic-version": "2023-06-01"}, True),
        ("/v1/nothing", {"x-api-key": "k"}, True),
        ("/v1/responses", {}, False),
        ("/v1/responses/compact", {"x-api-key": "k"}, False),
        ("/v1/chat/completions", {"anthropic-version": "2023-06-01"}, False),
        ("/backend-api/codex/models", {"x-api-key": "k"}, False),
        ("/nothing", {}, False),
        ("/nothing", {"anthropic-version": "2023-06-01"}, True),
    ],
)
def test_the_surface_decides_the_envelope(path: str, headers: dict[str, str], anthropic: bool) -> None:
    """behaviours E13."""
    assert speaks_anthropic(path, headers) is anthropic
