"""RUN306, RUN4: what crosses between Python and JavaScript."""

import ast
from collections.abc import Iterator
from typing import ClassVar

from forge_scaffold.checks.code.expressions import names_given, text_of
from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.code.values import origin
from forge_scaffold.checks.code.walk import ENV
from forge_scaffold.checks.configuration import python_worker
from forge_scaffold.checks.examples import BASE, service
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule
from forge_scaffold.project import Project
from forge_scaffold.wrangler import FIRST_PYTHON


class JavaScriptSource(Rule):
    """JavaScript from a string.

    Workers refuse to make code from strings: `js.eval`, `js.Function.new` and `run_js` raise an
    EvalError. Python's own `eval` is another matter.

    Fix: call what JavaScript has through `js`, or put the script into a module of its own.
    """

    id = "RUN306"
    since = "0.1.0"
    calls = (
        "js.Function", "js.Function.new", "js.eval", "js.globalThis.Function.new",
        "js.globalThis.eval", "pyodide.code.run_js",
    )  # fmt: skip
    failing: ClassVar[Files] = service(
        "import httpx\nimport js\n\n\nasync def answer(env):\n"
        '    return js.eval("navigator.userAgent") + httpx.__version__\n'
    )
    passing: ClassVar[Files] = service(
        "import httpx\nimport js\n\n\nasync def answer(env):\n"
        "    return js.navigator.userAgent + httpx.__version__\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls, wherever they run."""
        if isinstance(node, ast.Call):
            yield self.finding(
                scope.place(node), f"{scope.shown(node)}: Workers make no code from strings"
            )


# JavaScript's functions that take an object of options after their first argument.
_WITH_OPTIONS = ("js.Request.new", "js.Response.new", "js.fetch")


class MapNotObject(Rule):
    """A dict in which JavaScript finds no key.

    On the Python 3.12 of Workers `to_js` makes a Map of a dict, and a dict that is handed over as
    it is arrives as a proxy. Nearly every API wants an object: a Response is a 200 whatever its
    `status` says, fetch sends a GET, Web Crypto knows no algorithm "undefined". From Python 3.13 on
    what `to_js` makes has the keys as properties, from 3.14 on it is an object.

    Fix: `to_js(value, dict_converter=Object.fromEntries)`, with `from js import Object`; or move
    `compatibility_date` on.
    """

    id = "RUN401"
    since = "0.1.0"
    severity = Severity.WARNING
    calls = ("js.Headers.new", "js.Object.fromEntries", "pyodide.ffi.to_js", *_WITH_OPTIONS)
    nodes = (ast.Assign, ast.keyword)
    failing: ClassVar[Files] = {
        "wrangler.toml": BASE["wrangler.toml"].replace("2026-11-01", "2025-07-01"),
        **service(
            "import httpx\nfrom js import fetch\nfrom pyodide.ffi import to_js\n\n\n"
            "async def answer(env):\n"
            '    page = await fetch("https://example.org", to_js({"method": "HEAD"}))\n'
            '    return f"{page.status} {httpx.__version__}"\n'
        ),
    }
    passing: ClassVar[Files] = {"src/service.py": failing["src/service.py"]}

    def __init__(self) -> None:
        self._fine: set[ast.AST] = set()

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls with what is plainly a dict, or a list of them."""
        wrangler = python_worker(scope.project)
        if wrangler is None or wrangler.python != FIRST_PYTHON:
            return
        if not isinstance(node, ast.Call):
            self._fine.update(_headers(node))
        elif (name := scope.name(node.func)) == "pyodide.ffi.to_js":
            if node not in self._fine and _makes_map(node, scope):
                yield self.finding(
                    scope.place(node),
                    "to_js() makes a Map of a dict; add dict_converter=Object.fromEntries for an "
                    "object",
                )
        elif name in _WITH_OPTIONS:
            for options in node.args[1:]:
                if _is_dict(options, scope):
                    yield self.finding(
                        scope.place(options),
                        f"{name}() finds nothing in a dict; hand over  to_js({{...}}, "
                        "dict_converter=Object.fromEntries)  or keyword arguments",
                    )
        else:
            # Both take the entries of a Map; what is nested in it stays one.
            self._fine.update(each for each in node.args if name == "js.Headers.new" or _flat(each))


def _headers(node: ast.AST) -> list[ast.expr]:
    """What is called headers: those may be a Map."""
    if isinstance(node, ast.keyword):
        return [node.value] if node.arg == "headers" else []
    names = names_given(node)
    named = isinstance(node, ast.Assign) and any(each.lower().endswith("headers") for each in names)
    return [node.value] if isinstance(node, ast.Assign) and named else []


def _flat(node: ast.expr) -> bool:
    """Whether a call takes a dict without dicts in it, headers aside."""
    value = node.args[0] if isinstance(node, ast.Call) and node.args else None
    return isinstance(value, ast.Dict) and all(
        not isinstance(item, ast.Dict) or (key is not None and text_of(key) == "headers")
        for key, item in zip(value.keys, value.values, strict=True)
    )


def _makes_map(node: ast.Call, scope: Scope) -> bool:
    """Whether a call of to_js() takes what is plainly a dict, and does not say how."""
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if keywords.keys() & {"dict_converter", "default_converter", None}:
        return False
    value = node.args[0] if node.args else keywords.get("obj")
    return value is not None and _is_dict(value, scope)


def _is_dict(node: ast.expr, scope: Scope) -> bool:
    """Whether a value is a dict, or has them, wherever the code runs."""
    match node:
        case ast.List() | ast.Tuple():
            return any(_is_dict(item, scope) for item in node.elts)
        case ast.ListComp():
            return _is_dict(node.elt, scope)
        case ast.BinOp(op=ast.BitOr()):
            return isinstance(node.left, ast.Dict) or isinstance(node.right, ast.Dict)
        case ast.Call(func=ast.Attribute(attr="model_dump")):
            return True
        case ast.Call():
            return scope.name(node.func) in {"dataclasses.asdict", "dict"}
    return isinstance(node, ast.Dict | ast.DictComp)


class RawValue(Rule):
    """None or bytes handed to a binding as they are.

    Without the SDK's wrapper, which `WorkerEntrypoint` puts around `self.env`, Python's None is
    JavaScript's undefined, which D1 refuses, and bytes cross as a proxy that is gone after the
    call.

    Fix: write the Worker as a class `Default(WorkerEntrypoint)` and use `self.env`; or pass
    `jsnull` and `to_js(data)`.
    """

    id = "RUN402"
    since = "0.1.0"
    methods = ("bind", "put")
    failing: ClassVar[Files] = {
        "wrangler.toml": BASE["wrangler.toml"].replace("2026-11-01", "2025-07-01")
        + '\n[[d1_databases]]\nbinding = "DB"\n',
        "src/entry.py": "import httpx\nfrom workers import Response\n\n\n"
        "async def on_fetch(request, env):\n"
        '    insert = env.DB.prepare("INSERT INTO notes VALUES (?)")\n'
        "    await insert.bind(None).run()\n"
        "    return Response(httpx.__version__)\n",
        "src/service.py": "",
    }
    passing: ClassVar[Files] = {
        "wrangler.toml": BASE["wrangler.toml"] + '\n[[d1_databases]]\nbinding = "DB"\n',
        **service(
            "import httpx\n\n\nasync def answer(env):\n"
            '    insert = env.DB.prepare("INSERT INTO notes VALUES (?)")\n'
            "    await insert.bind(None).run()\n    return httpx.__version__\n"
        ),
    }

    def __init__(self) -> None:
        self._old: bool | None = None

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Literals in calls that are made of the functions that Workers had before the SDK."""
        if not isinstance(node, ast.Call) or scope.classes or not scope.functions:
            return
        function = scope.functions[0]
        if getattr(function, "name", "").startswith("on_"):
            if any(_is_handler(each) for each in getattr(function, "decorator_list", [])):
                return
        elif not (_of_binding(node, scope) and self._nothing_converts(scope.project)):
            return
        for argument in node.args:
            if raw := _raw(argument, scope):
                instead = "jsnull" if raw == "None" else "to_js(data)"
                yield self.finding(
                    scope.place(argument),
                    f"{raw} to {_method(node)}: nothing converts it here; pass {instead}, or use "
                    "the SDK's WorkerEntrypoint",
                )

    def _nothing_converts(self, project: Project) -> bool:
        """Whether the Worker has handlers of old, and no class or decorator of the SDK's."""
        if self._old is None:
            nodes = [each for module in project.modules for each in module.tree.body]
            handlers = [each for each in nodes if getattr(each, "name", "").startswith("on_")]
            bases = {ast.unparse(base) for each in nodes for base in getattr(each, "bases", [])}
            wrapped = any(base.endswith(("Entrypoint", "DurableObject")) for base in bases)
            decorators = [each for node in handlers for each in getattr(node, "decorator_list", [])]
            self._old = bool(handlers) and not wrapped and not any(map(_is_handler, decorators))
        return self._old


def _is_handler(decorator: ast.expr) -> bool:
    return ast.unparse(decorator).rpartition(".")[2] == "handler"


def _of_binding(node: ast.Call, scope: Scope) -> bool:
    """Whether a call is `env.NAME.put(...)`, or the `bind` of what `env.NAME.prepare(...)` made."""
    owner = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    made = origin(owner, scope)
    if isinstance(made, ast.Call) and getattr(made.func, "attr", "") == "prepare":
        made = made.func.value if isinstance(made.func, ast.Attribute) else made
    return not isinstance(made, ast.arg) and (scope.name(made) or "").startswith(f"{ENV}.")


def _raw(node: ast.expr, scope: Scope) -> str | None:
    """What a value is that does not cross as it should: plainly None, or bytes."""
    match node:
        case ast.Constant(value=None):
            return "None"
        case ast.Constant(value=bytes()):
            return "bytes"
        case ast.Call(func=ast.Attribute(value=ast.Constant() | ast.JoinedStr(), attr="encode")):
            return "bytes"
        case ast.Call(func=ast.Name()) if scope.name(node.func) in {"bytearray", "bytes"}:
            return "bytes"
    return None


def _method(node: ast.Call) -> str:
    return f"{node.func.attr}()" if isinstance(node.func, ast.Attribute) else "the binding"
