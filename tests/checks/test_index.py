"""What `forge check --index` says after asking the package index, here one on this machine."""

import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.audit import index
from tests.audit.index import LINUX, release
from tests.support import write

RELEASES = [
    *index.RELEASES,
    # the last pure release has another interface
    release("left-behind", "1.9"),
    release("left-behind", "2.1", LINUX),
    release("patched", "2.0.1"),
    release("patched", "2.0.2", LINUX),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("index")
    for one in RELEASES:
        index.wheel(made, one)
    return made


@pytest.fixture(scope="module")
def asked(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with index.served(folder) as address:
        yield index.environment(address, tmp_path_factory.mktemp("cache"))


FORGE = (sys.executable, "-m", "forge_scaffold")
NOTHING = "No findings.\n"


def check(
    environment: Mapping[str, str], folder: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FORGE, "check", folder, "--select=DEP006,DEP012", *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def project(folder: Path, *dependencies: str, lock: str = "") -> Path:
    listed = "".join(f'  "{each}",\n' for each in dependencies)
    files = {"pyproject.toml": f'[project]\nname = "x"\ndependencies = [\n{listed}]\n'}
    write(folder, files | ({"requirements/worker.txt": lock} if lock else {}))
    return folder


@pytest.mark.parametrize(
    "requirement", ["leaf", "two-builds>=2", "two-builds>1.10,<2", "pillow", "patched>=2"]
)
def test_nothing_about_what_runs(
    asked: Mapping[str, str], tmp_path: Path, requirement: str
) -> None:
    told = check(asked, project(tmp_path, requirement), "--index")
    assert (told.returncode, told.stdout) == (0, NOTHING)


@pytest.mark.parametrize(
    ("requirement", "finding"),
    [
        (
            "compiled",
            (
                "error[DEP006]: compiled: neither 1.0 nor an older release of any version has a "
                "wheel that runs in a Worker; none runs: replace it"
            ),
        ),
        (
            "left-behind>=2",
            (
                "error[DEP006]: left-behind: neither 2.1 nor an older release of >=2 has a wheel "
                "that runs in a Worker; the newest that runs is 1.9"
            ),
        ),
        (
            "left-behind",
            (
                "warning[DEP012]: left-behind: resolves to 1.9 for a Worker, as 2.1 has no wheel "
                "that runs there; replace it, or say that you mean 1.9"
            ),
        ),
        # Pyodide builds an older one.
        (
            "pillow>=13",
            (
                "error[DEP006]: pillow: neither 13.0 nor an older release of >=13 has a wheel that "
                "runs in a Worker; the newest that runs is 12.2.0"
            ),
        ),
        (
            "older-python",
            (
                "error[DEP006]: older-python: neither 2.0 nor an older release of any version has "
                "a wheel that runs in a Worker; none runs: replace it"
            ),
        ),
    ],
)
def test_what_does_not_run(
    asked: Mapping[str, str], tmp_path: Path, requirement: str, finding: str
) -> None:
    told = check(asked, project(tmp_path, requirement), "--index").stdout
    assert told.splitlines()[0] == finding


def test_a_locked_version_is_the_one_that_counts(asked: Mapping[str, str], tmp_path: Path) -> None:
    lock = "compiled==1.0 --hash=sha256:aa\nleft-behind==1.9 --hash=sha256:bb\n"
    told = check(asked, project(tmp_path, "left-behind", lock=lock), "--index").stdout
    assert told.splitlines()[0] == (
        "error[DEP006]: compiled 1.0: the index has no wheel of it that runs in a Worker; none "
        "runs: replace it"
    )
    assert "Found 1 error." in told


def test_nobody_is_asked_without_being_told_to(asked: Mapping[str, str], tmp_path: Path) -> None:
    told = check(asked, project(tmp_path, "compiled"))
    assert (told.returncode, told.stdout, told.stderr) == (0, NOTHING, "")


def test_what_the_index_does_not_have_is_said_and_no_finding(
    asked: Mapping[str, str], tmp_path: Path
) -> None:
    told = check(asked, project(tmp_path, "nowhere", "leaf"), "--index")
    assert (told.returncode, told.stdout) == (0, NOTHING)
    assert "not on the index, and not judged: nowhere" in told.stderr


def test_an_answer_counts_when_the_index_is_gone(folder: Path, tmp_path: Path) -> None:
    name = project(tmp_path / "x", "compiled", "leaf")
    with index.served(folder) as address:
        environment = index.environment(address, tmp_path / "cache")
        first = check(environment, name, "--index")
    assert "DEP006" in first.stdout
    assert check(environment, name, "--index").stdout == first.stdout
    for kept in (tmp_path / "cache").rglob("*.json"):  # of long ago
        kept.write_text(kept.read_text().replace('"at": ', '"at": 1e9, "was": '))
    assert check(environment, name, "--index").stdout == first.stdout


def test_an_index_that_is_gone_is_said_and_no_finding(folder: Path, tmp_path: Path) -> None:
    with index.served(folder) as address:
        environment = index.environment(address, tmp_path / "cache")
    told = check(environment, project(tmp_path / "x", "compiled", "leaf"), "--index")
    assert (told.returncode, told.stdout) == (0, NOTHING)
    assert "no answer from the index, and not judged: compiled, leaf" in told.stderr
    assert not list((tmp_path / "cache").rglob("*.json"))


@pytest.mark.parametrize("kept", [b"", b"{}", b"[]", b"\xff", b'{"at": "x", "anywhere": 1}'])
def test_a_spoilt_cache_is_asked_anew(
    asked: Mapping[str, str], tmp_path: Path, kept: bytes
) -> None:
    environment = {**asked, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    name = project(tmp_path / "x", "compiled")
    before = check(environment, name, "--index").stdout
    for file in (tmp_path / "cache").rglob("*.json"):
        file.write_bytes(kept)
    assert "DEP006" in before
    assert check(environment, name, "--index").stdout == before


def test_a_password_of_the_index_is_kept_nowhere(folder: Path, tmp_path: Path) -> None:
    with index.served(folder) as address:
        secret = address.replace("//", "//me:hunter2@")
        environment = index.environment(secret, tmp_path / "cache")
        told = check(environment, project(tmp_path / "x", "compiled", "nowhere"), "--index")
    assert "DEP006" in told.stdout
    assert "hunter2" not in told.stdout + told.stderr
    kept = [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if b"hunter2" in file.read_bytes()]


def test_a_terminal_sees_how_far_it_is_and_then_forgets_it(
    asked: Mapping[str, str], tmp_path: Path
) -> None:
    environment = {**asked, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*FORGE, "check", project(tmp_path / "x", "leaf", "plain"), "--index", "--select=DEP006"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while part := _read(ours):
        shown += part
    os.close(ours)
    assert process.communicate()[0] == NOTHING.encode()
    assert b"Asking the index: 1 of 2 ..." in shown
    assert shown.endswith(b"\r\x1b[K")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1000)
    except OSError:  # Linux: nobody is on the other side any more
        return b""


def test_ctrl_c_ends_pip_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/simple/"
        process = subprocess.Popen(
            [*FORGE, "check", project(tmp_path / "x", "leaf"), "--index", "--select=DEP006"],
            env=index.environment(address, tmp_path / "cache"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = silent.accept()  # pip asks, and waits
        with connection:
            connection.settimeout(30)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
            while connection.recv(1000):
                """Its question; then the end, because pip is gone."""
    assert process.returncode == 130
    assert errors.endswith("stopped; nothing was left behind\n")
