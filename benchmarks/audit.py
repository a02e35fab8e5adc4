"""How long `forge audit` takes, beside what else would say whether a project resolves for Workers.

    uv run python benchmarks/audit.py [PROJECT ...]

Whole processes against the index that pip is configured for. Cold: with empty caches. Warm: once
more, with what the cold runs left in them. PROJECT is a folder; without one, the founding
document's project. Prints a Markdown table: seconds, and what each says.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

FOUNDING = Path(__file__).parents[1] / "tests" / "audit" / "fixtures" / "founding"

ROUNDS = 3


def commands(project: Path, folder: Path) -> dict[str, Sequence[str | Path]]:
    """What is measured; the requirements lie in the folder."""
    requirements = folder / "requirements.txt"
    pip = (sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed")
    worker = (
        "--platform=pyemscripten_2026_0_wasm32",
        "--implementation=cp",
        "--python-version=314",
    )
    wheels = "--only-binary=:all:"
    report = f"--report={folder / 'report.json'}"
    target = f"--target={folder / 'target'}"
    uv = ("uv", "pip", "compile", "--quiet", "--no-header", "--python-version=3.13")
    return {
        "forge audit": ("forge", "audit", project, "--format", "json"),
        "pip install --dry-run": (
            *pip,
            *worker,
            "--python-version=3.14",
            wheels,
            report,
            target,
            "-r",
            requirements,
        ),
        "uv pip compile": (*uv, "--python-platform=wasm32-pyodide2025", wheels, requirements),
    }


def seconds(command: Sequence[str | Path], cache: Path) -> tuple[float, str, int]:
    """The time of one process with its caches in a folder, its words, and its exit code."""
    variables = {
        **os.environ,
        "XDG_CACHE_HOME": str(cache),
        "PIP_CACHE_DIR": str(cache / "pip"),
        "UV_CACHE_DIR": str(cache / "uv"),
    }
    start = perf_counter()
    run = subprocess.run(command, env=variables, check=False, capture_output=True, text=True)
    return perf_counter() - start, run.stdout or run.stderr, run.returncode


def declared(project: Path, cache: Path) -> list[str]:
    """The project's requirements, as the audit reads them."""
    _, told, code = seconds(("forge", "audit", project, "--format", "json", "--offline"), cache)
    if not told.startswith("{"):
        sys.exit(f"{project}: {code}: {told}")
    return [row["declared"] for row in json.loads(told)["dependencies"]]


def row(name: str, tool: str, project: Path, folder: Path) -> str:
    """One tool on one project: the fastest of several cold runs, and of several warm ones."""
    cold, warm = [], []
    words, code = "", 0
    for _ in range(ROUNDS):
        with TemporaryDirectory(dir=folder) as cache:
            command = commands(project, folder)[tool]
            cold.append(seconds(command, Path(cache))[0])
            taken, words, code = seconds(command, Path(cache))
            warm.append(taken)
    last = "a report" if words.startswith("{") else (words.strip().splitlines() or ["-"])[-1][:100]
    return f"| {name} | `{tool}` | {min(cold):.1f} | {min(warm):.1f} | {code} | {last} |"


def main() -> None:
    """Print the table."""
    uv = subprocess.run(["uv", "--version"], check=True, capture_output=True, text=True).stdout
    versions = f"Python {platform.python_version()}, pip {version('pip')}, {uv.strip()}"
    print(f"{date.today():%Y-%m-%d}, {os.cpu_count()} cores, {versions}")  # noqa: DTZ011
    print(f"the fastest of {ROUNDS}, in seconds\n")
    print("| Project | Command | Cold | Warm | Exit code | Last words |\n|" + " --- |" * 6)
    for project in map(Path, sys.argv[1:] or [FOUNDING]):
        with TemporaryDirectory() as scratch:
            folder = Path(scratch)
            texts = declared(project, folder)
            (folder / "requirements.txt").write_text("\n".join(texts), encoding="utf-8")
            name = f"{project.resolve().name} ({len(texts)})"
            for tool in commands(project, folder):
                print(row(name, tool, project, folder), flush=True)


if __name__ == "__main__":
    main()
