"""Log-ins under way: each its own, bounded in number and time."""

from __future__ import annotations

import pytest

from dragoman.onboarding import signin
from dragoman.store.clientkeys import NotThere
from dragoman.upstream.calls import Calls
from dragoman.upstream.oauth import Issuer
from dragoman.web.admin.underway import SignIn, SignIns


def begun(name: str = "a", expires_at: float = 100.0) -> SignIn:
    issuer = Issuer(Calls(user_agent="t"), "https://issuer.test", "app", lambda: 0.0)
    return SignIn(name, signin.browser(issuer), expires_at)


def test_each_is_found_by_an_id_that_nobody_guesses_until_its_time_is_over() -> None:
    known = SignIns()
    one = begun()
    ids = {known.put(one, 0.0), known.put(begun(), 0.0)}
    assert len(ids) == 2 and min(map(len, ids)) >= 20
    first = next(name for name in ids if known.get(name, 99.0) is one)
    for name, now in ((first, 100.0), ("nope", 0.0)):
        with pytest.raises(NotThere):
            known.get(name, now)
    known.drop(first)
    with pytest.raises(NotThere):
        known.drop(first)


def test_the_oldest_go_where_there_are_too_many() -> None:
    known = SignIns()
    ids = [known.put(begun(), 0.0) for _ in range(65)]
    with pytest.raises(NotThere):
        known.get(ids[0], 0.0)
    assert known.get(ids[-1], 0.0).name == "a"
    later = known.put(begun(expires_at=500.0), 200.0)
    assert list(known._open) == [later], "those whose time is over are forgotten"
