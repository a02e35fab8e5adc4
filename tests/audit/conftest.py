"""One audit of one project against the index on this machine, for all tests that look at it."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.audit import index
from tests.support import write

NAMES = sorted({name for name, *_ in index.RELEASES if name not in {"leaf", "middle"}})

PROJECT: Mapping[str, str] = {
    "pyproject.toml": f"""\
[project]
name = "x"
dependencies = {json.dumps([*NAMES, "nowhere", "elsewhere @ git+https://example.org/e"])}

[dependency-groups]
dev = ["leaf"]
""",
    "src/app.py": "import plain.deep\nfrom chained import x\n\n\ndef f():\n    import redis\n",
    "src/picture.py": "from PIL import Image\n",
    "src/tenacious.py": "raise SystemExit('it was run')\nimport tenacity\n",
    "src/<img src=x onerror=alert(1)>.py": "import plain\n",
    "broken.py": "def\n",
}


@dataclass(frozen=True)
class Audited:
    """A project after `forge audit`, and what that said."""

    project: Path
    environment: Mapping[str, str]
    code: int
    told: Mapping[str, Any]
    page: Path

    def row(self, name: str) -> Mapping[str, Any]:
        (row,) = (row for row in self.told["dependencies"] if row["name"] == name)
        return dict(row)

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return forge(self.environment, "audit", *arguments)


def forge(
    environment: Mapping[str, str], *arguments: str | Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "forge_scaffold", *arguments],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    folder = tmp_path_factory.mktemp("audit")
    project = folder / "<b>project"
    write(project, PROJECT)
    page = folder / "report.html"
    with index.served(folder / "index") as address:
        environment = index.environment(address, folder / "cache")
        run = forge(environment, "audit", project, "--format", "json", "--html", page)
        assert run.returncode in {1, 2}, run.stderr
        yield Audited(project, environment, run.returncode, json.loads(run.stdout), page)
