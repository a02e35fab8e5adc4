"""The ways to write what a Worker cannot do, and what only looks like it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from forge_scaffold.checks.examples import BASE, files
from tests.checks.support import checked

USED = "\n\nasync def answer(env):\n    return httpx.__version__\n"


def rules(folder: Path, source: str, more: Mapping[str, str] | None = None) -> list[str]:
    """The ids of RUN's findings in a service, RUN604's notes left out."""
    service = {"src/service.py": f"import httpx\n{source}{USED}"}
    found = checked(folder, files({**service, **(more or {})}), "RUN")
    return [each.rule for each in found if each.rule != "RUN604"]


def in_request(head: str, body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    return f"{head}\n\n\nasync def go(env, request):\n{lines}"


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        ("RUN101", "import random\n\nX = random.Random().random"),
        ("RUN101", "import random\n\nrandom.seed()"),
        ("RUN101", "from random import triangular as t\n\nX = t()"),
        ("RUN101", "import uuid\n\nX = uuid.uuid7()"),
        ("RUN101", "import random\n\nX = random.getstate()"),
        ("RUN101", "import random\n\nX = random.SystemRandom().randint(1, 6)"),
        ("RUN101", "from js import crypto\n\nX = crypto.randomUUID()"),
        ("RUN102", "import time\n\nX = time.monotonic_ns()"),
        ("RUN102", "import time as t\n\nX = t.gmtime()"),
        ("RUN104", "from js import URL\n\nX = URL.new('https://example.org').host"),
        ("RUN104", "from pyodide.ffi import to_js\n\nX = [to_js([1]).to_py(), to_js([2])]"),
        ("RUN106", "with open('/tmp/x', mode='ab') as X:\n    pass"),
        ("RUN106", "import gzip\n\nX = gzip.open('/tmp/x')"),
        ("RUN106", "import sqlite3\n\nX = sqlite3.connect('/tmp/x.db')"),
        ("RUN106", "from pathlib import Path\n\nX = (Path('/tmp') / 'x').open('ab')"),
        ("RUN106", "import zipfile\n\nX = zipfile.ZipFile('/tmp/x.zip')"),
        ("RUN107", "from decimal import getcontext\n\ngetcontext().prec = 9"),
        ("RUN105", "import asyncio\n\nwith asyncio.Runner() as X:\n    pass"),
        ("RUN105", "from js import setTimeout\n\nsetTimeout(print, 1)"),
        ("RUN202", "from workers import env\n\nX = getattr(env, 'NAME')"),
        (
            "RUN202",
            "import pydantic_settings as p\n\nclass A(p.BaseSettings): 0\nclass B(A): 0\nX = B()",
        ),
        ("RUN601", "import anyio\n\nX = anyio.Lock()"),
    ],
)
def test_at_import_time(tmp_path: Path, rule: str, source: str) -> None:
    assert rules(tmp_path, source) == [rule]


@pytest.mark.parametrize(
    "source",
    [
        "import random\n\nX = random.Random(4)",
        "import ssl\n\nX = ssl.create_default_context()",
        "from js import Promise\n\nX = Promise.resolve(1)",
        "from js import JSON\n\nX = JSON.parse('[1]').to_py()",
        "X = open('/tmp/x').read()",
        "with open('/tmp/x') as file:\n    X = file.read()",
        "import sqlite3\n\nX = sqlite3.connect(':memory:')",
        "import tarfile\n\nwith tarfile.open('x.tar.xz', 'r:xz') as file:\n    X = file.getnames()",
        "from pathlib import Path\n\nwith Path('x').open() as file:\n    X = file.read()",
        "import webbrowser as w\n\nX = w.get().open('https://example.org')",
        "import logging\n\nlogging.basicConfig(level='INFO')",
        "import sqlite3\n\nX = sqlite3.connect(database='file::memory:?cache=shared')",
        "X = set()\nX.add(1)",
        "from contextvars import ContextVar\n\nX = ContextVar('x')\n\ndef f():\n    X.set(1)",
        "import secrets\n\nX = secrets.compare_digest('a', 'b')",
        "import uuid\n\nX = uuid.uuid5(uuid.NAMESPACE_DNS, 'x')",
        "import time\n\nX = time.gmtime(0)",
        "class Settings:\n    pass\n\n\nX = Settings()",
        "from models import BaseSettings\n\n\nclass One(BaseSettings):\n    pass\n\n\nX = One()",
    ],
)
def test_nothing_of_it_at_import_time(tmp_path: Path, source: str) -> None:
    assert rules(tmp_path, source) == []


@pytest.mark.parametrize(
    ("rule", "head", "body"),
    [
        ("RUN201", "from os import environ as e", "return e['X']"),
        ("RUN201", "import os as o", "return o.environ.pop('X')"),
        ("RUN201", "import os", "return 'X' in os.environ"),
        ("RUN201", "import os", "return {**os.environ}"),
        ("RUN201", "import os", "return dict(os.environ)"),
        ("RUN201", "import os", "for key in os.environ.items():\n    print(key)"),
        ("RUN201", "import os", "known = os.environ\nreturn known['X']"),
        ("RUN201", "import os", "match os.environ['X']:\n    case 'a':\n        return 1"),
        ("RUN302", "import xmlrpc.client as x", "x.ServerProxy('https://example.org')"),
        ("RUN302", "import asyncio", "await asyncio.open_unix_connection('x')"),
        ("RUN303", "import asyncio", "with asyncio.Runner() as r:\n    r.run(go())"),
        ("RUN303", "", "loop.run_forever()"),
        ("RUN304", "from multiprocessing import Value", "Value('i', 1)"),
        ("RUN305", "import os", "os.execl('x')"),
        ("RUN305", "import os", "os.posix_spawn('x', [], {})"),
        ("RUN305", "from asyncio import subprocess as s", "await s.create_subprocess_exec('x')"),
        ("RUN306", "from js import globalThis as g", "g.eval('1')"),
    ],
)
def test_in_a_request(tmp_path: Path, rule: str, head: str, body: str) -> None:
    assert rules(tmp_path, in_request(head, body)) == [rule]


@pytest.mark.parametrize(
    "call",
    [
        "to_js(({'a': 1},))",
        "to_js([{'a': x} for x in 'ab'])",
        "to_js({'a': 1} | request)",
        "to_js(request.model_dump())",
        "to_js(obj={'a': 1})",
    ],
)
def test_dicts_are_maps_on_the_python_before_3_13_only(tmp_path: Path, call: str) -> None:
    source = in_request("from pyodide.ffi import to_js", call)
    assert rules(tmp_path / "3.14", source) == []
    older = {"wrangler.toml": BASE["wrangler.toml"].replace("2026-11-01", "2025-09-01")}
    assert rules(tmp_path / "3.12", source, older) == ["RUN401"]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("import os", "os.environ['X'] = '1'\nreturn 'X' in os.environ"),
        ("import os", "return os.environ.get('CI')"),
        ("import os", "return 'GITLAB_CI' in os.environ"),
        ("import os\n\nfrom typing import TYPE_CHECKING", "if TYPE_CHECKING:\n    os.environ"),
        ("", "return request.environ['X']"),
        ("from pyodide.ffi import to_js", "to_js({'a': 1}, dict_converter=request)"),
        ("from pyodide.ffi import to_js", "to_js(b'1' | request)"),
        ("from multiprocessing import cpu_count", "return cpu_count()"),
    ],
)
def test_nothing_of_it_in_a_request(tmp_path: Path, head: str, body: str) -> None:
    assert rules(tmp_path, in_request(head, body)) == []


@pytest.mark.parametrize(
    "value",
    [
        "asyncio.create_task(go())",
        "kept or asyncio.ensure_future(go())",
        "asyncio.Lock() if kept is None else kept",
        "asyncio.get_running_loop().create_future()",
        "httpx.AsyncClient()",
    ],
)
@pytest.mark.parametrize(
    "keep",
    [
        "async def more():\n    global kept\n    kept = {}\n",
        "async def more():\n    if kept:\n        global kept\n        kept: object = {}\n",
        "async def more():\n    global kept\n    if (kept := {}):\n        pass\n",
        "async def more():\n    kept['x'] = {}\n",
        "@functools.cache\ndef more():\n    return {}\n",
        "@functools.lru_cache(maxsize=1)\ndef more():\n    return {}\n",
    ],
)
def test_what_a_request_keeps_for_others(tmp_path: Path, keep: str, value: str) -> None:
    head = "import asyncio\nimport functools\n\nkept = {}\n\n\n"
    assert rules(tmp_path, head + keep.format(value)) == ["RUN603"]


@pytest.mark.parametrize(
    "source",
    [
        "async def more():\n    kept = asyncio.create_task(answer(1))\n    await kept\n",
        "async def more(kept):\n    kept['x'] = asyncio.create_task(answer(1))\n",
        "async def more():\n    mine = {}\n    mine['x'] = asyncio.create_task(answer(1))\n",
        "async def more():\n    global kept\n    kept = await asyncio.create_task(answer(1))\n",
        "async def more(t):\n    global kept\n    kept = httpx.AsyncClient(transport=t)\n",
        "@functools.cache\ndef more():\n    return asyncio.sleep\n",
    ],
)
def test_what_a_request_keeps_for_itself(tmp_path: Path, source: str) -> None:
    assert rules(tmp_path, f"import asyncio\nimport functools\n\nkept = {{}}\n\n\n{source}") == []


@pytest.mark.parametrize(
    ("entry", "severity"),
    [
        ("", "note"),
        ("import seed\n", "error"),
        ("import importlib\n\nimportlib.import_module('seed')\n", "error"),
    ],
)
def test_what_no_worker_imports_does_not_run(tmp_path: Path, entry: str, severity: str) -> None:
    source = {"src/seed.py": "import uuid\n\nX = uuid.uuid4()\n"}
    entry += BASE["src/entry.py"]
    (only,) = checked(tmp_path, files({**source, "src/entry.py": entry}), "RUN")
    assert (only.rule, only.severity) == ("RUN101", severity)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("loop.call_at(request.when, print)", ["RUN406"]),
        ("loop.call_later(request.when - loop.time(), print)", ["RUN406"]),
        ("loop.call_later(request.when - time.monotonic(), print)", ["RUN406"]),
        ("loop.call_later(-1, print)", ["RUN406"]),
        ("loop.call_at(loop.time() + 5, print)", []),
        ("loop.call_later(5, print)", []),
        ("loop.call_later(request.end - request.start, print)", []),
        ("loop.call_later(max(0, request.when - loop.time()), print)", []),
        ("request.call_at()", []),
    ],
)
def test_a_timer_that_may_be_late(tmp_path: Path, line: str, found: list[str]) -> None:
    assert rules(tmp_path, in_request("import time", line)) == found


OLD = BASE["wrangler.toml"].replace("2026-11-01", "2025-07-01")


@pytest.mark.parametrize("value", ["None", "b'x'", "'x'.encode()", "f'{1}'.encode()", "bytes(3)"])
def test_what_does_not_cross_without_the_sdk(tmp_path: Path, value: str) -> None:
    entry = (
        "import service\n\n\nasync def on_fetch(request, env):\n    async def keep():\n"
        f"        await env.KV.put('key', {value})\n\n    await keep()\n"
    )
    changes = {"src/entry.py": entry, "wrangler.toml": OLD}
    assert rules(tmp_path, "", changes) == ["RUN501", "RUN402"]


@pytest.mark.parametrize(
    "entry",
    [
        "from service import on_fetch\n",
        "on_fetch: object = print\n",
        "on_fetch = print\n",
        "if True:\n    def on_fetch():\n        pass\n",
    ],
)
def test_a_handler_by_any_definition(tmp_path: Path, entry: str) -> None:
    assert rules(tmp_path, "", {"src/entry.py": entry}) == ["RUN501"]


def test_a_default_under_a_condition_is_one(tmp_path: Path) -> None:
    entry = (
        "import workers\n\ntry:\n    class Default(workers.WorkerEntrypoint):\n        pass\n"
        "except ImportError:\n    pass\n\n\nclass Other(workers.WorkerEntrypoint):\n    pass\n"
    )
    assert rules(tmp_path, "", {"src/entry.py": entry}) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("await env.FILES.put('x', value=await request.buffer())", ["RUN701"]),
        ("await env.FILES.put(key='x', value=await request.text())", ["RUN701"]),
        ("await env.FILES.put('x', value=request.js_object.body)", []),
        ("await env.FILES.put('x')", []),
    ],
)
def test_bodies_on_their_way_to_a_bucket(tmp_path: Path, line: str, found: list[str]) -> None:
    bucket = '\n[[r2_buckets]]\nbinding = "FILES"\nbucket_name = "files"\n'
    wrangler = {"wrangler.toml": BASE["wrangler.toml"] + bucket}
    assert rules(tmp_path, in_request("", line), wrangler) == found


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        ("async def go():\n" + "    x = 1\n" * 60_000, {"RUN502"}),
        ("async def go():\n    global x\n" + "    x = f()\n" * 60_000, {"RUN502"}),
        ("import workers\n" + "class A(workers.WorkerEntrypoint): pass\n" * 20_000, {"RUN502"}),
        ("def on_fetch(): pass\n" * 20_000, {"RUN501"}),
        (
            "from pyodide.ffi import to_js\n" + "f(headers=a)\nto_js({})\n" * 40_000,
            {"RUN104", "RUN401", "RUN502"},
        ),
        (
            "from pydantic import BaseSettings\n"
            + "".join(f"class C{n}(C{n + 1}): pass\n" for n in range(20_000)),
            {"RUN502"},
        ),
    ],
    ids=["assignments", "globals", "entries", "handlers", "headers", "classes"],
)
def test_long_files(tmp_path: Path, source: str, rules: set[str]) -> None:
    # Minutes, were it work that grows with the square of the file.
    older = BASE["wrangler.toml"].replace("2026-11-01", "2025-08-20")
    found = checked(tmp_path, files({"src/entry.py": source, "wrangler.toml": older}), "RUN")
    assert {finding.rule for finding in found} == rules
