"""How long `forge new` takes, beside `copier copy` of the same template.

    uv run --group dev python benchmarks/new.py

Whole processes, in turn, with warm file caches and cached bytecode. `copier copy` renders the
release that Forge renders; it neither checks the project nor commits it. Prints a Markdown table of
medians, and of the fastest runs, in seconds.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

ROUNDS = 15
BUNDLE = Path(__file__).resolve().parents[1] / "releases" / "template.bundle"

PROGRAMS = Path(sys.executable).parent

TOOLS: dict[str, Sequence[str | Path]] = {
    "forge new": (PROGRAMS / "forge", "new", "my-service", "--defaults"),
    "forge new --no-git": (PROGRAMS / "forge", "new", "my-service", "--defaults", "--no-git"),
    "copier copy": (PROGRAMS / "copier", "copy", "--quiet", "--defaults", BUNDLE, "my-service"),
}


def seconds(command: Sequence[str | Path], folder: Path) -> float:
    """The time of one process that makes a project, from start to end."""
    start = perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    taken = perf_counter() - start
    rmtree(folder / "my-service")
    return taken


def main() -> None:
    """Print the table."""
    times: dict[str, list[float]] = {tool: [] for tool in TOOLS}
    with TemporaryDirectory() as scratch:
        for turn in range(ROUNDS + 1):
            for tool, command in TOOLS.items():
                taken = seconds(command, Path(scratch))
                if turn:
                    times[tool].append(taken)
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{date.today():%Y-%m-%d}, {machine}, copier {version('copier')}")  # noqa: DTZ011 - for a person
    print(f"median of {ROUNDS} (fastest), in seconds\n")
    print("| | Time | Of `copier copy` |\n| --- | --- | --- |")
    for tool, taken in times.items():
        share = median(taken) / median(times["copier copy"])
        print(f"| `{tool}` | {median(taken):.2f} ({min(taken):.2f}) | {share:.2f} |")


if __name__ == "__main__":
    main()
