"""A project is brought to another version or other answers, and loses nothing of its own."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import copier
import pytest
import yaml

from forge_scaffold import update as update_module
from forge_scaffold import worktree
from forge_scaffold.config import complete
from forge_scaffold.errors import RejectedError, UserError
from forge_scaffold.generate import create
from forge_scaffold.questions import Questionnaire
from forge_scaffold.recorded import Recorded
from forge_scaffold.sources import opened, repository
from forge_scaffold.update import Update, prepared
from forge_scaffold.worktree import WorkTree
from tests.support import commit, git, small_template, tree, write
from tests.support import repository as git_repository

MODULE = "".join(f"def step_{number}() -> None: ...\n\n\n" for number in range(9))

Release = Callable[..., None]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    files = {"src/service/steps.py": MODULE, "src/service/__init__.py": ""}
    return git_repository(small_template(tmp_path / "template", files), "v1.0.0")


@pytest.fixture
def release(template: Path) -> Release:
    """Release the template with files changed, added, or (None) removed."""

    def release(tag: str, **changes: str | None) -> None:
        for name, content in changes.items():
            path = template / "template" / name
            if content is None:
                path.unlink()
            else:
                write(template / "template", {name: content})
        commit(template, tag)

    return release


def made(template: Path, folder: Path, version: str = "v1.0.0") -> Path:
    with opened(str(template), version) as source:
        questions = Questionnaire.load(source.root / "copier.yml", folder.name)
        create(source, complete({}, questions, None), folder)
    return folder


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    return git_repository(made(template, tmp_path / "project"))


@contextmanager
def update_of(project: Path, to: str, *settings: str) -> Iterator[Update]:
    recorded = Recorded.read(project)
    with (
        repository(recorded.address, offline=False) as found,
        prepared(project, found, to, settings) as update,
    ):
        yield update


def updated(project: Path, to: str, *settings: str) -> Update:
    with update_of(project, to, *settings) as update:
        update.apply()
    return update


def edit(project: Path, name: str, old: str, new: str) -> None:
    path = project / name
    text = path.read_text()
    assert old in text
    write(project, {name: text.replace(old, new, 1)})
    commit(project)


def status(project: Path) -> str:
    return git(project, "status", "--porcelain")


def test_an_unchanged_project_becomes_a_fresh_one(
    project: Path, template: Path, release: Release, tmp_path: Path
) -> None:
    changes = {"src/service/new.py": "NEW = 1\n", "src/service/auth/keys.py": None}
    release("v2.0.0", **changes, **{"README.md": "# Better\n"})
    update = updated(project, "v2.0.0")
    assert update.is_clean
    assert tree(project) == {
        **tree(made(template, tmp_path / "fresh", "v2.0.0")),
        **{
            name: content
            for name, content in tree(project).items()
            if name in {"package.json", "pyproject.toml", ".copier-answers.yml"}
        },
    }
    assert not (project / "src" / "service" / "auth").exists()
    assert yaml.safe_load((project / ".copier-answers.yml").read_text())["_commit"] == "v2.0.0"


def test_both_sides_changes_are_merged(project: Path, release: Release) -> None:
    edit(project, "src/service/steps.py", "step_1()", "step_1(mine: int = 0)")
    release(
        "v2.0.0", **{"src/service/steps.py": MODULE.replace("step_7()", "step_7(new: int = 0)")}
    )
    update = updated(project, "v2.0.0")
    merged = (project / "src/service/steps.py").read_text()
    assert "step_1(mine" in merged
    assert "step_7(new" in merged
    assert not update.conflicts


def test_an_edit_follows_a_file_that_the_template_renames(project: Path, release: Release) -> None:
    edit(project, "src/service/steps.py", "step_1()", "step_1(mine: int = 0)")
    release("v2.0.0", **{"src/service/steps.py": None, "src/service/stages.py": MODULE})
    update = updated(project, "v2.0.0")
    assert "step_1(mine" in (project / "src/service/stages.py").read_text()
    assert not (project / "src/service/steps.py").exists()
    assert not update.conflicts


def test_the_same_lines_changed_by_both_are_a_conflict(project: Path, release: Release) -> None:
    edit(project, "src/service/steps.py", "step_1()", "mine()")
    release("v2.0.0", **{"src/service/steps.py": MODULE.replace("step_1()", "theirs()")})
    update = updated(project, "v2.0.0")
    assert [conflict.path for conflict in update.conflicts] == ["src/service/steps.py"]
    merged = (project / "src/service/steps.py").read_text()
    assert "<<<<<<< HEAD\ndef mine()" in merged
    assert "def theirs() -> None: ...\n>>>>>>> template/v2.0.0" in merged
    assert status(project).splitlines()[-1] == "UU src/service/steps.py"
    assert git(project, "show", ":2:src/service/steps.py") == git(
        project, "show", "HEAD:src/service/steps.py"
    )
    assert not update.is_clean


def test_an_edited_file_that_the_template_removes_stays(project: Path, release: Release) -> None:
    edit(project, "src/service/steps.py", "step_1()", "mine()")
    release("v2.0.0", **{"src/service/steps.py": None})
    update = updated(project, "v2.0.0")
    (conflict,) = update.conflicts
    assert conflict.reason == "removed by the template, changed here: kept"
    assert "mine()" in (project / "src/service/steps.py").read_text()


@pytest.mark.parametrize("renamed", [{}, {"src/service/stages.py": MODULE}])
def test_copier_loses_an_edit_of_a_file_that_is_gone(
    project: Path, release: Release, renamed: dict[str, str]
) -> None:
    """docs/explanation/updates.md says so; when this fails, Copier has learned it."""
    edit(project, "src/service/steps.py", "step_1()", "mine()")
    release("v2.0.0", **{"src/service/steps.py": None}, **renamed)
    copier.run_update(project, defaults=True, overwrite=True, quiet=True)
    assert not (project / "src/service/steps.py").exists()
    assert all("mine()" not in (project / path).read_text() for path in renamed)


def test_a_file_that_the_project_removed_stays_away(project: Path, release: Release) -> None:
    (project / "README.md").unlink()
    commit(project)
    release("v2.0.0", **{"README.md": "# Better\n"})
    update = updated(project, "v2.0.0")
    assert not (project / "README.md").exists()
    assert update.left_alone == ["README.md"]
    assert update.is_clean


def test_a_file_that_both_added_is_a_conflict_unless_it_is_the_same(
    project: Path, release: Release
) -> None:
    write(project, {"same.md": "same\n", "other.md": "mine\n"})
    commit(project)
    release("v2.0.0", **{"same.md": "same\n", "other.md": "theirs\n"})
    update = updated(project, "v2.0.0")
    assert [conflict.path for conflict in update.conflicts] == ["other.md"]
    assert "mine" in (project / "other.md").read_text()


class TestFilesOfTheUser:
    @pytest.fixture(autouse=True)
    def _user_file(self, template: Path, release: Release) -> None:
        questions = template / "copier.yml"
        head, skipped, rest = questions.read_text().partition("_skip_if_exists:\n")
        assert skipped
        questions.write_text(f"{head}{skipped}  - /src/service/mine.py\n{rest}")
        release("v1.1.0", **{"src/service/mine.py": "MINE = 0\n"})

    def test_are_never_touched(self, template: Path, release: Release, tmp_path: Path) -> None:
        project = git_repository(made(template, tmp_path / "with-mine", "v1.1.0"))
        edit(project, "src/service/mine.py", "MINE = 0", "MINE = 1")
        release("v2.0.0", **{"src/service/mine.py": "MINE = 'theirs'\n"})
        assert updated(project, "v2.0.0").is_clean
        assert (project / "src/service/mine.py").read_text() == "MINE = 1\n"

    def test_stay_when_the_template_drops_them(
        self, template: Path, release: Release, tmp_path: Path
    ) -> None:
        project = git_repository(made(template, tmp_path / "with-mine", "v1.1.0"))
        release("v2.0.0", **{"src/service/mine.py": None})
        assert updated(project, "v2.0.0").is_clean
        assert (project / "src/service/mine.py").read_text() == "MINE = 0\n"

    def test_come_with_the_release_that_has_them(self, project: Path) -> None:
        assert updated(project, "v1.1.0").is_clean
        assert (project / "src/service/mine.py").read_text() == "MINE = 0\n"

    def test_that_were_there_before_stay_as_they_are(self, project: Path) -> None:
        write(project, {"src/service/mine.py": "MINE = 'before'\n"})
        commit(project)
        assert updated(project, "v1.1.0").is_clean
        assert (project / "src/service/mine.py").read_text() == "MINE = 'before'\n"

    def test_are_made_anew_when_they_are_missing(
        self, template: Path, release: Release, tmp_path: Path
    ) -> None:
        project = git_repository(made(template, tmp_path / "with-mine", "v1.1.0"))
        (project / "src/service/mine.py").unlink()
        commit(project)
        release("v2.0.0", **{"README.md": "# Better\n"})
        assert updated(project, "v2.0.0").is_clean
        assert (project / "src/service/mine.py").read_text() == "MINE = 0\n"


class TestAnswers:
    def test_can_change_without_a_new_version(self, project: Path) -> None:
        update = updated(project, "v1.0.0", "auth=none")
        assert not (project / "src/service/auth").exists()
        changed = {(one.question, one.before, one.after) for one in update.answers}
        assert ("auth", "clerk", "none") in changed
        assert Recorded.read(project).answers["auth"] == "none"

    def test_of_a_list_can_be_added_and_taken_away(self, project: Path) -> None:
        updated(project, "v1.0.0", "providers+=mistral,cohere", "providers-=openai")
        assert Recorded.read(project).answers["providers"] == ["anthropic", "cohere", "mistral"]

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("auth=okta", "'okta' is not a choice"),
            ("auht=none", 'there is no question "auht"; did you mean "auth"'),
            ("providers-=mistral", "'mistral' is not among openai, anthropic"),
            ("providers+=acme", "'acme' is not a choice"),
            ("auth+=oidc", "auth is not a list"),
            ("providers-=openai,anthropic", "choose at least one"),
            ("quota", "KEY=VALUE"),
            ("+=x", "is not a list"),
        ],
    )
    def test_that_are_wrong_change_nothing(self, project: Path, setting: str, message: str) -> None:
        with pytest.raises(UserError, match=message):
            updated(project, "v1.0.0", setting)
        assert status(project) == ""

    def test_that_a_release_does_not_take_are_for_their_owner_to_decide(
        self, project: Path, template: Path, release: Release
    ) -> None:
        questions = template / "copier.yml"
        questions.write_text(questions.read_text().replace("    OpenAI: openai\n", ""))
        release("v2.0.0")
        message = r"providers: openai, anthropic is not valid in v2.0.0: 'openai' is not a choice"
        with pytest.raises(UserError, match=f"{message}.*; decide with --set providers="):
            updated(project, "v2.0.0")
        assert status(project) == ""
        assert updated(project, "v2.0.0", "providers-=openai").is_clean
        assert Recorded.read(project).answers["providers"] == ["anthropic"]

    def test_to_a_new_question_take_its_default(
        self, project: Path, template: Path, release: Release
    ) -> None:
        questions = template / "copier.yml"
        questions.write_text(
            questions.read_text()
            + "\naudit_log:\n  type: bool\n  default: \"{{ auth != 'none' }}\"\n"
        )
        release("v2.0.0")
        update = updated(project, "v2.0.0")
        (change,) = update.answers
        assert (change.question, change.before, change.after) == ("audit_log", None, True)

    def test_can_come_from_a_question_of_another_name(
        self, project: Path, template: Path, release: Release
    ) -> None:
        updated(project, "v1.0.0", "cron=true")
        commit(project)
        questions = template / "copier.yml"
        renamed = (
            questions.read_text().replace("\ncron:\n", "\nschedule:\n").replace("cron", "schedule")
        )
        old = "the settings)?\n  default: "
        assert f"{old}false" in renamed
        renamed = renamed.replace(f"{old}false", f"{old}'{{{{ cron | default(false) }}}}'")
        questions.write_text(renamed)
        release("v2.0.0")
        update = updated(project, "v2.0.0")
        answers = Recorded.read(project).answers
        assert answers["schedule"] is True
        assert "cron" not in answers
        assert {one.question for one in update.answers} == {"schedule", "cron"}


class TestCode:
    def test_that_uses_a_renamed_name_is_named(self, project: Path, release: Release) -> None:
        use = "from service.steps import step_1\nfrom service import steps\n\nsteps.step_2()\n"
        write(project, {"src/service/mine.py": use})
        commit(project)
        without = MODULE.replace("step_1()", "first()").replace("step_2()", "second()")
        release("v2.0.0", **{"src/service/steps.py": without})
        update = updated(project, "v2.0.0")
        assert [(one.place.path.name, one.place.line, one.name) for one in update.lost_names] == [
            ("mine.py", 1, "service.steps.step_1"),
            ("mine.py", 4, "service.steps.step_2"),
        ]
        assert not update.is_clean

    def test_that_a_check_objects_to_since_is_reported(
        self, project: Path, release: Release
    ) -> None:
        write(project, {"src/service/mine.py": "import uuid\n\nfrom service.steps import make\n"})
        release("v2.0.0", **{"src/service/steps.py": "import uuid\n\nID = uuid.uuid4()\n"})
        commit(project)
        update = updated(project, "v2.0.0")
        assert [finding.rule for finding in update.findings] == ["RUN101"]


class TestAProjectThatIsNotReady:
    def test_is_refused_with_uncommitted_changes(self, project: Path, release: Release) -> None:
        release("v2.0.0", **{"README.md": "# Better\n"})
        write(project, {"notes.md": "mine\n"})
        with pytest.raises(UserError, match=r"uncommitted changes in notes\.md; commit or stash"):
            updated(project, "v2.0.0")
        assert (project / "README.md").read_text() == "# A Worker\n"

    def test_is_refused_outside_git(self, template: Path, tmp_path: Path) -> None:
        project = made(template, tmp_path / "outside")
        with pytest.raises(UserError, match="not in a git work tree"):
            updated(project, "v1.0.0", "auth=none")

    def test_is_refused_before_its_first_commit(self, template: Path, tmp_path: Path) -> None:
        project = made(template, tmp_path / "new")
        git(project, "init", "--quiet")
        with pytest.raises(UserError, match="not committed"):
            updated(project, "v1.0.0", "auth=none")

    def test_an_ignored_file_in_the_way_is_not_replaced(
        self, project: Path, release: Release
    ) -> None:
        write(project, {".gitignore": "secret.txt\n"})
        commit(project)
        write(project, {"secret.txt": "mine\n"})
        release("v2.0.0", **{"secret.txt": "theirs\n"})
        with pytest.raises(UserError, match=r"secret\.txt: there already, and not in git"):
            updated(project, "v2.0.0")
        assert (project / "secret.txt").read_text() == "mine\n"
        assert status(project) == ""

    def test_nothing_is_written_through_a_symbolic_link(
        self, project: Path, release: Release, tmp_path: Path
    ) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        write(project, {".gitignore": "docs\n"})
        commit(project)
        (project / "docs").symlink_to(elsewhere)
        release("v2.0.0", **{"docs/page.md": "theirs\n"})
        with pytest.raises(UserError, match=r"docs/page\.md: docs is a symbolic link"):
            updated(project, "v2.0.0")
        assert not list(elsewhere.iterdir())


def test_a_release_that_writes_what_no_template_may_is_refused(
    project: Path, template: Path, tmp_path: Path
) -> None:
    questions = template / "copier.yml"
    questions.write_text(f"_preserve_symlinks: true\n{questions.read_text()}")
    (template / "template" / "link").symlink_to(tmp_path)
    commit(template, "v2.0.0")
    with pytest.raises(RejectedError, match="link: a link that leads out of the project"):
        updated(project, "v2.0.0")
    assert status(project) == ""


def test_what_the_organisation_bans_is_found(project: Path, release: Release) -> None:
    ban = '[ban]\npydantic = { reason = "ours is faster" }\n'
    write(project.parent, {"forge.toml": ban})
    release("v2.0.0", **{"src/service/steps.py": "import pydantic\n"})
    with update_of(project, "v2.0.0") as update:
        assert "ours is faster" in " ".join(finding.message for finding in update.findings)


def test_a_merge_that_git_cannot_make_is_an_error(
    project: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    release("v2.0.0", **{"README.md": "# Better\n"})
    monkeypatch.setattr(update_module, "_MERGE", ("--no-such-option",))
    with pytest.raises(UserError, match="git"):
        updated(project, "v2.0.0")
    assert status(project) == ""


def test_a_commit_in_the_meantime_is_not_overwritten(project: Path, release: Release) -> None:
    release("v2.0.0", **{"README.md": "# Better\n"})
    with update_of(project, "v2.0.0") as update:
        write(project, {"README.md": "# Mine\n"})
        commit(project)
        with pytest.raises(UserError, match="was committed to meanwhile; run it again"):
            update.apply()
    assert (project / "README.md").read_text() == "# Mine\n"


class TestTakingBack:
    @pytest.fixture
    def changed(self, project: Path, release: Release) -> Path:
        """A project with a conflict, a new file, a removed one and a changed one."""
        edit(project, "src/service/steps.py", "step_1()", "mine()")
        release(
            "v2.0.0",
            **{
                "src/service/steps.py": MODULE.replace("step_1()", "theirs()"),
                "src/service/auth/keys.py": None,
                "docs/deep/new.md": "new\n",
                "README.md": "# Better\n",
            },
        )
        return project

    def test_restores_the_tree_exactly(self, changed: Path) -> None:
        before = tree(changed)
        updated(changed, "v2.0.0")
        assert tree(changed) != before
        assert WorkTree.of(changed).take_back() == 5
        assert tree(changed) == before
        assert status(changed) == ""
        assert not (changed / "docs").exists()

    def test_works_when_all_of_it_is_staged(self, changed: Path) -> None:
        before = tree(changed)
        updated(changed, "v2.0.0")
        git(changed, "add", "--all")
        WorkTree.of(changed).take_back()
        assert tree(changed) == before
        assert status(changed) == ""

    def test_is_refused_after_a_commit(self, changed: Path) -> None:
        updated(changed, "v2.0.0")
        commit(changed)
        with pytest.raises(UserError, match="no update to take back"):
            WorkTree.of(changed).take_back()

    def test_is_offered_before_a_second_update(self, changed: Path) -> None:
        updated(changed, "v2.0.0")
        with pytest.raises(UserError, match=r"waits to be committed; .* forge update --abort"):
            updated(changed, "v2.0.0")

    @pytest.mark.parametrize("steps", range(6))
    def test_a_failure_at_any_step_changes_nothing(
        self, changed: Path, steps: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = tree(changed)
        put, done = worktree.put_file, list[Path]()

        def failing(source: Path | None, target: Path, top: Path) -> None:
            if len(done) == steps:
                done.append(target)
                raise OSError(28, "No space left on device", str(target))
            done.append(target)
            put(source, target, top)

        monkeypatch.setattr(worktree, "put_file", failing)
        if steps < 5:
            with pytest.raises(UserError, match="No space left on device; nothing was changed"):
                updated(changed, "v2.0.0")
            assert tree(changed) == before
            assert status(changed) == ""
        else:
            updated(changed, "v2.0.0")

    @pytest.mark.parametrize("steps", range(5))
    def test_a_crash_at_any_step_can_be_taken_back(self, changed: Path, steps: int) -> None:
        before = tree(changed)
        if not (child := os.fork()):
            put, done = worktree.put_file, list[Path]()

            def dying(source: Path | None, target: Path, top: Path) -> None:
                if len(done) == steps:
                    os._exit(9)
                done.append(target)
                put(source, target, top)

            worktree.put_file = dying
            updated(changed, "v2.0.0")
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        if steps:
            with pytest.raises(UserError, match=r"was interrupted; take it back with"):
                updated(changed, "v2.0.0")
            WorkTree.of(changed).take_back()
        assert tree(changed) == before
        assert status(changed) == ""


def test_a_project_in_a_folder_of_a_repository(
    template: Path, tmp_path: Path, release: Release
) -> None:
    top = tmp_path / "mono"
    project = made(template, top / "services" / "chat")
    write(top, {"README.md": "Mine\n", "src/service/steps.py": "MINE = 1\n"})
    git_repository(top)
    edit(project, "src/service/steps.py", "step_1()", "mine()")
    write(top, {"notes.md": "uncommitted, and elsewhere\n"})
    release(
        "v2.0.0",
        **{
            "src/service/steps.py": MODULE.replace("step_1()", "theirs()"),
            "README.md": "# Better\n",
        },
    )
    update = updated(project, "v2.0.0")
    assert [conflict.path for conflict in update.conflicts] == ["src/service/steps.py"]
    assert (top / "README.md").read_text() == "Mine\n"
    assert (top / "src/service/steps.py").read_text() == "MINE = 1\n"
    assert "UU services/chat/src/service/steps.py" in status(top)
    WorkTree.of(project).take_back()
    assert status(top) == "?? notes.md"


def test_the_patch_is_what_the_update_does(project: Path, release: Release) -> None:
    edit(project, "src/service/steps.py", "step_1()", "mine()")
    release("v2.0.0", **{"README.md": "# Better\n", "new.md": "new\n", "src/entry.py": None})
    with update_of(project, "v2.0.0") as update:
        patch = update.patch(colour=False)
    assert status(project) == ""
    (project.parent / "patch").write_text(f"{patch}\n")
    git(project, "apply", str(project.parent / "patch"))
    applied = tree(project)
    git(project, "reset", "--quiet", "--hard")
    git(project, "clean", "--quiet", "--force")
    updated(project, "v2.0.0")
    assert tree(project) == applied


def test_the_users_configuration_and_hooks_take_no_part(
    project: Path, release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("post-checkout", "pre-commit", "post-index-change", "reference-transaction"):
        (hooks / hook).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-{hook}\nexit 1\n")
        (hooks / hook).chmod(0o755)
    (tmp_path / "gitconfig").write_text(
        f"[core]\n\thooksPath = {hooks}\n\tautocrlf = true\n\tfsmonitor = touch {tmp_path}/ran\n"
        "[commit]\n\tgpgSign = true\n[merge]\n\tconflictStyle = diff3\n[diff]\n\tnoprefix = true\n"
    )
    release("v2.0.0", **{"README.md": "# Better\n"})
    git(project, "config", "include.path", str(tmp_path / "gitconfig"))
    git(project, "config", "core.autocrlf", "false")
    list(map(Path.unlink, tmp_path.glob("ran*")))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    with update_of(project, "v2.0.0") as update:
        assert "--- a/README.md" in update.patch(colour=False)
        update.apply()
    WorkTree.of(project).take_back()
    assert not list(tmp_path.glob("ran*"))
    assert (project / "README.md").read_bytes() == b"# A Worker\n"


def test_names_that_git_quotes_and_modes_are_kept(
    project: Path, template: Path, release: Release
) -> None:
    names = ["a b.md", 'quote".md', "ünïcode.md", "-dash.md", ":(glob)x.md"]
    release("v2.0.0", **dict.fromkeys(names, "new\n"))
    (template / "template" / "run.sh").write_text("#!/bin/sh\n")
    (template / "template" / "run.sh").chmod(0o755)
    git(template, "tag", "--delete", "v2.0.0")
    commit(template, "v2.0.0")
    before = tree(project)
    updated(project, "v2.0.0")
    for name in names:
        assert (project / name).read_text() == "new\n"
    assert os.access(project / "run.sh", os.X_OK)
    assert not os.access(project / names[0], os.X_OK)
    WorkTree.of(project).take_back()
    assert tree(project) == before


def test_files_that_are_no_text_are_carried_over(project: Path, template: Path) -> None:
    content = bytes(range(256))
    (template / "template" / "logo.png").write_bytes(content)
    commit(template, "v2.0.0")
    updated(project, "v2.0.0")
    assert (project / "logo.png").read_bytes() == content
