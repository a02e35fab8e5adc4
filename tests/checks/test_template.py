"""TPL: what the template made, what became of it, and what an update changed."""

from pathlib import Path, PurePosixPath

import pytest

from forge_scaffold.checks.examples import BASE, files
from forge_scaffold.checks.rules.template import root_only
from tests.checks.support import told
from tests.support import commit, git, repository, write

TEMPLATE = Path(__file__).resolve().parents[2] / "template"
SUMS = "scripts/SHA256SUMS"
OWNED = {
    name: (TEMPLATE / name).read_text(encoding="utf-8")
    for name in (line.split()[1] for line in (TEMPLATE / SUMS).read_text().splitlines())
}


def found(folder: Path, owned: dict[str, str]) -> list[str]:
    sums = {SUMS: (TEMPLATE / SUMS).read_text(encoding="utf-8")}
    return told(folder, {**files(BASE), **owned, **sums}, "TPL")


def test_as_the_template_made_them(tmp_path: Path) -> None:
    assert found(tmp_path, OWNED) == []


def test_a_project_need_not_have_them_all(tmp_path: Path) -> None:
    assert found(tmp_path, {name: OWNED[name] for name in list(OWNED)[::2]}) == []


def test_ends_of_lines_do_not_count(tmp_path: Path) -> None:
    assert found(tmp_path, {name: text.replace("\n", "\r\n") for name, text in OWNED.items()}) == []


@pytest.mark.parametrize(
    "name", ["dev/standins/server.py", "migrations/0001_chats.sql", "scripts/test.mjs"]
)
def test_a_change_is_noted(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, {**OWNED, name: OWNED[name] + "\n"}) == [
        f"{name}:1: TPL004 {name}: the template's own, and changed here"
    ]


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "src/service/app.py", "src/prompts/assistant.txt", "wrangler.toml"]
)
def test_what_people_are_expected_to_change_is_theirs(name: str) -> None:
    assert name not in OWNED


ANSWERS = ".copier-answers.yml"


def answers(version: str, providers: str, **more: str) -> dict[str, str]:
    rest = "".join(f"{name}: {value}\n" for name, value in more.items())
    return {ANSWERS: f"_commit: {version}\nauth: none\nproviders:{providers}\n{rest}"}


def updated(
    folder: Path, before: dict[str, str], after: dict[str, str], *, packed: bool = False
) -> list[str]:
    """What is found with answers `before` in the last commit and `after` in the work tree."""
    write(folder, {**files(BASE), **before})
    repository(folder)
    if packed:
        git(folder, "gc", "--quiet")
        git(folder, "pack-refs", "--all")
    return told(folder, after, "TPL006")


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_that_an_update_changed_is_to_be_reviewed(
    tmp_path: Path, *, packed: bool
) -> None:
    before = answers("v90.0.0", "\n- openai\n- mistral", service_name="chat")
    after = answers("v90.1.0", "\n- openai\n- anthropic", service_name="chat")
    (found,) = updated(tmp_path, before, after, packed=packed)
    assert found == (
        f"{ANSWERS}:3: TPL006 review: the answer to providers changed with the template's version, "
        "from openai, mistral to openai, anthropic; to keep the old one: "
        "forge set providers=openai,mistral"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (answers("v1", "\n- a\n- b"), answers("v1", "\n- a")),  # forge set, or by hand
        (answers("v1", "\n- a\n- b"), answers("v2", " [a, 'b']")),  # written another way
        (answers("v1", "\n- a"), answers("v2", "\n- a", new="1")),  # a new question
        (answers("v1", "\n- a", old="1"), answers("v2", "\n- a")),  # one that went
        ({}, answers("v2", "\n- a")),
    ],
)
def test_other_changes_of_answers_are_not(
    tmp_path: Path, before: dict[str, str], after: dict[str, str]
) -> None:
    assert updated(tmp_path, before, after) == []


