"""`forge update`, `diff`, `status`, `set` and `relink` as they are typed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from forge_scaffold.cli.commands import app
from forge_scaffold.sources import UNKNOWN_ADDRESS
from tests.support import commit, git, repository, small_template, tree, write

Forge = Callable[..., Result]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A template with a second release that changes README.md and adds docs/new.md."""
    folder = repository(small_template(tmp_path / "template"), "v1.0.0")
    write(folder / "template", {"README.md": "# A better Worker\n", "docs/new.md": "new\n"})
    return commit(folder, "v1.1.0")


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Forge:
    """Run forge in the folder `project`, without a terminal."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def project(forge: Forge, template: Path, tmp_path: Path) -> Path:
    """A committed project of the first release; forge runs in it."""
    made = forge("new", ".", "--defaults", "--no-git", "--template", template, "--ref", "v1.0.0")
    assert made.exit_code == 0, made.stderr
    return repository(tmp_path / "project")


def ok(run: Result) -> str:
    assert run.exit_code == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.usefixtures("project")
class TestUpdate:
    def test_says_what_it_changed_and_how_to_go_on(self, forge: Forge) -> None:
        assert (
            ok(forge("update"))
            == """\
Template  v1.0.0 -> v1.1.0
Files     1 added, 2 changed
  ~ .copier-answers.yml
  ~ README.md
  + docs/new.md

