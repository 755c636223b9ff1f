"""The settings: order of sources, and problems that name the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragoman.settings import SettingsError, load


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.upper().startswith("DRAGOMAN_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "dragoman.toml"


def test_defaults_need_no_file() -> None:
    settings = load()
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8787)
    assert settings.models == {}
    assert settings.accounts == []


def test_flag_beats_environment_beats_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('[server]\nport = 1\nhost = "::1"\nqueue = 7\n')
    monkeypatch.setenv("DRAGOMAN_SERVER__PORT", "2")
    monkeypatch.setenv("DRAGOMAN_SERVER__HOST", "127.0.0.2")
    settings = load(file, {"server": {"host": "127.0.0.3"}})
    assert settings.server.host == "127.0.0.3"
    assert settings.server.port == 2
    assert settings.server.queue == 7


def test_tables_come_as_json_from_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('[models]\n"a" = "b"\n')
    monkeypatch.setenv("DRAGOMAN_MODELS", '{"claude-*": "gpt-5.5@high", "x": "y"}')
    monkeypatch.setenv("DRAGOMAN_ACCOUNTS", '[{"name": "one", "api_key": "sk-1"}]')
    monkeypatch.setenv("DRAGOMAN_KEYS", '[{"name": "laptop", "key": "sk-drg-1234"}]')
    settings = load(file)
    assert list(settings.models.items()) == [("claude-*", "gpt-5.5@high"), ("x", "y")]
    assert settings.accounts[0].base_url == "https://api.openai.com/v1"
    assert settings.keys[0].name == "laptop"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\nprot = 1", "server.prot: unknown key, did you mean port?"),
        ("[sever]\nport = 1", "sever: unknown key, did you mean server?"),
        ('[server]\nport = "x"', "server.port: input should be a valid integer"),
        (
            '[[accounts]]\nname = "a"\napi_key = "k"\nkynd = "x"',
            "accounts.0.kynd: unknown key, did you mean kind?",
        ),
        (
            '[[accounts]]\nname = "a"',
            "exactly one of api_key, api_key_env, api_key_file is needed, found none",
        ),
        (
            '[[accounts]]\nname = "a"\napi_key = "k"\nbase_url = "ftp://x"',
            "accounts.0.base_url: must be an http or https address",
        ),
        (
            '[[accounts]]\nname = "a"\napi_key = "k"\n[[accounts]]\nname = "a"\napi_key = "k"',
            "accounts: the name 'a' stands twice",
        ),
        *(
            (f'[[accounts]]\nname = "a"\napi_key = "k"\nbase_url = "{address}"', f"base_url: {message}")
            for address, message in (
                ("http://host:99999/v1", "must be an http or https address"),
                ("http://[::1/v1", "must be an http or https address"),
                ("http://a b/v1", "must be an http or https address"),
                ("http://:80", "must be an http or https address"),
                ("http://me:secret@host/v1", "must hold no user name or password"),
                ("http://host/v1?key=1", "must end before any ? or #"),
            )
        ),
        *(
            (f'[[accounts]]\nname = "a"\napi_key = "k"\nbase_url = "{address}"', message)
            for address, message in (
                ("http://169.254.169.254/latest", "169.254.169.254 is a link-local address"),
                ("http://[fd00:ec2::254]/v1", "is a metadata service; upstream.allow_link_local permits it"),
                ("http://metadata.google.internal/v1", "is a metadata service"),
                ("http://[fe80::1]/v1", "is a link-local address"),
                ("http://0xa9fea9fe/v1", "is a link-local address"),
            )
        ),
        ('[chatgpt]\nissuer = "http://169.254.169.254"', "chatgpt: issuer: 169.254.169.254 is a link-local"),
        ('[chatgpt]\nbase_url = "ftp://x"', "chatgpt.base_url: must be an http or https address"),
        ('[chatgpt]\noriginator = "a\\nb"', "chatgpt.originator: holds characters"),
        ('[chatgpt]\nclient_id = ""', "chatgpt.client_id"),
        ('[[accounts]]\nname = "a"\nkind = "chatgpt"', 'kind = "chatgpt" needs auth_file'),
        (
            '[[accounts]]\nname = "a"\nkind = "chatgpt"\nauth_file = "f"\napi_key = "k"',
            'api_key does not go with kind = "chatgpt"',
        ),
        (
            '[[accounts]]\nname = "a"\nkind = "chatgpt"\nauth_file = "f"\norganization = "o"',
            'organization does not go with kind = "chatgpt"',
        ),
        (
            '[[accounts]]\nname = "a"\napi_key = "k"\nauth_file = "f"',
            'auth_file goes with kind = "chatgpt" only',
        ),
        ('[[accounts]]\nname = "a"\napi_key = "k\\r\\nx: y"', "accounts.0.api_key: holds characters"),
        ('[[accounts]]\nname = "a"\napi_key = "k"\norganization = "a\\tb"', "accounts.0.organization: holds"),
        ('[upstream]\nuser_agent = "a\\nb"', "upstream.user_agent: holds characters"),
        ("[upstream]\nidle_seconds = inf", "upstream.idle_seconds: input should be a finite number"),
        ('[anthropic]\ndefault_effort = "hard"', "anthropic.default_effort"),
        ("[server", "not valid TOML"),
        (
            '[models]\nclaude-opus-4.5 = "x"',
            'models.claude-opus-4: a name with a dot needs quotes: "claude-opus-4.5" = …',
        ),
        ('[models]\nclaude-4.5 = "x"\nclaude-4.6 = "y"', 'a name with a dot needs quotes: "claude-4.5"'),
        ('[models]\ngpt-5.5.1 = "x"', 'a name with a dot needs quotes: "gpt-5.5.1"'),
        (
            "[prices]\ngpt-5.5 = { input = 1, output = 2 }",
            'prices.gpt-5: a name with a dot needs quotes: "gpt-5.5"',
        ),
        (
            "[prices.gpt-5.5]\ninput = 1\noutput = 2",
            'prices.gpt-5: a name with a dot needs quotes: "gpt-5.5"',
        ),
        ("[server]\nport = true", "server.port: input should be a valid integer, found true"),
        ("[server]\nqueue = true", "server.queue: input should be a valid integer, found true"),
        ("[server]\nping_seconds = true", "server.ping_seconds: input should be a valid number, found true"),
        ("[server]\nport = 8000.0", "server.port: input should be a valid integer, found 8000.0"),
        ('[server]\nport = "8000"', "server.port: input should be a valid integer, found a text"),
        ("[server]\nport = [1]", "server.port: input should be a valid integer, found a list"),
        ("[anthropic]\nlenient = 1", "anthropic.lenient: input should be true or false, found 1"),
        ('[anthropic]\nlenient = "yes"', "anthropic.lenient: input should be true or false, found a text"),
        (
            '[[accounts]]\nname = "a"\napi_key = "k"\nconcurrency = true',
            "accounts.0.concurrency: input should be a valid integer, found true",
        ),
        (
            '[[keys]]\nname = "a"\nkey = "long-enough"\nexpires_at = 5',
            "keys.0.expires_at: input should be a date with its time, found 5",
        ),
        ('[[accounts]]\nname = "a\\nb"\napi_key = "k"', "accounts.0.name: holds characters"),
        ('[[keys]]\nname = "a\\nb"\nkey = "long-enough"', "keys.0.name: holds characters"),
    ],
)
def test_a_problem_names_the_key(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert message in str(caught.value)


def test_a_name_without_quotes_is_told_once(file: Path) -> None:
    file.write_text('[models]\nclaude-opus-4.5 = "x"\n')
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert len(str(caught.value).splitlines()) == 1


def test_a_byte_order_mark_does_not_matter(file: Path) -> None:
    file.write_text("[server]\r\nport = 9000\r\n", encoding="utf-8-sig")
    assert load(file).server.port == 9000


def test_a_wrong_type_is_told_once(file: Path) -> None:
    file.write_text('[server]\nport = "x"\nqueue = true\n')
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert str(caught.value).splitlines() == [
        "server.port: input should be a valid integer, found a text",
        "server.queue: input should be a valid integer, found true",
    ]


def test_whole_numbers_stand_for_others_and_a_quoted_date_for_one(file: Path) -> None:
    file.write_text(
        "[server]\nping_seconds = 20\n"
        '[[keys]]\nname = "a"\nkey = "long-enough"\nexpires_at = 2027-01-31T00:00:00Z\n'
        '[[keys]]\nname = "b"\nkey = "long-enough-too"\nexpires_at = "2027-01-31T00:00:00Z"\n'
    )
    loaded = load(file)
    assert loaded.server.ping_seconds == 20.0
    assert loaded.keys[0].expires_at == loaded.keys[1].expires_at


def test_a_variable_is_text_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_ANTHROPIC__LENIENT", "yes")
    monkeypatch.setenv("DRAGOMAN_SERVER__PORT", "8000")
    loaded = load()
    assert (loaded.anthropic.lenient, loaded.server.port) == (True, 8000)


def test_a_secret_never_stands_in_a_problem(file: Path) -> None:
    file.write_text('[[accounts]]\nname = "a"\napi_key = "sk-very-secret"\nkind = "wrong"\n')
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert "very-secret" not in str(caught.value)


def test_an_unknown_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_SERVR__PORT", "1")
    with pytest.raises(SettingsError, match="DRAGOMAN_SERVR__PORT, did you mean DRAGOMAN_SERVER__PORT"):
        load()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("DRAGOMAN_SERVER_PORT", "did you mean DRAGOMAN_SERVER__PORT?"),
        ("DRAGOMAN_SEVER__PORT", "did you mean DRAGOMAN_SERVER__PORT?"),
        ("DRAGOMAN_MODLES", "did you mean DRAGOMAN_MODELS?"),
        ("DRAGOMAN_XYZZY", r"\(known: DRAGOMAN_ACCOUNTS, "),
    ],
)
def test_the_nearest_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, near: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=f"unknown variable {name},? {near}"):
        load()


def test_a_variable_that_the_configuration_refers_to_is_known(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(
        '[secrets]\nkey_env = "DRAGOMAN_SECRET"\n[admin]\nsetup_token_env = "DRAGOMAN_SETUP"\n'
        '[[accounts]]\nname = "a"\napi_key_env = "DRAGOMAN_UPSTREAM_KEY"\n'
        '[[keys]]\nname = "ada"\nkey_env = "DRAGOMAN_KEY_ADA"\n'
    )
    for name in ("SECRET", "SETUP", "UPSTREAM_KEY", "KEY_ADA"):
        monkeypatch.setenv(f"DRAGOMAN_{name}", "a long enough text")
    assert load(file).keys[0].key_env == "DRAGOMAN_KEY_ADA"
    with pytest.raises(SettingsError, match="unknown variable DRAGOMAN_KEY_ADA"):
        load()


def test_variables_of_a_service_that_is_called_like_the_gateway_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (
        ("SERVICE_HOST", "10.0.0.1"),
        ("SERVICE_PORT", "8787"),
        ("SERVICE_PORT_HTTP", "8787"),
        ("PORT", "tcp://10.0.0.1:8787"),
        ("PORT_8787_TCP", "tcp://10.0.0.1:8787"),
        ("PORT_8787_TCP_ADDR", "10.0.0.1"),
    ):
        monkeypatch.setenv(f"DRAGOMAN_{name}", value)
    load()
    monkeypatch.setenv("DRAGOMAN_PORT", "9000")
    with pytest.raises(SettingsError, match="unknown variable DRAGOMAN_PORT "):
        load()


def test_a_variable_that_another_variable_refers_to_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_SECRETS__KEY_ENV", "DRAGOMAN_SECRET")
    monkeypatch.setenv("DRAGOMAN_SECRET", "a long enough text")
    monkeypatch.setenv("DRAGOMAN_ACCOUNTS", '[{"name": "a", "api_key_env": "DRAGOMAN_UPSTREAM_KEY"}]')
    monkeypatch.setenv("DRAGOMAN_UPSTREAM_KEY", "sk-1")
    assert load().secrets.key_env == "DRAGOMAN_SECRET"


def test_a_variable_that_an_option_refers_to_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_PASSPHRASE", "x")
    assert load(variables=["DRAGOMAN_PASSPHRASE", None]).server.port == 8787


def test_a_variable_that_is_not_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_ACCOUNTS", "[broken")
    monkeypatch.setenv("DRAGOMAN_MODELS", "{bad")
    monkeypatch.setenv("DRAGOMAN_SERVER__ALLOWED_HOSTS", "a,b")
    with pytest.raises(SettingsError) as caught:
        load()
    assert str(caught.value).splitlines() == [
        'environment: DRAGOMAN_ACCOUNTS: is no JSON; a list such as [{"name": "one"}] is wanted',
        'environment: DRAGOMAN_MODELS: is no JSON; an object such as {"name": "value"} is wanted',
        'environment: DRAGOMAN_SERVER__ALLOWED_HOSTS: is no JSON; a list such as ["one", "two"] is wanted',
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml: cannot be read"):
        load(tmp_path / "absent.toml")


def test_a_blank_default_effort_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_ANTHROPIC__DEFAULT_EFFORT", "  ")
    assert load().anthropic.default_effort is None


def test_the_default_effort_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """B34: the server's default effort is a setting."""
    monkeypatch.setenv("DRAGOMAN_ANTHROPIC__DEFAULT_EFFORT", "xhigh")
    assert load().anthropic.default_effort == "xhigh"


