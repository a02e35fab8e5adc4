"""Every combination of answers gives a project without a flaw.

Whole projects are checked in a covering array of pairs. In every combination each file is right, in
all the variants it can have, and what it imports is there. For files of very many variants, and for
their types, that takes long: `pytest --full-matrix tests/template/test_matrix.py` does it.
"""

import ast
import json
import re
import sqlite3
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tests.support import REPOSITORY, write
from tests.template import variants
from tests.template.combinations import (
    Combination,
    all_pairs,
    closed_questions,
    every_decision,
    every_pair,
    everything,
    label,
    pairs,
    questionnaire,
)
from tests.template.conftest import Make, run_module

SYNTAX = r"(?<!\$)\{\{|\{%|\{#"
"""What Jinja leaves where it was not run; of what looks like it only GitHub's ${{ }} is not."""

DEPENDENT = [file for file in variants.files() if file.is_jinja]


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether all is wanted, however long it takes."""
    return bool(request.config.getoption("--full-matrix"))


@pytest.fixture(scope="module", params=every_pair(), ids=label)
def combination(request: pytest.FixtureRequest) -> Combination:
    made: Combination = request.param
    return made


@pytest.fixture(scope="module")
def project(combination: Combination, make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("made") / "my-service", combination)


def files(project: Path) -> Iterator[tuple[str, str]]:
    """Every file of the project as it was made: relative path, text."""
    for path in sorted(project.rglob("*")):
        relative = path.relative_to(project)
        scratch = {"__pycache__", ".ruff_cache", ".pytest_cache", ".hypothesis"}
        if path.is_file() and not scratch & set(relative.parts):
            yield relative.as_posix(), path.read_text(encoding="utf-8")


FIRST_MIGRATION = REPOSITORY / "template" / "migrations" / "0001_chats.sql"


def sql(text: str) -> None:
    first = FIRST_MIGRATION.read_text(encoding="utf-8")
    # A later migration builds on the first one.
    sqlite3.connect(":memory:").executescript(text if text == first else first + text)


PARSERS: Mapping[str, Callable[[str], object]] = {
    ".py": ast.parse,
    ".toml": tomllib.loads,
    ".json": json.loads,
    ".yml": yaml.safe_load,
    ".yaml": yaml.safe_load,
    ".sql": sql,
}


def check_text(name: str, text: str) -> None:
    """A file's text parses and is clean."""
    PARSERS.get(Path(name).suffix, str)(text)
    assert text.strip() or Path(name).name in {"__init__.py", "py.typed"}, f"{name}: empty"
    assert "\r" not in text, f"{name}: carriage return"
    assert not text or re.search(r"\S\n\Z", text), f"{name}: ends in one newline"
    assert not re.search(r"[ \t]+$", text, re.MULTILINE), f"{name}: trailing white space"
    blank = r"\n{4}" if name.endswith(".py") else r"\n{3}"
    assert not re.search(blank, text), f"{name}: double blank lines"


def lint(folder: Path) -> None:
    run_module(folder, "ruff", "check", "--no-cache", ".")
    run_module(folder, "ruff", "format", "--no-cache", "--check", ".")


def check_types(project: Path, worker_id: str) -> None:
    # One cache for all combinations: most of it is the libraries', which do not change.
    cache = REPOSITORY / ".mypy_cache"
    run_module(project, "mypy", f"--cache-dir={cache / 'template' / worker_id}")


def test_every_file_is_clean_and_parses(project: Path) -> None:
    for name, text in files(project):
        check_text(name, text)


def test_no_folder_is_empty(project: Path) -> None:
    empty = [path for path in project.rglob("*") if path.is_dir() and not any(path.iterdir())]
    assert not empty, "exclude the folder in copier.yml where its last file is excluded"


def test_no_file_that_is_copied_as_it_is_names_an_answer() -> None:
    names = "|".join([*questionnaire().questions, "_copier"])
    for file in variants.files():
        if not file.is_jinja:
            # It may have braces of its own; the names of answers give it away.
            assert not re.findall(rf"\{{[{{%]-?[^}}]*\b(?:{names})\b", file.source), file.path


def test_the_linter_and_the_formatter_have_nothing_to_say(project: Path) -> None:
    lint(project)


def test_the_types_are_strict(project: Path, worker_id: str) -> None:
    check_types(project, worker_id)


def test_every_script_is_javascript() -> None:
    for script in variants.TEMPLATE.glob("scripts/*.mjs"):
        subprocess.run(["node", "--check", script], check=True)


def test_a_project_is_the_files_that_are_looked_at_one_by_one(
    project: Path, combination: Combination
) -> None:
    made = dict(files(project))
    made.pop(".copier-answers.yml")
    expected = {
        file.path: file.text(combination)
        for file in variants.files()
        if variants.exists(file.path, combination)
    }
    assert made == expected


@pytest.mark.parametrize("file", DEPENDENT, ids=lambda file: file.path)
def test_a_file_is_right_in_every_variant(
    file: variants.File, every_file: Path, *, full: bool, worker_id: str
) -> None:
    name = Path(file.path)
    texts = list(file.variants(full=full))
    for text in texts:
        check_text(file.path, text)
        assert not re.findall(SYNTAX, text), file.path
    if name.suffix == ".py":
        # The linter and the type checker take longer to start than to read them all.
        folder = name.parent / "variants"
        write(every_file, {f"{folder}/{name.stem}_{i}.py": text for i, text in enumerate(texts)})
        lint(every_file / folder)
        if full:
            check_types(every_file, worker_id)


@pytest.fixture
def every_file(tmp_path: Path) -> Path:
    """A project with all files that any combination has, but no test."""
    every: Combination = {
        q.name: list(q.choices) if q.multiselect else True
        for q in closed_questions()
        if q.multiselect or q.kind is bool
    }
    for file in variants.files():
        if not file.path.startswith("tests/") or file.path.startswith("tests/support/"):
            write(tmp_path, {file.path: file.text(every)})
    return tmp_path


def test_what_a_file_imports_is_there_in_every_combination(*, full: bool) -> None:
    for file in variants.files():
        if not file.path.endswith(".py"):
            continue
        found = {path for text in file.variants(full=full) for path in variants.imported(text)}
        for path in found:
            conditions = {*variants.presence(file.path), *variants.presence(path)}
            for combination in file.combinations(*conditions, full=full):
                is_there = variants.exists(path, combination)
                if variants.exists(file.path, combination) and not is_there:
                    assert path not in variants.imported(file.text(combination)), combination


def test_a_handful_of_combinations_holds_every_pair() -> None:
    assert all_pairs() <= set().union(*(pairs(each) for each in every_pair()))
    assert len(every_pair()) <= 20


def test_fewer_still_hold_every_decision() -> None:
    chosen = [*everything(), *every_decision()]
    held = {decision for each in chosen for pair in pairs(each) for decision in pair}
    assert held == {decision for pair in all_pairs() for decision in pair}
    assert len(every_decision()) <= 5
