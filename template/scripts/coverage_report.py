"""Reports the coverage that the Workers measured: test.mjs sends their data to stdin."""

import base64
import json
import sys
import tempfile
from pathlib import Path

from coverage import Coverage, CoverageData
from coverage.exceptions import CoverageException

CONFIG = "pyproject.toml"
PROJECT = "/session/metadata/project"
"""Where the Workers have the project's files."""


def report(measurements: list[str]) -> int:
    """Show what all of them have together; 1 when it is less than pyproject.toml asks for."""
    with tempfile.TemporaryDirectory() as scratch:
        files = []
        for number, measurement in enumerate(measurements):
            files.append(str(Path(scratch, f"coverage.{number}")))
            data = CoverageData(files[-1])
            data.loads(base64.b64decode(measurement))
            data.write()
        coverage = Coverage(data_file=None, config_file=CONFIG)
        coverage.set_option("paths", {"project": [".", PROJECT]})
        try:
            coverage.combine(files)
            total = coverage.report()
        except CoverageException as error:
            print(f"error: {error}")
            return 1
    wanted = coverage.config.fail_under
    if total < wanted:
        print(f"error: {total:.2f} % is less than fail_under, {wanted:g} % in {CONFIG}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(report(json.load(sys.stdin)))
