"""Rendered, checked, moved into place: all of it or nothing."""

import os
from pathlib import Path

import pytest
import yaml

from forge_scaffold.config import Answers, complete, provided_answers
from forge_scaffold.errors import RejectedError, UserError
from forge_scaffold.generate import create, target_problems
from forge_scaffold.project import Project
from forge_scaffold.questions import Questionnaire
from forge_scaffold.sources import opened
from tests.support import REPOSITORY, git, repository, small_template, tree


def answers(*settings: str, template: Path = REPOSITORY) -> Answers:
    questions = Questionnaire.load(template / "copier.yml", folder="made")
    provided, problems = provided_answers(None, settings, questions)
    assert not problems
    return complete(provided, questions, None)


def make(template: Path, target: Path, *settings: str) -> Project:
    with opened(str(template), None) as source:
        return create(source, answers(*settings, template=template), target).project


def test_a_project_is_what_the_answers_say(template: Path, home: Path) -> None:
    made = make(template, home / "made", "auth=none", "description=Says “hi”")
    assert made.pyproject["project"]["name"] == "made"
    assert made.pyproject["project"]["description"] == "Says “hi”"
    assert "src/service/auth/keys.py" not in tree(home / "made")
    stored = yaml.safe_load((home / "made" / ".copier-answers.yml").read_text())
    assert stored["auth"] == "none"
    assert stored["_src_path"] == str(template)
    assert [path.name for path in home.iterdir()] == ["made"]


def test_missing_parents_are_made(template: Path, home: Path) -> None:
    make(template, home / "a" / "b" / "made")
    assert (home / "a" / "b" / "made" / "pyproject.toml").is_file()


def test_an_empty_folder_is_filled_not_replaced(template: Path, home: Path) -> None:
    inode = home.stat().st_ino
    make(template, home)
    assert home.stat().st_ino == inode
    assert {path.name for path in home.iterdir()} == {
        ".copier-answers.yml", "README.md", "package.json", "pyproject.toml", "requirements", "src",
    }  # fmt: skip


def test_the_folder_one_stands_in_can_be_filled(
    template: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    make(template, Path())
    assert (home / "pyproject.toml").is_file()


def test_a_link_to_an_empty_folder_is_followed(template: Path, home: Path) -> None:
    (home / "real").mkdir()
    (home / "link").symlink_to("real")
    make(template, home / "link")
    assert (home / "real" / "pyproject.toml").is_file()


def test_the_folder_can_be_entered_by_whom_the_umask_lets(template: Path, home: Path) -> None:
    before = os.umask(0o027)
    try:
        make(template, home / "made")
    finally:
        os.umask(before)
    assert (home / "made").stat().st_mode & 0o777 == 0o750


def test_a_folder_with_what_the_template_writes_is_refused_naming_some(home: Path) -> None:
    names = [f"file{number:02}" for number in range(12)]
    for name in names:
        (home / name).touch()
    (home / ".git").mkdir()
    (problem,) = target_problems(home, names)
    assert "home: file00, file01" in problem
    assert "file09 and 2 more: the template writes" in problem
    assert ".git" not in problem
    assert target_problems(home, ["README.md"]) == []


@pytest.mark.parametrize("name", ["file", "file/below", "dangling"])
def test_what_is_no_folder_is_refused(home: Path, name: str) -> None:
    (home / "file").touch()
    (home / "dangling").symlink_to("nowhere")
    assert target_problems(home / name)


def test_a_folder_that_cannot_be_written_is_told(template: Path) -> None:
    with pytest.raises(UserError, match="/proc/made"):
        make(template, Path("/proc/made/here"))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"src/service/bad.py": "import requests\n"}, r"bad\.py:1: IMP003 requests: imported"),
        ({"README.md.jinja": "{{ nothing_of_that_name }}"}, "nothing_of_that_name"),
        ({"README.md.jinja": "{% if %}"}, "cannot be rendered"),
        ({"src/bad.py": "def"}, r"src/bad\.py:1: PRJ001 not Python"),
    ],
)
@pytest.mark.parametrize("target", ["new", "a/b/new", "empty"])
def test_a_template_that_fails_leaves_nothing(
    tmp_path: Path, home: Path, files: dict[str, str], message: str, target: str
) -> None:
    (home / "empty").mkdir()
    with pytest.raises(RejectedError, match=message):
        make(small_template(tmp_path / "bad", files), home / target)
    assert [path.name for path in home.iterdir()] == ["empty"]
    assert not list((home / "empty").iterdir())


def test_a_template_that_wants_to_run_something_is_refused(tmp_path: Path, home: Path) -> None:
    template = small_template(tmp_path / "template")
    with (template / "copier.yml").open("a") as file:
        file.write(f'\n_tasks: ["touch {home}/ran"]\n')
    with pytest.raises(UserError, match="_tasks: Forge only renders templates"):
        make(template, home / "made")
    assert not list(home.iterdir())


def test_template_syntax_in_an_answer_is_text(template: Path, home: Path) -> None:
    text = "{{ 6 * 7 }} {% raw %} {# #} ${HOME} `id` $(id)"
    made = make(template, home / "made", f"description={text}")
    assert made.pyproject["project"]["description"] == text


def test_the_users_copier_settings_change_nothing(
    template: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.parent / "settings.yml").write_text("defaults: {description: mine}\n")
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(home.parent / "settings.yml"))
    assert make(template, home / "made").pyproject["project"]["description"] != "mine"


def test_a_checkout_is_recorded_by_its_origin_and_release(tmp_path: Path, home: Path) -> None:
    checkout = repository(small_template(tmp_path / "checkout"), "v1.0.0")
    git(checkout, "remote", "add", "origin", "https://example.org/team/forge")
    make(checkout, home / "made")
    stored = yaml.safe_load((home / "made" / ".copier-answers.yml").read_text())
    assert stored["_src_path"] == "https://example.org/team/forge.git"
    assert stored["_commit"] == "v1.0.0"


def test_a_file_that_depends_on_the_address_is_refused(tmp_path: Path, home: Path) -> None:
    template = small_template(
        tmp_path / "template", {"README.md.jinja": "From {{ _copier_conf.src_path }}\n"}
    )
    with pytest.raises(RejectedError, match=r"README.md: depends on _src_path"):
        make(template, home / "made")
    assert not list(home.iterdir())


def test_uncommitted_template_changes_are_in_the_project(tmp_path: Path, home: Path) -> None:
    checkout = repository(small_template(tmp_path / "checkout"))
    (checkout / "template" / "NEW.md").write_text("new\n")
    make(checkout, home / "made")
    assert (home / "made" / "NEW.md").read_text() == "new\n"
    assert git(checkout, "status", "--porcelain") == "?? template/NEW.md"
