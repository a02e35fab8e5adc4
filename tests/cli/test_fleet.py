"""`forge fleet` as it is typed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, which

import pytest
from typer.testing import CliRunner, Result

from forge_scaffold.cli.commands import app
from forge_scaffold.config import complete
from forge_scaffold.generate import create
from forge_scaffold.questions import Questionnaire
from forge_scaffold.recorded import FILE
from forge_scaffold.sources import opened
from tests.support import commit, git, opened_by_its_reader, repository, small_template, tree, write

UNREADABLE = "expected answers by name, such as  auth: none"
FIX = "commit or stash them first"

Copy = Callable[..., Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed project of the first of two releases, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    template = repository(small_template(folder / "template"), "v1.0.0")
    with opened(str(template), None) as source:
        questions = Questionnaire.load(source.root / "copier.yml", "project")
        create(source, complete({}, questions, None), folder / "project")
    write(template / "template", {"README.md": "# A better Worker\n", "docs/new.md": "new\n"})
    commit(template, "v1.1.0")
    return repository(folder / "project")


@pytest.fixture
def copied(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """Put a copy of the project below the current folder, with committed changes."""
    monkeypatch.chdir(tmp_path)

    def copied(name: str, changes: dict[str, str] | None = None) -> Path:
        folder = Path(copytree(made, tmp_path / name))
        if changes:
            write(folder, changes)
            commit(folder)
        return folder

    return copied


@pytest.fixture
def monorepo(copied: Copy, tmp_path: Path) -> Path:
    """One repository with four projects, in each of which an update has a conflict."""
    for name in "abcd":
        folder = copied(f"mono/{name}", {"README.md": "# Mine\n"})
        subprocess.run(["rm", "-r", folder / ".git"], check=True)
    return repository(tmp_path / "mono")


def forge(*arguments: str, jobs: int = 1, stdin: str | None = None) -> Result:
    command = ["fleet", *arguments, "--jobs", str(jobs)]  # a process takes a second to start
    return CliRunner().invoke(app, command, input=stdin)


def lines(run: Result) -> list[str]:
    """The lines about projects, in alphabetical order, and those that follow."""
    projects, _, rest = run.stdout.partition("\n\n")
    return [*sorted(projects.splitlines()), *rest.splitlines()]


class TestStatus:
    def test_shows_each_project_in_a_line(self, copied: Copy) -> None:
        copied("services/available")
        write(copied("services/edited"), {"README.md": "# Mine\n"})
        conflicts = copied("services/merging", {"README.md": "# Mine\n"})
        copied("services/waiting")
        forge("update", str(conflicts), "services/waiting")
        copied("services/foreign", {FILE: "- d\n"})
        run = forge("status", "services", "missing")
        assert run.exit_code == 2
        assert (
            run.stdout
            == f"""\
