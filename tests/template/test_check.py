"""`forge check` has nothing to say of a project that was just made, whatever the answers."""

import re
from pathlib import Path

import pytest
import yaml

from forge_scaffold import checks
from forge_scaffold.checks import Options, Project, Subject
from forge_scaffold.config import complete
from forge_scaffold.generate import create
from forge_scaffold.policy import Policy
from forge_scaffold.questions import Questionnaire
from forge_scaffold.sources import opened
from tests.support import REPOSITORY, git, repository, whole_template
from tests.template.combinations import Combination, every_pair, label
from tests.template.conftest import Make


def make_from(template: Path, folder: Path) -> Path:
    """Make a project by default from a template, remembered as Forge remembers it."""
    questions = Questionnaire.load(template / "copier.yml", folder=folder.name)
    with opened(str(template), None) as source:
        return create(source, complete({}, questions, None), folder).project.root


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


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        ("https://example.org/team/forge", "https://example.org/team/forge"),
        ("https://example.org/team/forge.git", "https://example.org/team/forge.git"),
        ("git@example.org:team/forge.git", "ssh://git@example.org/team/forge.git"),
    ],
)
def test_its_own_checks_run_forge_from_where_the_template_is(
    tmp_path: Path, origin: str, address: str
) -> None:
    template = repository(whole_template(tmp_path / "template"))
    git(template, "remote", "add", "origin", origin)
    git(template, "update-ref", "refs/remotes/origin/main", "HEAD")
    commit = git(template, "rev-parse", "HEAD")
    project = make_from(template, tmp_path / "my-service")
    workflow = yaml.safe_load((project / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step.get("run") for step in workflow["jobs"]["check"]["steps"]]
    assert f'uvx --from "git+{address}@{commit}" forge check --format github' in steps
    hooks = yaml.safe_load((project / ".pre-commit-config.yaml").read_text())["repos"]
    assert {"repo": address, "rev": commit, "hooks": [{"id": "forge-check"}]} in hooks


def test_what_only_this_machine_has_is_no_step_of_the_projects_checks(
    tmp_path: Path, make: Make
) -> None:
    project = make(tmp_path / "my-service", {})
    for name in (".github/workflows/ci.yml", ".pre-commit-config.yaml"):
        text = (project / name).read_text()
        assert "forge" not in text
        assert yaml.safe_load(text)


def test_the_hook_that_this_repository_offers_is_the_command() -> None:
    (hook,) = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text())
    assert (hook["id"], hook["entry"], hook["pass_filenames"]) == (
        "forge-check", "forge check", False,
    )  # fmt: skip
    watched = re.compile(hook["files"])
    for name in ("src/entry.py", "wrangler.toml", "wrangler.jsonc", "uv.lock", ".dev.vars", ".env"):
        assert watched.search(name), name
    assert not watched.search("README.md")
