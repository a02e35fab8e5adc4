"""What wrangler attaches to a Worker, and what can be imported of it."""

import ast
import re
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import PurePosixPath

from forge_scaffold.project import WRANGLER_FILES, Module, Project, strings, tables

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
def _pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(_translated, globs)))


def _translated(glob: str) -> str:
    """A glob of wrangler's: `**` for folders, `*` and `?` inside of one."""
    parts = re.split(r"(\*\*/?|\*|\?)", glob)
    translated = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(translated.get(part, re.escape(part)) for part in parts)


def matches(globs: tuple[str, ...], path: str) -> bool:
    """Whether one of the patterns matches a file."""
    return _pattern(globs).fullmatch(path) is not None


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
        self._found: dict[str, PurePosixPath | None] = {}
        self._names: dict[PurePosixPath, frozenset[str] | None] = {}
        # By their text, which takes less time to look up than paths do.
        self._code = {str(path): path for path in project.files if path.suffix in {".py", ".so"}}
        self._folders = {str(folder) for path in self._code.values() for folder in path.parents}

    def find(self, module: str) -> PurePosixPath | None:
        """The file of a module, or the folder of a package without one; None: there is none."""
        if module not in self._found:
            self._found[module] = self._look_for(module)
        return self._found[module]

    def _look_for(self, module: str) -> PurePosixPath | None:
        place = "/".join([*self._base.parts, *module.split(".")])
        for file in (f"{place}/__init__.py", f"{place}.py"):
            if file in self._code:
                return self._code[file]
        if place in self._folders or any(
            file.startswith(f"{place}.") and "/" not in file.removeprefix(place)
            for file in self._compiled
        ):
            return PurePosixPath(place)
        return None

    @cached_property
    def _compiled(self) -> tuple[str, ...]:
        return tuple(file for file in self._code if file.endswith(".so"))

    def elsewhere(self, module: str) -> PurePosixPath | None:
        """Where in the project, outside of what is uploaded, an outermost module lies."""
        roots = dict.fromkeys((PurePosixPath(), PurePosixPath("src")))
        for root in roots:
            if root == self._base:
                continue
            for place in (root / module / "__init__.py", root / f"{module}.py", root / module):
                folder = str(place) in self._folders
                if str(place) in self._code or (folder and self._plain(place)):
                    return place.parent if place.name == "__init__.py" else place
        return None

    def _plain(self, folder: PurePosixPath) -> bool:
        """Whether a folder has modules of its own directly in it, and is no project itself."""
        inside = [path for path in self._project.files if path.parent == folder]
        names = {path.name for path in inside}
        return "pyproject.toml" not in names and any(path.suffix == ".py" for path in inside)

    def gives(self, file: PurePosixPath, name: str) -> bool:
        """Whether a module has a name, or may have it for all that its text says."""
        if file not in self._names:
            module = self._modules.get(file)
            self._names[file] = _given(module) if module else None
        names = self._names[file]
        return names is None or name in names or name in _ALWAYS

    @cached_property
    def _modules(self) -> dict[PurePosixPath, Module]:
        return {module.path: module for module in self._project.modules}


def _given(module: Module) -> frozenset[str] | None:
    """The names at the top of a module; None where the text does not tell all of them."""
    found: set[str] = set()
    # Few modules have one of these words, and to look for it in the text is much faster.
    unusual = any(word in module.text.content for word in (*_DYNAMIC, "global"))
    for node in ast.walk(module.tree) if unusual else ():
        if isinstance(node, ast.Name | ast.Attribute | ast.FunctionDef):
            named = {getattr(node, field, None) for field in ("id", "attr", "name")}
            if named & _DYNAMIC:
                return None
        if isinstance(node, ast.Global):
            found.update(node.names)
    for statement in module.tree.body:
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
