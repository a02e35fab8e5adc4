"""`./uvw`: uv, brought along."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

from tests.support import REPOSITORY


@pytest.fixture
def uvw(tmp_path: Path) -> Path:
    """A copy of the script in a folder of its own."""
    return Path(copy(REPOSITORY / "uvw", tmp_path))


def path_without_uv(folder: Path) -> str:
    """A PATH with what the README names, and no uv."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "python3").symlink_to(sys.executable)
    return f"{programs}:/usr/bin:/bin"


def stand_in(folder: Path, version: str) -> str:
    """A PATH whose uv says this version, and otherwise what it was told."""
    folder.mkdir()
    uv = folder / "uv"
    uv.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "uv {version}" || echo "told: $@"\n')
    uv.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def run(uvw: Path, path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, uvw, *arguments],
        env={**os.environ, "PATH": path},
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_new_enough_uv_on_the_path_is_used(tmp_path: Path, uvw: Path) -> None:
    done = run(uvw, stand_in(tmp_path / "bin", "0.13.4"), "run", "forge", "--help")
    assert done.stdout == "told: run forge --help\n"
    assert not (tmp_path / ".uv").exists()


def test_without_one_uv_is_fetched_once_and_kept(tmp_path: Path, uvw: Path) -> None:
    path = path_without_uv(tmp_path)
    first = run(uvw, path, "--version")
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("uv 0.")
    assert first.stderr == "uvw: fetching uv, once ...\n"
    assert sorted(kept.name for kept in (tmp_path / ".uv").iterdir()) == ["uv", "uvx"]
    second = run(uvw, path, "--version")
    assert (second.stdout, second.stderr) == (first.stdout, "")
    third = run(uvw, stand_in(tmp_path / "old", "0.13.3"), "--version")
    assert third.stdout == first.stdout


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where uvw has fetched uv."""
    folder = tmp_path_factory.mktemp("fetched")
    done = run(Path(copy(REPOSITORY / "uvw", folder)), path_without_uv(folder), "--version")
    assert done.returncode == 0, done.stderr
    return folder


def test_what_uv_runs_finds_uvx_and_the_same_uv(tmp_path: Path, fetched: Path) -> None:
    path = stand_in(tmp_path / "old", "0.13.3")
    which = "import shutil; print(shutil.which('uv'), shutil.which('uvx'))"
    found = run(fetched / "uvw", path, "run", "--no-project", "python", "-c", which)
    assert found.stdout == f"{fetched / '.uv' / 'uv'} {fetched / '.uv' / 'uvx'}\n", found.stderr
    uvx = subprocess.run(
        [fetched / ".uv" / "uvx", "--version"], check=True, capture_output=True, text=True
    )
    assert uvx.stdout.startswith("uvx 0.")


@pytest.mark.parametrize("missing", ["uv", "uvx"])
def test_half_of_it_is_completed(tmp_path: Path, uvw: Path, fetched: Path, missing: str) -> None:
    copytree(fetched / ".uv", tmp_path / ".uv", ignore=ignore_patterns(missing))
    assert run(uvw, path_without_uv(tmp_path), "--version").stdout.startswith("uv 0.")
    assert sorted(kept.name for kept in (tmp_path / ".uv").iterdir()) == ["uv", "uvx"]


def test_pips_own_failure_is_shown(tmp_path: Path, uvw: Path) -> None:
    environment = {
        "PATH": path_without_uv(tmp_path),
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
    }
    done = subprocess.run(
        [sys.executable, uvw, "--version"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "No matching distribution" in done.stderr
    assert "uvw: cannot install uv with pip" in done.stderr
    assert not list((tmp_path / ".uv").iterdir())


def test_a_stop_while_fetching_leaves_nothing_half_done(tmp_path: Path, uvw: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, uvw, "--version"],
        env={**os.environ, "PATH": path_without_uv(tmp_path)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == b"uvw: fetching uv, once ...\n"
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert not list((tmp_path / ".uv").glob("uv"))


def test_an_old_python_says_so(uvw: Path) -> None:
    program = f"""
import sys, runpy
sys.version_info = (3, 9, 1)
runpy.run_path({str(uvw)!r}, run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == "uvw: this is Python 3.9; Python 3.11 or newer is needed\n"
