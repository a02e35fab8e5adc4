"""The update workflow's script, run in a shell: its pull request, and when there is none."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.support import GIT_ENVIRONMENT, git, repository, write
from tests.template.variants import TEMPLATE

WORKFLOW = yaml.safe_load((TEMPLATE / ".github/workflows/update.yml").read_text("utf-8"))
(JOB,) = WORKFLOW["jobs"].values()
SCRIPT: str = JOB["steps"][-1]["run"]

# `uv run --no-project python scripts/forge.py update`, which does what the test wants of it.
UV = """\
#!/bin/sh
test "$*" = "run --no-project python scripts/forge.py update" || exit 99
echo "$REPORT"
test -z "$CHANGE" || { echo "_commit: v1.1.0" > .copier-answers.yml; echo new > new.txt; }
exit "$CODE"
"""
GH = """\
#!/bin/sh
echo "$@" >> "$CALLS"
case "$1 $2" in
  "pr list") printf '%s' "$OPEN" ;;
  "pr create") cat "$RUNNER_TEMP/body.md" >> "$CALLS" ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clone of a repository with one commit, as actions/checkout leaves it."""
    origin = tmp_path / "origin.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    folder = tmp_path / "project"
    write(folder, {".copier-answers.yml": "_commit: v1.0.0\n"})
    repository(folder)
    git(folder, "remote", "add", "origin", str(origin))
    git(folder, "push", "--quiet", "origin", "main")
    return folder


def run(project: Path, **told: str) -> tuple[int, str]:
    """Run the script as GitHub does; its exit code and what it asked of gh."""
    tools = project.parent / "tools"
    write(tools, {"uv": UV, "gh": GH, "calls": "", "script.sh": SCRIPT})
    for name in ("uv", "gh"):
        (tools / name).chmod(0o755)
    defaults = {"REPORT": "", "CHANGE": "", "CODE": "0", "OPEN": ""}
    env: Mapping[str, str] = {
        **GIT_ENVIRONMENT,
        **defaults,
        **told,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "RUNNER_TEMP": str(tools),
        "GITHUB_REF_NAME": "main",
        "CALLS": str(tools / "calls"),
    }
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(tools / "script.sh")]
    process = subprocess.run(shell, cwd=project, env=env, check=False, capture_output=True)
    return process.returncode, (tools / "calls").read_text("utf-8")


def branches(project: Path) -> list[str]:
    return git(project, "ls-remote", "--heads", "origin").split()[1::2]


def test_an_update_is_a_pull_request(project: Path) -> None:
    code, calls = run(project, CHANGE="yes", REPORT="Updated to v1.1.0")
    assert code == 0
    assert (
        "pr create --head template-update --base main --title Update the template to v1.1.0"
        in calls
    )
    assert "--draft" not in calls
    assert calls.endswith("`forge update` reports:\n\n    Updated to v1.1.0\n")
    assert git(project, "show", "--stat", "--format=%s", "origin/template-update").startswith(
        "Update the template to v1.1.0\n\n .copier-answers.yml"
    )


def test_conflicts_and_findings_are_a_draft_that_lists_them_and_a_failure(project: Path) -> None:
    code, calls = run(project, CHANGE="yes", CODE="1", REPORT="conflict: wrangler.toml\n```")
    assert code == 1
    assert "--draft" in calls
    assert calls.endswith(
        "This update needs work before it can be merged.\n\n"
        "`forge update` reports:\n\n    conflict: wrangler.toml\n    ```\n"
    )
    assert "refs/heads/template-update" in branches(project)


@pytest.mark.parametrize(
    "told",
    [
        {},  # nothing to update
        {"CODE": "1", "REPORT": "answers would change"},
        {"CODE": "2", "CHANGE": "yes", "REPORT": "error: no address"},
    ],
)
def test_without_an_update_there_is_no_pull_request(project: Path, told: Mapping[str, str]) -> None:
    code, calls = run(project, **told)
    assert code == int(told.get("CODE", "0"))
    assert "pr create" not in calls
    assert branches(project) == ["refs/heads/main"]


def test_an_open_pull_request_is_left_alone(project: Path) -> None:
    code, calls = run(project, CHANGE="yes", OPEN="https://example.org/pull/1")
    assert (code, calls.count("\n")) == (0, 1)
    assert branches(project) == ["refs/heads/main"]


def test_it_is_off_until_somebody_turns_it_on() -> None:
    assert JOB["if"] == (
        "github.event_name == 'workflow_dispatch' || vars.TEMPLATE_UPDATES == 'true'"
    )
    assert {*WORKFLOW[True]} == {"schedule", "workflow_dispatch"}  # YAML reads `on` as True
