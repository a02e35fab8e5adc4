"""`forge serve` and `forge test` with Workers that Forge did not make."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.runtime.conftest import environment, press_ctrl_c, read_to
from tests.support import alone, write
from tests.test_wheel import PYTHONS, build, install

FORGE = str(Path(sys.executable).with_name("forge"))

# Everything at the root, as `wrangler init` and older tutorials have it.
AT_THE_ROOT: Mapping[str, str] = {
    "wrangler.toml": """\
name = "counting"
main = "entry.py"
compatibility_date = "2025-11-02" # Python 3.13
compatibility_flags = ["python_workers"]
vars = { GREETING = "Hello" }
rules = [{ type = "Text", globs = ["**/*.md"], fallthrough = true }]
kv_namespaces = [{ binding = "KV", id = "0" }]
services = [{ binding = "OTHER", service = "other" }]
ai = { binding = "AI" }
[[durable_objects.bindings]]
name = "COUNTER"
class_name = "Counter"
[[migrations]]
tag = "v1"
new_sqlite_classes = ["Counter"]
""",
    "entry.py": """\
from pathlib import Path

from words import greet
from workers import DurableObject, Response, WorkerEntrypoint


class Counter(DurableObject):
    async def add(self):
        count = (await self.ctx.storage.get("count") or 0) + 1
        await self.ctx.storage.put("count", count)
        return count


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/wrong"):
            raise ValueError("no such luck")
        await self.env.KV.put("last", request.url)
        count = await self.env.COUNTER.getByName("one").add()
        note = Path(__file__).with_name("note.md").read_text().strip()
        last = await self.env.KV.get("last")
        return Response(f"{greet(self.env.GREETING)} {count} {note} {last.rsplit('/')[-1]}")
""",
    "words.py": 'def greet(word):\n    return f"{word}, world"\n',
    "note.md": "a note\n",
}

# As pywrangler lays projects out. freezegun imports ctypes, which a snapshot has to bear.
WITH_TESTS: Mapping[str, str] = {
    "wrangler.jsonc": """\
{
  // The Worker.
  "name": "tested",
  "main": "src/entry.py",
  "compatibility_date": "2026-11-01",
  "compatibility_flags": ["python_workers"],
}
""",
    "pyproject.toml": """\
[project]
name = "tested"
version = "1.0"
dependencies = ["humanize>=4", "pydantic"]

[dependency-groups]
dev = ["freezegun", "ruff"]

[tool.pytest.ini_options]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
""",
    "uv.lock": """\
[[package]]
name = "humanize"
version = "4.9.0"
""",
    "src/entry.py": """\
import humanize
from pydantic import TypeAdapter
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(humanize.intcomma(TypeAdapter(int).validate_python("1000")))
""",
    "tests/test_worker.py": """\
import os
import sys

import freezegun
import humanize
from workers import fetch


def test_the_packages_are_those_of_the_worker():
    assert sys.platform == "emscripten"
    assert humanize.__version__ == "4.9.0"


async def test_over_http():
    answer = await fetch(os.environ["WORKER_URL"])
    assert await answer.text() == "1,000"


def test_that_fails():
    assert humanize.intcomma(1000) == "1000"
""",
}


@pytest.fixture
def env(shared: Path) -> Iterator[Mapping[str, str]]:
    """An environment with a cache of its own, which all tests share."""
    with alone(shared / "cache.lock"):
        yield {**environment(), "XDG_CACHE_HOME": str(shared / "cache")}


def test_a_worker_is_served_again_after_each_change(tmp_path: Path, env: Mapping[str, str]) -> None:
    write(tmp_path, AT_THE_ROOT)
    log: list[str] = []
    with served(tmp_path, env, log) as (url, printed):
        assert "Python 3.13; here the Worker runs on Python 3.14" in printed
        assert "AI fails when it is called" in printed
        assert "OTHER is left out" in printed
        assert httpx.get(f"{url}/a", timeout=60).text == "Hello, world 1 a note a"
        assert httpx.get(f"{url}/b", timeout=60).text == "Hello, world 2 a note b"
        assert httpx.get(f"{url}/wrong", timeout=60).status_code == 500
        change(tmp_path / "words.py", "{word}, world", "{word}, you", url, "Hello, you 3")
        change(tmp_path / "words.py", "return", "retur", url, 'File "words.py", line 2')
        change(tmp_path / "words.py", "retur", "return", url, "Hello, you")
    assert "ValueError: no such luck" in log
    assert {path.name for path in tmp_path.iterdir()} == {*AT_THE_ROOT, ".wrangler"}


def test_its_tests_run_inside_workerd(tmp_path: Path, env: Mapping[str, str]) -> None:
    write(tmp_path, WITH_TESTS)
    failed = forge("test", str(tmp_path), env=env)
    assert failed.returncode == 1, failed.stdout
    assert "1 failed, 2 passed" in failed.stdout
    assert "FAILED tests/test_worker.py::test_that_fails" in failed.stdout
    assert "left out" not in failed.stdout  # ruff is no business of the tests
    known = {"wrangler.jsonc", "pyproject.toml", "uv.lock", "src", "tests", ".pytest_cache"}
    assert {path.name for path in tmp_path.iterdir()} == known


def test_a_wheel_brings_what_runs_them(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, env: Mapping[str, str]
) -> None:
    """It is what the checkout has, also between two releases of the template."""
    write(tmp_path, WITH_TESTS)
    installed = tmp_path_factory.mktemp("wheel")
    build(installed, "--wheel")
    install(installed / "python", PYTHONS[0], next(installed.glob("*.whl")))
    command = str(installed / "python" / "bin" / "forge")
    passed = forge("test", str(tmp_path), "--", "-k", "http", "-q", env=env, command=command)
    assert passed.returncode == 0, passed.stdout
    assert "1 passed, 2 deselected" in passed.stdout


def forge(
    *arguments: str, env: Mapping[str, str], command: str = FORGE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def change(file: Path, old: str, new: str, url: str, expected: str) -> None:
    """Edit a file, and ask until the answer is the new Worker's."""
    file.write_text(file.read_text().replace(old, new))
    answer = ""
    for _ in range(600):
        try:
            answer = httpx.get(f"{url}/c", timeout=60).text
        except httpx.TransportError:  # one Worker has ended, the next not begun
            continue
        if expected in answer:
            return
    pytest.fail(f"the answer is still {answer!r}")


@contextmanager
def served(folder: Path, env: Mapping[str, str], log: list[str]) -> Iterator[tuple[str, str]]:
    """Serve a Worker until the block ends; its address, and what was printed until it was ready.

    What is printed later is added to `log`.
    """
    process = subprocess.Popen(
        [FORGE, "serve", str(folder), "--port", "0"],
        env=env,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    try:
        printed = read_to(process.stdout, "Ctrl-C ends it.")
        address = re.search(r"^Worker +(\S+)", printed, re.MULTILINE)
        assert address, printed
        yield address[1], printed
    finally:
        press_ctrl_c(process, folder)
        log += process.stdout.read().splitlines()
        process.stdout.close()
