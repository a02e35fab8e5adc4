"""RUN7: bodies that pass through Python."""

import ast
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.configuration import python_worker
from forge_scaffold.checks.examples import BASE, service
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule


class Buffered(Rule):
    """A body that passes through Python on its way to a bucket or out of one.

    A Worker has 128 MB, and a body that is read into Python is there twice while it crosses from
    JavaScript. R2 takes the stream itself, and so does a Response.

    Fix: `await env.BUCKET.put(key, request.js_object.body)`, and hand R2's `body` to the Response.
    """

    id = "RUN701"
    since = "0.1.0"
    severity = Severity.WARNING
    methods = ("put",)
    nodes = (ast.AsyncFunctionDef,)
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
        """`put` of an R2 binding with a body that is awaited in the same call; functions."""
        if isinstance(node, ast.AsyncFunctionDef):
            for body, bucket in _Bodies(_buckets(scope)).through(node):
                yield self._through(body, bucket, scope)
        if not isinstance(node, ast.Call):
            return
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        name = owner.attr if isinstance(owner, ast.Attribute) else ""
        named = (keyword.value for keyword in node.keywords if keyword.arg == "value")
        value = next(iter((*node.args[1:2], *named)), None)
        read = value.value if isinstance(value, ast.Await) else None
        method = read.func if isinstance(read, ast.Call) else None
        if not isinstance(method, ast.Attribute) or method.attr not in self.READS:
            return
        if value and name in _buckets(scope):
            yield self._through(value, name, scope)

    def _through(self, read: ast.AST, bucket: str, scope: Scope) -> Finding:
        return self.finding(
            scope.place(read),
            f"the whole body passes through Python's memory on its way to or from {bucket}; hand "
            "the stream over",
        )


def _buckets(scope: Scope) -> frozenset[str]:
    wrangler = python_worker(scope.project)
    bindings = wrangler.top.bindings if wrangler else ()
    return frozenset(each.name for each in bindings if each.kind == "r2_buckets")


class _Held(NamedTuple):
    """What a variable holds: a bucket, an object of one, a request, or a body that was read.

    Attributes:
        kind: which of these.
        bucket: of an object and its body.
        read: where the body was read.
    """

    kind: str
    bucket: str = ""
    read: ast.AST | None = None


# What a body is read with, and what gives its bytes another shape.
_READS = frozenset({"arrayBuffer", "array_buffer", "blob", "buffer", "bytes", "text"})
_SHAPES = frozenset({"to_bytes", "to_memoryview", "to_py"})
_COPIES = frozenset({"bytearray", "bytes", "memoryview"})


class _Bodies:
    """Follows the bodies of requests and of buckets' objects through a function."""

    def __init__(self, buckets: frozenset[str]) -> None:
        self._buckets = buckets
        self._held: dict[str, _Held] = {}

    def through(self, function: ast.AsyncFunctionDef) -> Iterator[tuple[ast.AST, str]]:
        """Where bodies are read that go on unchanged, and the bucket."""
        if not self._buckets:
            return
        for node in self._in_order(function):
            if isinstance(node, ast.Assign):
                held = self._what(node.value)
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self._held.pop(target.id, None)
                        if held:
                            self._held[target.id] = held
            elif isinstance(node, ast.Call):
                yield from self._sent(node)

    def _in_order(self, function: ast.AsyncFunctionDef) -> Iterator[ast.AST]:
        """What stands in a function, inner functions left out, each before what it is part of."""
        pending: list[tuple[ast.AST, bool]] = [(each, False) for each in reversed(function.body)]
        while pending:
            node, seen = pending.pop()
            if seen:
                yield node
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                pending.append((node, True))
                inside = reversed(list(ast.iter_child_nodes(node)))
                pending += [(each, False) for each in inside]

    def _sent(self, node: ast.Call) -> Iterator[tuple[ast.AST, str]]:
        """A body as it was read, in a Response or on its way into a bucket."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "Response" and node.args:
            held = self._what(node.args[0])
            if held and held.kind == "body" and held.bucket and held.read:
                yield held.read, held.bucket
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "put":
            bucket = self._what(node.func.value)
            # A body that is read in this very call is seen without following anything.
            value = node.args[1] if len(node.args) > 1 else None
            held = self._what(value) if isinstance(value, ast.Name) else None
            if bucket and bucket.kind == "bucket" and held and held.kind == "body" and held.read:
                yield held.read, bucket.bucket

    def _what(self, node: ast.expr) -> _Held | None:
        held: _Held | None = None
        match node:
            case ast.Await():
                held = self._what(node.value)
            case ast.Name():
                held = self._held.get(node.id) or (_Held("request") if _asks(node.id) else None)
            case ast.Attribute(attr=name) if name in self._buckets:
                held = _Held("bucket", name)
            case ast.Attribute(value=owner, attr="js_object"):
                held = self._what(owner)
            case ast.Attribute(attr=name) if _asks(name):
                held = _Held("request")
            case ast.Call(func=ast.Attribute() as method):
                held = self._called(node, method)
            case ast.Call(func=ast.Name(id=name), args=[first]) if name in _COPIES:
                inner = self._what(first)
                held = inner if inner and inner.kind == "body" else None
        return held

    def _called(self, node: ast.Call, method: ast.Attribute) -> _Held | None:
        owner = self._what(method.value)
        if owner is None:
            return None
        if owner.kind == "bucket" and method.attr == "get":
            return _Held("object", owner.bucket)
        if owner.kind in {"object", "request"} and method.attr in _READS:
            return _Held("body", owner.bucket, node)
        return owner if owner.kind == "body" and method.attr in _SHAPES else None


def _asks(name: str) -> bool:
    return name in {"req", "request"}
