"""`python -m benchmarks.costs` reports what it measured."""

import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import psutil
import pytest

from benchmarks.costs.processes import CommandError, run, started
from benchmarks.costs.report import BEGIN, END, difference, growth, page, ratio, report
from benchmarks.costs.results import Figures, Results
from benchmarks.costs.workers import ALTERNATIVES, APPS, OURS
from tests.support import REPOSITORY


def results(**workers: Figures) -> Results:
    return Results(
        day=date(2026, 11, 27),
        machine="Linux x86_64, 2 cores, 24 GiB",
        rounds=3,
        quick=False,
        versions={"workerd": "1.20261117.1"},
        workers=workers,
    )


MEASURED = results(
    hello=Figures(cold_s=[0.4, 0.5, 9.0], healthz_ms=[1.0]),
    minimal=Figures(cold_s=[0.6]),
    default=Figures(
        healthz_ms=[1.3],
        first_chat_ms=[135.0],
        next_chat_ms=[36.0],
        instant_chat_ms=[12.0],
        chunk_ms=[0.5],
        memory_mib=[*enumerate([300, 350, 390, 410, 405, 405, 405, 415])],
    ),
    full=Figures(cold_s=[0.7, 0.6, 0.65], snapshot_bytes=54_500_000, gzip_bytes=2_831_155),
    fastapi=Figures(cold_s=[1.0, 1.1, 0.9], snapshot_bytes=54_477_376),
    **{"by-hand": Figures(instant_chat_ms=[10.0], chunk_ms=[0.4])},
)


def row(title: str) -> list[str]:
    """The cells after the first of a row whose first begins so."""
    found = re.search(rf"^\| {re.escape(title)}[^|]*\|(.*)\|$", report(MEASURED), re.MULTILINE)
    assert found, title
    return [cell.strip() for cell in found[1].split("|")]


def test_a_figure_is_the_median_of_its_rounds() -> None:
    assert MEASURED.workers["hello"].median("cold_s") == 0.5
    assert MEASURED.workers["full"].median("snapshot_bytes") == 54_500_000
    assert Figures().median("cold_s") is None
    assert Figures().median("snapshot_bytes") is None


def test_a_ratio_is_one_of_medians() -> None:
    assert ratio(MEASURED, "cold_s", "full", "fastapi") == pytest.approx(0.65)
    assert ratio(MEASURED, "cold_s", "full", "sqlalchemy") is None
    assert ratio(MEASURED, "gzip_bytes", "fastapi", "full") is None


def test_a_share_is_what_is_left_without_the_worker_by_hand() -> None:
    assert difference(MEASURED, "instant_chat_ms", "default", "by-hand") == pytest.approx(2)
    assert difference(MEASURED, "instant_chat_ms", "full", "by-hand") is None


def test_memory_that_levels_off_does_not_grow() -> None:
    assert growth([(n, 300.0) for n in range(8)]) == 0
    assert growth([(n, 100.0 * n) for n in range(1, 9)]) == pytest.approx(7.5 / 3.5 - 1)
    assert growth([(0, 300.0)]) is None


@pytest.mark.parametrize(
    ("title", "cells"),
    [
        (
            "Cold start of the full preset",
            [
                "0.65 ×",
                "≤ 0.65 ×",
                "met",
                "Forge, full 0.65 s, FastAPI + httpx 1.00 s, SDK's hello 0.50 s",
            ],
        ),
        (
            "Cold start of the minimal preset",
            ["1.20 ×", "≤ 1.10 ×", "**not met**", "Forge, minimal 0.60 s, SDK's hello 0.50 s"],
        ),
        (
            "Snapshot of the full preset",
            ["54.5 MB", "≤ 45.0 MB", "**not met**", "FastAPI + httpx 54.5 MB"],
        ),
        ("Upload of the full preset, gzip", ["2.7 MiB", "≤ 2.2 MiB", "**not met**", ""]),
        ("First `/v1/chat`", ["3.8 ×", "≤ 1.5 ×", "**not met**", ""]),
        (
            "Our share of a warm",
            ["2.0 ms", "≤ 3.0 ms", "met", "Forge, default 12.0 ms, SDK, by hand 10.0 ms"],
        ),
        ("Memory growth", ["2.5%", "≤ 5.0%", "met", ""]),
    ],
)
def test_a_goal_stands_beside_what_was_measured(title: str, cells: list[str]) -> None:
    assert row(title) == cells


