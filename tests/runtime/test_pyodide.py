"""A generated project's own tests inside Pyodide, beside the Worker over HTTP."""

import re
import subprocess
import time

import pytest

from tests.runtime.conftest import Make, environment, press_ctrl_c, run
from tests.template.combinations import Combination, every_pair, everything, label


@pytest.mark.parametrize("combination", every_pair(), ids=label)
def test_every_pair_of_choices_passes_its_tests(make: Make, combination: Combination) -> None:
    # Where everything is switched on, the tests also have to run what the project says: 95 %.
    script = "coverage" if combination in everything() else "test"
    lines = run(make(combination), "npm", "run", script, "--", "-v").splitlines()
    passed = [line for line in lines if " PASSED" in line]
    assert [line for line in passed if "[over-http" in line]
    assert [line for line in passed if "[in-process" in line]
    assert not [line for line in lines if " SKIPPED" in line]
    assert script == "test" or [line for line in lines if line.startswith("TOTAL")]


def test_too_little_coverage_fails(make: Make) -> None:
    project = make({})
    process = subprocess.run(
        ["npm", "run", "coverage", "--", "-q", "tests/test_web.py"],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert re.search(r"error: [\d.]+ % is less than fail_under, 95 %", process.stdout)


def test_npm_test_fails_as_its_tests_do(make: Make) -> None:
    project = make({})
    failing = project / "tests" / "test_failing.py"
    failing.write_text("async def test_failing() -> None:\n    assert 6 * 7 == 43\n")
    process = subprocess.run(
        ["npm", "test", "--", "-q", "tests/test_failing.py"],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert "assert (6 * 7) == 43" in process.stdout


@pytest.mark.parametrize("moment", ["while it starts", "in the middle of a test"])
def test_ctrl_c_ends_all_that_npm_test_started(make: Make, moment: str) -> None:
    project = make({})
    busy = project / "tests" / "test_busy.py"
    busy.write_text(
        "from pathlib import Path\n\n\ndef test_busy() -> None:\n"
        "    Path('busy').touch()\n    while True:\n        pass\n"
    )
    process = subprocess.Popen(
        ["npm", "test", "--", "-q", "tests/test_busy.py"],
        cwd=project,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    mark = project / ("busy" if moment == "in the middle of a test" else ".cache/pycache")
    deadline = time.monotonic() + 120
    while not mark.exists():
        assert time.monotonic() < deadline, f"{mark} was never made"
        time.sleep(0.05)
    press_ctrl_c(process)
    assert process.returncode != 0
