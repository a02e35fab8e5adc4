"""What the README's first command downloads."""

import re
import subprocess
import tomllib
from typing import Any

import pytest
from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from tests.support import REPOSITORY, UV

MEGABYTE = 1_000_000


def lock(*command: str, given: str = "") -> dict[str, Any]:
    """The packages that uv would install, with the index's sizes of their wheels."""
    process = subprocess.run(
        [UV, *command, "--quiet", "--format", "pylock.toml"],
        cwd=REPOSITORY,
        input=given,
        check=False,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    packages = tomllib.loads(process.stdout)["packages"]
    return {package["name"]: package for package in packages if "wheels" in package}


def download(package: dict[str, Any]) -> int:
    """The bytes of the wheel that fits this machine best."""
    rank = {tag: number for number, tag in enumerate(sys_tags())}
    sizes = {
        min(rank[tag] for tag in fitting): wheel["size"]
        for wheel in package["wheels"]
        if (fitting := parse_wheel_filename(wheel["url"].rpartition("/")[2])[3] & rank.keys())
    }
    return int(sizes[min(sizes)])


@pytest.fixture(scope="module")
def first_step() -> dict[str, Any]:
    """What `./uvw run forge new` needs: uv, the build of this project, its dependencies."""
    minimum = re.search(r"MINIMUM = \((\d+), (\d+), (\d+)\)", (REPOSITORY / "uvw").read_text())
    assert minimum
    build = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["build-system"]["requires"]
    tools = "\n".join([f"uv>={'.'.join(minimum.groups())},<1", *build])
    return {**lock("pip", "compile", "-", given=tools), **lock("export")}


def test_the_first_command_downloads_30_mb_at_most(first_step: dict[str, Any]) -> None:
    sizes = {name: download(package) for name, package in first_step.items()}
    assert {"uv", "hatchling", "copier", "pip", "typer"} <= sizes.keys()
    total = sum(sizes.values()) / MEGABYTE
    assert total <= 30, sorted(sizes.items(), key=lambda item: -item[1])[:10]


def test_it_needs_nothing_of_the_tests(first_step: dict[str, Any]) -> None:
    tests = lock("export", "--only-group", "dev")
    assert {"pytest", "ruff", "mypy"} <= tests.keys()
    assert not {"pytest", "ruff", "mypy", "hypothesis"} & first_step.keys()
