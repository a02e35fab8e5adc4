"""A generated project's own tests, on CPython."""

import sys

import pytest

from tests.runtime.conftest import Make, run
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