def test_a_local_server_needs_no_key(file: Path) -> None:
    file.write_text('[[accounts]]\nname = "local"\nkind = "responses"\nbase_url = "http://127.0.0.1:9/v1/"\n')
    account = load(file).accounts[0]
    assert account.api_key is None
    assert account.base_url == "http://127.0.0.1:9/v1"


def test_a_chatgpt_account_is_at_the_backend_unless_it_says_otherwise(file: Path) -> None:
    file.write_text(
        """
[chatgpt]
base_url = "http://127.0.0.1:9/backend-api/"
[[accounts]]
name = "a"
kind = "chatgpt"
auth_file = "a.json"
[[accounts]]
name = "b"
kind = "chatgpt"
auth_file = "b.json"
base_url = "http://127.0.0.1:8/"
"""
    )
    settings = load(file)
    assert [row.base_url for row in settings.accounts] == [
        "http://127.0.0.1:9/backend-api",
        "http://127.0.0.1:8",
    ]
    assert settings.chatgpt.issuer == "https://auth.openai.com"
    file.write_text('[[accounts]]\nname = "a"\nkind = "chatgpt"\nauth_file = "a.json"')
    assert load(file).accounts[0].base_url == "https://chatgpt.com/backend-api"


def test_a_link_local_address_may_be_allowed(file: Path) -> None:
    rows = '[[accounts]]\nname = "a"\napi_key = "k"\nbase_url = "http://169.254.1.1/v1"'
    file.write_text(f"[upstream]\nallow_link_local = true\n{rows}")
    assert load(file).accounts[0].base_url == "http://169.254.1.1/v1"
