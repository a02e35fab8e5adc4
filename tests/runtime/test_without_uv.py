"""Documented commands on a machine that has Node, npm and Python, and no uv on its PATH."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.runtime.conftest import Make, environment

COMMANDS = [
    "npm run pytest -- -q tests/test_health.py",
    "npm run uv run ruff check",
    "npm run uv run ruff format -- --check",
    "npm run uv run mypy -- --version",
    "npm run forge check",
]
HOOKS = yaml.safe_load(
    (Path(__file__).parents[2] / "template/.pre-commit-config.yaml").read_text(encoding="utf-8")
)["repos"][0]["hooks"]


@pytest.fixture(scope="module")
def project(make: Make) -> Path:
    return make({"database": "turso"})


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of such a machine; instead of Forge, `echo`."""
    programs = tmp_path_factory.mktemp("bin")
    for name in ("node", "npm", "npx"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(Path(found).resolve())
    python = Path(sys.base_prefix) / "bin" / "python3"
    (programs / "python3").write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
    (programs / "python3").chmod(0o755)
    others = [folder for folder in ("/usr/bin", "/bin") if not Path(folder, "uv").exists()]
    path = os.pathsep.join([str(programs), *others])
    assert not shutil.which("uv", path=path)
    return {**environment(), "PATH": path, "FORGE": "echo"}


def ask(project: Path, env: dict[str, str], command: str) -> tuple[int, str]:
    process = subprocess.run(
        ["sh", "-c", command],
        cwd=project,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
    )
    return process.returncode, process.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_documented_command_runs_without_uv(
    project: Path, env: dict[str, str], command: str
) -> None:
    code, printed = ask(project, env, command)
    assert code == 0, printed


@pytest.mark.parametrize("hook", HOOKS[1:], ids=lambda hook: str(hook["id"]))
def test_a_hook_runs_without_uv(
    project: Path, env: dict[str, str], hook: dict[str, object]
) -> None:
    files = "" if hook.get("pass_filenames") is False else " src/entry.py"
    code, printed = ask(project, env, f"{hook['entry']}{files}")
    assert code == 0, printed


@pytest.mark.parametrize("script", ["dev", "deploy", "deploy:staging", "deploy:production"])
def test_pywrangler_finds_uv(project: Path, env: dict[str, str], script: str) -> None:
    command = "--help" if script == "dev" else "--dry-run"
    _, printed = ask(project, env, f"npm run {script} -- {command}")
    # It has uv fetch a Python for Workers, which asks for more of the network than PyPI.
    assert re.search(r"uv venv|--dry-run: exiting now|wrangler dev", printed), printed
    assert "uv: not found" not in printed


def test_no_document_asks_for_a_uv_on_the_path(project: Path) -> None:
    for name in ("README.md", "package.json", ".pre-commit-config.yaml"):
        text = (project / name).read_text(encoding="utf-8")
        assert not re.findall(r'(?m)(?:^\$ |[`"]|entry: )uvx? .*', text)
