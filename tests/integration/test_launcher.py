"""`dragoman claude` against a running gateway, with a stand-in for the client that tells what it got."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dragoman.cli.environment import CONFLICTS
from tests.support.command import User, user
from tests.support.gateway import WAIT, Gateway, gateway
from tests.support.zygote import COMMAND

CLIENT = """#!/bin/sh
here=$(dirname "$0")
env > "$here/env"
echo $$ > "$here/pid"
for argument in "$@"; do printf '%s\\n' "$argument"; done > "$here/arguments"
tr '\\0' '\\n' < /proc/$$/cmdline > "$here/cmdline" 2>/dev/null || true
echo "the client speaks"
exit 7
"""
ALIASED = """
[models]
"claude-opus-*" = "gpt-5.5@high"
"claude-*" = "gpt-oss-120b"
[[accounts]]
name = "nowhere"
api_key = "sk-nowhere"
base_url = "http://127.0.0.1:9/v1"
[[keys]]
name = "ada"
key = "sk-drg-of-ada"
"""
TRANSPORT = """
[[accounts]]
name = "nowhere"
api_key = "sk-nowhere"
base_url = "http://127.0.0.1:9/v1"
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with nothing configured."""
    with gateway(tmp_path_factory.mktemp("demo"), "") as running:
        yield running


@pytest.fixture
def someone(tmp_path: Path) -> User:
    return user(tmp_path)


@pytest.fixture
def client(tmp_path: Path, someone: User) -> Path:
    """The stand-in, on the user's PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "claude"
    script.write_text(CLIENT)
    script.chmod(0o755)
    someone.environment["PATH"] = f"{folder}:{someone.environment['PATH']}"
    return script


def of_demo(demo: Gateway) -> list[str]:
    """The options that lead to the demo, as if it were on its usual port."""
    return ["--url", demo.url, "--data-dir", str(demo.run.out.parent / "data")]


def key_of(demo: Gateway) -> str:
    return (demo.run.out.parent / "data" / "demo-key").read_text().strip()


