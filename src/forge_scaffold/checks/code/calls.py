"""Which of the project's own functions run while its modules are imported.

The walk notes every function and class where it is defined, and every call that runs at import time
where it stands; names lead from the one to the other, through what the project's modules import of
each other.
"""

import ast
from collections import deque
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple, TypeAlias

from forge_scaffold.checks.code.modules import Modules
from forge_scaffold.checks.code.scope import Call, Scope

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Definition: TypeAlias = Function | ast.ClassDef

# Functions that run the coroutines that they get.
RUNNERS = frozenset(
    {
        "asyncio.create_task",
        "asyncio.ensure_future",
        "asyncio.gather",
        "asyncio.run",
        "pyodide.ffi.run_sync",
    }
)

# What runs of a class when it is called.
_MAKERS = ("__new__", "__init__", "__post_init__", "model_post_init")

# What gives a field what a call makes.
_FIELDS = frozenset({"attr.field", "attrs.field", "dataclasses.field", "pydantic.Field"})

# Through so many modules a name may be handed on; two that import it from each other never end.
_HOPS = 20


class Defined(NamedTuple):
    """A function or a class, and where it stands."""

    node: Definition | ast.Lambda
    scope: Scope


class Calls:
    """The functions of a project, and its calls at import time.

    Attributes:
        made: the calls that are still to be followed, in the order in which they were met.
    """

    def __init__(self, modules: Modules) -> None:
        self.made: deque[Call] = deque()
        self._modules = modules
        self._filled: dict[ast.ClassDef, list[Defined | None]] = {}
        self._defined: dict[tuple[PurePosixPath, ast.AST | None], dict[str, Defined]] = {}

    def define_as(self, name: str, node: ast.Lambda, scope: Scope) -> None:
        """Note a function without a name of its own under the one that it is given."""
        owner = scope.functions[-1] if scope.functions else None
        full = name if owner else ".".join([*(each.name for each in scope.classes), name])
        self._defined.setdefault((scope.module.path, owner), {})[full] = Defined(node, scope)

    def makes(self, name: str, scope: Scope) -> bool:
        """Whether a name is that of a class of the project, as far as it is known by now."""
        if self._modules.has(name, scope.module.path):
            return name.rpartition(".")[2][:1].isupper()
        found = self._defined.get((scope.module.path, None), {}).get(name)
        return found is not None and isinstance(found.node, ast.ClassDef)

    def define(self, node: Definition, scope: Scope) -> None:
        """Note a function or a class: by its name inside its function, by its full one outside."""
        owner = scope.functions[-1] if scope.functions else None
        name = node.name if owner else _full_name(node, scope)
        self._defined.setdefault((scope.module.path, owner), {})[name] = Defined(node, scope)

    def run(self, call: Call) -> Iterator[tuple[Function | ast.Lambda, Scope]]:
        """The functions whose bodies a call runs, each with where it stands."""
        found = self._found(call.name, call.scope)
        if found and isinstance(found.node, ast.ClassDef):
            run = [self._method(found, name) for name in _MAKERS]
            run += self._factories(found.node, found.scope)
        elif found and call.factory and not isinstance(found.node, ast.Lambda):
            inner = self._defined.get((found.scope.module.path, found.node), {})
            run = [found, *(inner.get(name) for name in _returned(found.node))]
        else:
            run = [found]
        for each in run:
            # What a coroutine does, it does when it is awaited.
            awaits = each and isinstance(each.node, ast.AsyncFunctionDef)
            if each and not isinstance(each.node, ast.ClassDef) and (call.awaited or not awaits):
                yield each.node, each.scope

    def _factories(self, node: ast.ClassDef, scope: Scope) -> list[Defined | None]:
        """What fills the fields of an instance: `field(default_factory=list)`."""
        if node not in self._filled:
            inside = scope._replace(classes=(*scope.classes, node))
            self._filled[node] = [
                Defined(factory, inside)
                for statement in node.body
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.value, ast.Call)
                if scope.name(statement.value.func) in _FIELDS
                for keyword in statement.value.keywords
                if keyword.arg in {"default_factory", "factory"}
                for factory in [_called(keyword.value)]
            ]
        return self._filled[node]

    def _method(self, defined: Defined, name: str) -> Defined | None:
        """A method of a class: its own, or that of the first base that has it."""
        seen: set[ast.AST] = set()
        pending = [defined]
        while pending:
            node, scope = pending.pop()
            if isinstance(node, ast.Lambda):
                continue
            own = f"{_full_name(node, scope)}.{name}"
            if found := self._defined.get((scope.module.path, None), {}).get(own):
                return found
            if isinstance(node, ast.ClassDef) and node not in seen:
                seen.add(node)
                bases = (self._found(scope.name(base) or "", scope) for base in node.bases)
                pending += reversed([base for base in bases if base])
        return None

    def _found(self, name: str, scope: Scope) -> Defined | None:
        """What a name stands for: in the functions around it, in its module, in another one."""
        path = scope.module.path
        for owner in (*reversed(scope.functions), None):
            if found := self._defined.get((path, owner), {}).get(name):
                return found
        for _ in range(_HOPS):
            module, rest = self._modules.split(self._modules.absolute(name, path))
            if module is None:
                return None
            if found := self._defined.get((module, None), {}).get(rest):
                return found
            head, dot, tail = rest.partition(".")
            if head not in self._modules.names[module]:
                return None
            path, name = module, f"{self._modules.names[module][head]}{dot}{tail}"
        return None


def _called(factory: ast.expr) -> ast.Lambda:
    """A function that calls one that is only named."""
    if isinstance(factory, ast.Lambda):
        return factory
    call = ast.copy_location(ast.Call(factory, [], []), factory)
    nothing = ast.arguments([], [], None, [], [], None, [])
    return ast.copy_location(ast.Lambda(nothing, call), factory)


def _full_name(node: Definition, scope: Scope) -> str:
    return ".".join([*(each.name for each in scope.classes), node.name])


def _returned(node: Definition) -> Iterator[str]:
    """The names that a function returns at the end of its body."""
    for statement in node.body:
        if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Name):
            yield statement.value.id
