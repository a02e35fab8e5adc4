"""A generated project's own tests inside workerd, beside the Worker over HTTP."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.runtime.conftest import Make, environment, press_ctrl_c, read_to, run
from tests.template.combinations import Combination, every_decision, everything, label

FAILING = "async def test_failing() -> None:\n    assert 6 * 7 == 43\n"
PASSING = "async def test_passing() -> None:\n    assert 6 * 7 == 42\n"
TOML = "error: wrangler.toml:{line}: Invalid TOML"
PORT = "error: --port 99999: not a port; use 0 to 65535\n"
IMPORT = """\
Traceback (most recent call last):
  File "src/entry.py", line {line}, in <module>
    import nothing_such
ModuleNotFoundError: No module named 'nothing_such'
"""
BUSY = "def test_busy() -> None:\n    while True:\n        pass\n"


@pytest.fixture(scope="module")
def small(make: Make) -> Path:
    """A project with the least, for tests of `npm test` itself."""
    return make({"providers": ["anthropic"], "auth": "none", "database": "none"})


@pytest.mark.parametrize("combination", everything(), ids=label)
def test_everything_that_can_be_switched_on_passes_its_tests(
    make: Make, combination: Combination
) -> None:
    # They also have to run what the project says: 95 %.
    lines = run(make(combination), "npm", "run", "coverage", "--", "-v").splitlines()
    passed = [line for line in lines if " PASSED" in line]
    assert [line for line in passed if "[over-http" in line]
    assert [line for line in passed if "[in-process" in line]
    assert not [line for line in lines if " SKIPPED" in line]
    assert [line for line in lines if line.startswith("TOTAL")]
    assert not [line for line in lines if "cannot be kept in a snapshot" in line]


@pytest.mark.parametrize("combination", every_decision(), ids=label)
def test_every_other_choice_passes_its_tests_over_http(
    make: Make, combination: Combination
) -> None:
    # Every other pair of choices runs on CPython: tests/runtime/test_cpython.py.
    chosen = "over-http or workflow_finishes or queue_delivers"
    lines = run(make(combination), "npm", "test", "--", "-v", "-k", chosen).splitlines()
    assert [line for line in lines if " PASSED" in line]
    assert not [line for line in lines if " SKIPPED" in line]


def test_too_little_coverage_fails(make: Make) -> None:
    process = npm(make({}), "run", "coverage", "--", "-q", "tests/test_web.py")
    assert process.returncode == 1
    assert re.search(r"error: [\d.]+ % is less than fail_under, 95 %", process.stdout)


def test_what_fails_or_hangs_is_named_and_the_rest_is_run(small: Path) -> None:
    write_tests(small, failing=FAILING, passing=PASSING)
    write_tests(
        small,
        waiting=(
            "import asyncio\n\n\n"
            "async def test_waiting() -> None:\n    await asyncio.Future()\n\n\n"
            "def test_after_it() -> None:\n    pass\n"
        ),
        busy=BUSY,
    )
    files = [f"tests/test_{name}.py" for name in ("waiting", "busy", "failing", "passing")]
    process = npm(small, "test", "--", "-v", "-o", "workerd_timeout=15", *files)
    assert process.returncode == 1
    printed = process.stdout
    assert "assert (6 * 7) == 43" in printed
    assert re.search(r" test_waiting _+\nit waits for something that never comes\n", printed)
    assert re.search(r" test_after_it _+\ndid not run, .* in \S+::test_waiting\n", printed)
    assert re.search(r" test_busy _+\nit said nothing for 15 seconds\n", printed)
    assert "4 failed, 1 passed" in printed


def test_a_timeout_that_is_none_is_refused(small: Path) -> None:
    refused("soon", npm(small, "test", "--", "-o", "workerd_timeout=soon", "tests/test_health.py"))


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_a_number_that_is_no_timeout_is_refused(small: Path, value: str) -> None:
    # By the plugin, before it asks for a Worker: there is none.
    plugin = ("-p", "no:xdist", "-p", "pytest_workerd", "-o", f"workerd_timeout={value}")
    process = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "tests/test_health.py"],
        cwd=small,
        env={**environment(), "PYTHONPATH": "scripts", "WORKERD_TESTS": "127.0.0.1:9#1"},
        capture_output=True,
        text=True,
        check=False,
    )
    refused(value, process)


def refused(value: str, process: subprocess.CompletedProcess[str]) -> None:
    assert process.returncode == 4
    told = f"ERROR: workerd_timeout={value!r}: give the seconds that a test may take, at most 86400"
    assert told in process.stderr
    assert "Traceback" not in process.stdout + process.stderr


def test_tests_are_chosen_as_pytest_does(small: Path) -> None:
    write_tests(small, chosen=PASSING + "\n\n" + FAILING)
    file = "tests/test_chosen.py"
    assert "1 failed, 1 passed" in npm(small, "test", "--", "-q", file).stdout
    assert "1 failed, 1 deselected in" in npm(small, "test", "--", "-q", "--lf", file).stdout
    chosen = npm(small, "test", "--", "-q", "-k", "passing", file)
    assert chosen.returncode == 0
    assert "1 passed, 1 deselected in" in chosen.stdout


def test_it_stops_at_the_first_failure_when_told_so(small: Path) -> None:
    write_tests(small, stopping=FAILING + "\n\n" + PASSING)
    process = npm(small, "test", "--", "-q", "-x", "tests/test_stopping.py")
    assert process.returncode == 1
    assert "stopping after 1 failures" in process.stdout
    assert "1 failed in" in process.stdout


def test_a_conftest_may_declare_marks(small: Path) -> None:
    folder = small / "tests" / "marked"
    folder.mkdir()
    (folder / "conftest.py").write_text(
        "import pytest\n\n\n"
        "def pytest_configure(config: pytest.Config) -> None:\n"
        '    config.addinivalue_line("markers", "slow: takes a while")\n'
    )
    source = f"import pytest\n\n\n@pytest.mark.slow\n{PASSING}\n\n{FAILING}"
    (folder / "test_marked.py").write_text(source)
    process = npm(small, "test", "--", "-q", "-m", "slow", "tests/marked")
    assert process.returncode == 0
    assert "1 passed, 1 deselected in" in process.stdout


@pytest.mark.parametrize(
    ("command", "file", "added", "told"),
    [
        (("test",), "wrangler.toml", "name = \n", TOML),
        (("run", "local"), "wrangler.toml", "name = \n", TOML),
        (("run", "local", "--", "--port", "99999"), "wrangler.toml", "", PORT),
        (("test", "--", "tests/test_health.py"), "src/entry.py", "import nothing_such\n", IMPORT),
    ],
    ids=["a test's configuration", "a configuration", "a port", "an import"],
)
def test_a_mistake_is_named(
    small: Path, command: tuple[str, ...], file: str, added: str, told: str
) -> None:
    path = small / file
    source = path.read_text()
    path.write_text(source + added)
    try:
        process = npm(small, *command)
    finally:
        path.write_text(source)
    assert process.returncode == 1
    line = source.count("\n") + 1
    printed = process.stdout + process.stderr
    assert told.replace("{line}", str(line)) in printed
    assert '{"timestamp"' not in printed


def test_a_failing_example_of_hypothesis_is_tried_again(small: Path) -> None:
    source = (
        "from hypothesis import Phase, given, settings\n"
        "from hypothesis import strategies as st\n\n"
        "PHASES = [Phase.generate]\n\n\n"
        "@settings(phases=PHASES)\n"
        "@given(number=st.integers())\n"
        "def test_small(number: int) -> None:\n"
        "    assert number < 1000\n"
    )
    # The first run finds an example, the second one looks for none.
    for text in (source, source.replace("Phase.generate]", "Phase.reuse]")):
        write_tests(small, examples=text)
        process = npm(small, "test", "--", "-q", "tests/test_examples.py")
        assert "1 failed" in process.stdout


def test_watching_runs_what_changed(small: Path) -> None:
    write_tests(small, watched=PASSING)
    with started(small, "--watch", "-q", "tests/test_watched.py") as (_, lines):
        assert "1 passed" in read_to(lines, "waiting for a change")
        write_tests(small, watched=FAILING)
        assert "1 failed" in read_to(lines, "waiting for a change")


@pytest.mark.parametrize("moment", ["while it starts", "in the middle of a test"])
def test_ctrl_c_ends_all_that_npm_test_started(small: Path, moment: str) -> None:
    write_tests(
        small, busy=f"{PASSING}\n\ndef test_busy() -> None:\n    while True:\n        pass\n"
    )
    with started(small, "-v", "tests/test_busy.py") as (process, lines):
        read_to(lines, "cli.mjs test" if moment == "while it starts" else "test_passing PASSED")
    assert process.returncode != 0


def write_tests(project: Path, **files: str) -> None:
    for name, text in files.items():
        (project / "tests" / f"test_{name}.py").write_text(text)


def npm(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["npm", *arguments],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def started(
    project: Path, *arguments: str
) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    """Run npm test until the block ends, by Ctrl-C; the process, and the lines that it prints."""
    process = subprocess.Popen(
        ["npm", "test", "--", *arguments],
        cwd=project,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    with process.stdout as lines:
        try:
            yield process, lines
        finally:
            press_ctrl_c(process, project)
