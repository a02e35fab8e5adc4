"""The whole template, and projects made of it."""

import os
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

import pytest

from forge_scaffold.config import ProvidedAnswer, complete
from forge_scaffold.generate import create
from forge_scaffold.questions import Questionnaire
from forge_scaffold.sources import opened
from tests.support import whole_template

Make = Callable[[Path, Mapping[str, object]], Path]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template as it stands here, outside git."""
    return whole_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def make(template: Path) -> Make:
    """Make a project in a folder from some answers, the rest by default."""
    return partial(made, template)


def made(template: Path, folder: Path, answers: Mapping[str, object]) -> Path:
    """Make a project of a template."""
    questions = Questionnaire.load(template / "copier.yml", folder="my-service")
    provided = {name: ProvidedAnswer(value, "test") for name, value in answers.items()}
    with opened(str(template), None) as source:
        return create(source, complete(provided, questions, None), folder).project.root


def run_module(project: Path, *arguments: str, codes: Collection[int] = (0,)) -> str:
    """Run a Python tool in the project; what it printed, which is also the failure."""
    process = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        check=False,
        capture_output=True,
        text=True,
    )
    assert process.returncode in codes, process.stdout + process.stderr
    return process.stdout
