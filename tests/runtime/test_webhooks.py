"""The webhook of the documentation, in a project: on CPython and inside workerd."""

import re
import sys

from tests.runtime.conftest import Make, run
from tests.support import REPOSITORY, write

PAGE = REPOSITORY / "docs" / "how-to" / "receive-webhooks.md"
TEST = "tests/custom/test_stripe.py"


def test_the_documented_webhook_passes_its_tests(make: Make) -> None:
    text = PAGE.read_text(encoding="utf-8")
    routes, tests = re.findall(r"(?ms)^```python\n(.*?)^```", text)
    project = make({"auth": "none", "database": "none"})
    write(project, {"src/service/custom/routes.py": routes, TEST: tests})
    for tool in ("ruff check", "ruff format --check", "mypy"):
        run(project, sys.executable, "-m", *tool.split(), *([] if tool == "mypy" else ["."]))
    assert "9 passed" in run(project, sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", TEST)
    assert "9 passed" in run(project, "npm", "test", "--", "-q", TEST)
