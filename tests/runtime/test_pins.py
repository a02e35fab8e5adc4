"""wrangler, its workerd and npm's Pyodide are pinned together, and start a Worker together."""

import json
import mmap
import re
from pathlib import Path

from packaging.version import Version

from forge_scaffold.checks.configuration import known
from forge_scaffold.packages.pyodide import known_to_pyodide
from scripts import derive_data
from tests.runtime.conftest import Make, run
from tests.runtime.workerd import Worker, Workerd
from tests.support import REPOSITORY

MANIFEST = REPOSITORY / "template" / "package.json.jinja"

HELLO = """\
import sys
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(f"Hello from Python {sys.version_info.major}.{sys.version_info.minor}")
"""


def pin(package: str) -> str:
    """The version of a package that the template pins."""
    found = re.search(rf'"{package}": "([^"]+)"', MANIFEST.read_text("utf-8"))
    assert found
    return found[1]


def wanted_pyodide(binary: Path) -> str:
    """The newest Pyodide that a workerd knows: its JavaScript has a table of them all."""
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = re.findall(rb"V\d+_\d+_\d+: '(\d+\.\d+\.\d+)'", content)
    assert found, f"{binary} has no table of Pyodide's versions: find out how it names them now"
    return str(max(Version(version.decode()) for version in found))


def test_wrangler_brings_exactly_one_workerd(make: Make) -> None:
    modules = make({}) / "node_modules"
    wrangler = json.loads((modules / "wrangler" / "package.json").read_text())
    workerd = json.loads((modules / "workerd" / "package.json").read_text())
    assert wrangler["version"] == pin("wrangler")
    assert wrangler["dependencies"]["workerd"] == workerd["version"]


def test_pyodide_is_the_one_that_workerd_wants(workerd: Workerd) -> None:
    wanted = wanted_pyodide(workerd.binary)
    assert pin("pyodide") == wanted, (
        f'the workerd of wrangler {pin("wrangler")} runs Pyodide {wanted}: set "pyodide": '
        f'"{wanted}" in {MANIFEST.relative_to(REPOSITORY)}'
    )


def test_the_keys_are_derived_from_this_wrangler(make: Make) -> None:
    assert derive_data.wrangler(make({}) / "node_modules" / "wrangler") == known()


def test_the_packages_are_those_of_the_index_that_pywrangler_asks(make: Make) -> None:
    # Another release than the runtime's own: pywrangler wants the same interface, no more.
    asks = "from pywrangler.utils import get_pyodide_index; print(get_pyodide_index())"
    printed = run(make({}), ".venv/bin/python", "-c", asks)
    assert printed.strip().rpartition("/")[2] == known_to_pyodide()["pyodide"]


def test_a_worker_starts_with_them(workerd: Workerd, tmp_path: Path) -> None:
    workers = {"hello": Worker({"entry.py": HELLO})}
    with workerd.serve(tmp_path / "hello", workers) as running:
        assert running.get("") == (200, "Hello from Python 3.14"), (
            tmp_path / "hello" / "log"
        ).read_text()
