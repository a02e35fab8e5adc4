"""`forge new` among signals, full disks, other runs and misleading environments."""

import os
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.support import FORGE, Variables, process, the_error
from tests.support import git, opened_by_its_reader, repository, small_template, tree


def started(
    home: Path, template: Path, target: str = "a/x", before: Callable[[], object] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*FORGE, "new", target, "--defaults", "--template", str(template)],
        cwd=home,
        preexec_fn=before,  # noqa: PLW1509 - one thread, nothing but a system call
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def endless(template: Path) -> Path:
    fifo = template / "template" / "a-file-that-never-ends"
    os.mkfifo(fifo)
    return fifo


def test_a_terminal_that_closes_leaves_no_trace(home: Path, template: Path) -> None:
    fifo = endless(template)
    run = started(home, template)
    with opened_by_its_reader(fifo):
        run.send_signal(signal.SIGHUP)
        output, errors = run.communicate(timeout=60)
    assert (run.returncode, output) == (128 + signal.SIGHUP, "")
    assert "Traceback" not in errors
    assert not list(home.iterdir())


def test_a_signal_that_is_ignored_stays_so(home: Path, template: Path) -> None:
    """`nohup forge new x` goes on when the terminal closes."""
    fifo = endless(template)
    run = started(home, template, before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    with opened_by_its_reader(fifo):
        run.send_signal(signal.SIGHUP)
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGTERM


def test_what_a_killed_run_left_is_named_and_swept(home: Path, template: Path) -> None:
    other = small_template(template.parent / "other")
    fifo = endless(template)
    killed = started(home, template)
    with opened_by_its_reader(fifo):
        killed.kill()
        killed.communicate()
    (left,) = (home / "a").glob(".forge-*")
    running = started(home, template, "a/y")
    with opened_by_its_reader(fifo):
        # This run has swept what the first one left. The next leaves this one's alone.
        (alive,) = (home / "a").glob(".forge-*")
        assert alive != left
        run = process(home, "new", "a/x", "--defaults", "--template", other)
        assert run.returncode == 0, run.stderr
        assert alive.exists()
        running.terminate()
        running.communicate(timeout=60)
    assert [path.name for path in (home / "a").iterdir()] == ["x"]


def test_leftovers_are_named(home: Path, template: Path) -> None:
    (home / ".forge-0123abcd").mkdir()
    run = process(home, "new", "x", "--defaults", "--template", template)
    assert f"Note: removed {home}/.forge-0123abcd, left by an interrupted run." in run.stdout
    assert [path.name for path in home.iterdir()] == ["x"]


def test_of_two_runs_at_one_target_the_winner_keeps_its_files(home: Path, template: Path) -> None:
    fifo = endless(template)
    loser = started(home, template)
    with opened_by_its_reader(fifo):
        small = small_template(template.parent / "other", {"WINNER.md": "won\n"})
        winner = process(home, "new", "a/x", "--defaults", "--no-git", "--template", small)
        assert winner.returncode == 0, winner.stderr
        won = {path: content for path, content in tree(home).items() if ".forge-" not in path}
    _, errors = loser.communicate(timeout=60)
    assert loser.returncode == 2
    assert "error: a/x: .copier-answers.yml, README.md, package.json" in errors
    assert tree(home) == won
    assert not list(home.rglob(".forge-*"))


def test_a_disk_that_is_full_is_one_sentence(home: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: writing fails without a file's name."""
    template = small_template(tmp_path / "large", {"large.txt": "x" * 3_000_000})

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    run = started(home, template, "x", before=limit)
    output, errors = run.communicate(timeout=60)
    assert (run.returncode, output) == (2, "")
    assert errors.endswith(f"error: {home}/x: File too large\n")
    assert not list(home.iterdir())


def test_an_output_that_is_full_is_one_sentence(home: Path, template: Path) -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [*FORGE, "new", "x", "--defaults", "--template", str(template)],
            cwd=home,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert run.returncode == 2
    assert run.stderr.endswith("error: No space left on device\n")


def test_a_folder_that_is_gone_is_one_sentence(home: Path, template: Path) -> None:
    command = f'rmdir "$PWD"; exec "$@" --template {template}'
    run = subprocess.run(
        ["sh", "-c", command, "sh", *FORGE, "new", "x", "--defaults"],
        cwd=home,
        capture_output=True,
        check=False,
        text=True,
    )
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1] == ("error: the current folder is gone; change to another")


@pytest.mark.parametrize(
    "variables",
    [
        {"GIT_DIR": "/nowhere", "GIT_WORK_TREE": "/nowhere"},
        {"GIT_INDEX_FILE": os.devnull, "GIT_OBJECT_DIRECTORY": "/nowhere"},
        {"GIT_CEILING_DIRECTORIES": "/", "GIT_PREFIX": "x/", "GIT_NAMESPACE": "x"},
        {"GIT_TEMPLATE_DIR": "/nowhere"},
        {"HOME": None},
        {"HOME": "/nowhere"},
        {"HOME": "/proc"},
        {"TMPDIR": "/nowhere"},
        {"LANG": "C", "LC_ALL": "C"},
        {"COPIER_SETTINGS_PATH": "/nowhere", "COPIER_CACHE_DIR": "/proc/nowhere"},
        {"PYTHONPATH": "/nowhere:", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        {"XDG_CONFIG_HOME": "/nowhere", "XDG_CACHE_HOME": "/proc"},
    ],
    ids="+".join,
)
def test_an_environment_that_misleads_changes_nothing(
    home: Path, template: Path, variables: Variables
) -> None:
    repository(template, "v1.0.0")
    run = process(home, "new", "x", "--defaults", "--template", template, variables=variables)
    assert run.returncode == 0, run.stderr
    assert git(home / "x", "rev-list", "--count", "HEAD") == "1"
    assert git(home / "x", "status", "--porcelain") == ""
    assert git(template, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"GIT_CONFIG_COUNT": "x"}, "GIT_CONFIG_COUNT=x: not a number; unset it or correct it"),
        ({"GIT_CONFIG_COUNT": "1"}, "GIT_CONFIG_COUNT=1: there is no GIT_CONFIG_KEY_0; unset"),
        ({"PATH": "/nowhere"}, "git: not found on PATH; install git"),
        ({"GIT_CONFIG_GLOBAL": "{home}/broken"}, "bad config line 1 in file {home}/broken"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_an_environment_that_git_cannot_work_in_is_named(
    home: Path, template: Path, variables: dict[str, str], message: str
) -> None:
    (home / "broken").write_text("[core\n")
    repository(template, "v1.0.0")
    given = {name: value.format(home=home) for name, value in variables.items()}
    run = process(home, "new", "x", "--defaults", "--template", template, variables=given)
    assert message.format(home=home) in the_error(run)
    assert [path.name for path in home.iterdir()] == ["broken"]


def test_a_strict_umask_is_kept(home: Path, template: Path) -> None:
    run = started(home, template, "x", before=lambda: os.umask(0o077))
    run.communicate(timeout=60)
    assert run.returncode == 0
    assert (home / "x").stat().st_mode & 0o777 == 0o700
    assert (home / "x" / ".git").stat().st_mode & 0o777 == 0o700


def test_a_temporary_folder_elsewhere_is_no_matter(home: Path, template: Path) -> None:
    """What is moved is staged beside the target, whatever file system TMPDIR is on."""
    other = Path("/dev/shm")  # noqa: S108 - another file system than tmp_path's
    repository(template, "v1.0.0")
    run = process(
        home, "new", "x", "--defaults", "--template", template, variables={"TMPDIR": str(other)}
    )
    assert run.returncode == 0, run.stderr
