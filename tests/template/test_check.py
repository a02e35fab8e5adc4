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
from tests.support import REPOSITORY, git, repository, tree, whole_template
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


def test_only_the_answers_file_depends_on_the_templates_address_and_version(
    tmp_path: Path,
) -> None:
    template = repository(whole_template(tmp_path / "template"), "v1.0.0")
    made: list[tuple[str, str, dict[str, bytes]]] = []
    for origin in (None, "https://example.org/team/forge.git", "git@example.org:team/forge.git"):
        if origin:
            git(template, "remote", "add", "origin", origin)
            git(template, "update-ref", "refs/remotes/origin/main", "HEAD")
        files = tree(make_from(template, tmp_path / f"from-{len(made)}" / "my-service"))
        answers = yaml.safe_load(files.pop(".copier-answers.yml"))
        made.append((answers["_src_path"], answers["_commit"], files))
        git(template, "commit", "--quiet", "--allow-empty", "--message=The next release")
        git(template, "tag", f"v2.{len(made)}.0")
        if origin:
            git(template, "remote", "remove", "origin")
    assert len({address for address, _, _ in made}) == len({tag for _, tag, _ in made}) == 3
    assert made[0][2] == made[1][2] == made[2][2]


def test_its_ci_and_its_commits_run_forge_check(tmp_path: Path, make: Make) -> None:
    project = make(tmp_path / "my-service", {})
    workflow = yaml.safe_load((project / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step.get("run") for step in workflow["jobs"]["check"]["steps"]]
    assert "uv run python scripts/forge.py check --format github" in steps
    # What its first lines say to add where the project is a folder of a repository.
    text = (project / ".github" / "workflows" / "ci.yml").read_text()
    (added,) = re.findall(r"above `jobs`: +(.+)$", text, re.MULTILINE)
    moved = yaml.safe_load(text.replace("\njobs:", f"\n{added}\njobs:"))
    assert moved["defaults"]["run"]["working-directory"] == "FOLDER"
    (local,) = yaml.safe_load((project / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = {hook["id"]: hook for hook in local["hooks"]}
    (offered,) = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text())
    hook = hooks["forge-check"]
    assert hook["entry"] == "npm run --silent forge check"
    assert (hook["files"], hook["pass_filenames"]) == (offered["files"], False)


def test_the_hook_that_this_repository_offers_is_the_command() -> None:
    (hook,) = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text())
    assert (hook["id"], hook["entry"], hook["pass_filenames"]) == (
        "forge-check", "forge check", False,
    )  # fmt: skip
    watched = re.compile(hook["files"])
    for name in ("src/entry.py", "wrangler.toml", "wrangler.jsonc", "uv.lock", ".dev.vars", ".env"):
        assert watched.search(name), name
    assert not watched.search("README.md")
