"""The verbs as commands of their own: exit codes, what goes where, both databases, several at once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.engine import make_url

from tests.support.databases import fresh_postgres
from tests.support.gateway import bare_environment
from tests.support.verbs import Verbs
from tests.support.zygote import COMMAND


@pytest.fixture(params=["sqlite", "postgresql"])
def installed(verbs: Verbs, request: pytest.FixtureRequest) -> Verbs:
    """An installation on either database."""
    if request.param == "postgresql":
        verbs.environment["DRAGOMAN_DATABASE__URL"] = asyncio.run(fresh_postgres())
    return verbs


def test_an_operators_day(installed: Verbs) -> None:
    """Every verb once, on both databases, each in a process of its own."""
    run = installed.command
    made = run("key", "create", "laptop", "--limit", "tokens/day=1000", "--json").json()
    run("key", "change", "laptop", "--tag", "team")
    assert run("key", "rotate", "laptop", "--overlap", "1h", "--json").json()["key"] != made["key"]
    assert run("key", "limits", "laptop", "--json").json()[0]["remaining"] == 1000
    run("alias", "set", "fast", "own-model@low")
    assert run("alias", "test", "fast", "--json").json()["model"] == "own-model"
    refused = run("key", "limits", "laptop", "--set", "cost_usd/day=1", code=2)
    assert "dragoman price set own-model" in refused.err
    run("price", "set", "own-model", "--input", "1", "--output", "2.5")
    run("key", "limits", "laptop", "--set", "cost_usd/day=1")
    assert run("price", "list", "--json").json()[0]["rates"]["output"] == 2.5
    run("secrets", "rotate", "--drop-old")
    assert run("db", "check", "--json").json()["findings"] == []
    assert "nothing to do" in run("db", "upgrade").out
    run("price", "remove", "own-model")
    run("alias", "remove", "fast")
    run("key", "revoke", "laptop")
    assert [key["state"] for key in run("key", "list", "--all", "--json").json()] == ["active", "revoked"]


def test_tables_go_and_come(installed: Verbs) -> None:
    installed.command("key", "create", "laptop")
    installed.command("db", "downgrade", "base", "--yes")
    assert "no tables yet" in installed.command("db", "check", code=4).out
    installed.command("db", "upgrade")
    assert installed.command("db", "check", "--json").json()["findings"] == []


def test_verbs_at_the_same_time_do_not_lose_each_other(installed: Verbs) -> None:
    """Several first starts on one empty installation: one secret, one pepper, every key there."""
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda number: installed.command("key", "create", f"k{number}"), range(4)))
    assert len({said.out for said in made}) == 4
    listed = installed.command("key", "list", "--json").json()
    assert {key["name"] for key in listed if key["source"] == "store"} == {"k0", "k1", "k2", "k3"}


def test_a_configuration_that_is_wrong_is_exit_code_2(verbs: Verbs) -> None:
    verbs.configure("[server]\nprot = 1")
    said = verbs.command("key", "list", code=2)
    assert said.err == "dragoman: server.prot: unknown key, did you mean port?\n"
    assert said.out == ""
    verbs.configure(
        '[[keys]]\nname = "a"\nkey = "sk-12345678"\nlimits = [{ measure = "tokens", per = "day", max = -1 }]'
    )
    assert "keys.a.limits.0.max" in verbs.command("key", "list", code=2).err


def test_a_damaged_database_stops_the_gateway_too(verbs: Verbs) -> None:
    """Issue: a damaged database file: refuse to start, say how to restore."""
    verbs.command("key", "create", "laptop")
    (verbs.data / "dragoman.db").write_bytes(b"this is no database " * 500)
    for verb in (["key", "list"], ["serve", "--port", "0"]):
        said = verbs.command(*verb, code=3)
        assert "the database file is damaged" in said.err
        assert "dragoman db restore FILE" in said.err
        assert "Traceback" not in said.err


def test_a_rotation_killed_at_any_moment_leaves_an_installation_that_starts(verbs: Verbs) -> None:
    """X2: kill -9, at moments spread over the whole of a rotation."""
    verbs("key", "create", "laptop")
    argv = [str(COMMAND), "secrets", "rotate", "--drop-old", *verbs.where()]
    environment = bare_environment(verbs.place / "home")
    began = time.monotonic()
    subprocess.run(argv, env=environment, check=True, capture_output=True, timeout=60)
    whole = time.monotonic() - began
    for part in range(1, 9):
        process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            process.wait(whole * (0.4 + part * 0.08))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
        listed = verbs("key", "list", "--json").json()
        assert [key["name"] for key in listed] == ["demo", "laptop"]
    verbs("secrets", "rotate", "--drop-old")
    assert len((verbs.data / "secret").read_text().split()) == 1


def test_the_command_line_stays_light() -> None:
    """The start of every verb: nothing heavy is imported before a verb is called."""
    heavy = "sqlalchemy alembic fastapi genai_prices cryptography pydantic aiohttp uvicorn orjson"
    code = (
        "import sys, dragoman.cli.__main__ as m; m.application(); "
        "print([n for n in sys.argv[1].split() if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, heavy], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("change", [{"database": "not_there"}, {"username": "nobody"}])
def test_postgresql_refuses_in_plain_words(verbs: Verbs, change: dict[str, str]) -> None:
    url = make_url(asyncio.run(fresh_postgres())).set(**change)  # type: ignore[arg-type]
    verbs.environment["DRAGOMAN_DATABASE__URL"] = url.render_as_string(hide_password=False)
    said = verbs("key", "list", code=3)
    assert "does not exist" in said.err
    assert len(said.err.splitlines()) == 1
