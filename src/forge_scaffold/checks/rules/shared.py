"""RUN6: what requests must not share."""

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import ClassVar

from forge_scaffold.checks.code.expressions import names_given
from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.code.values import origin
from forge_scaffold.checks.examples import BASE, OWN_TRANSPORT, service
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
    since = "0.1.0"
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
    since = "0.1.0"
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
    passing: ClassVar[Files] = service(OWN_TRANSPORT)

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
    is answered the task is stopped. It is the same with a lock, a future or a pooled client that
    the first request makes and keeps for all, with a response of fetch and with the request itself:
    in a global name, a dict, list or set of the module, an attribute of a class, or a cached
    function. A cached coroutine can be awaited once.

    Fix: await it in its own request, or hand it to `wait_until`; keep the value, not the task.
    """

    id = "RUN603"
    since = "0.1.0"
    nodes = (
        ast.AnnAssign, ast.Assign, ast.AsyncFunctionDef, ast.FunctionDef, ast.Global, ast.NamedExpr
    )  # fmt: skip
    methods = ("add", "append", "appendleft", "setdefault")
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
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from self._cached(node, scope)
        elif isinstance(node, ast.Call):
            yield from self._put(node, scope)
        elif not isinstance(node, ast.AnnAssign | ast.Assign | ast.NamedExpr):
            return
        elif not scope.functions:
            if isinstance(node.value, _CONTAINERS) and not scope.classes:
                self._kept_names.update((*_owner(scope), name) for name in names_given(node))
        elif node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in filter(None, (self._shared(target, scope) for target in targets)):
                yield from self._kept(name, node.value, scope)

    def _cached(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope
    ) -> Iterator[Finding]:
        for decorator in node.decorator_list:
            if not _caches(decorator, scope):
                continue
            if isinstance(node, ast.AsyncFunctionDef):
                yield self.finding(
                    scope.place(decorator),
                    f"{node.name}() is cached, and that keeps its coroutine, which can be awaited "
                    "once and by one request; keep the value",
                )
                continue
            for each in node.body:
                if isinstance(each, ast.Return) and each.value:
                    yield from self._kept(f"{node.name}()", each.value, scope)

    def _put(self, node: ast.Call, scope: Scope) -> Iterator[Finding]:
        """What a method adds to a container of the module."""
        container = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        if not scope.functions or not node.args or not isinstance(container, ast.Name):
            return
        if self._of_module(container.id, scope) and not _waited(node.args[-1], scope):
            # A set may only hold on to a task that its request waits for elsewhere.
            holds = isinstance(node.func, ast.Attribute) and node.func.attr == "add"
            for each in self._kept(container.id, node.args[-1], scope):
                yield each._replace(severity=Severity.WARNING) if holds else each

    def _of_module(self, name: str, scope: Scope) -> bool:
        return name not in scope.local and (scope.module.path, None, name) in self._kept_names

    def _shared(self, target: ast.expr, scope: Scope) -> str | None:
        """The name of the module's that an assignment in a function changes."""
        if isinstance(target, ast.Name):
            return target.id if (*_owner(scope), target.id) in self._kept_names else None
        base = getattr(target, "value", None)
        if not isinstance(base, ast.Name) or base.id in scope.local:
            return None
        if isinstance(target, ast.Attribute):
            classes = (each for each in scope.module.tree.body if isinstance(each, ast.ClassDef))
            return ast.unparse(target) if any(each.name == base.id for each in classes) else None
        return base.id if self._of_module(base.id, scope) else None

    def _kept(self, name: str, value: ast.expr, scope: Scope) -> Iterator[Finding]:
        if found := _of_request(value, scope):
            node, what, severity = found
            yield self.finding(
                scope.place(node),
                f"{name} keeps {what} for other requests, and it belongs to the one that made it; "
                "keep plain values",
                severity=severity,
            )


_CONTAINERS = (ast.Call, ast.Dict, ast.List, ast.Set)


def _owner(scope: Scope) -> tuple[PurePosixPath, ast.AST | None]:
    """Whose names they are: a function's, or a module's."""
    return scope.module.path, scope.functions[-1] if scope.functions else None


_CACHES = frozenset({"functools.cache", "functools.lru_cache"})


_FETCHES = frozenset({"js.fetch", "workers.fetch"})


_TASKS = frozenset({"asyncio.create_task", "asyncio.ensure_future"})


_WAITS = frozenset({"waitUntil", "wait_until"})


def _caches(decorator: ast.expr, scope: Scope) -> bool:
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    return scope.name(function) in _CACHES


def _of_request(node: ast.expr, scope: Scope) -> tuple[ast.expr, str, Severity | None] | None:
    """What belongs to a request in a value that is one at least sometimes: where, what, how bad."""
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.BoolOp):
            pending += reversed(node.values)
        elif isinstance(node, ast.IfExp):
            pending += (node.orelse, node.body)
        elif found := _plainly(node, scope):
            return (node, *found)
    return None