def test_what_is_committed_has_been_decided(tmp_path: Path) -> None:
    after = answers("v2", "\n- b")
    assert updated(tmp_path, answers("v1", "\n- a"), after)
    commit(tmp_path)
    assert told(tmp_path, after, "TPL006") == []


def test_a_review_can_be_switched_off(tmp_path: Path) -> None:
    after = answers("v2", "\n- b  # forge: ignore[TPL006]")
    after = {ANSWERS: after[ANSWERS].replace("providers:", "providers:  # forge: ignore[TPL006]")}
    assert updated(tmp_path, answers("v1", "\n- a"), after) == []


@pytest.mark.parametrize("place", ["packages/chat", "work-tree", "sha256"])
def test_the_last_commit_is_read_wherever_git_keeps_it(tmp_path: Path, place: str) -> None:
    top = tmp_path / "top"
    project = top / "packages" / "chat" if place == "packages/chat" else top
    write(project, {**files(BASE), **answers("v1", "\n- a")})
    if place == "sha256":
        git(top, "init", "--quiet", "--object-format=sha256")
        commit(top)
    else:
        repository(top)
    if place == "work-tree":
        project = tmp_path / "other"
        git(top, "worktree", "add", "--quiet", str(project))
    assert len(told(project, answers("v2", "\n- b"), "TPL006")) == 1


def test_nothing_that_a_projects_git_configures_runs(tmp_path: Path) -> None:
    """Also when the object is missing, and git would fetch it with a program of the project's."""
    ran = tmp_path / "ran"
    project = tmp_path / "project"
    write(project, {**files(BASE), **answers("v1", "\n- a")})
    repository(project)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    git(project, "config", "core.repositoryFormatVersion", "1")
    for name, value in {
        "core.fsmonitor": str(program),
        "core.sshCommand": str(program),
        "core.alternateRefsCommand": str(program),
        "core.gitProxy": str(program),
        "diff.external": str(program),
        "extensions.partialClone": "origin",
        "protocol.ext.allow": "always",
        "remote.origin.promisor": "true",
        "remote.origin.uploadpack": str(program),
        "remote.origin.url": f"ext::{program}",
    }.items():
        git(project, "config", name, value)
    assert len(told(project, answers("v2", "\n- b"), "TPL006")) == 1
    name = git(project, "rev-parse", f"HEAD:{ANSWERS}")
    (project / ".git" / "objects" / name[:2] / name[2:]).unlink()
    assert told(project, answers("v2", "\n- b"), "TPL006") == []
    assert not ran.exists()


@pytest.mark.parametrize(
    "head", ["", "ref: refs/../../secret\n", "ref: refs/heads/loop\n", "x" * 100_000, "0" * 40]
)
def test_a_broken_repository_is_no_commit(tmp_path: Path, head: str) -> None:
    write(tmp_path, {**files(BASE), **answers("v1", "\n- a")})
    repository(tmp_path)
    write(tmp_path / ".git", {"HEAD": head, "refs/heads/loop": "ref: refs/heads/loop\n"})
    assert told(tmp_path, answers("v2", "\n- b"), "TPL006") == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".github/CODEOWNERS", ("", ".github")),
        ("docs/CODEOWNERS", ("", "docs/CODEOWNERS")),
        ("a/docs/CODEOWNERS", ("a", "docs/CODEOWNERS")),
        ("services/chat/.github/workflows/ci.yml", ("services/chat", ".github")),
        ("services/chat/renovate.json5", ("services/chat", "renovate.json5")),
        (".gitlab-ci.yml", ("", ".gitlab-ci.yml")),
        ("src/github/x.py", ("", "")),
        ("my.github/x", ("", "")),
    ],
)
def test_what_counts_only_at_the_root(path: str, expected: tuple[str, str]) -> None:
    assert root_only(PurePosixPath(path)) == expected


def test_a_worker_outside_git_has_no_root_to_miss(tmp_path: Path) -> None:
    assert told(tmp_path, {**files(BASE), "a/.github/x.yml": ""}, "TPL005") == []
