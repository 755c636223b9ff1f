"""The model lists."""

from __future__ import annotations

import pytest

from dragoman.simulator.catalogue import codex_models, public_model, public_models
from dragoman.simulator.refusal import Refused
from tests.support.simulated import oracle


def test_the_public_list_fits_its_schema() -> None:
    listed = public_models(None)
    oracle("ListModelsResponse").validate(listed)
    assert "gpt-5.5" in [model["id"] for model in listed["data"]]
    assert [model["id"] for model in public_models(["x"])["data"]] == ["x"]


def test_one_model_or_a_404() -> None:
    assert public_model("gpt-5.5", None)["object"] == "model"
    with pytest.raises(Refused) as caught:
        public_model("gpt-0", None)
    assert (caught.value.answer.status, caught.value.answer.breach) == (404, "")


def test_old_codex_clients_do_not_see_the_newest_models() -> None:
    new = [model["slug"] for model in codex_models("0.169.0", None)["models"]]
    old = [model["slug"] for model in codex_models("0.100.0", None)["models"]]
    assert set(new) - set(old) == {"gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna"}
    assert [model["slug"] for model in codex_models("", ["gpt-5.5", "unknown"])["models"]] == ["gpt-5.5"]
    levels = codex_models("9.9.9", ["gpt-5.5"])["models"][0]["supported_reasoning_levels"]
    assert "none" not in [level["effort"] for level in levels]
