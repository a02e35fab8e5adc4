"""RUN403: what JavaScript is to call later."""

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.code.values import kind
from forge_scaffold.checks.examples import service
from forge_scaffold.checks.finding import Finding
from forge_scaffold.checks.rule import Files, Rule

# Functions of JavaScript that call back later, and which argument they call.
_LATER = {"js.queueMicrotask": 0, "js.setInterval": 0, "js.setTimeout": 0}


class Callback(Rule):
    """A Python function that JavaScript is to call later.

    What crosses into JavaScript in a call is a proxy that lives as long as the call. A listener, or
    what a timer calls, comes later: "This borrowed proxy was automatically destroyed", and the
    function never runs.

    Fix: `create_proxy(function)` from pyodide.ffi, kept as long as it is called;
    `create_once_callable(function)` for what is called once.
    """

    id = "RUN403"
    since = "0.2.0"
    calls = tuple(_LATER)
    methods = ("addEventListener",)
    failing: ClassVar[Files] = service(
        "import httpx\nfrom js import WebSocketPair\n\n\nasync def answer(env):\n"
        "    _, server = WebSocketPair.new().object_values()\n\n"
        "    def on_message(event):\n        server.send(event.data)\n\n"
        '    server.addEventListener("message", on_message)\n    return httpx.__version__\n'
    )
    passing: ClassVar[Files] = service(
        "import httpx\nfrom js import WebSocketPair\nfrom pyodide.ffi import create_proxy\n\n\n"
        "async def answer(env):\n    _, server = WebSocketPair.new().object_values()\n\n"
        "    def on_message(event):\n        server.send(event.data)\n\n"
        '    server.addEventListener("message", create_proxy(on_message))\n'
        "    return httpx.__version__\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls with what is plainly a Python function."""
        if not isinstance(node, ast.Call) or scope.import_time:
            return
        listens = isinstance(node.func, ast.Attribute) and node.func.attr == "addEventListener"
        index = 1 if listens else _LATER.get(scope.name(node.func) or "", len(node.args))
        if len(node.args) <= index:
            return
        callback = node.args[index]
        if _is_function(callback, scope):
            plain = isinstance(callback, ast.Name | ast.Attribute)
            shown = ast.unparse(callback) if plain else "this function"
            yield self.finding(
                scope.place(callback),
                f"{shown} is called after this call has returned, and is gone by then; hand over "
                f"create_proxy({shown if plain else '...'})",
            )


def _is_function(node: ast.expr, scope: Scope) -> bool:
    """Whether it is a lambda, a partial, a function defined around it, or a method of its class."""
    if kind(node, scope) == "function":
        return True
    if isinstance(node, ast.Attribute):
        mine = isinstance(node.value, ast.Name) and node.value.id == "self"
        return mine and bool(scope.classes) and _defines(scope.classes[-1].body, node.attr)
    if not isinstance(node, ast.Name) or scope.imported(node):
        return False
    for around in (*reversed(scope.functions), scope.module.tree):
        if isinstance(around, ast.Lambda):
            continue
        if node.id in _assigned(around):
            return False
        if _defines(around.body, node.id):
            return True
    return False


def _defines(body: list[ast.stmt], name: str) -> bool:
    """Whether statements define a function that nothing has wrapped."""
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name == name
        and not node.decorator_list
        for node in body
    )


@lru_cache(maxsize=8)
def _assigned(around: ast.FunctionDef | ast.AsyncFunctionDef | ast.Module) -> frozenset[str]:
    """The names that are parameters or variables, and may stand for anything."""
    return frozenset(
        each.arg if isinstance(each, ast.arg) else each.id
        for each in ast.walk(around)
        if isinstance(each, ast.arg)
        or (isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store))
    )
