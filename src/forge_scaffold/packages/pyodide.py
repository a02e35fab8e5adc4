"""What the Python of today's Workers is, and the packages that it is built with."""

import json
from collections.abc import Mapping
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


def markers(python: str, *, release: str = "", version: str = "") -> Mapping[str, str]:
    """The marker values (PEP 508) of Pyodide with a Python such as "3.14.2".

    Args:
        python: its full version.
        release: that of Emscripten.
        version: that of its build.
    """
    return {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": "wasm32",
        "platform_python_implementation": "CPython",
        "platform_release": release,
        "platform_system": "Emscripten",
        "platform_version": version,
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "sys_platform": "emscripten",
    }


# The marker values (PEP 508) of Pyodide 314, which is what Workers run since 2026-09-08.
ENVIRONMENT = markers("3.14.2", release="5.0.3", version="#1")
