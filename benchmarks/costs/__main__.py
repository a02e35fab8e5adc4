"""Measure what a generated Worker costs on workerd, beside what else a user could deploy.

    ./uvw run --group bench python -m benchmarks.costs [--write-docs]

Needs what the README asks for (git, Python, Node with npm), PyPI and npm. Everything is made in a
scratch folder, which is removed at the end. Prints Markdown; a whole run takes about 40 minutes on
an otherwise idle machine, --quick a few.
"""

import argparse
import os
import platform
import re
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import date
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.costs.measures import FULL, MEASURES, QUICK, Bench
from benchmarks.costs.processes import CommandError, progress
from benchmarks.costs.report import page, report
from benchmarks.costs.results import Results
from benchmarks.costs.workerd import UnexpectedAnswerError, make_snapshot
from benchmarks.costs.workers import REPOSITORY, make, make_home, versions

DOCS = REPOSITORY / "docs" / "explanation"
PAGE, PICTURE, DATA = DOCS / "costs.md", DOCS / "costs.svg", DOCS / "costs.json"


def main() -> int:
    """Run the command.

    Returns:
        Its exit code: 0, 1 when a Worker or a tool failed, 130 after Ctrl-C. Wrong arguments exit
        with 2 and SIGTERM with 143.
    """
    parser = _parser()
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: at least 1 is needed")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.pop("VIRTUAL_ENV", None)  # ours, not that of the projects
    os.environ["WRANGLER_SEND_METRICS"] = "false"
    try:
        results, failed = (
            (_read(options.read, parser), False) if options.read else _measure(options)
        )
    except KeyboardInterrupt:
        return 130
    except CommandError as error:
        progress(f"error: {error}")
        return 1
    print(report(results))
    if options.write_docs and not failed:
        _write(results, DATA, PICTURE)
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    _write(results, options.json, options.picture)
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.costs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, help=f"instead of {FULL.rounds}")
    parser.add_argument(
        "--only",
        action="append",
        choices=MEASURES,
        help="measure only this; repeatable",
    )
    parser.add_argument("--quick", action="store_true", help="see that it works; without npm test")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write the picture, an SVG")
    parser.add_argument("--write-docs", action="store_true", help="write docs/explanation/costs.*")
    parser.add_argument(
        "--read", type=Path, metavar="FILE", help="measure nothing: take the figures of --json"
    )
    return parser


def _read(file: Path, parser: argparse.ArgumentParser) -> Results:
    try:
        return Results.model_validate_json(file.read_bytes())
    except (OSError, ValueError) as error:
        parser.error(f"--read {file}: {error}")


def _measure(options: argparse.Namespace) -> tuple[Results, bool]:
    """Measure what the options ask for.

    Returns:
        The figures, and whether some are missing because a Worker or a tool failed.

    Raises:
        CommandError: the Workers could not be made.
    """
    effort = QUICK if options.quick else FULL
    if options.rounds:
        effort = replace(effort, rounds=options.rounds)
    names = options.only or [name for name in MEASURES if not (options.quick and name == "tests")]
    chosen = [MEASURES[name] for name in names]
    wanted = {worker for measure in chosen for worker in measure.workers}
    with TemporaryDirectory(prefix="forge-costs-") as scratch:
        os.environ["TMPDIR"] = scratch  # for what Miniflare and npm leave when they are killed
        home = make_home(Path(scratch))
        workers = {name: make(name, home) for name in sorted(wanted)}
        if {*names} - {"upload", "tests"}:
            for worker in workers.values():
                make_snapshot(worker, home)
        results = Results(
            day=date.today(),  # noqa: DTZ011 - for a person
            machine=_machine(),
            rounds=effort.rounds,
            quick=options.quick,
            versions=versions(home, [*workers.values()]),
            workers={},
        )
        failed = False
        for name, measure in zip(names, chosen, strict=True):
            try:
                measure.take(Bench(workers, home, effort, results))
            except (CommandError, UnexpectedAnswerError, OSError, HTTPException) as error:
                # The others took long enough to be worth keeping.
                progress(f"error: {name}: {error}")
                failed = True
    return results, failed


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    parts = [f"{platform.system()} {platform.machine()}", f"{os.cpu_count()} cores"]
    with suppress(OSError):  # only Linux has it
        model = re.search(r"(?m)^model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
        parts[1:1] = [model[1]] if model else []
    return ", ".join([*parts, f"{memory:.0f} GiB"])


def _write(results: Results, data: Path | None, drawn: Path | None) -> None:
    if data:
        data.write_text(results.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if drawn:
        from benchmarks.costs.picture import picture

        picture(results, drawn)


if __name__ == "__main__":
    sys.exit(main())
