"""What to run for `forge serve` and `forge test`: in which folder, with which environment."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from forge_scaffold.errors import ForgeError, UserError
from forge_scaffold.packages.cache import cache_folder
from forge_scaffold.project import WRANGLER_FILES, Project
from forge_scaffold.runtime.cache import prune
from forge_scaffold.runtime.harness import CACHE, NO_NPM, Progress, harness, node
from forge_scaffold.runtime.packages import PYTHON, packages
from forge_scaffold.wrangler import Wrangler

ANSWERS = ".copier-answers.yml"
HARNESS = "scripts/cli.mjs"
SHOWN = 5  # Workers that a message names

_TEST_FILE = re.compile(r"(?:test_.*|.*_test)\.py")
_PYTEST_FILES = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


class NoTestsError(ForgeError):
    """There are no tests; with the exit code that pytest has for that."""

    exit_code = 5


@dataclass(frozen=True)
class Run:
    """A command to become.

    Attributes:
        command: the program and its arguments.
        folder: the Worker's.
        environment: variables to add.
        notes: what the user needs to know, a sentence each.
    """

    command: list[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def become(self) -> None:
        """Replace this process, so that signals and exit codes are the command's.

        Raises:
            UserError: there is no such program.
        """
        os.chdir(self.folder)
        try:
            os.execvpe(self.command[0], self.command, {**os.environ, **self.environment})  # noqa: S606
        except FileNotFoundError as error:
            raise UserError(NO_NPM) from error


def prepared(script: str, path: Path, arguments: Sequence[str], progress: Progress) -> Run:
    """The command that runs a script of the harness for the Worker in a folder.

    Args:
        script: "local" or "test".
        path: the Worker's folder.
        arguments: for the script.
        progress: shows what takes a moment.

    Raises:
        UserError: there is no Python Worker, or it cannot be prepared.
        NoTestsError: it has no tests to run.
    """
    project = _project(path)
    if project.has(ANSWERS) and project.has(HARNESS):
        if not (project.root / "node_modules").is_dir():
            raise UserError(f"{path}: node_modules is missing; run  npm install  there first")
        return Run(["npm", "run", "--silent", script, "--", *arguments], project.root)
    wrangler = _checked(project)
    if script == "test" and not _has_tests(project):
        raise NoTestsError(f"{path}: no tests: no file is called test_*.py or *_test.py")
    home = harness(progress)
    found = packages(project, home, progress, tests=script == "test")
    prune(cache_folder(CACHE))
    return Run(
        [node(home), str(home / HARNESS), script, *arguments],
        project.root,
        {
            "WORKER_PACKAGES": os.pathsep.join(map(str, found.worker)),
            "WORKER_TEST_PACKAGES": os.pathsep.join(map(str, found.tests)),
        },
        (*_python_notes(wrangler), *found.notes),
    )


def _project(path: Path) -> Project:
    if not path.is_dir():
        raise UserError(f"{path}: no such folder")
    project = Project.read(path.resolve())
    if not any(project.has(str(name)) for name in WRANGLER_FILES):
        below = [str(path / folder) for folder in project.workers_below]
        others = f" and {len(below) - SHOWN} more" if len(below) > SHOWN else ""
        more = f"; name one of {', '.join(below[:SHOWN])}{others}" if below else ""
        listed = ", ".join(map(str, WRANGLER_FILES))
        raise UserError(f"{path}: no Worker here: none of {listed}{more}")
    return project


def _checked(project: Project) -> Wrangler:
    """The configuration, if a Python Worker can be started from it.

    Raises:
        UserError: it cannot; every reason.
    """
    wrangler = project.wrangler
    if wrangler is None:
        raise UserError(*map(str, project.broken))
    path = wrangler.place().path
    problems = []
    if wrangler.main is None:
        problems.append(f"{path}: main names no Python file, such as src/entry.py")
    elif not (project.root / wrangler.main).is_file():
        problems.append(
            f"{path}:{wrangler.place('main').line}: main: {wrangler.main}: no such file"
        )
    if wrangler.date is None:
        problems.append(f"{path}: add a compatibility_date, such as 2026-11-01")
    if "python_workers" not in wrangler.flags:
        problems.append(f'{path}: add "python_workers" to compatibility_flags')
    if problems:
        raise UserError(*problems)
    return wrangler


def _has_tests(project: Project) -> bool:
    """Whether any file may hold tests, unless pytest is told to look for other names."""
    if any(_TEST_FILE.fullmatch(path.name) for path in project.files):
        return True
    configured = (project.root / name for name in _PYTEST_FILES)
    return any(
        "python_files" in file.read_text("utf-8", "replace")
        for file in configured
        if file.is_file()
    )


def _python_notes(wrangler: Wrangler) -> Iterator[str]:
    python = wrangler.python
    if python != PYTHON:
        yield (
            f"compatibility_date {wrangler.date} means Python {python}; here the Worker runs on "
            f"Python {PYTHON}, the only one that npm has for workerd, so packages and the standard "
            "library may behave differently"
        )
