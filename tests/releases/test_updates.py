"""An update to the newest release makes what a fresh project would be, and loses nothing."""

from pathlib import Path

import pytest

from tests.releases.conftest import Project, Update
from tests.releases.series import PRESETS, Series, tags
from tests.support import git, tree

MARKERS = (b"<<<<<<< ", b">>>>>>> ")


def assert_no_conflict(project: Path) -> None:
    git(project, "add", "--all")
    assert git(project, "diff", "--name-only", "--diff-filter=U", "HEAD") == ""
    for name, content in tree(project).items():
        assert not name.endswith(".rej")
        assert not content.startswith(MARKERS), name
        assert not any(b"\n" + marker in content for marker in MARKERS), name


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("tag", tags()[:-1])
def test_an_update_to_the_newest_is_a_fresh_project(
    series: Series, project: Project, update: Update, tag: str, preset: str
) -> None:
    updated = project(tag, preset)
    update(updated)
    assert_no_conflict(updated)
    fresh = series.made(tags()[-1], series.updated_answers(preset, tag))
    assert tree(updated) == tree(fresh)
