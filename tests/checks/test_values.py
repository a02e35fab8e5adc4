"""Values that are followed: to JavaScript, and into what requests share."""

from pathlib import Path
from textwrap import dedent, indent

import pytest

from forge_scaffold.checks.examples import files
from forge_scaffold.checks.finding import Severity
from tests.checks.support import checked, told

IMPORTS = """\
import asyncio
import functools
import json
import os
from functools import cache

import httpx
import js
from js import Headers, Promise, Response, TextEncoder, URLSearchParams, crypto
from pyodide.ffi import create_proxy, to_js
from workers import env as worker_env, fetch, wait_until

TASKS = set()
SEEN = []
CACHE = {}
"""
USED = "\n\nasync def answer(env):\n    return httpx.__version__\n"


def found(folder: Path, source: str, *rules: str) -> list[str]:
    module = f"{IMPORTS}\n\n{dedent(source)}{USED}"
    lines = told(folder, files({"src/service.py": module}), *(rules or ("RUN",)))
    return [line.split(" ")[1] for line in lines]


def within(parameters: str, body: str) -> str:
    return f"async def work({parameters}):\n{indent(dedent(body), '    ')}\n"


@pytest.mark.parametrize(
    ("parameters", "body"),
    [
        ("key, text", 'await crypto.subtle.sign("HMAC", key, text.encode("utf-8"))'),
        ("key, data: bytearray", 'await js.crypto.subtle.sign("HMAC", key, data)'),
        ("data: bytes", 'same = data\nawait crypto.subtle.digest("SHA-256", same)'),
        ("key", 'iv = os.urandom(12)\nawait crypto.subtle.encrypt({"name": "A"}, key, iv)'),
        ("", 'subtle = crypto.subtle\nawait subtle.digest("SHA-256", b"abc")'),
        ("", "return Headers.new(dict(accept='*/*'))"),
        ("", 'query = {"page": 1}\nreturn URLSearchParams.new(query)'),
        ("works", "await Promise.allSettled([work() for work in works])"),
        ("data: bytes", 'return Response.new(data, headers={"a": "b"})'),
    ],
)
def test_what_javascript_cannot_read(tmp_path: Path, parameters: str, body: str) -> None:
    assert set(found(tmp_path, within(parameters, body))) == {"RUN404"}


@pytest.mark.parametrize(
    ("parameters", "body"),
    [
        ("key, data", 'await crypto.subtle.sign("HMAC", key, data)'),
        ("text", 'await crypto.subtle.digest("SHA-256", TextEncoder.new().encode(text))'),
        ("data: bytes", 'data = to_js(data)\nawait crypto.subtle.digest("SHA-256", data)'),
        ("data: bytes | None", 'await crypto.subtle.digest("SHA-256", data)'),
        ("text", 'return Response.new(json.dumps({"text": text}), {"status": 201})'),
        ("text", 'return js.JSON.stringify({"text": text})'),
        ("url", 'return await js.fetch(url, {"method": "POST"})'),
        ("promises", "return await Promise.all(to_js(promises))"),
        ("pairs", "return Headers.new(pairs)"),
        ("data: bytes", "return js.Uint8Array.new(data)"),
    ],
)
def test_what_javascript_can_read(tmp_path: Path, parameters: str, body: str) -> None:
    assert found(tmp_path, within(parameters, body)) == []


@pytest.mark.parametrize(
    "source",
    [
        within("work", "task = asyncio.create_task(work())\nTASKS.add(task)"),
        within("", "loop = asyncio.get_running_loop()\nSEEN.append(loop.create_future())"),
        within("key", "CACHE[key] = asyncio.Queue()"),
        within("key", "CACHE.setdefault(key, asyncio.Lock())"),
        within("url", "response = await fetch(url)\nCACHE[url] = response"),
        within("request", "SEEN.append(request)"),
        within("request", "global current\ncurrent = request"),
        within("request, model", "stream = model()\nCACHE[1] = stream\nasync for _ in stream: ..."),
        "class State:\n    last = None\n\n\n" + within("request", "State.last = request"),
        "@functools.lru_cache(maxsize=8)\nasync def load(url):\n    return await fetch(url)\n",
    ],
)
def test_what_requests_must_not_share(tmp_path: Path, source: str) -> None:
    assert found(tmp_path, source) == ["RUN603"]


