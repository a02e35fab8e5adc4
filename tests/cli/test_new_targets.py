"""`forge new` where something is already: repositories, other files, links, odd names."""

import json
import os
from pathlib import Path

import pytest

from forge_scaffold.generate import target_problems
from tests.cli.support import forge, process, the_error
from tests.support import commit, git, repository, small_template, tree, write

CI = {".github/workflows/ci.yml": "on: push\n", ".pre-commit-config.yaml": "repos: []\n"}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return small_template(tmp_path / "template", CI)


def new(home: Path, template: Path, target: str, *options: str) -> dict[str, object]:
    run = forge(home, "new", target, "--defaults", "--json", "--template", template, *options)
    assert run.returncode == 0, run.stderr
    report: dict[str, object] = json.loads(run.stdout)
    return report


@pytest.mark.parametrize("committed", [False, True])
def test_a_fresh_clone_is_filled(home: Path, template: Path, *, committed: bool) -> None:
    folder = home / "just-cloned"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    if committed:
        git(folder, "commit", "--quiet", "--allow-empty", "--message=Start")
    before = git(folder, "rev-list", "--all")
    report = new(folder, template, ".")
    assert report["answers"]["service_name"]["value"] == "just-cloned"  # type: ignore[index]
    assert report["next"] == ["npm install", "npm test"]
    assert report["repository"] is None
    assert git(folder, "rev-list", "--all") == before
    assert "?? pyproject.toml" in git(folder, "status", "--porcelain")


@pytest.mark.parametrize("kind", ["worktree", "submodule"])
def test_a_work_tree_whose_git_is_a_file_is_filled(home: Path, template: Path, kind: str) -> None:
    main = home / "main"
    main.mkdir()
    git(main, "init", "--quiet", "--initial-branch=main")
    git(main, "commit", "--quiet", "--allow-empty", "--message=Start")
    folder = home / kind
    if kind == "worktree":
        git(main, "worktree", "add", "--quiet", "--detach", str(folder))
    else:
        outer = home / "outer"
        outer.mkdir()
        git(outer, "init", "--quiet")
        folder = outer / "inner"
        options = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")
        git(outer, *options, str(main), "inner")
    assert (folder / ".git").is_file()
    report = new(folder, template, ".")
    assert not [note for note in report["notes"] if "counts only" in note]  # type: ignore[attr-defined]
    assert (folder / "pyproject.toml").is_file()


def test_files_that_do_not_collide_stay_and_are_named(home: Path, template: Path) -> None:
    write(home / "x", {"LICENSE": "MIT\n", ".gitignore": "a\n", "docs/notes.md": "mine\n"})
    repository(home / "x")
    run = forge(home, "new", "x", "--defaults", "--template", template)
    assert run.returncode == 0, run.stderr
    assert "Note: x was not empty; kept .gitignore, LICENSE, docs." in run.stdout
    assert git(home / "x", "diff", "--stat") == ""


@pytest.mark.parametrize("options", [[], ["--set", "auth=none"]])
def test_files_that_collide_are_named_alone(home: Path, template: Path, options: list[str]) -> None:
    write(home / "x", {"LICENSE": "MIT\n", "README.md": "mine\n", "package.json": "{}\n"})
    before = tree(home)
    run = forge(home, "new", "x", "--defaults", "--template", template, *options)
    assert the_error(run) == (
        "error: x: README.md, package.json: the template writes that too; move it away, or name a "
        "new or an empty folder"
    )
    assert tree(home) == before


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"readme.md": ""}, "readme.md"),
        ({"src/entry.py": "", "src/other.py": ""}, "src/entry.py"),
        ({"src": ""}, "src"),
        ({"SRC/other.py": ""}, "SRC"),
        ({"requirements/worker.txt/x": ""}, "requirements/worker.txt"),
    ],
)
def test_a_collision_that_shows_when_rendered_changes_nothing(
    home: Path, template: Path, files: dict[str, str], named: str
) -> None:
    write(home / "x", files)
    before = tree(home)
    run = forge(home, "new", "x", "--defaults", "--template", template)
    assert the_error(run).startswith(f"error: x: {named}: the template writes that too")
    assert tree(home) == before
    assert not list(home.rglob(".forge-*"))


