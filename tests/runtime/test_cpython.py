"""A generated project's own tests, on CPython."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.conftest import Make, environment, run
from tests.template.combinations import Combination, every_pair, everything, label

OTHER_PAIRS = [combination for combination in every_pair() if combination not in everything()]


@pytest.mark.parametrize("combination", OTHER_PAIRS, ids=label)
def test_every_pair_of_choices_passes_its_tests(make: Make, combination: Combination) -> None:
    # Those with everything run in workerd: tests/runtime/test_workerd.py.
    # With this Python, which holds all that any of them needs.
    passed = run(make(combination), sys.executable, "-m", "pytest", "-q", "-p", "no:xdist")
    assert " passed" in passed


def test_a_project_passes_its_checks_as_its_readme_says(make: Make) -> None:
    project = make({})
    for check in ("ruff check", "ruff format --check", "mypy", "pytest -q"):
        run(project, "uv", "run", "--quiet", *check.split())


def test_without_npm_install_the_tests_fail_once_with_a_sentence(make: Make) -> None:
    project = make({"database": "turso"})
    (project / "node_modules").unlink()
    process = failed(project, "-p", "no:cacheprovider")
    printed = process.stdout + process.stderr
    assert printed.count("libSQL's server is not installed: run `npm install`") == 1
    assert "error" not in printed.lower()
    assert "Traceback" not in printed


def test_an_unregistered_prompt_says_what_to_register(make: Make) -> None:
    project = make({})
    shutil.copy(project / "src/prompts/assistant.txt", project / "src/prompts/greeting.txt")
    process = failed(project, "tests/test_prompts.py")
    assert (
        "src/prompts/greeting.txt is not registered: add it to PROMPTS in "
        'tests/custom/environment.py as "greeting", with the class of its variables'
    ) in process.stdout
    assert "1 failed" in process.stdout


def failed(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest in which tests fail."""
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", *arguments],
        cwd=project,
        env=environment(),
        capture_output=True,
        check=False,
        text=True,
    )
    assert process.returncode == 1
    return process