def test_a_set_of_tasks_may_only_hold_on_to_them(tmp_path: Path) -> None:
    source = within("work", "task = asyncio.create_task(work())\nTASKS.add(task)")
    module = f"{IMPORTS}\n\n{source}{USED}"
    (finding,) = checked(tmp_path, files({"src/service.py": module}), "RUN603")
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize(
    "source",
    [
        within("work", "task = asyncio.create_task(work())\nTASKS.add(task)\nwait_until(task)"),
        within("work", "mine = set()\nmine.add(asyncio.create_task(work()))\nreturn mine"),
        within("url", "CACHE[url] = await (await fetch(url)).text()"),
        within("request", "SEEN.append(request.url)\nCACHE[request.url] = request.method"),
        within("request: dict", "SEEN.append(request)"),
        within("values", "SEEN.append(values)\nfor value in values: ..."),
        "@cache\ndef load(name):\n    return name.upper()\n",
        "class State:\n    last = None\n\n\n" + within("request", "State.last = request.url"),
        "class State:\n    def keep(self, request):\n        self.request = request\n",
    ],
)
def test_what_requests_may_share(tmp_path: Path, source: str) -> None:
    assert found(tmp_path, source) == []


@pytest.mark.parametrize(
    ("body", "rules"),
    [
        ("while part := await asyncio.wait_for(reader.read(), 5):\n    ...", []),
        ("while True:\n    await asyncio.wait_for(anext(reader), 5)", ["RUN405"]),
        ("async for part in reader:\n    async with asyncio.timeout(5):\n        ...", ["RUN405"]),
        ("while True:\n    return await asyncio.wait_for(reader(), 5)", []),
        ("for _ in range(3):\n    await asyncio.wait_for(reader.read(), 5)", []),
        ("async with asyncio.timeout(5):\n    async for part in reader:\n        ...", []),
    ],
)
def test_a_deadline_for_each_part(tmp_path: Path, body: str, rules: list[str]) -> None:
    assert found(tmp_path, within("reader", body), "RUN405") == rules


MAIN = """\
import asyncio

from workers import DurableObject, Response, WorkerEntrypoint

from service import answer


class {name}({base}):
    async def fetch(self, request):
        asyncio.create_task(answer(self.env))
        {end}
"""


@pytest.mark.parametrize(
    ("base", "end", "rules"),
    [
        ("WorkerEntrypoint", 'return Response("ok")', ["RUN605"]),
        ("WorkerEntrypoint", "return Response(await answer(self.env))", []),
        ("WorkerEntrypoint", "return Response(js.TransformStream.new().readable)", []),
        ("DurableObject", 'return Response("ok")', []),
    ],
)
def test_a_task_that_ends_with_its_request(
    tmp_path: Path, base: str, end: str, rules: list[str]
) -> None:
    main = MAIN.format(name="Default", base=base, end=end)
    lines = told(tmp_path, files({"src/entry.py": main}), "RUN605")
    assert [line.split(" ")[1] for line in lines] == rules


PROGRAM = 'def main():\n    return os.environ["HOME"]\n\n\n'


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        (PROGRAM + 'if __name__ == "__main__":\n    main()\n', []),
        (PROGRAM + 'def run():\n    main()\n\n\nif __name__ == "__main__":\n    run()\n', []),
        (
            PROGRAM + 'def f():\n    main()\n\n\nif __name__ == "__main__":\n    main()\n',
            ["RUN201"],
        ),
        (PROGRAM, ["RUN201"]),
        (PROGRAM + 'X = {"f": main}\n\nif __name__ == "__main__":\n    main()\n', ["RUN201"]),
    ],
)
def test_a_function_that_only_a_program_calls(
    tmp_path: Path, source: str, rules: list[str]
) -> None:
    assert found(tmp_path, source, "RUN201") == rules


def test_a_function_of_a_program_that_another_module_imports(tmp_path: Path) -> None:
    service = f'import os\n{PROGRAM}if __name__ == "__main__":\n    main()\n\n{USED}'
    other = "from service import main\n"
    lines = told(tmp_path, files({"src/service.py": service, "src/other.py": other}), "RUN201")
    assert len(lines) == 1
