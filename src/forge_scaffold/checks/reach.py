"""Which of its modules a Worker imports, from the main module on."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple, TypeAlias

from forge_scaffold.checks.code.expressions import text_of
from forge_scaffold.checks.code.facts import Facts
from forge_scaffold.checks.configuration import every, others, python_worker
from forge_scaffold.checks.finding import Severity
from forge_scaffold.checks.uploads import Uploads
from forge_scaffold.project import Module, Project

# What imports modules by names that are only known when it runs.
_BY_NAME = re.compile(
    r"\b(?:__import__|exec|import_module|iter_modules|run_module|run_path"
    r"|spec_from_file_location|sys\.(?:modules|path)|walk_packages)\b"
)
_MAIN = re.compile(r"""["']?main["']?\s*[=:]\s*["']([\w./-]+\.py)["']""")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)

_Imports: TypeAlias = Mapping[PurePosixPath, set[PurePosixPath]]


class Reach(NamedTuple):
    """The modules that a Worker imports, directly or through others.

    Attributes:
        early: those that it cannot start without.
        late: those that a function or an optional import brings.
    """

    early: frozenset[PurePosixPath]
    late: frozenset[PurePosixPath]

    @classmethod
    def of(cls, project: Project, facts: Facts, uploads: Uploads) -> "Reach":
        """Follow the imports from the main modules on; without one, every module counts."""
        modules = {module.path: module for module in project.modules}
        mains = _mains(project) & modules.keys()
        if not mains:
            return cls(frozenset(modules), frozenset())
        certain, possible = _imports(facts, uploads)
        early = _closure(mains, certain)
        late = _closure(early, possible)
        named = {
            path
            for module in modules.values()
            if module.path in late
            for path in _named(module, uploads)
        }
        late = _closure(late | named, possible)
        if any(_BY_NAME.search(modules[path].text.content) for path in late & modules.keys()):
            late |= modules.keys()
        return cls(frozenset(early), frozenset(late - early))

    def severity(self, path: PurePosixPath, *, later: bool) -> Severity:
        """How bad an import that fails is.

        Args:
            path: the module with the import.
            later: whether it runs only when a function is called.
        """
        if path in self.early:
            return Severity.WARNING if later else Severity.ERROR
        return Severity.NOTE if self.never(path) else Severity.WARNING

    def never(self, path: PurePosixPath) -> bool:
        """Whether the Worker imports a module nowhere."""
        return path not in self.early and path not in self.late


def _mains(project: Project) -> set[PurePosixPath]:
    said = (environment.data.get("main") for environment in every(python_worker(project)))
    mains = {main for main in said if isinstance(main, str)}
    mains.update(main for text in others(project) for main in _MAIN.findall(text))
    return {PurePosixPath(main) for main in mains}


def _imports(facts: Facts, uploads: Uploads) -> tuple[_Imports, _Imports]:
    """What each module imports when it is imported itself, and what it may import at all."""
    certain: dict[PurePosixPath, set[PurePosixPath]] = {}
    possible: dict[PurePosixPath, set[PurePosixPath]] = {}
    for statement in facts.statements:
        if statement.dead or not statement.module:
            continue
        names = (statement.module, *(f"{statement.module}.{name}" for name in statement.names))
        found = {path for name in names for path in _files(name, uploads)}
        possible.setdefault(statement.place.path, set()).update(found)
        if not (statement.later or statement.optional):
            certain.setdefault(statement.place.path, set()).update(found)
    for each in facts.imports:  # `import_module("name")` is among these
        if not each.typing:
            possible.setdefault(each.place.path, set()).update(_files(each.name, uploads))
    return certain, possible


def _files(name: str, uploads: Uploads) -> Iterator[PurePosixPath]:
    """The files of a module and of the packages around it."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        if (file := uploads.find(".".join(parts[:length]))) is None:
            return
        yield file


def _named(module: Module, uploads: Uploads) -> Iterator[PurePosixPath]:
    """The modules that strings name in full, as settings and plug-ins do."""
    for node in ast.walk(module.tree):
        text = text_of(node)
        if text and _DOTTED.fullmatch(text):
            yield from _files(text, uploads)


def _closure(start: set[PurePosixPath], imports: _Imports) -> set[PurePosixPath]:
    """Some modules, and all that are reached from them."""
    reached, pending = set(start), list(start)
    while pending:
        new = imports.get(pending.pop(), set()) - reached
        reached |= new
        pending += new
    return reached