def test_a_project_that_is_there_is_not_made_again(home: Path, template: Path) -> None:
    new(home, template, "x")
    before = tree(home)
    run = forge(home, "new", "x", "--defaults", "--template", template)
    assert "x: there is a project already: it has .copier-answers.yml" in the_error(run)
    assert tree(home) == before


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("file", "file: there is a file of that name already"),
        ("file/x", "file/x: {home}/file is a file, not a folder"),
        ("dangling", "dangling: there is a link of that name already, and it leads nowhere"),
        ("loop/x", "loop/x: Too many levels of symbolic links"),
        ("repo/.git", "repo/.git: this is inside git's own files; name another folder"),
        ("repo/.git/x", "repo/.git/x: this is inside git's own files; name another folder"),
        ("bare.git/x", "bare.git/x: this is inside git's own files; name another folder"),
        (".", ".: a project needs a folder of its own; name a new one"),
        ("/", "/: a project needs a folder of its own; name a new one"),
        ("/proc/x", "/proc/x: No such file or directory"),
        ("n" * 256, f"{'n' * 100} ... {'n' * 100}: File name too long"),
        ("n" * 256 + "/x", "File name too long"),
        ("/".join(["n" * 100] * 50), "File name too long"),
    ],
)
def test_a_target_that_cannot_be_is_refused_in_a_sentence(
    home: Path, template: Path, target: str, message: str
) -> None:
    (home / "file").touch()
    (home / "dangling").symlink_to("nowhere")
    (home / "loop").symlink_to("loop")
    (home / "repo").mkdir()
    git(home / "repo", "init", "--quiet")
    git(home, "init", "--quiet", "--bare", "bare.git")
    before = sorted(home.rglob("*"))
    run = forge(
        home, "new", target, "--defaults", "--template", template, variables={"HOME": str(home)}
    )
    assert message.format(home=home) in the_error(run)
    assert len(the_error(run)) < 400
    assert sorted(home.rglob("*")) == before


