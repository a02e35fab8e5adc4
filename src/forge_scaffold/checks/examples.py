"""The project that every rule's example is a change of: a small Worker without a flaw."""

from collections.abc import Mapping

BASE: Mapping[str, str] = {
    "pyproject.toml": """\
[project]
name = "example"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["httpx>=0.28,<1"]

[tool.forge]
platform = ["workers-runtime-sdk"]
transitive = ["anyio", "h11", "httpcore", "httptools", "idna"]

[tool.forge.allow]
httpx = ">=0.27.2,<1"
pydantic = ">=2.10,<3"
""",
    "wrangler.toml": """\
name = "example"
main = "src/entry.py"
compatibility_date = "2026-11-01"
compatibility_flags = ["python_workers"]

[observability]
enabled = true
""",
    "src/entry.py": """\
from workers import Response, WorkerEntrypoint

from service import answer


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(await answer(self.env))
""",
    "src/service.py": """\
import httpx


async def answer(env):
    return httpx.__version__
""",
    ".gitignore": ".dev.vars\n.env\n",
}

OWN_TRANSPORT = """\
import httpx
from workers import fetch


class Fetch(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request):
        answer = await fetch(str(request.url), method=request.method)
        return httpx.Response(answer.status, content=await answer.bytes())


async def answer(env):
    async with httpx.AsyncClient(transport=Fetch()) as client:
        return (await client.get("https://example.org")).text
"""
"""A module whose httpx client calls out with the Worker's own fetch."""


def files(changes: Mapping[str, str]) -> dict[str, str]:
    """The files of a whole example."""
    return {**BASE, **changes}


def service(source: str) -> dict[str, str]:
    """An example whose module beside the entry point is another one."""
    return {"src/service.py": source}


def toml(changes: Mapping[str, str], more: str = "") -> str:
    """The base example's wrangler.toml with some text replaced, and some added."""
    text = BASE["wrangler.toml"]
    for old, new in changes.items():
        text = text.replace(old, new)
    return text + more
