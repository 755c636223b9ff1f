"""On both databases: what was said of an account is kept until it is over, and the later word stays."""

from __future__ import annotations

from dragoman.store.engine import Database
from dragoman.store.rests import Rest, Rests


async def test_rests_are_kept_until_they_are_over(database: Database) -> None:
    rests = Rests(database)
    await rests.save([], 0.0)
    short = Rest("a", "gpt-5.5", "rate_limit", 60.0, 10.0)
    long = Rest("a", "", "quota", 900.0, 20.0)
    await rests.save([short, long], 20.0)
    assert await rests.load(30.0) == [long, short]
    assert await rests.load(30.0, since=20.0) == [long]
    assert await rests.load(60.0) == [long]
    other = Rest("b", "", "model", 5000.0, 100.0)
    await rests.save([other], 100.0)
    assert await rests.load(0.0) == [long, other], "what is over goes with the next word"


async def test_the_later_word_stays(database: Database) -> None:
    rests = Rests(database)
    early, late = (Rest("a", "", "quota", until, at) for until, at in ((900.0, 10.0), (500.0, 20.0)))
    await rests.save([late], 20.0)
    await rests.save([early], 20.0)
    assert await rests.load(0.0) == [late]


async def test_a_long_model_name_is_cut_to_its_column(database: Database) -> None:
    rests = Rests(database)
    await rests.save([Rest("a", "m" * 500, "model", 900.0, 10.0)], 10.0)
    assert [rest.model for rest in await rests.load(0.0)] == ["m" * 128]
