"""Every combination of answers gives a project without a flaw.

What depends on the answers is checked in every combination. Whole projects and their types are
checked in every combination of the default providers, and in a covering array of pairs of all;
`pytest --full-matrix tests/template/test_matrix.py` does that for every combination, too.
"""

import ast
import json
import os
import re
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import copier
import pytest
import yaml

from forge_scaffold.questions import Questionnaire
from tests.support import REPOSITORY
from tests.template.combinations import (
    every_combination,
    every_combination_of_default_providers,
    every_pair,
    label,
)
from tests.template.conftest import Make


PARTS = 16


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whole projects are slow to check: all of them only when asked for, with --full-matrix."""
    if "project" in metafunc.fixturenames:
        full = metafunc.config.getoption("--full-matrix")
        usual = every_combination_of_default_providers()
        some = usual + [pair for pair in every_pair() if pair not in usual]
        metafunc.parametrize("project", every_combination() if full else some, ids=label, indirect=True, scope="module")


@pytest.fixture(scope="module")
def project(
    request: pytest.FixtureRequest, make: Make, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return make(tmp_path_factory.mktemp("made") / "my-service", request.param)


def files(project: Path) -> Iterator[tuple[str, str]]:
    """Every file of the project as it was made: relative path, text."""
    for path in sorted(project.rglob("*")):
        relative = path.relative_to(project)
        scratch = {"__pycache__", ".ruff_cache", ".pytest_cache", ".hypothesis"}
        if path.is_file() and not scratch & set(relative.parts):
            yield relative.as_posix(), path.read_text(encoding="utf-8")


def run(project: Path, *arguments: str) -> None:
    """Run a Python tool in the project; its output is the failure."""
    process = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout + process.stderr


def sql(text: str) -> None:
    sqlite3.connect(":memory:").executescript(text)


PARSERS: Mapping[str, Callable[[str], object]] = {
    ".py": ast.parse,
    ".toml": tomllib.loads,
    ".json": json.loads,
    ".yml": yaml.safe_load,
    ".yaml": yaml.safe_load,
    ".sql": sql,
}


def test_every_file_parses(project: Path) -> None:
    for name, text in files(project):
        PARSERS.get(Path(name).suffix, str)(text)


def test_every_file_is_clean_text(project: Path) -> None:
    for name, text in files(project):
        assert text.strip() or Path(name).name in {"__init__.py", "py.typed"}, f"{name}: empty"
        assert "\r" not in text, f"{name}: carriage return"
        assert not text or re.search(r"\S\n\Z", text), f"{name}: ends in one newline"
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), f"{name}: trailing white space"
        blank = r"\n{4}" if name.endswith(".py") else r"\n{3}"
        assert not re.search(blank, text), f"{name}: double blank lines"


def test_no_file_holds_template_syntax(project: Path, template: Path) -> None:
    names = "|".join([*Questionnaire.load(REPOSITORY / "copier.yml").questions, "_copier"])
    for name, text in files(project):
        rendered = (template / "template" / f"{name}.jinja").exists()
        # What is copied as it is may have braces of its own; the names of answers give it away.
        # What is rendered may have only GitHub's ${{ }}.
        syntax = r"(?<!\$)\{\{|\{%|\{#" if rendered else rf"\{{[{{%]-?[^}}]*\b(?:{names})\b"
        assert re.findall(syntax, text) == [], name


def test_the_linter_and_the_formatter_have_nothing_to_say(project: Path) -> None:
    run(project, "ruff", "check", "--no-cache", ".")
    run(project, "ruff", "format", "--no-cache", "--check", ".")


def test_the_types_are_strict(project: Path, worker_id: str) -> None:
    # One cache for all combinations: most of it is the libraries', which do not change.
    run(project, "mypy", f"--cache-dir={REPOSITORY / '.mypy_cache' / 'template' / worker_id}")


def test_every_script_is_javascript(template: Path) -> None:
    for script in sorted((template / "template").rglob("*.mjs")):
        subprocess.run(["node", "--check", script], check=True)


@pytest.mark.parametrize("part", range(PARTS))
def test_what_depends_on_the_answers_is_right_in_every_combination(
    tmp_path: Path, dependent: Path, template: Path, part: int
) -> None:
    for combination in every_combination()[part::PARTS]:
        project = tmp_path / label(combination)
        copier.run_copy(str(dependent), project, {**combination}, defaults=True, quiet=True)
        test_every_file_parses(project)
        test_every_file_is_clean_text(project)
        test_no_file_holds_template_syntax(project, template)
    # The linter takes longer to start than to read them all.
    test_the_linter_and_the_formatter_have_nothing_to_say(tmp_path)


def test_a_handful_of_combinations_holds_every_pair() -> None:
    assert len(every_combination()) == 248
    assert len(every_combination_of_default_providers()) == 24
    assert len(every_pair()) <= 8
