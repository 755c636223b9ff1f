"""A thousand streams need two thousand sockets; shells mostly allow a thousand."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from dragoman.cli.serve import raise_file_limit


@pytest.fixture
def low() -> Iterator[int]:
    """A soft limit of 256; gives the hard one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        yield before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_is_raised_as_far_as_wanted_and_allowed(low: int) -> None:
    """Never beyond the hard limit, never lowered."""
    raise_file_limit(512)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (512, low)
    raise_file_limit(300)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (512, low)
