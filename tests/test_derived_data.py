"""What Forge knows of wrangler and Pyodide is of the versions that Workers are made with."""

import json
import re

from forge_scaffold.checks.configuration import known
from forge_scaffold.packages.pyodide import ENVIRONMENT, known_to_pyodide
from forge_scaffold.packages.standard_library import standard_libraries
from forge_scaffold.wrangler import PYTHONS
from tests.support import REPOSITORY

MANIFEST = REPOSITORY / "template" / "package.json.jinja"


def test_the_template_pins_what_the_keys_are_derived_from() -> None:
    (pinned,) = re.findall(r'"wrangler": (".*")', MANIFEST.read_text(encoding="utf-8"))
    assert json.loads(pinned) == known()["version"]


def test_the_newest_python_is_one_throughout() -> None:
    python = known_to_pyodide()["python"]
    assert ENVIRONMENT["python_full_version"] == python
    assert python.startswith(f"{PYTHONS[0][1]}.")
    assert list(standard_libraries())[-1] == PYTHONS[0][1]
