"""RUN7: bodies that pass through Python."""

import ast
from collections.abc import Iterator
from typing import ClassVar

from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.configuration import python_worker
from forge_scaffold.checks.examples import BASE, service
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule


class Buffered(Rule):
    """A body that passes through Python on its way to a bucket.

    A Worker has 128 MB, and a body that is read into Python is there twice while it crosses from
    JavaScript. R2 takes the stream itself.

    Fix: `await env.BUCKET.put(key, request.js_object.body)`, and hand R2's `body` to the Response.
    """

    id = "RUN701"
    severity = Severity.WARNING
    methods = ("put",)
    failing: ClassVar[Files] = {
        **service(
            "import httpx\n\n\nasync def keep(env, request):\n"
            '    await env.FILES.put("upload", await request.bytes())\n\n\n'
            "async def answer(env):\n    return httpx.__version__\n"
        ),
        "wrangler.toml": BASE["wrangler.toml"]
        + '\n[[r2_buckets]]\nbinding = "FILES"\nbucket_name = "files"\n',
    }
    passing: ClassVar[Files] = {
        **failing,
        **service(
            "import httpx\n\n\nasync def keep(env, request):\n"
            '    await env.FILES.put("upload", request.js_object.body)\n\n\n'
            "async def answer(env):\n    return httpx.__version__\n"
        ),
    }

    READS: ClassVar[frozenset[str]] = frozenset(
        {"arrayBuffer", "blob", "body", "buffer", "bytes", "text"}
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """`put` of an R2 binding with a body that is awaited in the same call."""
        if not isinstance(node, ast.Call):
            return
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        name = owner.attr if isinstance(owner, ast.Attribute) else ""
        named = (keyword.value for keyword in node.keywords if keyword.arg == "value")
        body = next(iter((*node.args[1:2], *named)), node)
        read = body.value if isinstance(body, ast.Await) else None
        method = read.func if isinstance(read, ast.Call) else None
        if not isinstance(method, ast.Attribute) or method.attr not in self.READS:
            return
        wrangler = python_worker(scope.project)
        buckets = (
            {each.name for each in wrangler.top.bindings if each.kind == "r2_buckets"}
            if wrangler
            else set()
        )
        if name in buckets:
            yield self.finding(
                scope.place(body),
                f"the whole body passes through Python's memory on its way to {name}; hand the "
                "stream over",
            )
