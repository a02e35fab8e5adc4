"""Generated projects that really run: with what npm and pip installed once for all of them."""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from forge_scaffold.config import ProvidedAnswer, complete
from forge_scaffold.generate import create
from forge_scaffold.questions import Questionnaire
from forge_scaffold.sources import opened
from tests.runtime.workerd import Workerd
from tests.support import shared_folder, whole_template
from tests.template.combinations import Combination

Make = Callable[[Combination], Path]

SHARED = (
    "node_modules",
    "python_modules",
    ".venv",
    ".cache/test_modules",
    ".cache/workerd",
    ".hypothesis/unicode_data",
)
"""What a project has that others of its packages may use, too."""


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all of this run's workers share."""
    return shared_folder(tmp_path_factory, worker_id, "runtime")


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Make:
    """Make a project, ready to run: what npm and pip install is linked, and shared by all."""
    template = whole_template(tmp_path_factory.mktemp("template"))
    questions = Questionnaire.load(template / "copier.yml", folder="my-service")

    def generate(combination: Combination) -> Path:
        provided = {name: ProvidedAnswer(value, "test") for name, value in combination.items()}
        folder = tmp_path_factory.mktemp("project") / "my-service"
        with opened(str(template), None) as source:
            create(source, complete(provided, questions, None), folder)
        return folder

    def make(combination: Combination) -> Path:
        # What is installed differs only with whether there is a database.
        database = "none" if combination.get("database") == "none" else "turso"
        pantry = shared / f"with-{database}"
        with _alone(shared):
            if not (shared / "node_modules").exists():
                # Of all databases' packages from npm, Turso's hold the others'.
                most = generate({"database": "turso"})
                run(most, "npm", "install", "--ignore-scripts")  # which would vendor, too
                run(most, "npm", "rebuild", "--ignore-scripts")
                (most / "node_modules").rename(shared / "node_modules")
            if not pantry.exists():
                generate({"database": database}).rename(pantry)
                _stock(pantry, shared)
        project = generate(combination)
        for name in SHARED:
            (project / name).parent.mkdir(exist_ok=True)
            (project / name).symlink_to(pantry / name)
        shutil.copy(pantry / "uv.lock", project)
        return project

    return make


@pytest.fixture(scope="session")
def workerd(make: Make, shared: Path) -> Workerd:
    """The workerd and the packages of a project, with the bundle of its Pyodide."""
    project = make({})
    bundles = shared / "bundles"
    with _alone(shared):
        if not bundles.exists():
            script = (
                "import('./scripts/bundle.mjs').then(({ makeBundle }) => "
                f"makeBundle('node_modules/pyodide', '{bundles}'))"
            )
            run(project, "node_modules/.bin/node", "--eval", script)
    binary = run(
        project,
        "node_modules/.bin/node",
        "--print",
        "require(require.resolve('workerd', { paths: [require.resolve('wrangler')] })).default",
    )
    return Workerd(Path(binary.strip()), bundles, (project / "python_modules").resolve())


def _stock(pantry: Path, shared: Path) -> None:
    """Have a project install what others get from it."""
    (shared / "workerd").mkdir(exist_ok=True)  # bundle and snapshots, whose names say of what
    (pantry / ".cache").mkdir()
    (pantry / ".cache" / "workerd").symlink_to(shared / "workerd")
    (pantry / ".hypothesis" / "unicode_data").mkdir(parents=True)
    (pantry / "node_modules").symlink_to(shared / "node_modules")
    run(pantry, "npm", "run", "vendor")
    run(pantry, "uv", "sync", "--quiet", "--compile-bytecode")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def environment() -> Mapping[str, str]:
    """As in a user's shell: the uv that runs these tests is there, their own settings are not."""
    mine = ("VIRTUAL_ENV", "PYTEST_", "COLUMNS", "FORCE_COLOR", "npm_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    if uv := os.environ.get("UV"):
        env["PATH"] = f"{Path(uv).parent}{os.pathsep}{env['PATH']}"
    return env


def run(project: Path, *command: str) -> str:
    """Run a command in the project; what it printed. Fails the test with that when it fails."""
    process = subprocess.run(
        command,
        cwd=project,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if process.returncode != 0:
        pytest.fail(f"{' '.join(command)} ended with {process.returncode}:\n{process.stdout}")
    return process.stdout


def read_to(lines: Iterable[str], end: str) -> str:
    """All up to the first line that has `end` in it."""
    printed = ""
    for line in lines:
        printed += line
        if end in line:
            return printed
    pytest.fail(f"there was no {end} in:\n{printed}")


def press_ctrl_c(process: subprocess.Popen[str], folder: Path) -> None:
    """Interrupt the process and all that it started in a folder, which is to end, all and soon."""
    os.killpg(process.pid, signal.SIGINT)
    process.wait(30)
    nothing_left(process.pid, folder)


def nothing_left(group: int, folder: Path) -> None:
    """Wait for the end of a group of processes and of all that they started in a folder."""
    deadline = time.monotonic() + 30
    while left := _running(group, folder):
        assert time.monotonic() < deadline, f"something was left running: {left}"
        time.sleep(0.05)


def _running(group: int, folder: Path) -> list[str]:
    """What is left of a group of processes and, on Linux, of those whose current folder this is."""
    found: list[str] = []
    with suppress(ProcessLookupError):
        os.killpg(group, 0)
        found.append(f"group {group}")
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found
