"""`dragoman log` and `dragoman usage` as processes, beside a running gateway and without one."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from dragoman.gateway.ports import Row
from dragoman.store import migrate
from dragoman.store.engine import Database, locate
from tests.integration.test_start import WAIT, environment, run, serving
from tests.support import zygote
from tests.support.gateway import bare_environment
from tests.support.ledger import NOON, put, row
from tests.support.zygote import COMMAND


def fill(data: Path, made: Iterable[Row]) -> None:
    """A store with these rows, in the place where the verbs look for it."""

    async def fill_it() -> None:
        data.mkdir(mode=0o700, exist_ok=True)
        database = Database(locate("sqlite:///dragoman.db", data))
        await migrate.prepare(database)
        await put(database, made)
        await database.close()

    asyncio.run(fill_it())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    place = tmp_path / "store"
    fill(
        place,
        [
            row(1, session_hash="5" * 32),
            row(2, key="phone", requested_model="claude-haiku-4-5", cost_nano=None),
            row(3, status=429, outcome="refused", error_type="rate_limit_error", usage_source="none"),
            row(4, request_id="=danger", requested_model="größe\x1b[31m", upstream_model=""),
        ],
    )
    return place


def verb(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv: list[str | Path] = [COMMAND, *arguments, "--data-dir", data]
    return zygote.run(argv, bare_environment(data.parent / "home"), timeout=WAIT)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_tail_shows_the_newest_requests_newest_last(data: Path) -> None:
    """B100"""
    done = verb(data, "log", "tail", "-n", "2")
    assert done.returncode == 0, done.stderr
    header, third, fourth = done.stdout.splitlines()
    headings = "TIME KEY MODEL OUTCOME IN CACHED OUT COST FIRST TOOK CACHE REQUEST"
    assert header.split() == headings.split()
    assert "429 rate_limit_error" in third
    assert "req_3" in third
    assert "größe\\x1b[31m" in fourth
    assert "\x1b" not in done.stdout


def test_tail_filters_and_speaks_json(data: Path) -> None:
    done = verb(data, "log", "tail", "--json", "--key", "laptop", "--outcome", "ok")
    assert [one["request_id"] for one in lines(done.stdout)] == ["req_1", "=danger"]
    assert done.stdout.isascii()
    found = verb(data, "log", "tail", "--json", "--search", "haiku")
    assert [one["request_id"] for one in lines(found.stdout)] == ["req_2"]
    nothing = verb(data, "log", "tail", "--key", "nobody")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "no request in the log fits" in nothing.stderr


def test_show_tells_one_request(data: Path) -> None:
    told = verb(data, "log", "show", "req_2")
    assert told.returncode == 0, told.stderr
    assert "asked for claude-haiku-4-5, served as gpt-5.5" in told.stdout
    assert "unknown: gpt-5.5 has no price" in told.stdout
    assert [one["status"] for one in lines(verb(data, "log", "show", "req_3", "--json").stdout)] == [429]
    absent = verb(data, "log", "show", "req_none")
    assert (absent.returncode, absent.stdout) == (1, "")
    assert "no request 'req_none' is in the log" in absent.stderr


def test_export_has_all_rows_oldest_first(data: Path) -> None:
    """B100: no limit, ASCII lines; CSV that no spreadsheet takes for a formula."""
    done = verb(data, "log", "export")
    assert done.stdout.isascii()
    assert [one["request_id"] for one in lines(done.stdout)] == ["req_1", "req_2", "req_3", "=danger"]
    table = list(csv.DictReader(io.StringIO(verb(data, "log", "export", "--format", "csv").stdout)))
    assert [one["request_id"] for one in table] == ["req_1", "req_2", "req_3", "'=danger"]
    assert table[1]["cost_usd"] == ""
    some = verb(data, "log", "export", "--since", "2026-07-03T12:00:02Z", "--until", "2026-07-03T12:00:04Z")
    assert [one["request_id"] for one in lines(some.stdout)] == ["req_2", "req_3"]


def test_usage_sums_by_model_key_and_day(data: Path) -> None:
    """B99: what has no price is said beside the sum."""
    done = verb(data, "usage", "--since", "2026-07-01")
    assert done.returncode == 0, done.stderr
    header, *_, total, note = done.stdout.splitlines()
    assert header.split()[:4] == ["REQUESTED", "MODEL", "REQUESTS", "ERRORS"]
    assert total.split()[:3] == ["total", "4", "1"]
    assert note == "Requests without a known price, not in the cost: 1."
    by_key = json.loads(verb(data, "usage", "--since", "2026-07-01", "--by", "key", "--json").stdout)
    assert [(one["key"], one["requests"]) for one in by_key] == [("laptop", 3), ("phone", 1)]
    by_day = json.loads(verb(data, "usage", "--since", "2026-07-01", "--bucket", "day", "--json").stdout)
    assert [(one["time"], one["requests"]) for one in by_day] == [("2026-07-03T00:00:00.000Z", 4)]
    monthly = ("--bucket", "month", "--by", "model", "--key", "phone")
    of_phone = verb(data, "usage", "--since", "2026-07-01", *monthly)
    assert of_phone.stdout.splitlines()[1].split()[:2] == ["2026-07", "claude-haiku-4-5"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("log", "tail", "--since", "yesterday"), "--since: 'yesterday' is neither a duration such as 7d"),
        (("log", "export", "--until", "7"), "--until: '7' is neither"),
        (("usage", "--since", "soon"), "--since: 'soon' is neither"),
        (("log", "export", "--format", "xml"), "--format"),
        (("log", "tail", "--outcome", "good"), "--outcome"),
        (("log", "tail", "--status", "1000"), "--status"),
        (("usage", "--by", "moon"), "--by"),
    ],
)
def test_wrong_use_is_named(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = verb(tmp_path / "none", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "none").exists()


def test_a_store_that_cannot_be_used_has_its_exit_code(tmp_path: Path) -> None:
    place = tmp_path / "store"
    place.mkdir()
    (place / "dragoman.db").write_text("this is no database" * 1000)
    for arguments in (("log", "tail"), ("log", "export"), ("usage",)):
        done = verb(place, *arguments)
        assert done.returncode == 3, done.stderr
        assert "dragoman db restore" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path: Path) -> None:
    """`log export | head -1`: nothing is complained about."""
    place = tmp_path / "store"
    fill(place, [row(number, cache_story="x" * 400) for number in range(3000)])
    for form in ("jsonl", "csv"):
        arguments = ["log", "export", "--format", form, "--data-dir", str(place)]
        command = [sys.executable, "-m", "dragoman.cli", *arguments]
        with subprocess.Popen(
            command, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(WAIT) == 0


def ask(address: str, key: str, text: str) -> str:
    """One generation; the id of the request."""
    body = {
        "model": "claude-opus-4-8",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": text}],
    }
    request = urllib.request.Request(
        f"{address}/v1/messages",
        json.dumps(body).encode(),
        {"x-api-key": key, "content-type": "application/json", "anthropic-version": "2023-06-01"},
    )
    with urllib.request.urlopen(request, timeout=WAIT) as answer:
        return str(answer.headers["request-id"])


def _listen(lines: Iterable[str], heard: queue.Queue[str]) -> None:
    for line in lines:
        heard.put(line)


def test_the_log_is_read_while_the_gateway_runs(tmp_path: Path) -> None:
    """B100: the way of a new user, and a watcher who sees a request as soon as it has ended."""
    env = environment(tmp_path, DRAGOMAN_SERVER__PORT="0")
    with serving(env=env) as (_, address, _):
        key = (tmp_path / "data" / "dragoman" / "demo-key").read_text().strip()
        first = ask(address, key, "hello")
        deadline = time.monotonic() + WAIT
        while first not in (shown := run("log", "tail", env=env)).stdout:
            assert time.monotonic() < deadline, shown
        assert "claude-opus-4-8 → gpt-5.5" in shown.stdout
        assert f"{first}  " in run("log", "show", first, env=env).stdout
        watcher = subprocess.Popen(
            [sys.executable, "-m", "dragoman.cli", "log", "tail", "-f", "--json"],
            env=env | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # What a shell starts in the background ignores interrupts, and so would all that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            heard: queue.Queue[str] = queue.Queue()
            reader = threading.Thread(target=_listen, args=(watcher.stdout, heard))
            reader.start()
            assert json.loads(heard.get(timeout=WAIT))["request_id"] == first
            second = ask(address, key, "hello again")
            assert json.loads(heard.get(timeout=WAIT))["request_id"] == second
            os.kill(watcher.pid, signal.SIGINT)
            assert watcher.wait(WAIT) == 0
            reader.join(WAIT)
            assert watcher.stderr is not None
            assert watcher.stderr.read() == ""
        finally:
            watcher.kill()
            watcher.communicate()
        used = json.loads(run("usage", "--by", "key", "--json", env=env).stdout)
        assert [(one["key"], one["requests"]) for one in used] == [("demo", 2)]
    exported = lines(run("log", "export", env=env).stdout)
    assert [one["request_id"] for one in exported] == [first, second]
    assert all(one["input_tokens"] > 0 and one["outcome"] == "ok" for one in exported)


def test_the_command_line_stays_light() -> None:
    """Nothing of the store is imported before a verb asks for it."""
    heavy = "{'sqlalchemy', 'aiosqlite', 'pydantic', 'dragoman.settings'}"
    command = [
        sys.executable,
        "-c",
        f"import sys, dragoman.cli.__main__ as m; m.application(); print(*{heavy} & set(sys.modules))",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=True)
    assert done.stdout.strip() == ""


def test_noon_is_noon() -> None:
    """The dates that these tests write down are those of the rows."""
    assert time.gmtime(NOON)[:5] == (2026, 7, 3, 12, 0)


def test_no_lines_are_no_lines(data: Path) -> None:
    """Nothing was asked for, so nothing is said of what there is."""
    done = verb(data, "log", "tail", "-n", "0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
