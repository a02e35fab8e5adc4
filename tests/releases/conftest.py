"""Projects made at every release, and the ways to update them."""

from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from tests.releases.series import FORGE, NEWEST, OLDEST, Series
from tests.support import alone

Project = Callable[[str, str], Path]
"""A project made at a release (its tag) from a preset, committed, for one test."""

Update = Callable[[Path], None]
"""Update a project to the newest release; fail when the update fails."""

COPIERS = ("oldest Copier", "newest Copier")
PROGRAMS = {
    "oldest Copier": (*OLDEST, "update", "--defaults"),
    "newest Copier": (*NEWEST, "update", "--defaults"),
    "forge": (*FORGE, "update"),
}


@pytest.fixture(scope="session")
def series(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Series:
    """The series of releases, written once for all workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    with alone(shared / "series.lock"):
        folder = shared / "series"
        if not folder.exists():
            Series.write(folder)
    return Series(folder)


@pytest.fixture
def project(series: Series, tmp_path: Path) -> Project:
    def project(tag: str, preset: str) -> Path:
        kept = series.made(tag, series.answers(preset, tag))
        return copytree(kept, tmp_path / tag / kept.name, symlinks=True)

    return project


@pytest.fixture
def update(request: pytest.FixtureRequest, series: Series) -> Update:
    """The way to update a project that the test names."""
    program = PROGRAMS[request.param]

    def update(project: Path) -> None:
        series.run(*program, folder=project)

    return update
