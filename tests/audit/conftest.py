"""One audit of one project against the index on this machine, for all tests that look at it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.audit import index
from tests.support import alone, shared_folder, write

PARTS = {"leaf", "middle", "workers-runtime-sdk"}  # of others: nobody declares them
NAMES = sorted({name for name, *_ in index.RELEASES} - PARTS)

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
    """A project after `forge audit`, and what that said.

    Attributes:
        environment: that with which it was audited; only what was answered then is sure to be
            answered again (`--offline`): the index may be gone.
    """

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
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all of this run's workers share."""
    return shared_folder(tmp_path_factory, worker_id, "audit")


@pytest.fixture(scope="session")
def local(shared: Path) -> Iterator[Mapping[str, str]]:
    """Variables with which forge asks the index on this machine."""
    folder = shared / "index"
    with alone(shared / "index.lock"):
        if not folder.exists():
            index.build(folder)
    with index.served(folder) as address:
        yield index.environment(address, shared / "cache")


@pytest.fixture(scope="session")
def audited(shared: Path, local: Mapping[str, str]) -> Audited:
    """One audit for all workers: the first that wants it makes it."""
    project, page, told = shared / "<b>project", shared / "report.html", shared / "told.json"
    with alone(shared / "audit.lock"):
        if not told.exists():
            write(project, PROJECT)
            run = forge(local, "audit", project, "--format", "json", "--html", page)
            assert run.returncode in {1, 2}, run.stderr
            told.write_text(
                json.dumps([local["PIP_INDEX_URL"], run.returncode, json.loads(run.stdout)])
            )
    address, code, report = json.loads(told.read_text())
    return Audited(project, {**local, "PIP_INDEX_URL": address}, code, report, page)


@pytest.fixture(scope="session")
def real(shared: Path) -> Mapping[str, str]:
    """Variables with which forge asks the index that pip is configured for here."""
    return {**os.environ, "XDG_CACHE_HOME": str(shared / "real")}
