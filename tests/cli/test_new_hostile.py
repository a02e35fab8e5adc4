"""`forge new --template` with templates that want more than to make a project."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.support import Run, forge
from tests.support import repository, small_template, tree

Change = Callable[[Path], object]


def made_from(home: Path, change: Change, settings: str = "") -> Run:
    """What `forge new` does with the small template after a change of its files and copier.yml."""
    template = small_template(home.parent / "template")
    questions = (template / "copier.yml").read_text()
    # Nothing is excluded, as a hostile template has it.
    questions = questions.replace("\n_exclude:\n", "\n_excluded_by_an_honest_template:\n")
    (template / "copier.yml").write_text(f"{questions}\n_exclude: []\n{settings}")
    change(template / "template")
    (home.parent / "secret").write_text("key: hunter2\n")
    return forge(home, "new", "a/x", "--defaults", "--template", template)


def link(name: str, target: str) -> Change:
    return lambda root: (root / name).symlink_to(target)


def text(name: str, content: str = "x\n") -> Change:
    def write(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)

    return write


def nothing(_: Path) -> None:
    pass


def several(*changes: Change) -> Change:
    return lambda root: [change(root) for change in changes]


PRESERVE = "\n_preserve_symlinks: true\n"


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ('_tasks: ["touch {home}/ran"]', "_tasks"),
        ('_migrations:\n  - "touch {home}/ran"', "_migrations"),
        ("_jinja_extensions: [os.system]", "_jinja_extensions"),
        ("_external_data: {{secret: ../../secret}}", "_external_data"),
        ("_external_data: {{secret: /etc/passwd}}", "_external_data"),
    ],
)
def test_a_template_that_wants_more_than_to_be_rendered_is_refused_before(
    home: Path, setting: str, name: str
) -> None:
    run = made_from(home, text("README.md.jinja", "{% if"), "\n" + setting.format(home=home) + "\n")
    assert run.returncode == 2
    assert f"{name}: Forge only renders templates" in run.stderr
    assert run.stdout == ""
    assert not list(home.iterdir())


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (link("out", "../../secret"), "", 'copier.yml|"out" is forbidden'),
        (link("out", "../../../secret"), PRESERVE, "out: a link that leads out of the project"),
        (link("out", "/etc/passwd"), PRESERVE, "out: a link that leads out of the project"),
        (link("out", "../x/README.md"), PRESERVE, "out: a link that leads out of the project"),
        (
            several(link("a", "src/service"), link("b", "a/../../..")),
            PRESERVE,
            "b: a link that leads out of the project",
        ),
        (
            several(link("src/up", ".."), link("b", "src/up/../..")),
            PRESERVE,
            "b: a link that leads out of the project",
        ),
        (link("hooks", ".git/hooks"), PRESERVE, "hooks: a link into git's own files"),
        (text(".git/hooks/post-checkout"), "", ".git: git's own; a template must not write it"),
        (text(".git/config"), "", ".git: git's own"),
        (text(".git"), "", ".git: git's own"),
        (text(".GIT/config"), "", ".GIT: git's own"),
        (text("src/git~1/config"), "", "src/git~1: git's own"),
        (text(".git /config"), "", ".git : git's own"),
        (text(".g\u200cit/config"), "", r".g\u200cit: a name with control characters"),
        (text("{{ '.g' + 'it' }}/config"), "", ".git: git's own"),
        (text("{{ ('..' ~ '%c' % 47) * 3 }}out"), "", "forbidden"),
        (text("\x1b[2Jx"), "", r"\x1b[2Jx: a name with control characters"),
        (text("a\nb"), "", "a name with control characters"),
        (text("a\u202eb"), "", r"a\u202eb: a name with control characters"),
        (text("node_modules/x/index.js"), "", "node_modules: tools fill this folder"),
        (text("python_modules/requests.py"), "", "python_modules: tools fill this folder"),
        (text(".hg/hgrc"), "", ".hg: tools fill this folder"),
    ],
)
def test_what_leaves_the_project_or_hides_in_it_is_refused(
    home: Path, change: Change, settings: str, message: str
) -> None:
    run = made_from(home, change, settings)
    assert run.returncode == 1
    assert any(part in run.stderr for part in message.split("|")), run.stderr
    assert "hunter2" not in run.stderr + run.stdout
    assert "\x1b" not in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
    assert not list(home.iterdir())


def test_a_write_through_a_link_is_refused(home: Path) -> None:
    """A folder of the template that is a link, and a file that is rendered into it."""
    outside = home.parent / "outside"
    outside.mkdir()
    run = made_from(
        home,
        several(link("b", str(outside)), text("{{ 'b' }}/planted.txt")),
        PRESERVE,
    )
    assert run.returncode == 1
    assert not list(outside.iterdir())
    assert not list(home.iterdir())


@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_a_file_that_runs_as_its_owner_is_refused(home: Path, mode: int) -> None:
    def change(root: Path) -> None:
        (root / "tool").write_text("#!/bin/sh\n")
        (root / "tool").chmod(mode)

    run = made_from(home, change)
    assert run.returncode == 1
    assert "tool: runs as its owner (setuid or setgid)" in run.stderr
    assert not list(home.iterdir())


def test_what_is_no_file_is_refused(home: Path) -> None:
    def change(root: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            os.chdir(root)
            listening.bind("socket")

    run = made_from(home, change)
    assert run.returncode != 0
    assert "socket" in run.stderr
    assert "Traceback" not in run.stderr
    assert not list(home.iterdir())


def test_too_many_files_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forge_scaffold.rendered.MAX_FILES", 12)
    run = made_from(home, several(*(text(f"file-{number}") for number in range(10))))
    assert run.returncode == 1
    assert "more than 12 files" in run.stderr
    assert not list(home.iterdir())


def test_too_many_bytes_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forge_scaffold.rendered.MAX_TOTAL", 100_000)
    run = made_from(home, text("large.txt", "x" * 100_000))
    assert run.returncode == 1
    assert "more than 100,000 bytes" in run.stderr
    assert not list(home.iterdir())


def test_a_link_inside_the_project_is_fine(home: Path) -> None:
    changes = several(link("CLAUDE.md", "README.md"), link("src/up", "../README.md"))
    run = made_from(home, changes, PRESERVE)
    assert run.returncode == 0, run.stderr
    assert (home / "a" / "x" / "CLAUDE.md").readlink() == Path("README.md")


def test_folders_that_a_choice_left_empty_are_not_made(home: Path) -> None:
    exclude = "\n_exclude: [/empty/deep/file]\n"
    template = small_template(home.parent / "template", {"empty/deep/file": "x\n"})
    content = (template / "copier.yml").read_text()
    (template / "copier.yml").write_text(content.replace("\n_exclude:\n", "\n_other:\n") + exclude)
    run = forge(home, "new", "x", "--defaults", "--no-git", "--template", template)
    assert run.returncode == 0, run.stderr
    assert not (home / "x" / "empty").exists()
    assert "README.md" in tree(home / "x")


@pytest.mark.parametrize(
    "answers",
    [
        "!!python/object/apply:os.system ['touch {home}/ran']\n",
        "service_name: !!python/name:os.system ''\n",
        "service_name: ../../up\n",
        f"description: '{'x' * 1_000_000}'\n",
        "description: &a [x]\nproviders: [*a, *a]\n",
    ],
    ids=["apply", "name", "climbing", "huge", "alias"],
)
def test_a_hostile_file_of_answers_is_refused(home: Path, answers: str) -> None:
    (home / "team.yaml").write_text(answers.format(home=home))
    template = repository(small_template(home.parent / "template"))
    run = forge(home, "new", "x", "--defaults", "--config", "team.yaml", "--template", template)
    assert run.returncode == 2
    assert "team.yaml" in run.stderr
    assert len(run.stderr) < 2000
    assert "Traceback" not in run.stderr
    assert [path.name for path in home.iterdir()] == ["team.yaml"]
