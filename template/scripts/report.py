"""Runs inside Pyodide: reports what measure.py measured. Its value does so."""

from collections.abc import Sequence

from coverage import Coverage
from coverage.exceptions import CoverageException


def report(data: Sequence[str], config: str) -> int:
    """Show what the files `data` have together; 1 when it is less than `config` asks for."""
    coverage = Coverage(data_file=None, config_file=config)
    try:
        coverage.combine(data)
        total = coverage.report()
    except CoverageException as error:
        print(f"error: {error}")
        return 1
    wanted = coverage.config.fail_under
    if total < wanted:
        print(f"error: {total:.2f} % is less than fail_under, {wanted:g} % in pyproject.toml")
        return 1
    return 0


report
