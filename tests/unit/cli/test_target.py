"""Which gateway, and which key: keys of this machine stay on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dragoman.cli.target import base_url, client_key
from dragoman.serving.secret import keep
from dragoman.settings import Settings, SettingsError

ACCOUNT = {"name": "a", "api_key": "sk-upstream"}
HERE, THERE = "http://127.0.0.1:8787", "https://gateway.example"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRAGOMAN_KEY", raising=False)


def configured(**table: Any) -> Settings:
    return Settings.model_validate(table)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://[::1]:1"),
        ("::1", "http://[::1]:1"),
        ("[::1]", "http://[::1]:1"),
        ("", "http://127.0.0.1:1"),
        ("gateway.lan", "http://gateway.lan:1"),
    ],
)
def test_the_address_follows_from_the_settings(host: str, url: str) -> None:
    assert base_url(None, configured(server={"host": host, "port": 1})) == url


def test_a_free_port_cannot_be_known() -> None:
    with pytest.raises(SettingsError, match="use --url"):
        base_url(None, configured(server={"port": 0}))


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://h", "http://h"),
        (" http://h:1/v1/ ", "http://h:1"),
        ("https://h/prefix/v1", "https://h/prefix"),
        ("https://h/prefix/", "https://h/prefix"),
    ],
)
def test_a_given_address_loses_v1(given: str, url: str) -> None:
    assert base_url(given, configured()) == url


@pytest.mark.parametrize(
    "given",
    [
        "",
        "h:1",
        "ftp://h",
        "http://",
        "http://u:p@h",
        "http://h?x=1",
        "http://h/#x",
        "http://h h",
        "http://h:0",
    ],
)
def test_a_wrong_address_is_refused(given: str) -> None:
    with pytest.raises(SettingsError) as refused:
        base_url(given, configured())
    assert ":p@" not in str(refused.value)


def test_the_order_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's key, the saved key, the only readable key of the configuration, DRAGOMAN_KEY."""

    def found(settings: Settings) -> str | None:
        key = client_key(settings, tmp_path, HERE)
        return None if key is None else key.text

    demo = configured()
    real = configured(
        accounts=[ACCOUNT],
        keys=[{"name": "ci", "key_env": "NOT_SET_HERE"}, {"name": "ada", "key": "sk-drg-configured"}],
    )
    bare = configured(accounts=[ACCOUNT])
    assert [found(demo), found(real), found(bare)] == [None, "sk-drg-configured", None]
    monkeypatch.setenv("DRAGOMAN_KEY", "sk-drg-variable")
    assert [found(demo), found(real), found(bare)] == [
        "sk-drg-variable",
        "sk-drg-configured",
        "sk-drg-variable",
    ]
    keep(tmp_path / "demo-key", "sk-drg-demo")
    assert [found(demo), found(real), found(bare)] == [
        "sk-drg-demo",
        "sk-drg-configured",
        "sk-drg-variable",
    ]
    keep(tmp_path / "client-key", "sk-drg-saved")
    assert [found(demo), found(real), found(bare)] == ["sk-drg-saved"] * 3


def test_an_option_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path / "demo-key", "sk-drg-demo")
    (tmp_path / "mine").write_text("sk-drg-file\n")
    monkeypatch.setenv("MINE", " sk-drg-env ")
    for url in (HERE, THERE):
        by_env = client_key(configured(), tmp_path, url, key_env="MINE")
        by_file = client_key(configured(), tmp_path, url, key_file=tmp_path / "mine")
        assert by_env is not None and (by_env.text, by_env.source) == ("sk-drg-env", "the variable MINE")
        assert by_file is not None and by_file.text == "sk-drg-file"
        assert "sk-drg" not in repr(by_file)
    with pytest.raises(SettingsError, match="one of the two"):
        client_key(configured(), tmp_path, HERE, "MINE", tmp_path / "mine")
    with pytest.raises(SettingsError, match="NOT_SET_HERE is empty"):
        client_key(configured(), tmp_path, HERE, key_env="NOT_SET_HERE")


def test_no_key_of_this_machine_is_sent_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path / "demo-key", "sk-drg-demo")
    keep(tmp_path / "client-key", "sk-drg-saved")
    assert client_key(configured(), tmp_path, THERE) is None
    one = configured(keys=[{"name": "ada", "key": "sk-drg-configured"}])
    assert client_key(one, tmp_path, THERE) is None
    monkeypatch.setenv("DRAGOMAN_KEY", "sk-drg-variable")
    named = client_key(one, tmp_path, THERE)
    assert named is not None and named.text == "sk-drg-variable"


def test_several_keys_need_a_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [{"name": name, "key": f"sk-drg-{name}-key"} for name in ("ada", "bob")]
    with pytest.raises(SettingsError, match=r"several keys \(ada, bob\)"):
        client_key(configured(keys=keys), tmp_path, HERE)
    monkeypatch.setenv("DRAGOMAN_KEY", "sk-drg-variable")
    assert client_key(configured(keys=keys), tmp_path, HERE) is not None


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    keep(tmp_path / "client-key", "sk-drg-saved")
    (tmp_path / "client-key").chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        client_key(configured(), tmp_path, HERE)
