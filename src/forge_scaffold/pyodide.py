"""What the Python of today's Workers is, and the packages that it is built with."""

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def known_to_pyodide() -> dict[str, Any]:
    """pyodide.json: `pyodide` and `python` are versions, `platform` is a wheel's tag.

    `packages` are those that Pyodide builds itself, by name (PEP 503). There is a wheel of each for
    Workers, of that one `version` and whatever the index has; it is `compiled` or pure, `needs`
    others and brings modules (`imports`).
    """
    text = Path(__file__).with_name("pyodide.json").read_text(encoding="utf-8")
    return dict(json.loads(text))
