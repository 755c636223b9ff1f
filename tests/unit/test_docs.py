"""The documents tell the truth: each name has its row, each link a target, each generated page is fresh."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dragoman.cli import origins
from dragoman.gateway.ports import Row
from dragoman.settings import PREFIX, Section, Settings
from dragoman.wire.errors import TABLE, Kind
from scripts import behaviours, reference
from tests.support import logins

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {"node_modules", ".venv", ".git", "golden"}


def documents() -> list[Path]:
    """Every Markdown file of the repository that people read."""
    folders = (ROOT, ROOT / "docs", ROOT / "changes", ROOT / "bench", ROOT / "tests")
    found = [*ROOT.glob("*.md")]
    for folder in folders[1:]:
        found += [path for path in folder.rglob("*.md") if not SKIPPED & set(path.parts)]
    return sorted(found)


def prose(path: Path) -> str:
    """A document without its fenced code."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def settings_keys() -> Iterator[tuple[str, str]]:
    """Section or table, and key, of every setting."""
    for name, field in Settings.model_fields.items():
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, Section):
                yield from ((name, key) for key in kind.model_fields)


@pytest.mark.parametrize("path", list(reference.PAGES), ids=lambda path: path.name)
def test_a_generated_page_is_what_the_code_says_now(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == reference.PAGES[path](), "make docs"


def test_every_setting_has_its_row() -> None:
    page = (reference.REFERENCE / "settings.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `\[+(\w+)\]+`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert set(sections) == set(Settings.model_fields)
    for table, key in settings_keys():
        assert f"| `{key}` |" in sections[table], f"{table}.{key}"


def test_every_section_names_its_environment_variables() -> None:
    page = (reference.REFERENCE / "settings.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            for key in field.annotation.model_fields:
                assert f"`{PREFIX}{name.upper()}__{key.upper()}`" in page
        else:
            assert f"`{PREFIX}{name.upper()}`" in page


def test_every_setting_named_in_the_guides_exists() -> None:
    known = {f"{table}.{key}" for table, key in settings_keys()}
    sections = {name for name, _ in settings_keys()} - {"accounts", "keys"}
    for path in documents():
        for section, key in re.findall(r"`([a-z]+)\.([a-z_]+)(?: = [^`]*)?`", prose(path)):
            if section in sections and key not in ("py", "md"):
                assert f"{section}.{key}" in known, f"{path.name} names {section}.{key}"


def test_every_verb_and_option_has_its_place() -> None:
    from typer.main import get_command

    from dragoman.cli.__main__ import application

    page = (reference.REFERENCE / "cli.md").read_text(encoding="utf-8")
    root: object = get_command(application())
    commands = list(reference.verbs(root))
    assert commands
    for name, command in commands:
        _, heading, rest = page.partition(f"## `dragoman {name}`\n")
        assert heading, name
        told = rest.partition("\n## ")[0]
        for param in command.params:
            assert param.param_type_name == "option" or param.metavar, f"{name} {param.name} is called None"
            spelled = param.opts if param.param_type_name == "option" else [param.metavar]
            assert all(f"`{option}`" in told for option in spelled), f"{name} {param.name}"


def test_every_error_kind_has_its_row_and_meaning() -> None:
    page = (reference.REFERENCE / "errors.md").read_text(encoding="utf-8")
    for kind in Kind:
        assert f"| `{kind}` | {TABLE[kind].status} |" in page
        assert TABLE[kind].meaning


def test_every_upstream_cause_has_its_row() -> None:
    from dragoman.translate.messages.failure import Cause

    page = (reference.REFERENCE / "errors.md").read_text(encoding="utf-8")
    for cause in Cause:
        assert f"| `{cause}` |" in page


def test_every_endpoint_has_its_row_and_auth_class() -> None:
    page = (reference.REFERENCE / "endpoints.md").read_text(encoding="utf-8")
    for path, (auth, methods) in reference.routes().items():
        assert f"| `{path}` | {', '.join(methods)} | {auth} |" in page


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:|#", target):
            continue
        assert (path.parent / target.partition("#")[0]).exists(), f"{path.name} links to {target}"


def test_every_make_target_named_in_the_documents_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    for path in documents():
        for named in re.findall(r"(?:`|^)make ([a-z0-9-]+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            assert named in targets, f"{path.name} names make {named}"


def test_every_make_target_explains_itself() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    for target in phony.group(1).split():
        assert re.search(rf"^{target}:.*## \S", makefile, re.MULTILINE), target


def test_every_field_of_the_log_is_explained() -> None:
    page = (ROOT / "docs" / "log.md").read_text(encoding="utf-8")
    listed = re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (.+?) \|", page, re.MULTILINE)))
    assert listed == [field.name for field in dataclasses.fields(Row) if field.name in listed]
    assert set(listed) == {field.name for field in dataclasses.fields(Row)}


def test_the_readme_stays_short() -> None:
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n") <= 140


def toml_examples() -> list[tuple[str, str]]:
    """Every TOML example of the documents."""
    return [
        (path.name, example)
        for path in documents()
        for example in re.findall(
            r"^```toml\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
    ]


@pytest.mark.parametrize(("name", "example"), toml_examples())
def test_every_configuration_example_is_accepted(name: str, example: str) -> None:
    loaded = Settings(**tomllib.loads(example))
    assert loaded.accounts, name


@pytest.mark.parametrize(("name", "example"), toml_examples())
def test_every_configuration_example_is_in_order_with_its_files_and_variables(
    name: str, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As somebody has it who puts the files and variables that it names in place."""
    for variable in re.findall(r'^\w+_env\s*=\s*"(\w+)"', example, re.MULTILINE):
        monkeypatch.setenv(variable, f"sk-the-text-of-{variable}")
    for at, path in enumerate(re.findall(r'^\w+_file\s*=\s*"(.+?)"', example, re.MULTILINE)):
        login = path.endswith(".json")
        there = tmp_path / f"{at}{Path(path).name}"
        there.write_text(json.dumps(logins.document(f"acct-{at}")) if login else f"sk-the-text-of-{at}")
        example = example.replace(f'"{path}"', f'"{there}"')
    file = tmp_path / "dragoman.toml"
    file.write_text(example, encoding="utf-8")
    assert origins.problems(file, tmp_path / "data") == [], name


def test_every_decision_is_listed_and_fits_a_page() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    for path in folder.glob("0*.md"):
        assert f"]({path.name})" in index
        assert path.read_text(encoding="utf-8").count("\n") <= 60


def test_every_promise_of_reliability_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z]\d+) \| .+? \| (.+?) \| .+? \|$", page, re.MULTILINE)
    assert rows
    for promise, proof in rows:
        named = re.findall(r"`([\w/.]+\.(?:py|md))(?:::(\w+))?`", proof)
        assert named, promise
        for file, test in named:
            source = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert not test or f"def {test}(" in source, f"{promise}: {file}::{test}"


def test_ids_are_found_in_every_spelling() -> None:
    """The lists S, T, C and E count only behind the word, because other lists use the same letters."""
    assert behaviours.named("B12, D7 and B30-B32.") == {"B12", "D7", "B30", "B31", "B32"}
    assert behaviours.named("behaviours S3, T2 and C9; E8 stands alone") == {"S3", "T2", "C9"}
    assert behaviours.named("reliability S3, E1; lone U+D800, B500") == set()


def test_every_behaviour_has_one_row_and_its_test() -> None:
    page = behaviours.PAGE.read_text(encoding="utf-8")
    assert behaviours.filled(page) == page, "make docs"
    assert behaviours.problems(page) == []
