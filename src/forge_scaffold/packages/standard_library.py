"""The standard library of each Python that Workers have run, as Pyodide has it."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple


class StandardLibrary(NamedTuple):
    """The standard library of a Python.

    Attributes:
        names: its outermost modules.
        lacks: those among them that Pyodide leaves out.
    """

    names: frozenset[str]
    lacks: frozenset[str]


@cache
def standard_libraries() -> Mapping[str, StandardLibrary]:
    """standard_library.json, by Python: "3.14"; the newest last."""
    text = Path(__file__).with_name("standard_library.json").read_text(encoding="utf-8")
    return {
        python: StandardLibrary(frozenset(told["names"]), frozenset(told["lacks"]))
        for python, told in json.loads(text).items()
    }


@cache
def standard_modules() -> frozenset[str]:
    """The outermost modules of all of them."""
    return frozenset().union(*(library.names for library in standard_libraries().values()))


def standard_library(python: str | None) -> StandardLibrary:
    """That of a Python, such as "3.14"; the newest where it is open which."""
    libraries = standard_libraries()
    return libraries.get(python or "", list(libraries.values())[-1])