Review with git diff, then commit; or take it back: forge update --abort
"""
        )

    def test_has_nothing_to_do_afterwards(self, forge: Forge, project: Path) -> None:
        forge("update")
        commit(project)
        before = tree(project)
        assert ok(forge("update")) == "v1.1.0: up to date.\n"
        assert tree(project) == before

    def test_can_be_previewed(self, forge: Forge, project: Path) -> None:
        before = tree(project)
        assert ok(forge("update", "--dry-run")).endswith("\nNothing was written.\n")
        assert tree(project) == before

    def test_can_be_taken_back(self, forge: Forge, project: Path) -> None:
        before = tree(project)
        forge("update")
        assert ok(forge("update", "--abort")) == "Taken back: 3 files as committed.\n"
        assert tree(project) == before
        again = forge("update", "--abort")
        assert again.exit_code == 2
        assert "no update to take back" in again.stderr

    def test_exits_with_1_on_conflicts_and_lists_them(self, forge: Forge, project: Path) -> None:
        write(project, {"README.md": "# Mine\n"})
        commit(project)
        run = forge("update")
        assert run.exit_code == 1
        assert "  ! README.md  changed by the template and here\n" in run.stdout
        assert "1 file has both sides: choose, then commit" in run.stdout
        status = forge("status", "--check", "--json")
        assert status.exit_code == 1
        assert json.loads(status.stdout)["conflicts"] == ["README.md"]
        assert json.loads(status.stdout)["update_waiting"] is True

    def test_reports_in_json(self, forge: Forge, project: Path) -> None:
        report = json.loads(ok(forge("update", "--json")))
        assert report["template"]["before"] == "v1.0.0"
        assert report["template"]["after"] == "v1.1.0"
        assert {"path": "docs/new.md", "change": "added"} in report["files"]
        assert report["conflicts"] == []
        assert report["written"] is True
        assert report["project"] == str(project)

    def test_can_reach_a_named_release(self, forge: Forge, template: Path, project: Path) -> None:
        write(template / "template", {"README.md": "# The best Worker\n"})
        commit(template, "v2.0.0")
        ok(forge("update", "--to", "v1.1.0"))
        assert (project / "README.md").read_text() == "# A better Worker\n"

    def test_does_not_go_back(self, forge: Forge, project: Path) -> None:
        forge("update")
        commit(project)
        run = forge("update", "--to", "v1.0.0")
        assert run.exit_code == 2
        assert "--to v1.0.0: older than v1.1.0, which the project has" in run.stderr

    def test_names_the_releases_when_asked_for_another(self, forge: Forge) -> None:
        run = forge("update", "--to", "v9.0.0")
        assert run.exit_code == 2
        assert "v9.0.0" in run.stderr
        assert "it has v1.0.0, v1.1.0" in run.stderr

    def test_of_a_project_ahead_of_every_release_has_nothing_to_do(
        self, forge: Forge, template: Path, tmp_path: Path
    ) -> None:
        write(template / "template", {"README.md": "# Unreleased\n"})
        commit(template)
        ahead = tmp_path / "ahead"
        ok(forge("new", ahead, "--defaults", "--no-git", "--template", template, "--ref", "HEAD"))
        repository(ahead)
        assert "up to date" in ok(forge("update", "--project", ahead))
        write(template / "template", {"README.md": "# Released\n"})
        commit(template, "v1.2.0")
        assert "-> v1.2.0" in ok(forge("update", "--project", ahead))


@pytest.mark.usefixtures("project")
class TestDiff:
    def test_prints_the_patch_of_the_update(self, forge: Forge, project: Path) -> None:
        patch = ok(forge("diff"))
        assert "-# A Worker\n+# A better Worker\n" in patch
        assert git(project, "status", "--porcelain") == ""
        ok(forge("update"))
        git(project, "add", "--all")
        assert patch == git(project, "diff", "--cached", "--full-index") + "\n"

    def test_can_show_other_answers(self, forge: Forge) -> None:
        assert "deleted file mode" in ok(forge("diff", "--to", "v1.0.0", "--set", "auth=none"))

    def test_exits_with_1_when_the_update_needs_attention(
        self, forge: Forge, project: Path
    ) -> None:
        write(project, {"README.md": "# Mine\n"})
        commit(project)
        assert forge("diff").exit_code == 1


@pytest.mark.usefixtures("project")
class TestStatus:
    def test_shows_versions_answers_and_files(self, forge: Forge, project: Path) -> None:
        write(project, {"README.md": "# Mine\n", "package.json": "{}\n"})
        (project / "requirements" / "worker.txt").unlink()
        shown = ok(forge("status"))
        assert "v1.0.0; v1.1.0 is available: forge update" in shown
        assert "  providers     openai, anthropic\n" in shown
        assert "(2)\n  README.md\n  package.json\n" in shown
        assert "Removed (1)\n  requirements/worker.txt\n" in shown

    def test_checks_for_ci(self, forge: Forge) -> None:
        assert forge("status", "--check").exit_code == 1
        forge("update")
        assert forge("status", "--check").exit_code == 0
        report = json.loads(ok(forge("status", "--json")))
        assert report["template"]["version"] == report["template"]["newest"] == "v1.1.0"
        assert report["template"]["outdated"] is False
        assert report["answers"]["auth"] == "clerk"
        assert report["files"] == {"changed": [], "removed": []}


@pytest.mark.usefixtures("project")
class TestSet:
    def test_changes_answers_at_the_same_version(self, forge: Forge, project: Path) -> None:
        shown = ok(forge("set", "auth=none", "providers+=mistral"))
        assert "Answer    providers: openai, anthropic -> openai, anthropic, mistral\n" in shown
        stored = yaml.safe_load((project / ".copier-answers.yml").read_text())
        assert stored["_commit"] == "v1.0.0"
        assert stored["auth"] == "none"
        assert not (project / "src" / "service" / "auth").exists()

    def test_of_a_question_that_is_not_asked_takes_its_default_only(self, forge: Forge) -> None:
        ok(forge("set", "auth=none", "revocation=none", "--dry-run"))
        run = forge("set", "auth=none", "revocation=kv")
        assert run.exit_code == 2
        assert "--set revocation=kv: not asked with these answers" in run.stderr

    def test_of_the_same_answer_has_nothing_to_change(self, forge: Forge) -> None:
        assert ok(forge("set", "auth=clerk")) == "Nothing to change.\n"

    def test_lists_every_mistake_and_writes_nothing(self, forge: Forge, project: Path) -> None:
        run = forge("set", "auth=okta", "database=mysql")
        assert run.exit_code == 2
        assert "2 problems" in run.stderr
        assert git(project, "status", "--porcelain") == ""

    def test_equals_a_project_made_with_the_answers(
        self, forge: Forge, project: Path, template: Path, tmp_path: Path
    ) -> None:
        ok(forge("set", "auth=none", "database=turso"))
        fresh = tmp_path / "fresh" / "project"
        settings = ("--set", "auth=none", "--set", "database=turso")
        ok(forge("new", fresh, "--defaults", "--template", template, "--ref", "v1.0.0", *settings))
        assert tree(project) == tree(fresh)


class TestRelink:
    @pytest.fixture
    def moved(self, project: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A project whose template is at https://example.org/team/forge.git, too."""
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{template}.insteadOf")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://example.org/team/forge.git")
        return project

    def test_changes_the_answers_file_only(self, forge: Forge, moved: Path) -> None:
        before = tree(moved)
        ok(forge("relink", "https://me:secret@example.org/team/forge"))
        after = tree(moved)
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {".copier-answers.yml"}
        stored = yaml.safe_load(after[".copier-answers.yml"])
        assert stored["_src_path"] == "https://example.org/team/forge.git"

    def test_leaves_updates_without_conflicts(self, forge: Forge, moved: Path) -> None:
        ok(forge("relink", "https://example.org/team/forge.git"))
        commit(moved)
        assert "-> v1.1.0" in ok(forge("update"))

    def test_refuses_an_address_without_the_version(
        self, forge: Forge, moved: Path, template: Path
    ) -> None:
        git(template, "tag", "--delete", "v1.0.0")
        run = forge("relink", "https://example.org/team/forge.git")
        assert run.exit_code == 2
        assert "has no release v1.0.0, which the project records; it has v1.1.0" in run.stderr
        assert git(moved, "status", "--porcelain") == ""

    @pytest.mark.parametrize("address", ["../forge", "/srv/forge", "file:///srv/forge", "forge"])
    def test_refuses_an_address_of_one_machine(
        self, forge: Forge, moved: Path, address: str
    ) -> None:
        run = forge("relink", address)
        assert run.exit_code == 2
        assert "not an address for others" in run.stderr
        assert git(moved, "status", "--porcelain") == ""

    def test_does_not_need_the_address_to_answer(self, forge: Forge, moved: Path) -> None:
        address = "https://127.0.0.1:1/team/forge.git"
        assert forge("relink", address).exit_code == 2
        ok(forge("relink", address, "--offline"))
        assert address in (moved / ".copier-answers.yml").read_text()


