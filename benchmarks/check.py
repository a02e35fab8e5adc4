"""How long `forge check` takes, beside `ruff check` and `deptry` on the same trees.

    uv run --group dev --with deptry python benchmarks/check.py

A generated project, and trees of 10, 100 and 1,000 modules like its own: whole processes, in turn,
with warm file caches and cached bytecode. Prints a Markdown table of medians, and of the fastest
runs, in seconds, and how many times as long as `deptry` the check takes. What is written in Python
and reads Python cannot go below `ast.parse`, a process that parses each file and does nothing else.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

ROUNDS = 15
SIZES = (10, 100, 1000)
PARSE = """
import ast, pathlib
for path in pathlib.Path().rglob("*.py"):
    ast.parse(path.read_bytes())
"""

TOOLS: dict[str, Sequence[str]] = {
    "forge check": ("forge", "check", "."),
    "ruff check": ("ruff", "check", "--no-cache", "--quiet", "."),
    "deptry": ("deptry", "."),
    "ast.parse": (sys.executable, "-c", PARSE),
}


def generated(folder: Path) -> Path:
    """A project as `forge new` makes it."""
    command = ["forge", "new", folder, "--defaults"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def grown(project: Path, folder: Path, modules: int) -> Path:
    """The project with as many modules as asked for: copies of its own, under other names."""
    shutil.copytree(project, folder)
    own = sorted(path for path in (folder / "src" / "service").rglob("*.py") if path.stat().st_size)
    more = folder / "src" / "more"
    more.mkdir()
    for number in range(modules - len(own)):
        shutil.copy(own[number % len(own)], more / f"module_{number}.py")
    for path in own[modules:]:
        path.unlink()
    return folder


def seconds(command: Sequence[str], folder: Path) -> float:
    """The time of one process, from start to end."""
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    start = perf_counter()
    subprocess.run(command, cwd=folder, env=variables, check=False, capture_output=True)
    return perf_counter() - start


def row(name: str, folder: Path) -> str:
    """The tools in turn on one tree, so that whatever else the machine does hits all of them."""
    times: dict[str, list[float]] = {tool: [] for tool in TOOLS}
    for turn in range(ROUNDS + 1):
        for tool, command in TOOLS.items():
            taken = seconds(command, folder)
            if turn:
                times[tool].append(taken)
    count = sum(1 for _ in folder.rglob("*.py"))
    cells = (f"{median(taken):.3f} ({min(taken):.3f})" for taken in times.values())
    ratio = median(times["forge check"]) / median(times["deptry"])
    return f"| {name} | {count} | {' | '.join(cells)} | {ratio:.2f} |"


def main() -> None:
    """Print the table."""
    versions = ", ".join(f"{tool} {version(tool)}" for tool in ("ruff", "deptry"))
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{date.today():%Y-%m-%d}, {machine}, {versions}")  # noqa: DTZ011 - for a person
    print(f"median of {ROUNDS} (fastest), in seconds\n")
    print(f"| Tree | Python files | {' | '.join(TOOLS)} | forge check / deptry |")
    print(f"|{' --- |' * (len(TOOLS) + 3)}")
    with TemporaryDirectory() as scratch:
        project = generated(Path(scratch) / "generated")
        print(row("generated project", project), flush=True)
        for size in SIZES:
            tree = grown(project, Path(scratch) / str(size), size)
            print(row(f"{size} modules", tree), flush=True)


if __name__ == "__main__":
    main()
