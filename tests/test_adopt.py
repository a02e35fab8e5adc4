"""A Worker beside the template: what is compared, what is written, what is left alone."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest
import yaml

from forge_scaffold import adopt
from forge_scaffold.adopt import Comparison
from forge_scaffold.config import complete
from forge_scaffold.errors import UserError
from forge_scaffold.inference import infer
from forge_scaffold.project import Project
from forge_scaffold.questions import Questionnaire
from forge_scaffold.sources import opened
from forge_scaffold.worktree import WorkTree
from tests.support import CONFIGURATION, commit, repository, small_template, tree, write

WORKER: Mapping[str, str] = {
    "wrangler.toml": 'name = "worker"\nmain = "src/main.py"\n',
    "src/main.py": "import openai\n",
    "pyproject.toml": '[project]\nname = "worker"\n',
    "README.md": "# A Worker\n",
}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """The small template, released once."""
    return repository(small_template(tmp_path / "template"), "v1.0.0")


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    write(tmp_path / "worker", WORKER)
    return repository(tmp_path / "worker")


@contextmanager
def compared(worker: Path, template: Path) -> Iterator[Comparison]:
    project = Project.read(worker)
    questions = Questionnaire.load(template / "copier.yml", "worker")
    answers = complete(infer(project, questions, {}), questions, None)
    with opened(str(template), None) as source, adopt.compared(project, source, answers) as found:
        yield found


def names(paths: object) -> list[str]:
    assert isinstance(paths, list | dict)
    return list(map(str, paths))


def test_files_are_the_same_different_or_missing(worker: Path, template: Path) -> None:
    before = tree(worker)
    with compared(worker, template) as comparison:
        assert names(comparison.same) == ["README.md"]
        assert names(comparison.different) == ["pyproject.toml"]
        assert names(comparison.missing) == [
            "package.json",
            "requirements/worker.txt",
            "src/entry.py",
        ]
        assert comparison.blocked == {}
    assert tree(worker) == before


def test_only_the_answers_file_is_written_unless_told_more(worker: Path, template: Path) -> None:
    before = tree(worker)
    with compared(worker, template) as comparison:
        adopt.write(comparison, [])
    written = tree(worker)
    answers = yaml.safe_load(written.pop(".copier-answers.yml"))
    assert written == before
    assert answers["providers"] == ["openai"]
    assert answers["auth"] == "none"
    assert answers["_commit"] == "v1.0.0"
    assert answers["_src_path"] == str(template)


def test_the_patch_makes_the_files_the_templates(worker: Path, template: Path) -> None:
    (worker / "README.md").write_bytes(b"caf\xe9 \x1b[2J\r\nno end of line")
    commit(worker)
    with compared(worker, template) as comparison:
        patch = comparison.patch.encode(errors="surrogateescape") + b"\n"
        apply = ["git", "apply", "--whitespace=nowarn"]
        subprocess.run(apply, cwd=worker, input=patch, check=True)
        for path in comparison.different:
            assert (worker / path).read_bytes() == (comparison.rendered / path).read_bytes()


def test_missing_files_are_chosen_by_file_or_folder(worker: Path, template: Path) -> None:
    with compared(worker, template) as comparison:
        assert names(comparison.chosen(["requirements/", "./package.json"])) == [
            "package.json",
            "requirements/worker.txt",
        ]
        assert comparison.chosen(["."]) == comparison.missing
        assert comparison.chosen([]) == []
        with pytest.raises(UserError) as caught:
            comparison.chosen(["README.md", "../worker", "/etc", "requirements"])
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "--add README.md",
        "--add ../worker",
        "--add /etc",
    ]


def test_added_files_keep_their_mode_and_nothing_else_changes(worker: Path, template: Path) -> None:
    script = template / "template" / "src" / "entry.py"
    script.chmod(0o755)
    commit(template, "v1.1.0")
    before = tree(worker)
    with compared(worker, template) as comparison:
        adopt.write(comparison, comparison.missing)
        assert os.access(worker / "src" / "entry.py", os.X_OK)
    after = tree(worker)
    assert set(after) - set(before) == {
        ".copier-answers.yml",
        "package.json",
        "requirements/worker.txt",
        "src/entry.py",
    }
    assert {name: after[name] for name in before} == before


def test_what_is_in_the_way_is_left_alone(worker: Path, template: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    write(secret, {"worker.txt": "secret\n"})
    (worker / "requirements").symlink_to(secret, target_is_directory=True)
    (worker / "README.md").unlink()
    (worker / "README.md").symlink_to(secret / "worker.txt")
    (worker / "package.json").mkdir()
    os.mkfifo(worker / "src" / "entry.py")
    (worker / "pyproject.toml").write_text("#" * 2_100_000)
    before = tree(worker)
    with compared(worker, template) as comparison:
        assert {str(path): reason for path, reason in comparison.blocked.items()} == {
            "README.md": "README.md is a symbolic link",
            "package.json": "package.json is not a file",
            "pyproject.toml": "larger than 2,000,000 bytes",
            "requirements/worker.txt": "requirements is a symbolic link",
            "src/entry.py": "src/entry.py is not a file",
        }
        assert "secret" not in comparison.patch
        assert comparison.missing == []
    assert tree(worker) == before


def test_a_second_configuration_is_not_added(tmp_path: Path) -> None:
    template = small_template(tmp_path / "template", {"wrangler.toml.jinja": CONFIGURATION})
    worker = tmp_path / "worker"
    write(
        worker, {"wrangler.jsonc": '{"name": "worker", "main": "src/main.py"}', "src/main.py": ""}
    )
    with compared(worker, template) as comparison:
        assert PurePosixPath("wrangler.toml") not in comparison.missing
        reason = comparison.blocked[PurePosixPath("wrangler.toml")]
    assert reason == "wrangler.jsonc configures this Worker, and only one of the two would be read"


def test_a_file_that_appears_in_between_is_kept_and_the_rest_undone(
    worker: Path, template: Path
) -> None:
    with compared(worker, template) as comparison:
        write(worker, {"src/entry.py": "mine\n"})
        before = tree(worker)
        with pytest.raises(UserError, match=r"src/entry.py"):
            adopt.write(comparison, comparison.missing)
    assert tree(worker) == before
    assert not (worker / "requirements").exists()


def test_uncommitted_changes_are_refused(worker: Path, template: Path) -> None:
    with compared(worker, template) as comparison:
        write(worker, {"src/main.py": "changed\n"})
        before = tree(worker)
        with pytest.raises(UserError, match=r"uncommitted changes in src/main.py"):
            adopt.write(comparison, [])
    assert tree(worker) == before


def test_an_adoption_can_be_taken_back(worker: Path, template: Path) -> None:
    before = tree(worker)
    with compared(worker, template) as comparison:
        adopt.write(comparison, comparison.missing)
    WorkTree.of(worker).take_back()
    assert tree(worker) == before


def test_files_that_are_the_users_are_not_compared(worker: Path, template: Path) -> None:
    questions = template / "copier.yml"
    questions.write_text(f"{questions.read_text()}\n_skip_if_exists: [README.md, src/]\n")
    write(worker, {"README.md": "# Mine\n"})
    commit(template, "v1.1.0")
    with compared(worker, template) as comparison:
        assert names(comparison.different) == ["pyproject.toml"]
        assert "README.md" not in names(comparison.missing)
        assert "src/entry.py" in names(comparison.missing)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"wrangler.toml": "name =\n"}, "wrangler.toml:1: not TOML: Invalid value"),
        ({"wrangler.toml": 'main = "index.ts"'}, "wrangler.toml:1: main names no .py file"),
        ({"wrangler.toml": "\n"}, "wrangler.toml:1: main names no .py file"),
        ({".copier-answers.yml": ""}, ".copier-answers.yml: the project has a template already"),
    ],
)
def test_what_is_no_python_worker_is_refused(
    worker: Path, changes: Mapping[str, str], problem: str
) -> None:
    write(worker, changes)
    (found,) = adopt.problems(Project.read(worker))
    assert problem in found


def test_a_folder_of_workers_names_them(tmp_path: Path) -> None:
    write(tmp_path / "chat", WORKER)
    write(tmp_path / "search", WORKER)
    (found,) = adopt.problems(Project.read(tmp_path))
    assert found.endswith("name one of its Workers: chat, search")


@pytest.mark.parametrize("update", ["copier update --defaults", "forge_scaffold update"])
def test_an_update_leaves_missing_files_away_and_merges_the_others(
    worker: Path, template: Path, update: str
) -> None:
    with compared(worker, template) as comparison:
        adopt.write(comparison, [PurePosixPath("package.json")])
    commit(worker)
    folder = template / "template"
    (folder / "src" / "entry.py").write_text("import httpx\n# Fixed.\n")
    (folder / "README.md").write_text("# A Worker\n\nFixed.\n")
    (folder / "package.json.jinja").write_text('{"name": "{{ service_name }}", "private": true}\n')
    (folder / "NEW.md").write_text("new\n")
    commit(template, "v2.0.0")

    command = [sys.executable, "-m", *update.split()]
    subprocess.run(command, cwd=worker, check=True, capture_output=True)

    after = {name: content.decode() for name, content in tree(worker).items()}
    assert yaml.safe_load(after.pop(".copier-answers.yml"))["_commit"] == "v2.0.0"
    assert after == {
        **WORKER,
        "README.md": "# A Worker\n\nFixed.\n",
        "package.json": '{"name": "worker", "private": true}\n',
        "NEW.md": "new\n",
    }
