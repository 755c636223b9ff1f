"""A key's groups against those of the accounts."""

from __future__ import annotations

import pytest

from dragoman.routing.groups import unknown


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ([], None),
        (["red", ""], None),
        (["blue", "", "azure"], "no account is in the group 'red'; there are 'azure', 'blue'"),
        ([""], "no account is in the group 'red'; none has a group"),
    ],
)
def test_a_group_without_an_account_is_told(known: list[str], told: str | None) -> None:
    assert unknown("red", known) == told