COMMANDS = [["update"], ["diff"], ["status"], ["set", "auth=none"]]


def answers(project: Path, **changed: str) -> None:
    """Commit changed lines of the answers file."""
    file = project / ".copier-answers.yml"
    lines = file.read_text().splitlines()
    kept = [line for line in lines if line.partition(":")[0] not in changed]
    file.write_text("\n".join([*kept, *(f"{key}: {value}" for key, value in changed.items()), ""]))
    commit(project)


class TestAddress:
    @pytest.mark.parametrize("command", [*COMMANDS, ["status", "--json"], ["fleet", "status", "."]])
    def test_keeps_its_credentials_to_itself(
        self, forge: Forge, project: Path, command: list[str]
    ) -> None:
        address = "https://me:s3cret@127.0.0.1:1/team/forge.git"
        answers(project, _src_path=address)
        run = forge(*command)
        assert "s3cret" not in run.output
        assert "https://***@127.0.0.1:1/team/forge.git does not answer" in run.output

    @pytest.mark.parametrize("command", [["update"], ["diff"], ["status"]])
    def test_without_a_repository_gives_gits_reason(
        self, forge: Forge, project: Path, tmp_path: Path, command: list[str]
    ) -> None:
        (tmp_path / "empty").mkdir()
        answers(project, _src_path=str(tmp_path / "empty"))
        run = forge(*command)
        assert run.exit_code == 2
        assert "does not appear to be a git repository" in run.stderr

    @pytest.mark.parametrize("command", COMMANDS)
    def test_that_is_unknown_is_what_copier_needs(
        self, forge: Forge, project: Path, command: list[str]
    ) -> None:
        answers(project, _src_path=UNKNOWN_ADDRESS)
        run = forge(*command)
        assert "copier update and Renovate need it: forge relink ADDRESS\n" in run.stderr
        assert "does not answer" not in run.stderr

    def test_that_does_not_answer_has_no_other_versions(self, forge: Forge, project: Path) -> None:
        answers(project, _src_path="https://127.0.0.1:1/team/forge.git")
        run = forge("update", "--to", "v9.0.0")
        assert run.exit_code == 2
        assert "v1.0.0: no such release here; known without the network: none" in run.stderr


