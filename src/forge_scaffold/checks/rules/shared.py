"""RUN6: what requests must not share."""

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import ClassVar

from forge_scaffold.checks.code.expressions import names_given
from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.examples import service
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.httpx import has_transport
from forge_scaffold.checks.rule import Files, Rule


class SharedPrimitive(Rule):
    """A lock, queue or event between requests.

    The requests of an isolate run interleaved, but each has its own I/O: one that waits for what
    another holds is cancelled, "your Worker's code had hung", with a 500. What is made at import
    time is shared by all.

    Fix: share plain values; where many would wait for one, let each do it for itself.
    """

    id = "RUN601"
    import_time = True
    calls = (
        "anyio.CapacityLimiter", "anyio.Condition", "anyio.Event", "anyio.Lock",
        "anyio.Semaphore", "asyncio.Barrier", "asyncio.BoundedSemaphore", "asyncio.Condition",
        "asyncio.Event", "asyncio.Future", "asyncio.LifoQueue", "asyncio.Lock",
        "asyncio.PriorityQueue", "asyncio.Queue", "asyncio.Semaphore", "asyncio.TaskGroup",
        "collections.defaultdict",
    )  # fmt: skip
    failing: ClassVar[Files] = service(
        "import asyncio\n\nimport httpx\n\nLOCK = asyncio.Lock()\n\n\nasync def answer(env):\n"
        "    async with LOCK:\n        return httpx.__version__\n"
    )
    passing: ClassVar[Files] = service(
        "import asyncio\n\nimport httpx\n\n\nasync def answer(env):\n"
        "    at_most = asyncio.Semaphore(4)\n    async with at_most:\n"
        "        return httpx.__version__\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls at import time, and dicts that make what they do not have."""
        if not isinstance(node, ast.Call):
            return
        made = scope.shown(node)
        if made == "collections.defaultdict()":
            factory = scope.name(node.args[0]) if node.args else None
            made = f"{factory}()" if factory in self.calls and factory else ""
        if made:
            yield self.finding(
                scope.place(node),
                f"{made} {scope.when} is shared by all requests of an isolate, and "
                "one that waits for another's hangs; make it in the request",
            )


class SharedClient(Rule):
    """A pool of connections between requests.

    A connection belongs to the request that opened it. A client kept in a module hands it to the
    next one, which then hangs. httpx with a transport over `fetch` pools nothing and may be kept.

    Fix: make the client in the request, or give httpx a transport of its own.
    """

    id = "RUN602"
    import_time = True
    severity = Severity.WARNING
    calls = (
        "aiohttp.ClientSession", "asyncpg.create_pool", "httpx.AsyncClient", "httpx.Client",
        "redis.Redis", "redis.asyncio.Redis", "requests.Session", "requests.session",
        "urllib3.PoolManager",
    )  # fmt: skip
    failing: ClassVar[Files] = service(
        "import httpx\n\nclient = httpx.AsyncClient()\n\n\nasync def answer(env):\n"
        '    return (await client.get("https://example.org")).text\n'
    )
    passing: ClassVar[Files] = service(
        "import httpx\nfrom workers import fetch\n\n\n"
        "class Fetch(httpx.AsyncBaseTransport):\n"
        "    async def handle_async_request(self, request):\n"
        "        answer = await fetch(str(request.url), method=request.method)\n"
        "        return httpx.Response(answer.status, content=await answer.bytes())\n\n\n"
        "async def answer(env):\n"
        "    async with httpx.AsyncClient(transport=Fetch()) as client:\n"
        '        return (await client.get("https://example.org")).text\n'
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls at import time, without a transport."""
        if not isinstance(node, ast.Call):
            return
        if not has_transport(node):
            yield self.finding(
                scope.place(node),
                f"{scope.shown(node)} {scope.when} keeps connections between requests, and they "
                "belong to one; make it in the request",
            )


class SharedTask(Rule):
    """What belongs to a request, kept by it in a module.

    A task belongs to the request that made it: another one that awaits it hangs, and when the first
    is answered the task is stopped. It is the same with a lock or a pooled client that the first
    request makes and keeps for all, in a global name, a dict of the module, or a cached function.

    Fix: await it in its own request, or hand it to `wait_until`; keep the value, not the task.
    """

    id = "RUN603"
    nodes = (ast.AnnAssign, ast.Assign, ast.FunctionDef, ast.Global, ast.NamedExpr)
    failing: ClassVar[Files] = service(
        "import asyncio\n\nimport httpx\n\nloading = None\n\n\nasync def load():\n"
        "    return httpx.__version__\n\n\nasync def answer(env):\n    global loading\n"
        "    loading = loading or asyncio.create_task(load())\n    return await loading\n"
    )
    passing: ClassVar[Files] = service(
        "import httpx\n\nloaded = None\n\n\nasync def load():\n    return httpx.__version__\n\n\n"
        "async def answer(env):\n    global loaded\n    loaded = loaded or await load()\n"
        "    return loaded\n"
    )

    def __init__(self) -> None:
        self._kept_names: set[tuple[PurePosixPath, ast.AST | None, str]] = set()

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Assignments to what a module keeps, and what cached functions return."""
        if isinstance(node, ast.Global):
            self._kept_names.update((*_owner(scope), name) for name in node.names)
        elif isinstance(node, ast.FunctionDef):
            yield from self._cached(node, scope)
        elif not isinstance(node, ast.AnnAssign | ast.Assign | ast.NamedExpr):
            return
        elif not scope.functions:
            if isinstance(node.value, ast.Dict | ast.Call):
                self._kept_names.update((*_owner(scope), name) for name in names_given(node))
        elif isinstance(node.value, ast.BoolOp | ast.Call | ast.IfExp):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in filter(None, (self._shared(target, scope) for target in targets)):
                yield from self._kept(name, node.value, scope)

    def _cached(self, node: ast.FunctionDef, scope: Scope) -> Iterator[Finding]:
        if any(_caches(decorator, scope) for decorator in node.decorator_list):
            for each in node.body:
                if isinstance(each, ast.Return) and each.value:
                    yield from self._kept(f"{node.name}()", each.value, scope)

    def _shared(self, target: ast.expr, scope: Scope) -> str | None:
        """The name of the module's that an assignment in a function changes."""
        if isinstance(target, ast.Name):
            return target.id if (*_owner(scope), target.id) in self._kept_names else None
        base = target.value if isinstance(target, ast.Subscript) else None
        if not isinstance(base, ast.Name) or base.id in scope.local:
            return None
        return base.id if (scope.module.path, None, base.id) in self._kept_names else None

    def _kept(self, name: str, value: ast.expr, scope: Scope) -> Iterator[Finding]:
        if call := _of_request(value, scope):
            yield self.finding(
                scope.place(call),
                f"{name} keeps {scope.shown(call)} for other requests, and it belongs to the one "
                "that made it; keep plain values",
                severity=Severity.WARNING if _is_client(call, scope) else None,
            )


def _owner(scope: Scope) -> tuple[PurePosixPath, ast.AST | None]:
    """Whose names they are: a function's, or a module's."""
    return scope.module.path, scope.functions[-1] if scope.functions else None


_CACHES = frozenset({"functools.cache", "functools.lru_cache"})


_TASKS = frozenset({"asyncio.create_task", "asyncio.ensure_future"})


def _caches(decorator: ast.expr, scope: Scope) -> bool:
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    return scope.name(function) in _CACHES


def _of_request(node: ast.expr, scope: Scope) -> ast.Call | None:
    """The call that makes a task, a lock or a client, in a value that is one at least sometimes."""
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.BoolOp):
            pending += reversed(node.values)
        elif isinstance(node, ast.IfExp):
            pending += (node.orelse, node.body)
        elif isinstance(node, ast.Call) and _belongs(node, scope):
            return node
    return None


def _belongs(node: ast.Call, scope: Scope) -> bool:
    name = scope.name(node.func)
    if _is_client(node, scope):
        return not has_transport(node)
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    shared = name in SharedPrimitive.calls and name != "collections.defaultdict"
    return shared or name in _TASKS or method in {"create_future", "create_task"}


def _is_client(node: ast.Call, scope: Scope) -> bool:
    return scope.name(node.func) in SharedClient.calls
