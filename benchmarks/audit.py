"""How long `forge audit` takes, beside what else would say whether a project resolves for Workers.

    uv run python benchmarks/audit.py [--rounds N] [PROJECT ...]

Whole processes against the index that pip is configured for, in turn. Cold: with empty caches.
Warm: once more, with what the cold runs left in them. PROJECT is a folder; without one, the
founding document's project. Prints a Markdown table: seconds, and what each says; then how many
times as long as uv the audit takes.
"""

import json
import os
import platform
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

FOUNDING = Path(__file__).parents[1] / "tests" / "audit" / "fixtures" / "founding"

AUDIT, UV = "forge audit", "uv pip compile"


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
        AUDIT: ("forge", "audit", project, "--format", "json"),
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
        UV: (*uv, "--python-platform=wasm32-pyodide2025", wheels, requirements),
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


class Runs:
    """What one tool took on one project, and its last words."""

    def __init__(self) -> None:
        self.cold: list[float] = []
        self.warm: list[float] = []
        self.words, self.code = "", 0

    def add(self, command: Sequence[str | Path], cache: Path) -> None:
        """Run it with an empty cache, and once more."""
        self.cold.append(seconds(command, cache)[0])
        taken, self.words, self.code = seconds(command, cache)
        self.warm.append(taken)

    def __str__(self) -> str:
        words = self.words.strip().splitlines() or ["-"]
        last = "a report" if words[0].startswith("{") else words[-1][:100]
        return f"{min(self.cold):.1f} | {min(self.warm):.1f} | {self.code} | {last}"


def measured(project: Path, folder: Path, rounds: int) -> dict[str, Runs]:
    """The tools in turn on one project, so that whatever else the machine does hits all of them."""
    tools = commands(project, folder)
    runs = {tool: Runs() for tool in tools}
    for _ in range(rounds):
        for tool, command in tools.items():
            with TemporaryDirectory(dir=folder) as cache:
                runs[tool].add(command, Path(cache))
    return runs


def ratios(projects: Sequence[Path], rounds: int) -> Iterator[float]:
    """How many times as long as uv a cold audit takes; prints a row a tool on the way."""
    for project in projects:
        with TemporaryDirectory() as scratch:
            folder = Path(scratch)
            texts = declared(project, folder)
            (folder / "requirements.txt").write_text("\n".join(texts), encoding="utf-8")
            runs = measured(project, folder, rounds)
        for tool, each in runs.items():
            print(f"| {project.resolve().name} ({len(texts)}) | `{tool}` | {each} |", flush=True)
        yield min(runs[AUDIT].cold) / min(runs[UV].cold)


def main() -> None:
    """Print the table."""
    parser = ArgumentParser()
    parser.add_argument("projects", nargs="*", type=Path, default=[FOUNDING], metavar="PROJECT")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    uv = subprocess.run(["uv", "--version"], check=True, capture_output=True, text=True).stdout
    versions = f"Python {platform.python_version()}, pip {version('pip')}, {uv.strip()}"
    print(f"{date.today():%Y-%m-%d}, {os.cpu_count()} cores, {versions}")  # noqa: DTZ011
    print(f"the fastest of {args.rounds}, in seconds\n")
    print("| Project | Command | Cold | Warm | Exit code | Last words |\n|" + " --- |" * 6)
    found = list(ratios(args.projects, args.rounds))
    print(f"\n{AUDIT} / {UV}, cold: median {median(found):.2f}, worst {max(found):.2f}")


if __name__ == "__main__":
    main()
