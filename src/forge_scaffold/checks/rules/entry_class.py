"""RUN5: what the runtime calls."""

import ast
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import ClassVar

from forge_scaffold.checks.code.expressions import names_given
from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.configuration import python_worker
from forge_scaffold.checks.examples import BASE
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule, Subject
from forge_scaffold.documents import Place

# From this date on the entry class is `Default`, and functions such as on_fetch are not called.
ENTRY_CLASS = date(2025, 8, 14)


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
            modern = wrangler.date and wrangler.date >= ENTRY_CLASS
            dead = modern and "disable_python_no_global_handlers" not in wrangler.flags
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
        modern = wrangler.date and wrangler.date >= ENTRY_CLASS
        if entry and modern and not _has_default(scope):
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
