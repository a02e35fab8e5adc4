"""What hides findings: comments, patterns and baselines; and which of them hide none."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_scaffold.checks.baseline import Baseline
from forge_scaffold.checks.examples import BASE, files
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.documents import Place
from forge_scaffold.errors import UserError
from tests.checks.support import checked, told
from tests.cli.support import Run, process
from tests.support import write

EARLY = (
    "import time\n\nimport httpx\n\nSTARTED = time.time(){}\n\n\n"
    "async def answer(env):\n    return httpx.__version__\n"
)
CHECK = BASE["pyproject.toml"] + "\n[tool.forge.check]\n"


def command(*arguments: str | Path) -> Run:
    return process(Path(), *arguments)


def rules(folder: Path, changes: Mapping[str, str], *select: str) -> list[str]:
    return [finding.rule for finding in checked(folder, files(changes), *select)]


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("", ["RUN102"]),
        ("  # forge: ignore", []),
        ("  # forge: ignore[RUN102]", []),
        ("  # forge: ignore[RUN1, SEC]", []),
        ("  # forge: ignore[RUN101]", ["RUN102", "PRJ002"]),
        ("  # forge: ignore[]", ["RUN102", "PRJ002"]),
        ('; TEXT = "# forge: ignore"', ["RUN102"]),
    ],
)
def test_a_comment_hides_what_it_names_and_a_string_nothing(
    tmp_path: Path, comment: str, expected: list[str]
) -> None:
    assert rules(tmp_path, {"src/service.py": EARLY.format(comment)}) == expected


def test_a_comment_that_hides_nothing_is_noted_with_its_place(tmp_path: Path) -> None:
    source = BASE["src/service.py"] + "\n\nX = 1  # forge: ignore[RUN]\n"
    wrangler = BASE["wrangler.toml"] + "# forge: ignore\n"
    found = told(tmp_path, files({"src/service.py": source, "wrangler.toml": wrangler}))
    line = source.count("\n")
    assert found == [
        (
            f"src/service.py:{line}: PRJ002 forge: ignore[RUN]: nothing on this line to ignore; "
            "remove the comment"
        ),
        (
            f"wrangler.toml:{wrangler.count(chr(10))}: PRJ002 forge: ignore: nothing on this line "
            "to ignore; remove the comment"
        ),
    ]


@pytest.mark.parametrize(
    ("comment", "settings", "select"),
    [
        ("# forge: ignore[RUN]", "", ("RUN",)),  # not every rule was followed
        ("# forge: ignore[RUN101]", 'ignore = ["RUN1"]\n', ()),
        ("# forge: ignore[RUN]", 'ignore = ["RUN101"]\n', ()),
        ("# forge: ignore", 'ignore = ["SIZ"]\n', ()),
        ("# forge: ignore[DEP006]", "", ()),  # the index was not asked
        ("# forge: ignore[RUN]", 'exclude = ["src/service.py"]\n', ()),
    ],
)
def test_a_comment_on_what_was_not_looked_for_is_not_judged(
    tmp_path: Path, comment: str, settings: str, select: tuple[str, ...]
) -> None:
    source = BASE["src/service.py"] + f"\n\nX = 1  {comment}\n"
    changes = {"src/service.py": source, "pyproject.toml": CHECK + settings}
    assert rules(tmp_path, changes, *select) == []


@pytest.mark.parametrize(
    "pattern", ["src/service.py", "src/s*.py", "src", "src/", "*/service.py", "*"]
)
def test_nothing_is_reported_in_excluded_files(tmp_path: Path, pattern: str) -> None:
    settings = f"exclude = [{json.dumps(pattern)}]\n"
    changes = {"src/service.py": EARLY.format(""), "pyproject.toml": CHECK + settings}
    assert rules(tmp_path, changes) == []


def test_a_pattern_that_fits_no_file_is_noted(tmp_path: Path) -> None:
    settings = 'exclude = ["legacy"]\n\n[tool.forge.check.per-file-ignores]\n"old/*" = ["RUN"]\n'
    found = told(tmp_path, files({"pyproject.toml": CHECK + settings}))
    assert [each.partition("PRJ002 ")[2] for each in found] == [
        "exclude: no file fits legacy; remove the pattern",
        "per-file-ignores: no file fits old/*; remove the pattern",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('exclude = "src"', "exclude: not a list of patterns"),
        ("exclude = [1]", "exclude: not a list of patterns"),
        ("baseline = 1", "baseline: not a file"),
    ],
)
def test_settings_of_another_kind_are_a_mistake(
    tmp_path: Path, settings: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        checked(tmp_path, files({"pyproject.toml": f"{CHECK}{settings}\n"}))


def test_an_old_project_starts_with_a_baseline_and_hears_of_what_is_new(tmp_path: Path) -> None:
    write(tmp_path, files({"src/service.py": EARLY.format("")}))
    baseline = tmp_path / "forge-baseline.json"
    assert command("check", tmp_path).returncode == 1
    written = command("check", tmp_path, "--write-baseline", baseline)
    assert (written.returncode, written.stdout) == (0, "")
    assert written.stderr == f"written: {baseline} (1 finding)\n"
    accepted = command("check", tmp_path, "--baseline", baseline)
    assert (accepted.returncode, accepted.stdout, accepted.stderr) == (0, "No findings.\n", "")

    # Also by the project's own settings, from anywhere, and after the lines have moved.
    write(tmp_path, {"pyproject.toml": CHECK + 'baseline = "forge-baseline.json"\n'})
    moved = "# a comment\n\n" + EARLY.format("")
    write(tmp_path, {"src/service.py": moved})
    assert command("check", tmp_path).returncode == 0
    write(tmp_path, {"src/service.py": moved.replace("STARTED", "AGAIN = time.time()\nSTARTED")})
    again = command("check", tmp_path, "--format", "json")
    assert (again.returncode, len(json.loads(again.stdout)["findings"])) == (1, 1)

    write(tmp_path, {"src/service.py": BASE["src/service.py"]})
    gone = command("check", tmp_path)
    assert gone.returncode == 0
    assert "1 of its findings are gone; write it again with --write-baseline" in gone.stderr


@pytest.mark.parametrize("text", ["", "[]", '{"findings": [1]}', '{"findings": [{"rule": []}]}'])
def test_a_file_that_is_no_baseline_is_a_mistake(tmp_path: Path, text: str) -> None:
    write(tmp_path, {**BASE, "b.json": text})
    run = command("check", tmp_path, "--baseline", tmp_path / "b.json")
    assert (run.returncode, run.stdout) == (2, "")
    assert "not a baseline; write it with --write-baseline" in run.stderr
    missing = command("check", tmp_path, "--baseline", tmp_path / "none.json")
    assert missing.returncode == 2
    assert "No such file" in missing.stderr


PATHS = [PurePosixPath("a.py"), PurePosixPath("b.py")]

FINDINGS = st.lists(
    st.builds(
        Finding,
        st.sampled_from(["RUN101", "SEC001"]),
        st.builds(Place, st.sampled_from(PATHS), st.integers(1, 9), st.just(1), st.just(0)),
        st.text(),
        st.just(Severity.ERROR),
        st.none(),
    )
)


@given(FINDINGS, FINDINGS)
def test_a_baseline_accepts_what_it_was_made_of_and_no_more(
    old: list[Finding], new: list[Finding]
) -> None:
    baseline = Baseline.of(old)
    assert baseline.new(old) == ([], 0)
    assert len(baseline.new([*old, *new])[0]) == len(new)
    assert [*json.loads(str(baseline))["findings"]] == sorted(
        json.loads(str(baseline))["findings"],
        key=lambda each: (each["rule"], each["path"], each["message"]),
    )
