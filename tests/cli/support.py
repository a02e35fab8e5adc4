"""`forge` as it is typed, where nobody is at the terminal."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple

from typer.testing import CliRunner

from forge_scaffold.cli.commands import app

FORGE = (sys.executable, "-m", "forge_scaffold")
PROGRESS = {"Reading the template ...", "Rendering and checking the project ..."}

Variables = Mapping[str, str | None]


class Run(NamedTuple):
    """What a run of forge left."""

    returncode: int
    stdout: str
    stderr: str


def forge(folder: Path, *arguments: str | Path, variables: Variables | None = None) -> Run:
    """Run forge in this process; a variable that is None is unset."""
    with chdir(folder):
        result = CliRunner(env=variables).invoke(app, [str(argument) for argument in arguments])
    return Run(result.exit_code, result.stdout, result.stderr)


def process(folder: Path, *arguments: str | Path, variables: Variables | None = None) -> Run:
    """The same in a process of its own."""
    environment = {**os.environ, **(variables or {})}
    done = subprocess.run(
        [*FORGE, *map(str, arguments)],
        cwd=folder,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def the_error(run: Run) -> str:
    """The one sentence with which a run failed."""
    assert run.returncode == 2, run.stderr
    assert run.stdout == ""
    lines = [line for line in run.stderr.splitlines() if line not in PROGRESS]
    assert len(lines) == 1, run.stderr
    return lines[0]
