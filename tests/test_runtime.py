"""What `forge serve` and `forge test` decide before anything runs."""

import os
import subprocess
import sys
import time
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from forge_scaffold.cli.arguments import Command, Parameter
from forge_scaffold.errors import UserError
from forge_scaffold.packages.cache import whole_folder
from forge_scaffold.project import Project
from forge_scaffold.runtime.cache import UNUSED, prune
from forge_scaffold.runtime.commands import NoTestsError, Run, prepared
from forge_scaffold.runtime.harness import completed
from forge_scaffold.runtime.packages import Packages, packages
from tests.support import write

WRANGLER = """\
name = "worker"
main = "entry.py"
compatibility_date = "2026-11-01"
compatibility_flags = ["python_workers"]
"""
WORKER = {"wrangler.toml": WRANGLER, "entry.py": "import workers\n"}


def prepare(script: str, folder: Path, *arguments: str) -> Run:
    return prepared(script, folder, arguments, lambda _: nullcontext())


def test_a_project_of_ours_runs_its_own_harness(tmp_path: Path) -> None:
    write(tmp_path, {**WORKER, ".copier-answers.yml": "", "scripts/cli.mjs": ""})
    with pytest.raises(UserError, match="node_modules is missing; run  npm install"):
        prepare("local", tmp_path)
    (tmp_path / "node_modules").mkdir()
    run = prepare("test", tmp_path, "-k", "chat")
    assert run.command == ["npm", "run", "--silent", "test", "--", "-k", "chat"]
    assert run.folder == tmp_path.resolve()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("entry.py", "entry.js", "wrangler.toml: main names no Python file"),
        ("entry.py", "other.py", "wrangler.toml:2: main: other.py: no such file"),
        ("2026-11-01", "soon", "wrangler.toml: add a compatibility_date"),
        ('"python_workers"', "", 'add "python_workers" to compatibility_flags'),
        ("name = ", "name ", "wrangler.toml:1"),
    ],
)
def test_what_cannot_be_started_says_why(tmp_path: Path, old: str, new: str, problem: str) -> None:
    write(tmp_path, {**WORKER, "wrangler.toml": WRANGLER.replace(old, new)})
    with pytest.raises(UserError) as caught:
        prepare("local", tmp_path)
    assert problem in str(caught.value)


def test_a_folder_of_workers_names_them(tmp_path: Path) -> None:
    write(tmp_path, {f"services/chat/{name}": text for name, text in WORKER.items()})
    with pytest.raises(UserError, match=r"no Worker here: .*; name one of .*services/chat"):
        prepare("local", tmp_path)


def test_without_tests_the_exit_code_is_pytest_s(tmp_path: Path) -> None:
    write(tmp_path, WORKER)
    with pytest.raises(NoTestsError, match=r"no file is called test_\*\.py") as caught:
        prepare("test", tmp_path)
    assert caught.value.exit_code == 5


def test_vendored_packages_are_used_as_they_are(tmp_path: Path) -> None:
    vendored = {"workers/__init__.py": "", "speedups.cpython-314-wasm32-emscripten.so": ""}
    write(tmp_path / "worker", WORKER)
    write(tmp_path / "worker/python_modules", vendored)
    write(tmp_path / "home", {"requirements/worker.txt": "workers-runtime-sdk==1.9.5 \\\n"})
    project = Project.read(tmp_path / "worker")
    found = packages(project, tmp_path / "home", lambda _: nullcontext(), tests=False)
    assert found == Packages((tmp_path / "worker/python_modules",), (), ())


def test_arguments_after_the_dashes_are_passed_on() -> None:
    seen = []
    command = Command(
        name="test",
        summary="",
        details="",
        parameters=(
            Parameter("PATH", "", default="."),
            Parameter("ARGUMENT", "", many=True),
            Parameter("--watch", ""),
        ),
        run=lambda args: seen.append((args.path, args.argument, args.watch)),
    )
    command.main(["--", "-k", "--watch", "--"])
    command.main(["here", "--watch"])
    assert seen == [(".", ["-k", "--watch", "--"], False), ("here", [], True)]
    with pytest.raises(UserError, match="no such option: -k"):
        command.main(["-k", "chat"])


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "packages"
    with suppress(UserError), whole_folder(target) as folder:
        (folder / "half").touch()
        raise UserError("no network")
    assert list(tmp_path.iterdir()) == []
    with whole_folder(target) as folder, whole_folder(target) as other:
        (folder / "first").touch()
        (other / "second").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["packages", "second"]


def test_a_command_that_fails_shows_its_last_words(tmp_path: Path) -> None:
    assert completed(["true"], tmp_path) == ""
    assert completed(["sh", "-c", "echo first; echo >&2 last; exit 3"], tmp_path) == "first\nlast"
    assert completed(["false"], tmp_path) == "it ended with 1"


HOME = "0123456789abcdef"


def make_folders(cache: Path, *names: str) -> None:
    """Folders that were used last a day longer ago than they are kept, with all inside of them."""
    for name in names:
        write(cache, {f"{name}/requirements/test.txt": ""})
    old = time.time() - UNUSED - 24 * 60 * 60
    for path in cache.rglob("*"):
        os.utime(path, (old, old))


def test_folders_that_were_not_used_for_long_are_removed(tmp_path: Path) -> None:
    write(tmp_path, {"a-file": ""})
    make_folders(tmp_path, HOME, "packages-1", "test-1", ".new-x", "fresh", f"fresh/{HOME}")
    os.utime(tmp_path / "fresh")
    prune(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a-file", "fresh"}
    assert {path.name for path in (tmp_path / "fresh").iterdir()} == {"requirements"}


def test_a_link_in_the_cache_leads_to_nothing_that_is_removed(tmp_path: Path) -> None:
    make_folders(tmp_path, "elsewhere/packages-1", "cache/used")
    (tmp_path / "cache/link").symlink_to(tmp_path / "elsewhere/packages-1")
    prune(tmp_path / "cache")
    assert (tmp_path / "elsewhere/packages-1/requirements/test.txt").is_file()


def test_a_folder_in_use_stays_however_old_it_is(tmp_path: Path) -> None:
    make_folders(tmp_path, f"installed/{HOME}")
    # As `forge serve` does: it holds the folders, then becomes Node.
    program = (
        "import os, sys; from pathlib import Path; from forge_scaffold.runtime.cache import hold; "
        "assert all([hold(Path(name)) for name in sys.argv[1:]]); "
        "os.execvp('sh', ['sh', '-c', 'echo; read line'])"
    )
    held = [tmp_path / "installed", tmp_path / "installed" / HOME]
    with subprocess.Popen(
        [sys.executable, "-c", program, *held], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"\n"
        assert time.time() - held[1].stat().st_mtime < UNUSED
        make_folders(tmp_path)
        prune(tmp_path)
        assert (held[1] / "requirements/test.txt").is_file()
        process.communicate(b"\n")
    prune(tmp_path)
    assert not held[0].exists()