def given(client: Path) -> dict[str, str]:
    """The environment that the stand-in saw."""
    lines = (client.parent / "env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.mark.installed  # it becomes another program
def test_the_client_gets_environment_and_arguments(demo: Gateway, someone: User, client: Path) -> None:
    """What leads elsewhere is gone, the exit code is passed on, the key is on no command line."""
    stray = dict.fromkeys(CONFLICTS, "1") | {"ANTHROPIC_API_KEY": "sk-ant-stray", "ANTHROPIC_MODEL": "stale"}
    arguments = ["--", "-p", "hi there", "--output-format", "json", ""]
    done = someone.run("claude", *of_demo(demo), *arguments, **stray)
    assert done.returncode == 7, done.stderr
    assert done.stdout == "the client speaks\n"
    assert done.stderr == ""
    assert (client.parent / "arguments").read_text() == "-p\nhi there\n--output-format\njson\n\n"
    seen = given(client)
    assert seen["ANTHROPIC_BASE_URL"] == demo.url
    assert seen["ANTHROPIC_AUTH_TOKEN"] == key_of(demo)
    assert seen["ANTHROPIC_API_KEY"] == ""
    assert seen["ANTHROPIC_DEFAULT_SONNET_MODEL"] == "claude-sonnet-5-5"
    assert seen["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "272000"
    assert seen["HOME"] == str(someone.home)
    assert not {*CONFLICTS, "ANTHROPIC_MODEL"} & set(seen)
    assert key_of(demo) not in (client.parent / "cmdline").read_text()
    assert not list(someone.home.rglob("*")), "nothing was written"


@pytest.mark.skipif(shutil.which("claude") is not None, reason="a real client is on this machine's path")
def test_a_missing_client_is_named(demo: Gateway, someone: User) -> None:
    done = someone.run("claude", *of_demo(demo))
    assert done.returncode == 1
    assert "claude is not on your PATH" in done.stderr
    done = someone.run("claude", *of_demo(demo), "--claude", "/nowhere/claude")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "--claude /nowhere/claude" in done.stderr


@pytest.mark.parametrize("spelling", ["./claude", "bin/claude", "../bin/claude"])
def test_a_client_that_is_named_with_a_slash_is_that_file(
    demo: Gateway, someone: User, client: Path, spelling: str
) -> None:
    """As a shell reads it: not looked for on PATH."""
    place = client.parent / "place"
    there = (place / spelling).resolve()
    place.mkdir(exist_ok=True)
    there.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(client, there)
    done = subprocess.run(
        [str(COMMAND), "claude", *of_demo(demo), "--claude", spelling],
        env=someone.environment,
        cwd=place,
        stdout=subprocess.DEVNULL,
        timeout=WAIT,
        check=False,
    )
    assert done.returncode == 7


def test_the_client_becomes_the_process(demo: Gateway, someone: User, client: Path) -> None:
    """So that signals reach it: no process of ours stays in between."""
    process = subprocess.Popen(
        [str(COMMAND), "claude", *of_demo(demo), "--claude", str(client)],
        env=someone.environment,
        cwd=someone.folder,
        stdout=subprocess.DEVNULL,
    )
    assert process.wait(WAIT) == 7
    assert (client.parent / "pid").read_text().strip() == str(process.pid)


def test_names_and_windows_follow_the_gateways_aliases(tmp_path: Path, someone: User) -> None:
    """The smaller window of the two tiers a conversation may use; the key of the configuration."""
    with gateway(tmp_path / "gate", ALIASED) as running:
        config = tmp_path / "gate" / "dragoman.toml"
        arguments = ["claude", "--print-env", "--url", running.url, "--config", str(config)]
        done = someone.run(*arguments)
        assert done.returncode == 0, done.stderr
        assert "export ANTHROPIC_DEFAULT_OPUS_MODEL='claude-opus-5-5'\n" in done.stdout
        assert "export CLAUDE_CODE_MAX_CONTEXT_TOKENS='131072'\n" in done.stdout
        assert "export ANTHROPIC_AUTH_TOKEN='sk-drg-of-ada'\n" in done.stdout
        chosen = someone.run(*arguments, "--", "--model", "opus").stdout
        assert "export CLAUDE_CODE_MAX_CONTEXT_TOKENS='272000'\n" in chosen


def test_without_aliases_a_model_must_be_named(tmp_path: Path, someone: User) -> None:
    """And without keys on loopback the token is a word that nobody checks."""
    with gateway(tmp_path / "gate", TRANSPORT) as running:
        arguments = ["claude", "--print-env", "--url", running.url]
        refused = someone.run(*arguments)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "--model gpt-5.5" in refused.stderr
        done = someone.run(*arguments, "--model", "gpt-4o", "--haiku", "it's small")
        assert done.returncode == 0, done.stderr
        assert "export ANTHROPIC_MODEL='gpt-4o'\n" in done.stdout
        assert "export CLAUDE_CODE_SUBAGENT_MODEL='gpt-4o'\n" in done.stdout
        assert "export ANTHROPIC_DEFAULT_HAIKU_MODEL='it'\\''s small'\n" in done.stdout
        assert "export CLAUDE_CODE_MAX_CONTEXT_TOKENS='128000'\n" in done.stdout
        assert "export ANTHROPIC_AUTH_TOKEN='unused'\n" in done.stdout


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("sh", "export ANTHROPIC_API_KEY=''"),
        ("fish", "set -gx ANTHROPIC_API_KEY ''"),
        ("powershell", "$env:ANTHROPIC_API_KEY = ''"),
    ],
)
def test_the_environment_is_printed_for_each_shell(
    demo: Gateway, someone: User, shell: str, line: str
) -> None:
    done = someone.run("claude", *of_demo(demo), "--print-env", "--shell", shell)
    assert done.returncode == 0, done.stderr
    assert line in done.stdout.splitlines()
    assert "CLAUDE_CODE_USE_BEDROCK" in done.stdout