def _plainly(node: ast.expr, scope: Scope) -> tuple[str, Severity | None] | None:
    """What a value is that belongs to a request, and how bad it is to keep."""
    value = origin(node, scope)
    if isinstance(value, ast.arg):
        return ("a request", Severity.WARNING) if _is_request(value) else None
    call = value.value if isinstance(value, ast.Await) else value
    if not isinstance(call, ast.Call):
        return None
    if isinstance(value, ast.Await):
        answers = scope.name(call.func) in _FETCHES
        return (f"the response of {scope.shown(call)}", None) if answers else None
    if _belongs(call, scope):
        return scope.shown(call), Severity.WARNING if _is_client(call, scope) else None
    iterates = isinstance(node, ast.Name) and _iterates(node.id, scope)
    return (f"the iterator of {scope.shown(call)}", None) if iterates else None


def _is_request(parameter: ast.arg) -> bool:
    kind = ast.unparse(parameter.annotation) if parameter.annotation else "Request"
    return parameter.arg in {"req", "request"} and kind.strip("\"'").endswith("Request")


def _iterates(name: str, scope: Scope) -> bool:
    """Whether a function takes the next item of what a name of its own stands for."""
    for node in ast.walk(scope.functions[-1]):
        asked: ast.expr | None = node.iter if isinstance(node, ast.AsyncFor) else None
        if isinstance(node, ast.Call) and scope.name(node.func) == "anext" and node.args:
            asked = node.args[0]
        if isinstance(asked, ast.Name) and asked.id == name:
            return True
    return False


def _waited(node: ast.expr, scope: Scope) -> bool:
    """Whether a function hands what a name stands for to wait_until."""
    calls = (each for each in ast.walk(scope.functions[-1]) if isinstance(each, ast.Call))
    return isinstance(node, ast.Name) and any(
        getattr(call.func, "attr", getattr(call.func, "id", "")) in _WAITS
        and any(isinstance(each, ast.Name) and each.id == node.id for each in call.args)
        for call in calls
    )


def _belongs(node: ast.Call, scope: Scope) -> bool:
    name = scope.name(node.func)
    if _is_client(node, scope):
        return not has_transport(node)
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    shared = name in SharedPrimitive.calls and name != "collections.defaultdict"
    return shared or name in _TASKS or method in {"create_future", "create_task"}


def _is_client(node: ast.Call, scope: Scope) -> bool:
    return scope.name(node.func) in SharedClient.calls


class LostTask(Rule):
    """A task that nothing waits for.

    When a request is answered, what still runs for it is stopped: a task that a handler starts
    before it returns does its first steps at best. A handler that waits for something else after
    it, or streams its answer, may give it the time, and is left alone.

    Fix: `wait_until(coroutine)` of `workers`, or `self.ctx.waitUntil(...)`.
    """

    id = "RUN605"
    since = "0.2.0"
    severity = Severity.WARNING
    nodes = (ast.Expr,)
    failing: ClassVar[Files] = {
        "src/entry.py": BASE["src/entry.py"]
        .replace("from workers", "import asyncio\n\nfrom workers")
        .replace("        return", "        asyncio.create_task(answer(self.env))\n        return")
        .replace("Response(await answer(self.env))", 'Response("ok")'),
    }
    passing: ClassVar[Files] = {
        "src/entry.py": BASE["src/entry.py"]
        .replace(
            "import Response, WorkerEntrypoint", "import Response, WorkerEntrypoint, wait_until"
        )
        .replace("        return", "        wait_until(answer(self.env))\n        return")
        .replace("Response(await answer(self.env))", 'Response("ok")'),
    }

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls whose task is dropped, in handlers that wait for nothing afterwards."""
        call = node.value if isinstance(node, ast.Expr) else None
        if not isinstance(call, ast.Call) or not scope.functions:
            return
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if scope.name(call.func) not in _TASKS and method != "create_task":
            return
        handler = scope.functions[0]
        if not isinstance(handler, ast.AsyncFunctionDef) or not _is_handler(handler, scope):
            return
        inside = list(ast.walk(handler))
        later = any(
            isinstance(each, ast.Await | ast.AsyncFor | ast.AsyncWith | ast.Yield)
            and each.lineno > call.lineno
            for each in inside
        )
        names = {getattr(each, "id", getattr(each, "attr", "")) for each in inside}
        if not later and not any("Stream" in name or "WebSocket" in name for name in names):
            yield self.finding(
                scope.place(call),
                f"{scope.shown(call)}: the task is stopped when the request is answered; hand the "
                "coroutine to wait_until",
            )


_HANDLERS = frozenset({"email", "fetch", "queue", "scheduled", "tail"})


def _is_handler(function: ast.AsyncFunctionDef, scope: Scope) -> bool:
    """Whether the runtime calls a function."""
    if scope.classes:
        bases = {ast.unparse(base).rpartition(".")[2] for base in scope.classes[-1].bases}
        return function.name in _HANDLERS and "WorkerEntrypoint" in bases
    return function.name.removeprefix("on_") in _HANDLERS and function.name.startswith("on_")
