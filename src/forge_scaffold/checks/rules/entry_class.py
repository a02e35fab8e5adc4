"""RUN5: what the runtime calls."""

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

from forge_scaffold.checks.code.expressions import names_given
from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.configuration import python_worker
from forge_scaffold.checks.examples import BASE
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule, Subject
from forge_scaffold.documents import Place


class LegacyHandler(Rule):
    """A handler function instead of the entry class.

    From the compatibility date 2025-08-14 on the runtime calls the methods of a class `Default`;
    functions such as `on_fetch` are not called any more. Before, they are a warning: they get none
    of the SDK's conversions.

    Fix: `class Default(WorkerEntrypoint)` with `async def fetch(self, request)`, `scheduled`,
    `queue`.
    """

    id = "RUN501"
    since = "0.1.0"
    needs_worker = True
    nodes = (
        ast.FunctionDef, ast.AsyncFunctionDef, ast.Assign, ast.AnnAssign, ast.ImportFrom,
    )  # fmt: skip
    failing: ClassVar[Files] = {
        "src/entry.py": "from workers import Response\n\nfrom service import answer\n\n\n"
        "async def on_fetch(request, env):\n    return Response(await answer(env))\n"
    }
    passing: ClassVar[Files] = {"src/entry.py": BASE["src/entry.py"]}

    HANDLERS: ClassVar[frozenset[str]] = frozenset(
        {"on_alarm", "on_email", "on_fetch", "on_queue", "on_scheduled", "on_tail", "on_trace"}
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """What gives a name at the top of the main module."""
        if scope.functions or scope.classes or not _is_main(scope):
            return
        wrangler = python_worker(scope.project)
        if wrangler is None:
            return
        if _has_conversions(node, scope):
            return
        names = names_given(node) & self.HANDLERS
        if names and not _has_default(scope):
            dead = wrangler.calls_functions is False
            since = (
                "is not called from 2025-08-14 on" if dead else "gets no conversions from the SDK"
            )
            yield self.finding(
                _name_place(node, scope),
                f"{min(names)} {since}; write a class Default(WorkerEntrypoint)",
                severity=None if dead else Severity.WARNING,
            )


def _is_main(scope: Scope) -> bool:
    wrangler = scope.project.wrangler
    main = wrangler.main if wrangler else None
    return main is not None and str(scope.module.path) == main.removeprefix("./")


def _has_conversions(node: ast.AST, scope: Scope) -> bool:
    """Whether it is a function under the SDK's `@handler`, which converts what it gets."""
    decorators = getattr(node, "decorator_list", [])
    return any(scope.name(each) == "workers.handler" for each in decorators)


def _name_place(node: ast.AST, scope: Scope) -> Place:
    """The place of the name that a definition gives, on the line of the definition."""
    place = scope.place(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return scope.module.text.place_of(node.name, node.lineno)
    return place


def _has_default(scope: Scope) -> bool:
    """Whether the main module has a `Default`: a class, an import, an assignment."""
    return _gives_default(scope.module.tree)


@lru_cache(maxsize=1)
def _gives_default(tree: ast.Module) -> bool:
    return any(names_given(node) & {"Default", "*"} for node in _top(tree))


def _top(tree: ast.Module) -> Iterator[ast.AST]:
    """The statements outside of functions and classes, those under conditions among them."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        yield node
        for name in ("body", "orelse", "finalbody", "handlers"):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                pending += getattr(node, name, [])


# Names of whatever may be something that the runtime calls, or may bring it.
_ENTRIES = LegacyHandler.HANDLERS | {
    "*", "Default", "DurableObject", "WorkerEntrypoint", "WorkflowEntrypoint", "globals", "setattr",
}  # fmt: skip


def _names_entry(tree: ast.Module) -> bool:
    """Whether a module has one of those names, wherever."""
    return any(
        getattr(node, field, None) in _ENTRIES
        for node in ast.walk(tree)
        for field in ("id", "name", "asname", "attr")
    )


class NoDefault(Rule):
    """A main module without the class `Default`.

    From the compatibility date 2025-08-14 on the runtime looks for `Default` in the main module.
    Other entry classes are for service bindings that name them. A module that has neither, nor a
    handler such as `on_fetch`, answers nothing: an application object of FastAPI or a function
    `fetch` is not looked for.

    Fix: call the class `Default`; hand an application to it: `asgi.fetch(app, request, self.env)`.
    """

    id = "RUN502"
    since = "0.1.0"
    needs_worker = True
    nodes = (ast.ClassDef,)
    failing: ClassVar[Files] = {
        "src/entry.py": BASE["src/entry.py"].replace("class Default", "class Worker")
    }
    passing: ClassVar[Files] = {"src/entry.py": BASE["src/entry.py"]}

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Entry classes of a main module that has no `Default`."""
        wrangler = python_worker(scope.project)
        if not isinstance(node, ast.ClassDef) or wrangler is None or not _is_main(scope):
            return
        entry = any(scope.name(base) == "workers.WorkerEntrypoint" for base in node.bases)
        if entry and wrangler.calls_functions is False and not _has_default(scope):
            yield self.finding(
                _name_place(node, scope),
                f"{node.name}: the runtime looks for a class Default in {wrangler.main}",
            )

    def check(self, subject: Subject) -> Iterator[Finding]:
        """A main module that speaks of nothing that the runtime looks for."""
        wrangler = subject.worker
        main = wrangler.main and wrangler.main.removeprefix("./")
        for module in subject.project.modules:
            if str(module.path) == main and not _names_entry(module.tree):
                yield self.finding(
                    Place(module.path),
                    "there is no class Default in the main module, and nothing else that the "
                    "runtime looks for; write a class Default(WorkerEntrypoint)",
                )


# The methods that the runtime calls as on_fetch and so on where it calls functions, too.
_RENAMED = {
    "workers.WorkerEntrypoint": ("fetch",),
    "workers.DurableObject": (
        "fetch", "alarm", "webSocketMessage", "webSocketClose", "webSocketError",
    ),
}  # fmt: skip


class UncalledMethod(Rule):
    """A method that the runtime calls by its old name.

    Before the compatibility date 2025-08-14, and with the flag `disable_python_no_global_handlers`
    after it, the runtime calls `on_fetch` of a class where it calls `fetch` today. Of a Durable
    Object it calls `on_alarm`, `on_webSocketMessage`, `on_webSocketClose` and `on_webSocketError`,
    too. A class with the new names only answers nothing: "Method on_fetch does not exist".

    Fix: a compatibility date of 2025-08-14 or later, or the flag `python_no_global_handlers`.
    """

    id = "RUN503"
    since = "0.2.0"
    needs_worker = True
    nodes = (ast.ClassDef,)
    failing: ClassVar[Files] = {
        "wrangler.toml": BASE["wrangler.toml"].replace("2026-11-01", "2025-08-13")
    }
    passing: ClassVar[Files] = {
        "wrangler.toml": BASE["wrangler.toml"].replace("2026-11-01", "2025-10-16")
    }

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """The classes that the runtime makes instances of."""
        wrangler = python_worker(scope.project)
        if not isinstance(node, ast.ClassDef) or not wrangler or not wrangler.calls_functions:
            return
        if scope.classes or scope.functions or not (_is_main(scope) or _is_handed_on(node, scope)):
            return
        given = {name for each in node.body for name in names_given(each)}
        cure = (
            "take the flag disable_python_no_global_handlers out"
            if "disable_python_no_global_handlers" in wrangler.flags
            else "move the compatibility date to 2025-08-14 or later"
        )
        for base in node.bases:
            for name in _RENAMED.get(scope.name(base) or "", ()):
                if name in given and f"on_{name}" not in given:
                    yield self.finding(
                        _method_place(node, name, scope),
                        f"{name}: the runtime calls on_{name}; {cure}",
                    )


def _is_handed_on(node: ast.ClassDef, scope: Scope) -> bool:
    """Whether the main module imports a class of another one."""
    wrangler = scope.project.wrangler
    main = (wrangler.main or "").removeprefix("./") if wrangler else ""
    return any(
        isinstance(each, ast.ImportFrom) and names_given(each) & {node.name, "*"}
        for module in scope.project.modules
        if str(module.path) == main
        for each in module.tree.body
    )


def _method_place(node: ast.ClassDef, name: str, scope: Scope) -> Place:
    method = next(each for each in node.body if name in names_given(each))
    return _name_place(method, scope)
