"""Where a project imports what: read as syntax trees; nothing is imported or run."""

import ast
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# Folders that hold other people's code, or none that runs.
PASSED_OVER = frozenset({"node_modules", "python_modules", "site-packages", "__pycache__"})

LARGEST = 2 * 1024 * 1024  # of a Python file that is read, in bytes


@dataclass(frozen=True)
class Import:
    """One import: the dotted name, and the place.

    Attributes:
        name: as written, with the names taken from it: `from a.b import c` is a.b.c.
        path: relative to the project.
        line: counted from 1.
    """

    name: str
    path: PurePosixPath
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True)
class Sources:
    """The Python files of a project.

    Attributes:
        imports: every absolute import, by file and line.
        files: how many files were read.
        unread: the files that are no Python a reader can follow.
        named: the outermost modules that strings name: "a" for "a.b", as settings and plug-ins do.
    """

    imports: tuple[Import, ...] = ()
    files: int = 0
    unread: tuple[PurePosixPath, ...] = ()
    named: frozenset[str] = frozenset()

    def of(self, modules: Sequence[str]) -> list[Import]:
        """The imports of any of these modules, or of what is in them; one a line."""
        wanted = set(modules)
        found = (one for one in self.imports if wanted & set(_prefixes(one.name)))
        return list({str(one): one for one in found}.values())

    def name(self, modules: Sequence[str]) -> bool:
        """Whether a string names any of these modules, or something in them."""
        return not self.named.isdisjoint(module.partition(".")[0] for module in modules)


def scan(root: Path) -> Sources:
    """The imports of all Python files below a folder, virtual environments and such left out."""
    imports: list[Import] = []
    unread: list[PurePosixPath] = []
    named: set[str] = set()
    count = 0
    for path in _python_files(root):
        relative = PurePosixPath(path.relative_to(root).as_posix())
        tree = _parsed(path)
        if tree is None:
            unread.append(relative)
            continue
        count += 1
        imports += [Import(name, relative, line) for line, name in _imports(tree)]
        named.update(_named(tree))
    return Sources(tuple(imports), count, tuple(unread), frozenset(named))


def _python_files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        if "pyvenv.cfg" in names and Path(folder) != root:
            folders.clear()
            continue
        folders[:] = sorted(
            name for name in folders if name not in PASSED_OVER and not name.startswith(".")
        )
        for name in sorted(names):
            path = Path(folder, name)
            if name.endswith((".py", ".pyi")) and path.is_file():
                yield path


def _parsed(path: Path) -> ast.Module | None:
    try:
        if path.stat().st_size > LARGEST:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a compiler thinks of the project's strings
            return ast.parse(path.read_bytes(), filename=path.name)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _named(tree: ast.Module) -> Iterator[str]:
    """The outermost names of strings that are dotted names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            top, _, rest = node.value[:100].partition(".")
            if top.isidentifier() and (not rest or rest.replace(".", "_").isidentifier()):
                yield top


def _prefixes(name: str) -> Iterator[str]:
    """a.b.c, a.b, a."""
    parts = name.split(".")
    return (".".join(parts[:length]) for length in range(len(parts), 0, -1))