def test_a_folder_that_may_not_be_written_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any user but root has it, who may write everywhere."""
    (home / "readable").mkdir()
    monkeypatch.setattr(os, "access", lambda path, _: "readable" not in str(path))
    assert target_problems(home / "readable" / "x") == [
        f"{home}/readable/x: {home}/readable cannot be written; name another folder"
    ]
    assert target_problems(home / "x") == []


@pytest.mark.parametrize("name", ["n" * 255, "Ünï cödé", "-x"])
def test_a_name_that_can_be_is_taken(home: Path, template: Path, name: str) -> None:
    run = forge(home, "new", "--defaults", "--template", template, "--", name)
    assert run.returncode == 0, run.stderr
    assert [path.name for path in home.iterdir()] == [name]


def test_a_link_to_a_folder_is_followed(home: Path, template: Path) -> None:
    (home / "real").mkdir()
    (home / "link").symlink_to("real")
    report = new(home, template, "link")
    assert report["path"] == str(home / "real")
    assert (home / "link").is_symlink()
    assert (home / "real" / "pyproject.toml").is_file()


def test_a_folder_that_its_repository_ignores_is_a_repository_of_its_own(
    home: Path, template: Path
) -> None:
    git(home, "init", "--quiet")
    (home / ".gitignore").write_text("/tried/\n")
    run = forge(home, "new", "tried", "--defaults", "--template", template)
    assert run.returncode == 0, run.stderr
    assert "Git: " in run.stdout
    assert "counts only" not in run.stdout
    assert "count only" not in run.stdout
    assert git(home / "tried", "log", "--format=%s") == "Create tried with Forge"


def test_in_a_monorepo_files_that_count_only_at_its_top_are_named(
    home: Path, template: Path
) -> None:
    git(home, "init", "--quiet")
    run = forge(home, "new", "services/chat", "--defaults", "--template", template)
    assert run.returncode == 0, run.stderr
    assert (
        f"Note: services/chat is a folder of the repository {home}, and .github, "
        ".pre-commit-config.yaml count only at its top: move the workflows to "
        f"{home}/.github, with `defaults: run: working-directory: services/chat`"
    ) in run.stdout
    assert "Git:" not in run.stdout
    check = process(home, "check", "services/chat")
    assert check.returncode == 0, check.stdout
    assert "services/chat/.github is never read" in check.stdout
    assert "services/chat/.pre-commit-config.yaml is never read" in check.stdout
    above = process(home / "services", "check", "chat", "--select", "TPL005")
    assert above.stdout.count("note[TPL005]") == 2


def test_a_folder_outside_git_becomes_a_repository_with_one_commit(
    home: Path, template: Path
) -> None:
    configuration = home / "gitconfig"
    configuration.write_text("[init]\ndefaultBranch = trunk\n")
    variables = {"GIT_CONFIG_GLOBAL": str(configuration)}
    run = forge(home, "new", "x", "--defaults", "--template", template, variables=variables)
    assert "  Git: a new repository with one commit.\n" in run.stdout
    assert git(home / "x", "log", "--format=%s %an %D") == "Create x with Forge Test HEAD -> trunk"
    assert git(home / "x", "status", "--porcelain") == ""
    assert ".copier-answers.yml" in git(home / "x", "ls-files").splitlines()


def test_a_folder_with_other_files_becomes_a_repository_too(home: Path, template: Path) -> None:
    write(home / "x", {"LICENSE": "MIT\n"})
    assert new(home, template, "x")["repository"] == "a new repository with one commit"
    assert git(home / "x", "status", "--porcelain") == "?? LICENSE"


def test_no_git_makes_no_repository(home: Path, template: Path) -> None:
    assert new(home, template, "x", "--no-git")["repository"] is None
    assert not (home / "x" / ".git").exists()


def test_without_git_a_project_is_made_all_the_same(home: Path, template: Path) -> None:
    variables = {"PATH": str(home)}
    run = forge(home, "new", "x", "--defaults", "--template", template, variables=variables)
    assert run.returncode == 0, run.stderr
    assert "no git repository was made (git: not found on PATH; install git)" in run.stdout


COMMITTED = "a new repository with one commit."
NOBODY = {
    f"GIT_{who}_{what}": None for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


@pytest.mark.parametrize(
    ("configuration", "variables", "shown"),
    [
        ("", NOBODY, "nothing was committed: git has no user.name and user.email"),
        (
            "[commit]\ngpgsign = true\n[gpg]\nprogram = /bin/false\n",
            {},
            "nothing was committed: git commit: gpg failed to sign the data",
        ),
        ("[core]\nhooksPath = {home}/hooks\n", {}, COMMITTED),
        ("[init]\ntemplateDir = {home}/template-dir\n", {}, COMMITTED),
        ("[core]\nautocrlf = true\nsafecrlf = true\n", {}, COMMITTED),
        ("[core]\nfsmonitor = {home}/hooks/pre-commit\n", {}, COMMITTED),
        ("", {"GIT_TEMPLATE_DIR": "/nowhere"}, COMMITTED),
    ],
    ids=["nobody", "unsigned", "hooks", "template", "crlf", "fsmonitor", "template-dir"],
)
def test_the_users_git_configuration_breaks_nothing(
    home: Path,
    template: Path,
    configuration: str,
    variables: dict[str, str | None],
    shown: str,
) -> None:
    failing = "#!/bin/sh\nexit 1\n"
    hooks = ["pre-commit", "commit-msg", "prepare-commit-msg", "post-checkout", "post-commit"]
    write(home, {f"hooks/{hook}": failing for hook in hooks})
    write(home, {f"template-dir/hooks/{hook}": failing for hook in hooks})
    for hook in home.rglob("hooks/*"):
        hook.chmod(0o755)
    (home / "gitconfig").write_text(configuration.format(home=home))
    repository(template, "v1.0.0")
    every = {"GIT_CONFIG_GLOBAL": str(home / "gitconfig"), **variables}
    run = forge(home, "new", "x", "--defaults", "--template", template, variables=every)
    assert run.returncode == 0, run.stderr
    assert shown in run.stdout
    assert (shown == COMMITTED) != ("every file staged" in run.stdout)
    assert (home / "x" / "README.md").read_bytes() == b"# A Worker\n"
    assert git(home / "x", "diff") == ""


def test_a_repository_made_is_where_an_update_begins(home: Path, template: Path) -> None:
    new(home, template, "x")
    (home / "x" / "README.md").write_text("mine\n")
    commit(home / "x")
    assert git(home / "x", "rev-list", "--count", "HEAD") == "2"
