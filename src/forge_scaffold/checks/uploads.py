"""What wrangler attaches to a Worker, and what can be imported of it."""

import ast
import re
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import PurePosixPath

from forge_scaffold.project import WRANGLER_FILES, Project, strings, tables

# What gives a module names that its text does not show.
_DYNAMIC = frozenset({"__getattr__", "__path__", "exec", "globals", "modules", "setattr", "vars"})

# What every module has.
_ALWAYS = frozenset(
    {
        "__annotations__", "__dict__", "__doc__", "__file__", "__loader__", "__name__",
        "__package__", "__path__", "__spec__",
    }
)  # fmt: skip


# What wrangler attaches of its own accord, beside Python's modules.
_DEFAULTS = (
    {"type": "Text", "globs": ["**/*.txt", "**/*.html", "**/*.sql"]},
    {"type": "Data", "globs": ["**/*.bin"]},
    {"type": "CompiledWasm", "globs": ["**/*.wasm"]},
)


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    """A glob of wrangler's: `**` for folders, `*` and `?` inside of one."""
    parts = re.split(r"(\*\*/?|\*|\?)", glob)
    translated = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(translated.get(part, re.escape(part)) for part in parts))


def matches(globs: tuple[str, ...], path: str) -> bool:
    """Whether one of the patterns matches a file."""
    return any(_pattern(glob).fullmatch(path) for glob in globs)


def attached(project: Project) -> Iterator[PurePosixPath]:
    """The files that are uploaded beside Python's modules, as wrangler's rules have it."""
    said = tables(project.wrangler.data.get("rules")) if project.wrangler else []
    globs: list[str] = []
    complete: set[object] = set()
    for rule in (*said, *_DEFAULTS):
        # A rule without `fallthrough` is the last of its type that counts.
        if rule.get("type") not in complete:
            globs += strings(rule.get("globs"))
            if rule.get("fallthrough") is not True:
                complete.add(str(rule.get("type")))
    configuration = set(WRANGLER_FILES)
    for path in project.files:
        if path.suffix == ".py" or path in configuration or not path.is_relative_to(project.base):
            continue
        if matches(tuple(globs), str(path.relative_to(project.base))):
            yield path


def size_of(project: Project, path: PurePosixPath) -> int:
    """A file's size in bytes."""
    try:
        return (project.root / path).stat().st_size
    except OSError:
        return 0


class Uploads:
    """The modules of a Worker: what lies in and below the folder of its main module."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._base = project.base
        self._code = {path for path in project.files if path.suffix in {".py", ".so"}}
        self._folders = {folder for path in self._code for folder in path.parents}

    def find(self, module: str) -> PurePosixPath | None:
        """The file of a module, or the folder of a package without one; None: there is none."""
        place = self._base.joinpath(*module.split("."))
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file in self._code:
                return file
        if place in self._folders or any(
            path.name.startswith(f"{place.name}.") and path.parent == place.parent
            for path in self._compiled
        ):
            return place
        return None

    @cached_property
    def _compiled(self) -> tuple[PurePosixPath, ...]:
        return tuple(path for path in self._code if path.suffix == ".so")

    def elsewhere(self, module: str) -> PurePosixPath | None:
        """Where in the project, outside of what is uploaded, an outermost module lies."""
        roots = dict.fromkeys((PurePosixPath(), PurePosixPath("src")))
        for root in roots:
            if root == self._base:
                continue
            for place in (root / module / "__init__.py", root / f"{module}.py", root / module):
                if place in self._code or (place in self._folders and self._plain(place)):
                    return place.parent if place.name == "__init__.py" else place
        return None

    def _plain(self, folder: PurePosixPath) -> bool:
        """Whether a folder has modules of its own directly in it, and is no project itself."""
        inside = [path for path in self._project.files if path.parent == folder]
        names = {path.name for path in inside}
        return "pyproject.toml" not in names and any(path.suffix == ".py" for path in inside)

    def gives(self, file: PurePosixPath, name: str) -> bool:
        """Whether a module has a name, or may have it for all that its text says."""
        names = self._names.get(file)
        return names is None or name in names or name in _ALWAYS

    @cached_property
    def _names(self) -> dict[PurePosixPath, frozenset[str] | None]:
        return {module.path: _given(module.tree) for module in self._project.modules}


def _given(tree: ast.Module) -> frozenset[str] | None:
    """The names at the top of a module; None where the text does not tell all of them."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute | ast.FunctionDef):
            named = {getattr(node, field, None) for field in ("id", "attr", "name")}
            if named & _DYNAMIC:
                return None
        if isinstance(node, ast.Global):
            found.update(node.names)
    for statement in tree.body:
        if isinstance(statement, ast.Delete):
            found -= {each.id for each in statement.targets if isinstance(each, ast.Name)}
        given = set(_top(statement))
        if "*" in given:
            return None
        found |= given
    return frozenset(found)


def _top(statement: ast.stmt) -> Iterator[str]:
    """What a statement outside of functions and classes gives names to."""
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0]
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        if isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        if isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
        pending += ast.iter_child_nodes(node)