PATH                VERSION  NEWEST  STATE
services/available  v1.0.0   v1.1.0  update available
services/edited     v1.0.0   v1.1.0  uncommitted       1 file
services/foreign    -        -       error             {FILE}:1: {UNREADABLE}
services/merging    v1.1.0   v1.1.0  conflicts         README.md
services/waiting    v1.1.0   v1.1.0  update waiting    3 files
missing             -        -       error             No such file or directory
"""
        )

    def test_has_an_exit_code_for_ci(self, copied: Copy) -> None:
        copied("services/a")
        assert forge("status", "services").exit_code == 0
        assert forge("status", "services", "--check").exit_code == 1
        forge("update", "services")
        commit(Path("services/a"))
        assert forge("status", "services", "--check").exit_code == 0

    def test_reports_in_json_what_forge_status_does(self, copied: Copy) -> None:
        one = copied("one", {"README.md": "# Mine\n"})
        copied("two", {FILE: "{"})
        run = forge("status", "one", "two", "--json", "--files")
        first, second = json.loads(run.stdout)
        alone = CliRunner().invoke(app, ["status", "--project", "one", "--json"])
        head = {"project": str(one), "state": "update available", "error": None}
        assert first == {**head, **json.loads(alone.stdout)}
        assert first["files"] == {"changed": ["README.md"], "removed": []}
        assert second["state"] == "error"
        assert "not YAML" in second["error"]

    def test_leaves_files_alone_unless_asked(self, copied: Copy) -> None:
        copied("one", {"README.md": "# Mine\n"})
        assert json.loads(forge("status", "one", "--json").stdout)[0]["files"] is None
        assert "1 changed, 0 removed" in forge("status", "one", "--files").stdout

    def test_reads_paths_from_stdin(self, copied: Copy) -> None:
        copied("a")
        copied("b c")
        run = forge("status", "-", "--json", stdin="b c\n\na\n./a\n")
        assert [Path(each["project"]).name for each in json.loads(run.stdout)] == ["b c", "a"]

    def test_asks_an_address_once(
        self, copied: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in "abc":
            copied(name)
        log = tmp_path / "log"
        wrap_git(tmp_path, monkeypatch, f"echo \"$*\" >> '{log}'")
        assert forge("update", "a", "b", "c").exit_code == 0
        asked = [line for line in log.read_text().splitlines() if "ls-remote" in line]
        assert len(asked) == 1

    def test_shows_what_could_steer_a_terminal(self, copied: Copy) -> None:
        copied("a\x1b[2J\nb", {FILE: "_src_path: \x1b[2J"})
        run = forge("status", "a\x1b[2J\nb")
        assert "\x1b" not in run.stdout
        assert len(run.stdout.splitlines()) == 2
        assert "a\\x1b[2J\\nb" in run.stdout


class TestUpdate:
    def test_updates_what_it_can(self, copied: Copy) -> None:
        copied("a")
        copied("b", {"README.md": "# Mine\n"})
        dirty = copied("c")
        write(dirty, {"README.md": "# Mine\n"})
        copied("d", {FILE: "- d\n"})
        copied("e")
        run = forge("update", ".", "missing", jobs=2)
        assert run.exit_code == 2
        assert lines(run) == [
            "a        updated           v1.0.0 -> v1.1.0, 3 files",
            "b        conflicts         v1.0.0 -> v1.1.0, 3 files: README.md",
            f"c        refused           uncommitted changes in README.md; {FIX}",
            f"d        refused           {FILE}:1: {UNREADABLE}",
            "e        updated           v1.0.0 -> v1.1.0, 3 files",
            "missing  refused           No such file or directory",
            "6 projects: 2 updated, 1 conflicts, 3 refused",
            "Review and commit each; or take one back: forge update --abort --project PATH",
        ]
        for name in ("a", "e"):
            assert Path(name, "README.md").read_text() == "# A better Worker\n"
        assert "<<<<<<<" in Path("b/README.md").read_text()
        assert Path("c/README.md").read_text() == "# Mine\n"

    def test_exits_with_1_when_a_project_needs_attention(self, copied: Copy) -> None:
        copied("a", {"README.md": "# Mine\n"})
        assert forge("update", "a").exit_code == 1

    def test_has_nothing_to_do_afterwards(self, copied: Copy) -> None:
        project = copied("a")
        assert forge("update", "a").exit_code == 0
        commit(project)
        run = forge("update", "a")
        assert run.exit_code == 0
        assert lines(run)[:2] == ["a  up to date        v1.1.0", "1 project: 1 up to date"]

    def test_can_be_previewed(self, copied: Copy) -> None:
        before = tree(copied("a"))
        run = forge("update", "a", "--dry-run")
        assert lines(run) == [
            "a  update available  v1.0.0 -> v1.1.0, 3 files",
            "1 project: 1 update available",
            "Nothing was written.",
        ]
        assert tree(Path("a")) == before

    def test_reports_in_json_what_forge_update_does(self, copied: Copy) -> None:
        copied("a")
        copied("b", {FILE: "{"})
        arguments = ["--dry-run", "--json"]
        alone = CliRunner().invoke(app, ["update", "--project", "a", *arguments])
        run = forge("update", "a", "b", *arguments)
        first, second = json.loads(run.stdout)
        assert first == {"state": "update available", "error": None, **json.loads(alone.stdout)}
        assert second["state"] == "refused"
        assert run.exit_code == 2

    def test_changes_an_answer_where_it_is_given(self, copied: Copy) -> None:
        answers = Path(copied("a"), FILE).read_text()
        assert "- anthropic\n" in answers
        copied("b", {FILE: answers.replace("- anthropic\n", "")})
        run = forge("update", "a", "b", "--to", "v1.0.0", "--set", "providers-=anthropic")
        assert run.exit_code == 0
        assert lines(run)[:2] == [
            "a  updated           v1.0.0, 1 file",
            "b  up to date        v1.0.0",
        ]

    def test_updates_projects_of_one_repository_together(self, monorepo: Path) -> None:
        run = forge("update", "mono", jobs=4)
        assert run.exit_code == 1
        assert lines(run)[4] == "4 projects: 4 conflicts"
        unmerged = git(monorepo, "diff", "--name-only", "--diff-filter=U").split()
        assert unmerged == [f"{name}/README.md" for name in "abcd"]
        status = forge("status", "mono", "--check")
        assert status.exit_code == 1
        assert status.stdout.count("conflicts         README.md") == 4


def wrap_git(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have a line of shell script run before each git command."""
    wrapper = folder / "bin" / "git"
    write(wrapper.parent, {"git": f'#!/bin/sh\n{script}\nexec {which("git")} "$@"\n'})
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")


