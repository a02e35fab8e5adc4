"""What git has, read from its files: as git itself says it."""

from pathlib import Path

import pytest

from forge_scaffold.checks.examples import BASE
from forge_scaffold.checks.git import ignore_lines, ignored, tracked
from tests.checks.support import checked
from tests.support import git, repository, write

SECRETS = {".dev.vars": 'KEY="9f8c2b7e41d05a63"\n'}


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_the_index_is_read_as_git_reads_it(tmp_path: Path, version: str) -> None:
    names = [f"{'deep/' * (number % 4)}file-{'x' * number}.txt" for number in range(30)]
    write(tmp_path, {**dict.fromkeys(names, "text"), "ümlaut.txt": "text"})
    repository(tmp_path)
    git(tmp_path, "update-index", "--index-version", version)
    listed = git(tmp_path, "ls-files", "-z").split("\0")
    assert tracked(tmp_path) == frozenset(filter(None, listed))


def test_a_folder_inside_a_repository_has_its_own_part(tmp_path: Path) -> None:
    write(tmp_path, {"a/in.txt": "", "b/out.txt": "", ".gitignore": ".dev.vars\n"})
    repository(tmp_path)
    assert tracked(tmp_path / "a") == frozenset({"in.txt"})
    assert ignored(".dev.vars", ignore_lines(tmp_path / "a"))


def test_a_work_tree_of_its_own_is_read_too(tmp_path: Path) -> None:
    write(tmp_path / "main", {"a.txt": ""})
    repository(tmp_path / "main")
    git(tmp_path / "main", "worktree", "add", "--quiet", str(tmp_path / "other"))
    assert tracked(tmp_path / "other") == frozenset({"a.txt"})


def test_outside_git_nothing_is_known(tmp_path: Path) -> None:
    assert tracked(tmp_path) is None


def test_what_is_committed_is_an_error_whatever_is_ignored_now(tmp_path: Path) -> None:
    write(tmp_path, {**BASE, **SECRETS, ".gitignore": ""})
    repository(tmp_path)
    (tmp_path / ".gitignore").write_text(".dev.vars\n")
    (found,) = checked(tmp_path, {})
    assert (found.rule, found.severity) == ("SEC001", "error")
    assert "git rm --cached .dev.vars" in found.message


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (".dev.vars", True),
        (".dev.vars*", True),
        ("*.vars", True),
        ("/.dev.vars", True),
        ("**/.dev.vars", True),
        (".dev.vars\n!.dev.vars", False),
        ("# .dev.vars", False),
        (".env", False),
        ("", False),
    ],
)
def test_lines_of_a_gitignore(lines: str, expected: bool) -> None:  # noqa: FBT001
    assert ignored(".dev.vars", lines) is expected
