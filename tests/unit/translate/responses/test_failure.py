"""What a Responses client is told of upstream failures."""

from __future__ import annotations

import pytest

from dragoman.translate.messages.failure import Cause, UpstreamFailure
from dragoman.translate.responses.failure import PRIVATE, to_client
from dragoman.wire.errors import Kind


def test_an_overflow_is_told_in_openais_words_and_figures() -> None:
    told = to_client(UpstreamFailure(Cause.CONTEXT), tokens=5000, window=4000)
    assert told.kind is Kind.CONTEXT_OVERFLOW and told.param == "input"
    assert "exceeds the context window" in told.message and "5000" in told.message
    assert told.openai()["error"]["code"] == "context_length_exceeded"
    unknown = to_client(UpstreamFailure(Cause.CONTEXT), tokens=None, window=None)
    assert "exceeds the context window" in unknown.message


@pytest.mark.parametrize("cause", sorted(PRIVATE))
def test_an_upstreams_words_on_its_accounts_stay_here(cause: Cause) -> None:
    """Neither the status nor the text of a refused account reaches the client."""
    told = to_client(UpstreamFailure(cause, "Team plan of acme", 401), tokens=1, window=2)
    assert "acme" not in told.message and told.status in (429, 502)


@pytest.mark.parametrize(("wait", "said"), [(7.2, True), (7200.0, False), (None, False)])
def test_a_short_wait_is_said_in_words(wait: float | None, said: bool) -> None:
    told = to_client(UpstreamFailure(Cause.QUOTA, retry_after=wait), tokens=1, window=2)
    assert ("try again in 8s" in told.message) is said


def test_a_refused_parameter_is_named() -> None:
    told = to_client(UpstreamFailure(Cause.PARAMETER, "No.", 400, param="metadata"), tokens=1, window=2)
    assert (told.param, told.error_code) == ("metadata", "unsupported_parameter")
    plain = to_client(UpstreamFailure(Cause.REQUEST, "Odd.", 400, param="input[3]"), tokens=1, window=2)
    assert (plain.param, plain.message) == ("input[3]", "Odd.")
    assert to_client(UpstreamFailure(Cause.SERVER, "Broken."), tokens=1, window=2).message == "Broken."


@pytest.mark.parametrize(
    ("cause", "code", "told"),
    [
        (Cause.POLICY, "cyber_policy", "cyber_policy"),
        (Cause.POLICY, "invalid_prompt", "invalid_prompt"),
        (Cause.REQUEST, "invalid_value", "invalid_value"),
        (Cause.REQUEST, "invalid_image", "invalid_image"),
        (Cause.REQUEST, "invalid_request_error", None),
        (Cause.REQUEST, "400", None),
        (Cause.REQUEST, "x" * 65, None),
        (Cause.REQUEST, "a b", None),
        (Cause.REQUEST, None, None),
        (Cause.SEALED, "invalid_encrypted_content", "invalid_encrypted_content"),
        (Cause.PARAMETER, "unknown_parameter", "unknown_parameter"),
        (Cause.PARAMETER, "invalid_request_error", "unsupported_parameter"),
        (Cause.SERVER, "vector_store_timeout", None),
        (Cause.TOO_LARGE, "request_too_large", None),
    ],
)
def test_what_is_wrong_with_a_request_keeps_its_code(
    cause: Cause, code: str | None, told: str | None
) -> None:
    """Where the upstream's is one short word, and speaks of the request."""
    assert to_client(UpstreamFailure(cause, "No.", 400, code), tokens=1, window=2).error_code == told


def test_a_model_that_is_not_served_is_the_fields_fault() -> None:
    assert to_client(UpstreamFailure(Cause.MODEL, "None.", 404), tokens=1, window=2).param == "model"