class TestStops:
    """Real processes, each held at a command of git that reads from a named pipe."""

    @pytest.fixture
    def temporary(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = tmp_path / "tmp"
        folder.mkdir()
        monkeypatch.setenv("TMPDIR", str(folder))
        return folder

    def held_at(self, command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        pipe = folder / "pipe"
        os.mkfifo(pipe)
        first = f"mkdir '{pipe}.met' 2> /dev/null && read -r _ < '{pipe}'"
        script = f"case \" $* \" in *' {command} '*) {first};; esac"
        wrap_git(folder, monkeypatch, script)
        return pipe

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "forge_scaffold", "fleet", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_stop_before_anything_is_written_leaves_no_trace(
        self,
        copied: Copy,
        tmp_path: Path,
        temporary: Path,
        monkeypatch: pytest.MonkeyPatch,
        number: signal.Signals,
    ) -> None:
        before = tree(copied("a"))
        pipe = self.held_at("merge", tmp_path, monkeypatch)
        process = self.started("update", "a", "missing", "--json")
        with opened_by_its_reader(pipe):
            process.send_signal(number)
            # Until the last process has closed its end, the workers' ones included.
            output, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + number
        assert [each["state"] for each in json.loads(output)] == ["stopped", "refused"]
        assert errors.endswith("stopped after 1 of 2 projects; the others are as they were\n")
        assert "Traceback" not in errors
        assert tree(Path("a")) == before
        assert git(Path("a"), "status", "--porcelain") == ""
        assert not list(temporary.iterdir())

    def test_a_stop_while_files_are_written_waits_and_reports(
        self, copied: Copy, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copied("a", {"README.md": "# Mine\n"})
        pipe = self.held_at("hash-object", tmp_path, monkeypatch)
        process = self.started("update", "a")
        with opened_by_its_reader(pipe):
            process.terminate()
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGTERM
        assert output.startswith("a  conflicts         v1.0.0 -> v1.1.0, 3 files: README.md\n")
        assert "stopped after 1 of 1 projects" in errors
        assert git(Path("a"), "diff", "--name-only", "--diff-filter=U") == "README.md"
        assert not list(temporary.iterdir())