class TestWorkTree:
    def test_may_hold_submodules(self, forge: Forge, project: Path, template: Path) -> None:
        allowed = ("-c", "protocol.file.allow=always")
        git(project, *allowed, "submodule", "--quiet", "add", str(template), "vendor/library")
        commit(project)
        before = tree(project)
        assert "1 added, 2 changed\n" in ok(forge("update"))
        assert git(project, "status", "--porcelain", "--", "vendor") == ""
        ok(forge("update", "--abort"))
        assert tree(project) == before

    @pytest.mark.parametrize("command", [["update"], ["set", "auth=none"]])
    def test_in_a_merge_is_refused(self, forge: Forge, project: Path, command: list[str]) -> None:
        git(project, "checkout", "--quiet", "-b", "theirs")
        git(project, "commit", "--quiet", "--allow-empty", "--message=theirs")
        git(project, "checkout", "--quiet", "-")
        git(project, "commit", "--quiet", "--allow-empty", "--message=ours")
        git(project, "merge", "--quiet", "--no-commit", "--no-ff", "theirs")
        before = tree(project)
        run = forge(*command)
        assert run.exit_code == 2
        assert "a merge is in progress; git commit, or git merge --abort" in run.stderr
        assert tree(project) == before

    @pytest.mark.usefixtures("project")
    @pytest.mark.parametrize("command", [["update"], ["diff"], ["set", "auth=none"]])
    def test_of_another_user_is_named_as_such(
        self, forge: Forge, command: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        run = forge(*command)
        assert run.exit_code == 2
        assert "dubious ownership" in run.stderr
        assert "git init" not in run.stderr

    @pytest.mark.parametrize("command", [["update"], ["diff"], ["set", "auth=none"]])
    def test_is_missing_in_a_bare_repository(
        self, forge: Forge, project: Path, command: list[str], tmp_path: Path
    ) -> None:
        git(tmp_path, "clone", "--quiet", "--bare", str(project), "bare.git")
        (tmp_path / "bare.git" / ".copier-answers.yml").write_bytes(
            (project / ".copier-answers.yml").read_bytes()
        )
        run = forge(*command, "--project", tmp_path / "bare.git")
        assert run.exit_code == 2
        assert "not in a git work tree" in run.stderr


class TestAnswersFile:
    @pytest.mark.parametrize("command", [["update", "--set", "auth=none"], ["status"]])
    def test_with_an_answer_that_never_was_is_named(
        self, forge: Forge, project: Path, command: list[str]
    ) -> None:
        answers(project, auth="okta")
        run = forge(*command)
        assert run.exit_code == 2
        assert ".copier-answers.yml: v1.0.0: the template cannot be rendered: " in run.stderr
        assert "'okta'" in run.stderr

    def test_without_a_line_for_the_address_is_not_relinked(
        self, forge: Forge, project: Path
    ) -> None:
        file = project / ".copier-answers.yml"
        file.write_text(file.read_text().replace("_src_path:", "'_src_path':"))
        before = file.read_bytes()
        run = forge("relink", "https://example.org/team/forge.git", "--offline")
        assert run.exit_code == 2
        assert "no line begins with _src_path:" in run.stderr
        assert file.read_bytes() == before


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("command", ["update", "diff"])
@pytest.mark.parametrize("version", ["newest", "../x", "main"])
def test_what_is_not_a_version_is_not_called_old(forge: Forge, command: str, version: str) -> None:
    run = forge(command, "--to", version)
    assert run.exit_code == 2
    assert f"error: --to {version}: not a version, such as v1.1.0\n" in run.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_no_template_made_is_refused(forge: Forge, command: list[str]) -> None:
    run = forge(*command)
    assert run.exit_code == 2
    assert "no template made this project; forge adopt adds one" in run.stderr
    assert "Traceback" not in run.stderr
    missing = forge(*command, "--project", "nowhere")
    assert missing.exit_code == 2
    assert "error: nowhere: no such folder" in missing.stderr