def test_what_was_not_measured_has_no_row_and_no_figure() -> None:
    told = report(MEASURED)
    assert "npm test" not in told
    assert "pydantic hello" not in told
    assert "None" not in told
    assert row("SDK's hello") == ["0.50 ×", "0.50", "", "", "", "1.0", "", "", "", ""]


def test_every_table_has_as_many_cells_in_each_row() -> None:
    for table in report(MEASURED).split("\n\n"):
        if table.startswith("|"):
            assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_the_report_says_what_it_was_measured_on() -> None:
    told = report(MEASURED)
    assert told.startswith(
        "2026-11-27, Linux x86_64, 2 cores, 24 GiB, medians of 3 rounds in turn."
    )
    assert "workerd 1.20261117.1" in told
    quick = MEASURED.model_copy(update={"quick": True, "rounds": 1})
    assert "1 round; a quick run" in report(quick).splitlines()[0]


def test_a_page_gets_the_report_between_its_marks_and_keeps_the_rest() -> None:
    text = f"# Costs\n\n{BEGIN}\nolder\n{END}\n\nAfter.\n"
    written = page(text, MEASURED)
    assert written.startswith(f"# Costs\n\n{BEGIN}\n\n2026-11-27")
    assert written.endswith(f"{END}\n\nAfter.\n")
    assert "older" not in written
    assert page(written, MEASURED) == written
    with pytest.raises(ValueError, match="needs"):
        page("# Costs\n", MEASURED)


def test_the_documentation_has_the_place_for_it() -> None:
    text = (REPOSITORY / "docs" / "explanation" / "costs.md").read_text(encoding="utf-8")
    assert report(MEASURED) in page(text, MEASURED)


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.costs", *arguments],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )


def test_figures_that_were_kept_are_reported_again(tmp_path: Path) -> None:
    kept, again = tmp_path / "kept.json", tmp_path / "again.json"
    kept.write_text(MEASURED.model_dump_json())
    drawn = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for picture in drawn:
        printed = command("--read", kept, "--json", again, "--picture", picture)
        assert printed.returncode == 0, printed.stderr
    assert printed.stdout.strip() == report(MEASURED).strip()
    assert Results.model_validate_json(again.read_bytes()) == MEASURED
    assert drawn[0].read_bytes() == drawn[1].read_bytes()
    texts = re.findall("<text[^>]*>([^<]*)</text>", drawn[0].read_text(encoding="utf-8"))
    assert {"Forge, full", "FastAPI + httpx", "0.65", "mixed requests"} <= {*texts}
    assert any("Linux x86_64" in text for text in texts)


def test_a_run_without_figures_has_a_picture_too(tmp_path: Path) -> None:
    kept, picture = tmp_path / "kept.json", tmp_path / "empty.svg"
    kept.write_text(results().model_dump_json())
    assert command("--read", kept, "--picture", picture).returncode == 0
    assert picture.read_text(encoding="utf-8").rstrip().endswith("</svg>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--read", "missing.json"), "--read missing.json: "),
        (("--read", "README.md"), "--read README.md: "),
        (("--rounds", "0"), "--rounds 0: at least 1 is needed"),
        (("--only", "speed"), "invalid choice: 'speed'"),
    ],
)
def test_wrong_arguments_exit_with_2(arguments: tuple[str, ...], message: str) -> None:
    run = command(*arguments)
    assert run.returncode == 2
    assert message in run.stderr
    assert "Traceback" not in run.stderr


def test_a_command_leaves_no_process_behind(tmp_path: Path) -> None:
    script = "sleep 600 & echo $!; wait"
    with started(("sh", "-c", script), tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout
        grandchild = psutil.Process(int(process.stdout.readline()))
        assert grandchild.is_running()
    _, alive = psutil.wait_procs([grandchild], timeout=30)
    assert not alive


def test_a_command_that_fails_is_an_error_with_its_output(tmp_path: Path) -> None:
    assert run(("sh", "-c", "echo out; echo err >&2"), tmp_path) == "out\nerr\n"
    with pytest.raises(CommandError, match=r"(?s)failed in .*reason"):
        run(("sh", "-c", "echo the reason >&2; exit 3"), tmp_path)
    with pytest.raises(CommandError, match="no-such-command is not installed"):
        run(("no-such-command",), tmp_path)


def test_every_alternative_has_its_modules() -> None:
    named = {module for alternative in ALTERNATIVES.values() for module in alternative.modules}
    assert {path.stem for path in APPS.glob("*.py")} == named
    assert not {*OURS} & {*ALTERNATIVES}
