"""The checks that ask nobody: directory, secret, shell, settings files of the client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dragoman.cli.client import Reply
from dragoman.cli.doctor import accounts, place, port, shell, stored
from dragoman.cli.doctor.findings import Finding
from dragoman.cli.doctor.visit import Visit
from dragoman.settings import Settings

URL = "http://127.0.0.1:8787"


@pytest.fixture
def visit(tmp_path: Path) -> Visit:
    """Nobody is asked: the address is unknown."""
    (tmp_path / "project").mkdir()
    return Visit(
        settings=Settings.model_validate({"server": {"port": 0}}),
        problems=[],
        data=tmp_path / "data",
        url=None,
        url_given=False,
        token=None,
        key_source=None,
        key_problem=None,
        environ={"CLAUDE_CONFIG_DIR": str(tmp_path / "claude"), "PATH": str(tmp_path / "bin")},
        folder=tmp_path / "project",
        offline=True,
    )


def levels(findings: Any) -> list[tuple[str, str]]:
    return [(one.id, one.level) for one in findings]


def only(findings: Any) -> Finding:
    (one,) = findings
    assert isinstance(one, Finding)
    return one


def test_a_private_directory_is_fine(visit: Visit) -> None:
    assert "does not exist yet" in only(place.data_directory(visit)).sentence
    visit.data.mkdir(mode=0o700)
    (visit.data / "secret").write_text("x")
    (visit.data / "secret").chmod(0o600)
    assert only(place.data_directory(visit)).level == "ok"


def test_what_others_may_read_is_named(visit: Visit) -> None:
    visit.data.mkdir(mode=0o755)
    for number in range(7):
        (visit.data / f"file-{number}").touch(mode=0o644)
    finding = only(place.data_directory(visit))
    assert finding.level == "error"
    assert str(visit.data) in finding.sentence
    assert "3 more" in finding.sentence
    assert finding.fix == f"chmod -R go= {visit.data}"


def test_a_file_is_no_data_directory(visit: Visit) -> None:
    visit.data.touch()
    assert "is no directory" in only(place.data_directory(visit)).sentence


def test_the_secret(visit: Visit) -> None:
    assert "not made yet" in only(place.secret_file(visit)).sentence
    visit.data.mkdir()
    file = visit.data / "secret"
    file.write_text("short")
    file.chmod(0o600)
    assert only(place.secret_file(visit)).level == "warn"
    file.write_text("x" * 64)
    assert only(place.secret_file(visit)).level == "ok"
    file.chmod(0o644)
    visit.__dict__.pop("secret_problem")  # a look of its own
    finding = only(place.secret_file(visit))
    assert (finding.level, finding.fix) == ("error", f"chmod 600 {file}")


def test_a_secret_that_others_may_read_is_told_once(visit: Visit) -> None:
    visit.data.mkdir(mode=0o700)
    file = visit.data / "secret"
    file.write_text("x" * 64)
    file.chmod(0o644)
    visit.problems = [f"{file}: others may read this file; chmod 600 {file}"]
    checks = (place.configuration, place.data_directory, place.secret_file, stored.store)
    assert [one.id for check in checks for one in check(visit) if one.level != "ok"] == ["secret-file"]


def test_problems_of_the_configuration_are_findings(visit: Visit) -> None:
    assert levels(place.configuration(visit)) == [("config", "ok")]
    visit.problems = ["server.prt: unknown key", "models: x"]
    assert levels(place.configuration(visit)) == [("config", "error")] * 2


def test_an_unknown_address_is_told(visit: Visit) -> None:
    assert "--url" in only(port.address(visit)).sentence
    assert list(port.client_key(visit)) == []
    visit.settings = None
    assert list(port.address(visit)) == []
    visit.key_problem = "several keys"
    assert levels(port.client_key(visit)) == [("client-key", "error")]


def test_parts_of_a_gateway_that_are_not_well_are_named(visit: Visit) -> None:
    visit.url = URL
    said = {"status": "ready", "in_flight": 0, "journal": "degraded", "db_write": "degraded"}
    visit.__dict__["ready"] = Reply(200, {}, said)
    finding = only(port.address(visit))
    assert (finding.level, finding.sentence.endswith(": db_write, journal")) == ("warn", True)


def test_accounts_are_looked_at_without_asking(visit: Visit) -> None:
    assert levels(accounts.accounts(visit)) == [("account-none", "warn")]
    rows = [
        {"name": "a", "api_key": "k", "base_url": "http://10.0.0.1/v1/responses"},
        {"name": "b", "kind": "responses", "base_url": "http://10.0.0.1/v1"},
        {"name": "c", "api_key": "k", "base_url": "http://localhost:8000/v1"},
    ]
    visit.settings = Settings.model_validate({"accounts": rows})
    found = list(accounts.accounts(visit))
    assert levels(found) == [
        ("account-address", "error"),
        ("account-address", "warn"),
        ("account", "ok"),
    ]
    assert found[1].fix is not None and found[1].fix.startswith("https://10.0.0.1, ")


def test_a_clean_shell_is_fine(visit: Visit) -> None:
    assert levels(shell.variables(visit)) == [("client-shell", "ok")]
    assert levels(shell.settings(visit)) == [("client-settings", "ok")]
    assert levels(shell.client(visit)) == [("client-missing", "warn")]


CONFLICTS = [
    ({"ANTHROPIC_API_KEY": "sk-ant-x", "ANTHROPIC_AUTH_TOKEN": "t"}, "ANTHROPIC_API_KEY is set as well"),
    ({"ANTHROPIC_BASE_URL": f"{URL}/v1/"}, "ends with /v1"),
    ({"ANTHROPIC_BASE_URL": "https://api.elsewhere.example"}, f"another address than {URL}"),
    ({"CLAUDE_CODE_USE_BEDROCK": "1"}, "CLAUDE_CODE_USE_BEDROCK sends the client to another provider"),
    ({"CLAUDE_CODE_USE_NEWEST": "true"}, "CLAUDE_CODE_USE_NEWEST sends"),
    ({"ANTHROPIC_CUSTOM_HEADERS": "X-A: 1\nX-Api-Key: sk-ant-x"}, "holds a credential"),
]


@pytest.mark.parametrize(("environ", "told"), CONFLICTS)
def test_a_conflict_of_the_shell_is_a_warning(visit: Visit, environ: dict[str, str], told: str) -> None:
    visit.url = URL
    visit.environ = {**visit.environ, **environ}
    finding = only(shell.variables(visit))
    assert finding.level == "warn"
    assert told in finding.sentence
    assert "sk-ant" not in finding.sentence


@pytest.mark.parametrize("environ", [{"CLAUDE_CODE_USE_BEDROCK": "0"}, {"ANTHROPIC_BASE_URL": URL + "/"}])
def test_what_does_no_harm_is_not_told(visit: Visit, environ: dict[str, str]) -> None:
    visit.url = URL
    visit.environ = {**visit.environ, **environ}
    assert only(shell.variables(visit)).level == "ok"


def written(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_a_conflict_of_a_settings_file_is_an_error(visit: Visit, tmp_path: Path) -> None:
    written(
        tmp_path / "claude" / "settings.json", '{"env": {"CLAUDE_CODE_USE_VERTEX": "1"}, "apiKeyHelper": "x"}'
    )
    local = visit.folder / ".claude" / "settings.local.json"
    written(local, '{"env": {"ANTHROPIC_AUTH_TOKEN": "sk-drg-x"},}')
    committed = visit.folder / ".claude" / "settings.json"
    written(committed, '{"env": {"ANTHROPIC_AUTH_TOKEN": "sk-drg-x"}}')
    found = list(shell.settings(visit))
    assert levels(found) == [
        ("client-settings", "error"),
        ("client-settings", "warn"),
        ("client-committed-key", "error"),
        ("client-settings", "warn"),
    ]
    assert "line 1, column" in found[-1].sentence
    assert not any("sk-drg-x" in one.sentence for one in found)
