"""Users, second factors and sessions, on both databases: what is used once is used once."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, text

from dragoman.store.clientkeys import NotThere, StoreConflict
from dragoman.store.engine import Database, StoreError
from dragoman.store.facts import reseal
from dragoman.store.people import SESSIONS, People, User
from dragoman.store.ring import Ring
from dragoman.store.tables import sessions, users
from dragoman.store.tokens import Tokens

NOW = 1_800_000_000.0
PEPPER = b"p" * 32
SECRET = b"12345678901234567890"


@pytest.fixture
def people(database: Database) -> People:
    return People(database, Ring(["a secret text"]), PEPPER)


async def ada(people: People) -> User:
    return await people.create("ada", "admin", "phc", NOW)


async def test_a_user_is_found_by_name_and_by_id(people: People) -> None:
    assert not await people.any()
    made = await ada(people)
    assert await people.any()
    assert await people.get("ada") == await people.get(made.id) == await people.named("ada") == made
    assert await people.named("eve") is None
    for name in ("eve", ""):
        with pytest.raises(NotThere, match="no user named"):
            await people.get(name)
    assert await people.listed() == [made]


async def test_a_name_that_looks_like_an_id_is_still_a_name(people: People) -> None:
    first = await ada(people)
    second = await people.create(first.id, "viewer", "phc", NOW)
    assert (await people.get(first.id)).id == second.id
    assert (await people.reset(first.id, "new")).name == first.id
    assert (await people.get("ada")).password == "phc"


async def test_a_taken_name_is_a_conflict(people: People) -> None:
    await ada(people)
    with pytest.raises(StoreConflict, match="'ada' already"):
        await people.create("ada", "viewer", "phc", NOW)


async def test_the_last_admin_stays(people: People) -> None:
    await ada(people)
    await people.create("eve", "viewer", "phc", NOW)
    with pytest.raises(StoreConflict, match="last admin"):
        await people.remove("ada")
    await people.create("bob", "admin", "phc", NOW)
    await people.remove("ada")
    await people.remove("eve")
    with pytest.raises(StoreConflict, match="last admin"):
        await people.remove("bob")


async def test_of_two_admins_who_remove_each_other_one_stays(people: People) -> None:
    await ada(people)
    await people.create("bob", "admin", "phc", NOW)
    ends = await asyncio.gather(people.remove("ada"), people.remove("bob"), return_exceptions=True)
    assert [user.role for user in await people.listed()] == ["admin"]
    assert sum(isinstance(end, StoreError) for end in ends) == 1


async def test_the_last_admin_keeps_the_role(people: People) -> None:
    await ada(people)
    await people.create("eve", "viewer", "phc", NOW)
    with pytest.raises(StoreConflict, match="last admin"):
        await people.set_role("ada", "viewer")
    assert (await people.set_role("ada", "admin")).role == "admin"
    assert (await people.set_role("eve", "admin")).role == (await people.get("eve")).role == "admin"
    with pytest.raises(NotThere):
        await people.set_role("nobody", "viewer")


async def test_of_two_admins_who_demote_each_other_one_stays(people: People) -> None:
    await ada(people)
    await people.create("bob", "admin", "phc", NOW)
    both = (people.set_role("ada", "viewer"), people.set_role("bob", "viewer"))
    ends = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(user.role for user in await people.listed()) == ["admin", "viewer"]
    assert sum(isinstance(end, StoreError) for end in ends) == 1


async def test_open_sessions_are_listed_the_newest_first(people: People) -> None:
    made = await ada(people)
    eve = await people.create("eve", "viewer", "phc", NOW)
    token, session = await people.open_session(made, NOW, 100)
    await people.open_session(eve, NOW + 1, 100)
    found = await people.logins(NOW + 2)
    assert [(one.user, one.created_at) for one in found] == [("eve", NOW + 1), ("ada", NOW)]
    (own,) = await people.logins(NOW + 2, made.id)
    assert (own.mark, own.expires_at) == (session.mark, NOW + 100)
    assert token not in repr(own)
    assert session.mark.hex() not in repr(own)
    assert [one.user for one in await people.logins(NOW + 100)] == ["eve"]


# -- set-up ------------------------------------------------------------------------------------------------


async def test_the_set_up_token_makes_one_admin_once(database: Database, people: People) -> None:
    """reliability X7"""
    tokens = Tokens(database, PEPPER)
    token = await tokens.make_setup(NOW)
    assert await tokens.setup_waits(NOW)
    assert await people.first("drg-setup-wrong", "ada", "phc", NOW) is None
    made = await people.first(f" {token}\n", "ada", "phc", NOW)
    assert made is not None
    assert made.role == "admin"
    assert await people.first(token, "bob", "phc", NOW) is None
    assert not await tokens.setup_waits(NOW)


async def test_two_who_show_the_set_up_token_at_once_do_not_both_get_in(
    database: Database, people: People
) -> None:
    token = await Tokens(database, PEPPER).make_setup(NOW)
    tries = (people.first(token, name, "phc", NOW) for name in ("ada", "bob", "eve"))
    assert sum(user is not None for user in await asyncio.gather(*tries)) == 1
    assert len(await people.listed()) == 1


async def test_a_set_up_token_lasts_a_day_and_ends_with_the_next(database: Database, people: People) -> None:
    tokens = Tokens(database, PEPPER)
    token = await tokens.make_setup(NOW)
    assert await people.first(token, "ada", "phc", NOW + 86_400) is None
    assert not await tokens.setup_waits(NOW + 86_400)
    other = await tokens.make_setup(NOW, "from-the-environment")
    assert other == "from-the-environment"
    assert await people.first(token, "ada", "phc", NOW) is None
    assert await people.first(other, "ada", "phc", NOW) is not None


async def test_a_taken_name_does_not_use_the_set_up_token_up(database: Database, people: People) -> None:
    await ada(people)
    token = await Tokens(database, PEPPER).make_setup(NOW)
    with pytest.raises(StoreConflict):
        await people.first(token, "ada", "phc", NOW)
    assert await people.first(token, "bob", "phc", NOW) is not None


async def test_a_token_of_automation_is_no_set_up_token(database: Database, people: People) -> None:
    _, text_ = await Tokens(database, PEPPER).create("ci", "admin", NOW)
    assert await people.first(text_, "ada", "phc", NOW) is None


# -- second factor -----------------------------------------------------------------------------------------


async def test_a_second_factor_counts_from_its_confirmation_on(people: People) -> None:
    made = await ada(people)
    await people.enrol(made.id, b"forgotten secret ...")
    await people.enrol(made.id, SECRET)
    enrolled = await people.get("ada")
    assert not enrolled.guarded
    assert people.secret(enrolled) == SECRET
    await people.confirm(enrolled, 100, ["abcde-fghij"])
    guarded = await people.get("ada")
    assert guarded.guarded
    with pytest.raises(StoreConflict, match="disable it first"):
        await people.enrol(made.id, SECRET)
    with pytest.raises(StoreConflict, match="confirm"):
        await people.confirm(enrolled, 101, ["klmno-pqrst"])
    await people.disable(made.id)
    bare = await people.get("ada")
    assert (bare.guarded, bare.recovery, people.secret(bare)) == (False, (), None)


async def test_who_enrols_again_meanwhile_is_not_confirmed_by_the_old_secret(people: People) -> None:
    made = await ada(people)
    await people.enrol(made.id, SECRET)
    before = await people.get("ada")
    await people.enrol(made.id, b"another secret of 20")
    with pytest.raises(StoreConflict, match="confirm"):
        await people.confirm(before, 100, [])


async def test_a_step_is_used_once_and_never_backwards(people: People) -> None:
    """reliability X7: TOTP with replay refusal."""
    made = await ada(people)
    await people.enrol(made.id, SECRET)
    await people.confirm(await people.get("ada"), 100, [])
    user = await people.get("ada")
    assert not await people.spend_step(user, 100)
    assert sum(await asyncio.gather(*(people.spend_step(user, 101) for _ in range(4)))) == 1
    assert not await people.spend_step(user, 99)
    assert await people.spend_step(user, 102)


async def test_a_recovery_code_is_used_once(people: People, database: Database) -> None:
    """reliability X7"""
    made = await ada(people)
    await people.enrol(made.id, SECRET)
    await people.confirm(await people.get("ada"), 100, ["abcde-fghij", "klmno-pqrst"])
    user = await people.get("ada")
    assert not await people.spend_code(user, "zzzzz-zzzzz")
    assert sum(await asyncio.gather(*(people.spend_code(user, "abcde-fghij") for _ in range(4)))) == 1
    later = await people.get("ada")
    assert len(later.recovery) == 1
    assert not await people.spend_code(later, "abcde-fghij")
    assert await people.spend_code(later, "klmno-pqrst")
    async with database.read() as connection:
        stored = str((await connection.execute(select(users))).all())
    assert "abcde" not in stored
    assert SECRET.decode() not in stored


async def test_a_secret_moves_to_a_new_key_and_opens_for_its_user_alone(database: Database) -> None:
    old = People(database, Ring(["old text"]), PEPPER)
    made = await ada(old)
    await old.enrol(made.id, SECRET)
    both = Ring(["new text", "old text"])
    assert await reseal(database, both) == 1
    new = People(database, Ring(["new text"]), PEPPER)
    assert new.secret(await new.get("ada")) == SECRET
    eve = await new.create("eve", "viewer", "phc", NOW)
    async with database.write() as connection:
        await connection.execute(
            text("UPDATE users SET totp = (SELECT totp FROM users WHERE name = 'ada') WHERE name = 'eve'")
        )
    with pytest.raises(StoreError, match="another record"):
        new.secret(await new.get(eve.name))


# -- sessions ----------------------------------------------------------------------------------------------


async def test_a_session_is_known_by_its_token_until_it_ends(people: People, database: Database) -> None:
    made = await ada(people)
    token, session = await people.open_session(made, NOW, 100)
    found = await people.session(token, NOW + 99)
    assert found == session
    assert found.user == made
    assert await people.session(token, NOW + 100) is None
    assert await people.session(token + "x", NOW) is None
    async with database.read() as connection:
        stored = str((await connection.execute(select(sessions))).all())
    assert token not in stored
    await people.close_session(session.mark)
    assert await people.session(token, NOW) is None


async def test_a_new_session_ends_the_one_it_stands_for_and_old_ones(people: People) -> None:
    """reliability X7: rotated at login."""
    made = await ada(people)
    first, _ = await people.open_session(made, NOW, 100)
    other, _ = await people.open_session(made, NOW, 100)
    second, _ = await people.open_session(made, NOW, 100, instead_of=first)
    assert await people.session(first, NOW) is None
    assert await people.session(other, NOW) is not None
    assert await people.session(second, NOW) is not None
    await people.open_session(made, NOW + 200, 100)
    assert await people.session(other, NOW) is None  # swept


async def test_a_user_keeps_so_many_sessions_and_no_more(people: People) -> None:
    made = await ada(people)
    first, _ = await people.open_session(made, NOW, 1e6)
    for number in range(SESSIONS):
        newest, _ = await people.open_session(made, NOW + 1 + number, 1e6)
    assert await people.session(first, NOW + 100) is None
    assert await people.session(newest, NOW + 100) is not None


async def test_a_new_password_ends_the_other_sessions(people: People) -> None:
    made = await ada(people)
    kept, session = await people.open_session(made, NOW, 100)
    other, _ = await people.open_session(made, NOW, 100)
    await people.set_password(made.id, "new", keep=session.mark)
    assert await people.session(other, NOW) is None
    found = await people.session(kept, NOW)
    assert found is not None
    assert found.user.password == "new"
    with pytest.raises(NotThere):
        await people.set_password("nobody", "new", keep=None)


async def test_a_reset_takes_the_second_factor_and_every_session(people: People) -> None:
    made = await ada(people)
    await people.enrol(made.id, SECRET)
    await people.confirm(await people.get("ada"), 100, ["abcde-fghij"])
    token, _ = await people.open_session(made, NOW, 100)
    told = await people.reset("ada", "new")
    assert told == await people.get("ada")
    assert (told.password, told.guarded, told.recovery) == ("new", False, ())
    assert await people.session(token, NOW) is None


async def test_the_sessions_of_a_removed_user_go_along(people: People) -> None:
    await ada(people)
    bob = await people.create("bob", "viewer", "phc", NOW)
    token, _ = await people.open_session(bob, NOW, 100)
    await people.remove("bob")
    assert await people.session(token, NOW) is None
    with pytest.raises(NotThere):
        await people.open_session(bob, NOW, 100)
