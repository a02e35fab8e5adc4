"""Which of a project's own names its code uses, and which of them an update has removed.

A merge without a conflict can still leave code that imports what a release renamed. Modules are
read, never imported.
"""

import ast
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from forge_scaffold.documents import Place
from forge_scaffold.project import Project

ROOTS = (PurePosixPath("src"), PurePosixPath())
"""Where a generated project's modules are imported from."""


class LostName(NamedTuple):
    """A place that uses a name which an update removed.

    Attributes:
        place: file, line and column.
        name: in full: `service.web.Request.of_nobody`.
    """

    place: Place
    name: str


@dataclass
class _Namespace:
    """What a module or a class defines: names, and what is inside of its classes."""

    names: set[str] = field(default_factory=set)
    classes: dict[str, "_Namespace"] = field(default_factory=dict)
    is_open: bool = False
    """Whether it may have names that cannot be read: a star import, __getattr__, a base class."""

    def has(self, path: Sequence[str]) -> bool:
        """Whether a dotted name can be in here."""
        first, *rest = path
        if first not in self.names:
            return self.is_open
        return not rest or first not in self.classes or self.classes[first].has(rest)


Names = Mapping[str, _Namespace]


def names(folder: Path) -> Names:
    """What each of a project's own modules defines, by the module's name."""
    return {
        module: _namespace(tree.body)
        for path, tree in _trees(folder)
        for module in _modules_of(path)
    }


def lost(before: Names, folder: Path) -> list[LostName]:
    """The uses of names that were defined before and are not any more."""
    trees = list(_trees(folder))
    after = {module: _namespace(tree.body) for path, tree in trees for module in _modules_of(path)}
    return [
        LostName(Place(path, line, column + 1), ".".join((module, *name)))
        for path, tree in trees
        for module, name, line, column in _uses(tree, before)
        if _is_defined(before, module, name) and not _is_defined(after, module, name)
    ]


def _is_defined(known: Names, module: str, name: Sequence[str]) -> bool:
    if module not in known:
        return False
    return not name or f"{module}.{name[0]}" in known or known[module].has(name)


def _trees(folder: Path) -> Iterator[tuple[PurePosixPath, ast.Module]]:
    project = Project.read(folder)
    for path in project.files:
        if path.suffix == ".py":
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    yield path, ast.parse(project.shown(path))
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue  # conflict markers; the checks report what does not parse


def _modules_of(path: PurePosixPath) -> Iterator[str]:
    for root in ROOTS:
        if path.is_relative_to(root):
            parts = path.relative_to(root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _namespace(body: Sequence[ast.stmt]) -> _Namespace:
    found = _Namespace()
    for node in _statements(body):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.names.add(name)
                found.is_open |= name == "__getattr__"
            case ast.ClassDef(name=name):
                found.names.add(name)
                found.classes[name] = _class(node)
            case ast.Import(names=aliases):
                found.names |= {alias.asname or alias.name.partition(".")[0] for alias in aliases}
            case ast.ImportFrom(names=aliases):
                found.names |= {alias.asname or alias.name for alias in aliases}
                found.is_open |= any(alias.name == "*" for alias in aliases)
            case _:
                found.names |= {
                    each.id
                    for each in ast.walk(node)
                    if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
                }
    return found


def _class(node: ast.ClassDef) -> _Namespace:
    found = _namespace(node.body)
    found.names |= {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)
    }
    found.is_open |= bool(node.bases or node.keywords or node.decorator_list)
    return found


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements at the level of a body, those under `if`, `try` and `with` included."""
    for node in body:
        yield node
        for name in ("body", "orelse", "finalbody"):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _statements(getattr(node, name, []))
        for handler in getattr(node, "handlers", []):
            yield from _statements(handler.body)


def _uses(tree: ast.Module, own: Names) -> Iterator[tuple[str, tuple[str, ...], int, int]]:
    """The project's own names that a module uses: module, name in it, line, column."""
    aliases: dict[str, tuple[str, tuple[str, ...]]] = {}
    for node in ast.walk(tree):
        for module, name, bound, place in _imported(node, own):
            yield module, name, place.lineno, place.col_offset
            submodule = ".".join((module, *name))
            aliases[bound] = (submodule, ()) if submodule in own else (module, name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module, name = aliases.get(node.value.id, ("", ()))
            if module:
                yield module, (*name, node.attr), node.lineno, node.col_offset


def _imported(node: ast.AST, own: Names) -> Iterator[tuple[str, tuple[str, ...], str, ast.alias]]:
    """What a statement imports of the project's own: module, name in it, bound name, place."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name in own:
                yield alias.name, (), alias.asname or alias.name, alias
    elif isinstance(node, ast.ImportFrom) and node.module in own and not node.level:
        for alias in node.names:
            if alias.name != "*":
                yield str(node.module), (alias.name,), alias.asname or alias.name, alias
