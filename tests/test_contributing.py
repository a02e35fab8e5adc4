"""The recipes for contributors work: applied to a copy of the repository, their commands pass.

Providers have tests of their own in tests/template/test_add_a_provider.py, releases in
tests/test_release.py.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

from tests.support import REPOSITORY, whole_template

CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
ADD_A_RULE = (REPOSITORY / "docs" / "how-to" / "add-a-rule.md").read_text(encoding="utf-8")

# A sentence that ends in `FILE`: or in `FILE`, above `LINE`...:, and the text to write there.
STEP = re.compile(
    r"`(?P<path>\S+\.\w+)`(?:, above `(?P<line>[^\n]+?)`(?:;[^\n]*)?)?:\n\n"
    r"```(?!console)\w+\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(r"^\$ \./uvw run (.+)$", re.MULTILINE)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what the recipes change and test."""
    folder = whole_template(tmp_path / "clone")
    for name in ("docs", "releases", "src", "tests"):
        copytree(REPOSITORY / name, folder / name, ignore=ignore_patterns("__pycache__"))
    for file in ("CHANGELOG.md", "CONTRIBUTING.md", "README.md", "pyproject.toml"):
        copy(REPOSITORY / file, folder)
    return folder


def section(title: str) -> str:
    """A recipe of CONTRIBUTING.md."""
    return CONTRIBUTING.partition(f"\n### {title}\n")[2].partition("\n##")[0]


def follow(recipe: str, clone: Path) -> str:
    """Do what a recipe says, and run its commands; what they print."""
    for step in STEP.finditer(recipe):
        path = clone / step["path"]
        path.write_text(_with(step, path), encoding="utf-8")
    return "".join(_run(clone, command) for command in COMMAND.findall(recipe))


def _with(step: re.Match[str], path: Path) -> str:
    """The file's text after a step."""
    if not step["line"]:
        assert not path.exists()
        return step["text"]
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    (place,) = (n for n, line in enumerate(lines) if line.strip().startswith(step["line"]))
    # A paragraph goes before a paragraph, a line before a line.
    blank = "" if lines[place - 1].strip() else "\n"
    return "".join([*lines[:place], step["text"], blank, *lines[place:]])


def _run(clone: Path, command: str) -> str:
    program, *arguments = shlex.split(command, comments=True)
    modules: Mapping[str, list[str]] = {"forge": ["-m", "forge_scaffold"], "python": []}
    process = subprocess.run(
        [sys.executable, *modules.get(program, ["-m", program]), *arguments],
        cwd=clone,
        env={**os.environ, "PYTHONPATH": str(clone / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, f"{command}\n{process.stdout}{process.stderr}"
    return process.stdout


def test_a_rule(clone: Path) -> None:
    printed = follow(ADD_A_RULE, clone)
    assert "\nRUN901 " in printed
    page = (clone / "docs" / "reference" / "rules" / "RUN.md").read_text(encoding="utf-8")
    assert "## RUN901: A breakpoint that was left in the code" in page


def test_a_question(clone: Path) -> None:
    follow(section("A question"), clone)
    page = (clone / "docs" / "reference" / "questions.md").read_text(encoding="utf-8")
    assert "| `placement` | Run near the services" in page
    _run(clone, "forge new made --defaults --set placement=true --template .")
    assert '\n[placement]\nmode = "smart"\n' in (clone / "made" / "wrangler.toml").read_text(
        encoding="utf-8"
    )


def test_an_allowed_package(clone: Path) -> None:
    follow(section("An allowed package"), clone)
    policy = (clone / "src" / "forge_scaffold" / "policy.toml").read_text(encoding="utf-8")
    assert '\nhttpx-sse = ">=0.4,<1"\n' in policy


@pytest.mark.parametrize("title", ["A question", "An allowed package"])
def test_a_recipe_has_steps_and_commands(title: str) -> None:
    assert len(STEP.findall(section(title))) >= 3
    assert COMMAND.findall(section(title))


def _named(text: str) -> Iterator[str]:
    yield from re.findall(r"(?<![\w/])(?:docs|scripts|src|template|tests)/[\w./-]+\w", text)


def test_every_file_that_contributors_are_sent_to_exists() -> None:
    named = {*_named(CONTRIBUTING)}
    assert "tests/test_release.py" in named
    missing = [name for name in named if not (REPOSITORY / name).exists()]
    assert [name for name in missing if not (REPOSITORY / f"{name}.jinja").exists()] == []


def test_a_project_can_be_tried_from_the_work_tree(tmp_path: Path) -> None:
    (command,) = (each for each in COMMAND.findall(CONTRIBUTING) if each.startswith("forge new"))
    _run(REPOSITORY, command.replace("/tmp/tried", shlex.quote(str(tmp_path / "tried"))))  # noqa: S108
    assert (tmp_path / "tried" / "package.json").is_file()


def test_the_first_test_to_run_exists() -> None:
    first = next(command for command in COMMAND.findall(CONTRIBUTING) if "pytest" in command)
    assert "RUN101" in _run(REPOSITORY, first.partition("#")[0] + " --collect-only -q")
