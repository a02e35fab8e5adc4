"""`forge check` has nothing to say of a project that was just made, whatever the answers."""

from pathlib import Path

import pytest

from forge_scaffold import checks
from forge_scaffold.checks import Options, Project, Subject
from forge_scaffold.policy import Policy
from tests.template.combinations import Combination, every_pair, label
from tests.template.conftest import Make


@pytest.mark.parametrize("answers", every_pair(), ids=label)
def test_a_fresh_project_has_no_findings(tmp_path: Path, make: Make, answers: Combination) -> None:
    project = Project.read(make(tmp_path / "my-service", answers))
    assert checks.findings(Subject(project, Policy.of(project)), Options()) == []
    assert len(project.modules) > 20


def test_a_project_without_a_list_of_its_own_is_held_against_the_same(
    tmp_path: Path, make: Make
) -> None:
    project = Project.read(make(tmp_path / "my-service", {}))
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "pyproject.toml").write_text("[project]\n")
    built_in, own = Policy.of(Project.read(bare)), Policy.of(project)
    assert (built_in.direct, built_in.transitive, built_in.platform) == (
        own.direct, own.transitive, own.platform,
    )  # fmt: skip
    assert (built_in.own, own.own) == (False, True)
