"""The modules of a project, and what they call each other."""

import ast
from collections.abc import Iterator
from functools import cached_property
from pathlib import PurePosixPath

from forge_scaffold.project import Project

# What a Worker has, and little else.
PLATFORM = frozenset({"_pyodide", "_pyodide_core", "js", "pyodide", "pyodide_js", "workers"})

# Through so many modules a name may be handed on; two that import it from each other never end.
_HOPS = 20


class Modules:
    """The modules of a project, by the names under which they are imported.

    Attributes:
        names: of each module, what its imports call what; they grow as the module is read.
    """

    def __init__(self, project: Project) -> None:
        self.names: dict[PurePosixPath, dict[str, str]] = {}
        self._base = project.base
        self._modules = project.modules
        self._paths: dict[str, PurePosixPath] = {}
        self._deepest = 0
        self._folders: dict[PurePosixPath, tuple[str, ...]] = {}
        self._told = {module.path: _told(module.tree) for module in project.modules}
        self._given = {module.path: dict(_given(module.tree)) for module in project.modules}
        for module in project.modules:
            self.names[module.path] = {}
            parts = module.path.relative_to(self._base).with_suffix("").parts
            self._folders[module.path] = parts[:-1]
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            self._paths[".".join(parts)] = module.path
            self._deepest = max(self._deepest, len(parts))
        self._tops = {name.partition(".")[0] for name in self._paths}

    @cached_property
    def imported(self) -> frozenset[str]:
        """The last parts of all that the project's modules import."""
        return frozenset(
            part
            for module in self._modules
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (getattr(node, "module", None) or "", *(each.name for each in node.names))
            for part in [name.rpartition(".")[2]]
        )

    def absolute(self, name: str, path: PurePosixPath) -> str:
        """A name with a module's relative import resolved; dots tell how far up it begins."""
        if not name.startswith("."):
            return name
        rest = name.lstrip(".")
        folder, dots = self._folders[path], len(name) - len(rest)
        return ".".join([*folder[: max(len(folder) + 1 - dots, 0)], rest])

    def imported_from(self, node: ast.ImportFrom, path: PurePosixPath) -> str | None:
        """The module that an import takes names from; None where it leads out of the folder."""
        parts = self._folders[path]
        if not node.level:
            return node.module
        if node.level > len(parts):
            return None
        return ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])

    def origin(self, name: str, path: PurePosixPath) -> str:
        """What a name stands for that a module of the project only hands on from elsewhere."""
        for _ in range(_HOPS):
            if not name.startswith(".") and name.partition(".")[0] not in self._tops:
                break
            module, rest = self.split(self.absolute(name, path))
            head, dot, tail = rest.partition(".")
            given = self._given[module].get(head) if module else None
            if module is None or given is None or (module == path and given == name):
                break
            name, path = self.absolute(f"{given}{dot}{tail}", module), module
        return name

    def early(self, name: str, path: PurePosixPath) -> str:
        """What a name of a module stands for, wherever in it that is said."""
        head, dot, tail = name.partition(".")
        given = self._given[path].get(head)
        return name if given is None else self.origin(f"{given}{dot}{tail}", path)

    def told(self, name: str, path: PurePosixPath) -> ast.expr | None:
        """The expression that a constant of a module is, or that a function of it returns.

        Args:
            name: the constant, or the function with `()` behind it.
            path: the module in which the name is used.
        """
        found = self._told[path].get(name)
        if found is None and "." in name:
            module, rest = self.split(self.absolute(name, path))
            found = self._told[module].get(rest) if module else None
        return found

    def has(self, name: str, path: PurePosixPath) -> bool:
        """Whether a name that a module uses is one of the project's own modules'."""
        return "." in name and self.split(self.absolute(name, path))[0] is not None

    def split(self, name: str) -> tuple[PurePosixPath | None, str]:
        """A module of the project, and the rest of a name inside it."""
        parts = name.split(".", self._deepest + 1)
        for length in range(min(len(parts) - 1, self._deepest), -1, -1):
            if path := self._paths.get(".".join(parts[:length])):
                return path, ".".join(parts[length:])
        return None, name


def brought(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """What an import gives a name, and what that stands for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            yield alias.asname or top, alias.name if alias.asname else top
    else:
        origin = "." * node.level + (f"{node.module}." if node.module else "")
        for alias in node.names:
            yield alias.asname or alias.name, f"{origin}{alias.name}"


def _given(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names of a module that stand for something from elsewhere: imports, and `a = b.c`."""
    known: dict[str, str] = {}
    pending: list[ast.AST] = [*reversed(tree.body)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            known.update(brought(node))
        elif isinstance(node, ast.Assign):
            origin = _dotted(node.value, known)
            for target in node.targets:
                if isinstance(target, ast.Name) and origin:
                    known[target.id] = origin
        elif isinstance(node, ast.If | ast.Try):
            pending += reversed([*node.body, *node.orelse])
    yield from known.items()


def _dotted(node: ast.expr, known: dict[str, str]) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in known:
        return None
    return ".".join([known[node.id], *reversed(parts)])


def _told(tree: ast.Module) -> dict[str, ast.expr]:
    """The constants of a module, and its functions that only return something."""
    told: dict[str, ast.expr] = {}
    twice: set[str] = set()
    pending: list[ast.stmt] = [*reversed(tree.body)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Try) and asks_for_platform(node):
            pending += reversed([*node.body, *node.orelse])
        elif isinstance(node, ast.If | ast.Try | ast.For | ast.While | ast.With):
            # What is assigned here depends.
            twice.update(_stored(node))
        elif found := _constant(node):
            name, value = found
            twice.update({name} & told.keys())
            told[name] = value
    return {name: value for name, value in told.items() if name not in twice}


def _constant(node: ast.stmt) -> tuple[str, ast.expr] | None:
    if isinstance(node, ast.FunctionDef):
        last = node.body[-1]
        if len(node.body) <= _SHORT and isinstance(last, ast.Return) and last.value:
            return f"{node.name}()", last.value
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if isinstance(target, ast.Name):
            return target.id, node.value
    return None


def _stored(node: ast.stmt) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id


# A function with a docstring and a `return`.
_SHORT = 2


def asks_for_platform(node: ast.Try) -> bool:
    """Whether a `try` finds out by an import whether it is in a Worker."""
    imports = [each for each in node.body if isinstance(each, ast.Import | ast.ImportFrom)]
    tops = {origin.partition(".")[0] for each in imports for _, origin in brought(each)}
    return bool(tops) and tops <= PLATFORM
