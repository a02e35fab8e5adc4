"""Runs inside Pyodide, before anything else of ours."""

import os
import sys
from collections.abc import Sequence


def start(project: str, path: Sequence[str], pycache: str) -> None:
    """Moves into the project's folder and finds modules in `path`, compiled ones in `pycache`."""
    sys.dont_write_bytecode = False
    sys.pycache_prefix = pycache
    sys.path[:0] = path
    os.chdir(project)


start