def test_what_is_printed_can_be_evaluated(demo: Gateway, someone: User) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'eval "$("{COMMAND}" claude "$@" --print-env)" && env', "sh", *of_demo(demo)],
        env={**someone.environment, "CLAUDE_CODE_USE_VERTEX": "1"},
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=True,
    )
    assert f"ANTHROPIC_BASE_URL={demo.url}\n" in done.stdout
    assert "CLAUDE_CODE_USE_VERTEX" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--url", "http://127.0.0.1:9"], 1, "no gateway answers at http://127.0.0.1:9"),
        (["--url", "ftp://x"], 2, "must be an http or https address"),
        (["--key-env", "NOT_SET_HERE"], 2, "NOT_SET_HERE is empty"),
        (["--print-env", "--undo"], 2, "cannot be used together"),
        (["--project"], 2, "needs --write-settings"),
        (["--config", "/nowhere.toml"], 2, "/nowhere.toml: cannot be read"),
    ],
)
def test_wrong_use_is_one_sentence(
    someone: User, client: Path, arguments: list[str], code: int, said: str
) -> None:
    done = someone.run("claude", *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.startswith("dragoman: ")
    assert done.stderr.count("\n") == 1


def test_a_gateway_that_is_not_up_says_how_to_start_it(someone: User, client: Path) -> None:
    done = someone.run("claude", DRAGOMAN_SERVER__PORT="9")
    assert (done.returncode, done.stdout) == (1, "")
    assert "start it with `dragoman serve`" in done.stderr


@pytest.mark.installed  # it becomes another program
def test_a_missing_or_wrong_key_names_the_verb_that_makes_one(
    demo: Gateway, someone: User, client: Path, tmp_path: Path
) -> None:
    elsewhere = ["claude", "--url", demo.url, "--data-dir", str(tmp_path / "empty")]
    missing = someone.run(*elsewhere)
    assert missing.returncode == 2
    assert "dragoman key create" in missing.stderr
    wrong = someone.run(*elsewhere, DRAGOMAN_KEY="sk-drg-wrong")
    assert wrong.returncode == 2
    assert "the variable DRAGOMAN_KEY" in wrong.stderr
    assert "dragoman key create" in wrong.stderr
    assert "sk-drg-wrong" not in wrong.stderr
    assert not (client.parent / "env").exists()
    assert not (tmp_path / "empty").exists(), "no data directory is made"
    (tmp_path / "empty").mkdir()
    saved = tmp_path / "empty" / "client-key"
    saved.write_text(key_of(demo))
    saved.chmod(0o600)
    assert someone.run(*elsewhere, "--print-env").returncode == 0


def test_settings_are_written_and_undone(demo: Gateway, someone: User) -> None:
    file = someone.home / ".claude" / "settings.json"
    file.parent.mkdir()
    before = '{"model": "opus", "env": {"CLAUDE_CODE_USE_BEDROCK": "1", "MINE": "2"}}'
    file.write_text(before)
    done = someone.run("claude", *of_demo(demo), "--write-settings")
    assert done.returncode == 0, done.stderr
    assert "took out CLAUDE_CODE_USE_BEDROCK" in done.stdout
    assert key_of(demo) not in done.stdout
    found = json.loads(file.read_text())
    assert (found["model"], found["env"]["MINE"]) == ("opus", "2")
    assert found["env"]["ANTHROPIC_AUTH_TOKEN"] == key_of(demo)
    assert "CLAUDE_CODE_USE_BEDROCK" not in found["env"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = someone.run("claude", *of_demo(demo), "--write-settings")
    assert "nothing was changed" in again.stdout
    undone = someone.run("claude", "--undo")
    assert undone.returncode == 0, undone.stderr
    assert file.read_text() == before
    assert someone.run("claude", "--undo").returncode == 2


def test_project_settings_never_go_into_a_committed_file(demo: Gateway, someone: User) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=someone.folder, check=True, env=someone.environment)

    git("init", "-q")
    write = ["claude", *of_demo(demo), "--write-settings", "--project"]
    file = someone.folder / ".claude" / "settings.local.json"
    done = someone.run(*write)
    assert done.returncode == 0, done.stderr
    assert ".gitignore" in done.stdout
    assert file.exists()
    assert not (someone.home / ".claude").exists()
    assert someone.run("claude", "--undo", "--project").returncode == 0
    assert not file.exists()
    file.write_text("{}")
    git("add", "-f", ".claude/settings.local.json")
    refused = someone.run(*write)
    assert refused.returncode == 2
    assert "committed to git" in refused.stderr
    assert file.read_text() == "{}"


def test_broken_settings_are_refused_with_their_place(demo: Gateway, someone: User) -> None:
    file = someone.home / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text('{\n  "model": opus\n}')
    done = someone.run("claude", *of_demo(demo), "--write-settings")
    assert done.returncode == 2
    assert "line 2, column 12" in done.stderr
    assert file.read_text() == '{\n  "model": opus\n}'


@pytest.mark.installed  # it becomes another program
def test_settings_that_would_win_are_named(demo: Gateway, someone: User, client: Path) -> None:
    file = someone.folder / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text('{"env": {"ANTHROPIC_BASE_URL": "https://elsewhere", "CLAUDE_CODE_USE_VERTEX": "1"}}')
    done = someone.run("claude", *of_demo(demo))
    assert done.returncode == 7
    assert "ANTHROPIC_BASE_URL, CLAUDE_CODE_USE_VERTEX" in done.stderr
    assert "elsewhere" not in done.stderr
