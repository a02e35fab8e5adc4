"""IMP: what the Worker's modules import."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import PurePosixPath
from typing import ClassVar

from forge_scaffold.checks.code.facts import Import
from forge_scaffold.checks.examples import BASE
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.git import is_left_out
from forge_scaffold.checks.rule import Files, Rule, Subject
from forge_scaffold.checks.words import mentioned
from forge_scaffold.packages.distributions import (
    HELPS,
    MODULES,
    NOT_IMPORTED,
    PLATFORM_MODULES,
    TOOL_MODULES,
    modules_of,
)
from forge_scaffold.packages.standard_library import (
    standard_libraries,
    standard_library,
    standard_modules,
)
from forge_scaffold.project import table

# What the standard library had before there were Python Workers.
_BEFORE = frozenset({"asynchat", "asyncore", "distutils", "imp", "smtpd"})

_TEST_FOLDERS = frozenset({"test", "tests", "conftest"})


# From so many packages on a module is a namespace that they share.
_NAMESPACE = 2


def _known(subject: Subject) -> set[str]:
    """What is there without a package: the standard library, the project itself, the platform."""
    return {*standard_modules(), *_BEFORE, *subject.project.own_modules, *PLATFORM_MODULES}


def _foreign(subject: Subject) -> list[Import]:
    """Imports of packages, tools left to IMP006; one for each module and line."""
    known = _known(subject) | TOOL_MODULES | _TEST_FOLDERS
    return list(dict.fromkeys(each for each in subject.facts.imports if each.top not in known))


def _declared_modules(subject: Subject) -> set[str]:
    return {module for each in subject.declared for module in modules_of(each.name)}


def _nameless(subject: Subject) -> list[str]:
    """Declared packages without an import of theirs, under the names that they should have."""
    imported = {each.top for each in subject.facts.imports}
    return [
        each.name
        for each in subject.declared
        if each.requirement
        and each.runtime
        and each.name not in NOT_IMPORTED.union(subject.policy.platform)
        and imported.isdisjoint(modules_of(each.name))
    ]


def _package_of(name: str, subject: Subject) -> str:
    """The package that brings a module, as far as names tell."""
    module, _, rest = name.partition(".")
    shared = [package for package, modules in MODULES.items() if module in modules]
    if rest and len(shared) > _NAMESPACE:
        # A namespace of many packages: `google.generativeai` is google-generativeai's.
        dotted = name.replace(".", "-").replace("_", "-")
        return next((each for each in shared if f"{dotted}-".startswith(f"{each}-")), dotted)
    for package in (*subject.policy.direct, *subject.policy.transitive, *MODULES):
        if module in modules_of(package) and package.replace("-", "_") in {module, package}:
            return package
    candidates = [package for package, modules in MODULES.items() if module in modules]
    return candidates[0] if len(candidates) == 1 else module.replace("_", "-")


class Undeclared(Rule):
    """An import of a package that is not declared.

    Only declared packages, and what they bring, are uploaded with the Worker. The import works
    where something else happens to have installed the package, and fails at the edge. A warning,
    where no lock tells what the declared packages bring: what one of them brings goes with it.
    A note in a module that the Worker never imports.

    Fix: add the package to `dependencies` in pyproject.toml, or remove the import.
    """

    id = "IMP001"
    since = "0.1.0"
    failing: ClassVar[Files] = {
        "src/service.py": "import httpx\nimport pydantic\n\n\nasync def answer(env):\n"
        "    return httpx.__version__ + pydantic.VERSION\n"
    }
    passing: ClassVar[Files] = {
        **failing,
        "pyproject.toml": BASE["pyproject.toml"].replace(
            '"httpx>=0.28,<1"', '"httpx>=0.28,<1", "pydantic>=2.12,<3"'
        ),
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Imports of packages against the declared ones."""
        if "dependencies" not in table(subject.project.pyproject, "project"):
            return
        declared = _declared_modules(subject)
        nameless = _nameless(subject)
        brought = {module for each in subject.locked for module in modules_of(each.name)}
        told = subject.policy.own or subject.locked or not declared
        severity = None if told else Severity.WARNING
        transitive = {m for package in subject.policy.transitive for m in modules_of(package)}
        allowed = {module for package in subject.policy.direct for module in modules_of(package)}
        for each in _foreign(subject):
            if each.top in declared | transitive or each.optional or each.typing:
                continue
            # What is not allowed at all is IMP003's to say.
            if each.top not in allowed if subject.policy.own else each.top in brought:
                continue
            # It may be what one of the declared packages is called where it is imported.
            if _unsure(each.top, nameless):
                continue
            if any(is_left_out(subject.project.root, path) for path in _own_paths(each, subject)):
                continue
            package = _package_of(each.name, subject)
            yield self.finding(
                each.place,
                f"{each.top}: imported but not declared; add {package} to the dependencies in "
                "pyproject.toml, or remove the import",
                severity=Severity.NOTE if subject.reach.never(each.place.path) else severity,
            )


def _own_paths(each: Import, subject: Subject) -> Iterator[PurePosixPath]:
    """Where a module would be, if it were the project's own: git may leave out what builds make."""
    place = subject.project.base / each.top
    yield from (place, place.with_name(f"{each.top}.py"))


def _unsure(module: str, nameless: Sequence[str]) -> bool:
    """Whether a module may belong to a declared package of another name."""
    known = {name for names in MODULES.values() for name in names}
    return bool(nameless) and module not in known


class Unused(Rule):
    """A declared package that nothing imports.

    It is uploaded all the same: it counts against the Worker's size and its start-up.

    Fix: remove it from `dependencies` in pyproject.toml, and lock again.
    """

    id = "IMP002"
    since = "0.1.0"
    severity = Severity.WARNING
    failing: ClassVar[Files] = {
        "src/service.py": 'async def answer(env):\n    return "Hello"\n',
    }
    passing: ClassVar[Files] = {
        "src/service.py": BASE["src/service.py"],
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Declared packages against the imports, when it is plain which module is whose."""
        project = subject.project
        if not project.modules or project.broken:
            return
        declared = _declared_modules(subject)
        unclaimed = [each for each in _foreign(subject) if each.top not in declared]
        nameless = set(_nameless(subject))
        names = {each.name for each in subject.declared}
        for each in subject.declared:
            if each.name not in nameless or _mentioned(each.name, subject):
                continue
            if names & HELPS.get(each.name, frozenset()):
                continue
            if each.name not in MODULES and unclaimed:
                continue
            yield self.finding(
                each.place,
                f"{each.name}: declared, but nothing imports it; remove it from the dependencies",
            )


def _mentioned(package: str, subject: Subject) -> bool:
    """Whether some code has the package's name: as a plug-in, a back end, a setting, in a test."""
    return any(mentioned(word, subject.project) for word in {package, *modules_of(package)})


class ImportNotAllowed(Rule):
    """An import of a package that is not on the allow-list.

    What is imported has to be there, whoever brought it: the list under `[tool.forge.allow]` says
    what may be. An import that may fail, in a `try` with `except ImportError`, or that only type
    checkers read, brings nothing; a banned package is reported in the former, too.

    Fix: remove the import, or look at the package, then declare it and allow it.
    """

    id = "IMP003"
    since = "0.1.0"
    failing: ClassVar[Files] = {
        "src/service.py": "import httpx\nimport requests\n\n\nasync def answer(env):\n"
        "    return httpx.__version__ + requests.__version__\n"
    }
    passing: ClassVar[Files] = {
        "src/service.py": "import json\nfrom typing import TYPE_CHECKING\n\nimport httpx\n\n"
        "try:\n    import orjson\nexcept ImportError:\n    orjson = json\n\n"
        "if TYPE_CHECKING:\n    import requests\n\n\nasync def answer(env):\n"
        '    return httpx.__version__ + str(orjson.loads(b"1"))\n'
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Imports of packages against the list."""
        policy = subject.policy
        # Without a list of its own a project has heard it of its dependencies already (DEP001).
        direct = {module for package in policy.direct for module in modules_of(package)}
        brought = {module for package in policy.transitive for module in modules_of(package)}
        bans = {module: ban for name, ban in policy.banned.items() for module in modules_of(name)}
        for each in _foreign(subject):
            if each.typing:
                continue
            if ban := bans.get(each.top):
                yield self.finding(each.place, f"{each.top}: {ban}")
            elif policy.own and not each.optional and each.top not in direct | brought:
                yield self.finding(
                    each.place,
                    f"{each.top}: imported but not on the allow-list; remove the import, or "
                    "declare and allow the package",
                )


class ImportTransitive(Rule):
    """An import of a package that is only another package's own dependency.

    It is there because something else needs it, and goes when that changes its mind.

    Fix: import what is declared, or declare and allow this package itself.
    """

    id = "IMP004"
    since = "0.1.0"
    failing: ClassVar[Files] = {
        "src/service.py": "import h11\nimport httpx\n\n\nasync def answer(env):\n"
        "    return httpx.__version__ + h11.__version__\n"
    }
    passing: ClassVar[Files] = {}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Imports of what the allowed packages bring."""
        policy = subject.policy
        brought = {module for package in policy.transitive for module in modules_of(package)}
        own = _declared_modules(subject)
        own |= {module for package in policy.direct for module in modules_of(package)}
        for each in _foreign(subject):
            if each.top in brought - own:
                yield self.finding(
                    each.place,
                    f"{each.top}: imported, though only another package's own dependency; import "
                    "what is declared",
                    severity=None if policy.own else Severity.WARNING,
                )


def _moved(python: str) -> dict[str, str]:
    """The modules that other Pythons have and this one has not, and what became of each."""
    libraries = standard_libraries()
    here = standard_library(python).names
    found = dict.fromkeys(_BEFORE, f"Python {next(iter(libraries))} dropped this module")
    for version, library in libraries.items():
        for name in library.names - here:
            if _version(version) > _version(python):
                found.setdefault(name, f"this module is new in Python {version}")
    for before, after in pairwise(libraries):
        for name in libraries[before].names - libraries[after].names - here:
            if _version(after) <= _version(python):
                found[name] = f"Python {after} dropped this module"
    return found


def _version(python: str) -> tuple[int, ...]:
    return tuple(map(int, python.split(".")))


# Parts of packages that need what Pyodide leaves out, though the packages are there.
_PARTS = frozenset(
    {
        "concurrent.futures.interpreter", "concurrent.interpreters",
        "multiprocessing.shared_memory", "multiprocessing.synchronize",
    }
)  # fmt: skip


class MissingModule(Rule):
    """An import of a module that Workers do not have.

    Pyodide leaves out the parts of the standard library that need a terminal, a display, a user
    database or another process, and newer Pythons have dropped some: the import raises
    ModuleNotFoundError, and with it the Worker.
    Inside a function it is a warning: only what calls that fails. In a module that the Worker never
    imports it is a note.

    Fix: do without it; where the module is optional, import it in a `try` with `except
    ImportError`.
    """

    id = "IMP005"
    since = "0.1.0"
    failing: ClassVar[Files] = {
        "src/service.py": "import resource\n\nimport httpx\n\n\nasync def answer(env):\n"
        "    return httpx.__version__ + str(resource.getpagesize())\n"
    }
    passing: ClassVar[Files] = {}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Imports of what is left out."""
        wrangler = subject.project.wrangler
        python = wrangler.python if wrangler else None
        lacks = standard_library(python).lacks
        # A package may have taken over what was dropped.
        packages = {*_declared_modules(subject), *subject.project.own_modules}
        moved = {} if python is None or _nameless(subject) else _moved(python)
        for each in subject.facts.imports:
            if each.optional or each.typing or each.top in subject.project.own_modules:
                continue
            if each.top in lacks:
                what = "Workers do not have this module"
            elif each.top in moved and each.top not in packages:
                what = f"{moved[each.top]}, and this Worker's is {python}"
            else:
                continue
            then = "; what calls this fails" if each.later else ""
            yield self.finding(
                each.place,
                f"{each.top}: {what}{then}; do without it",
                severity=subject.reach.severity(each.place.path, later=each.later),
            )
        for statement in subject.facts.statements:
            module = statement.module or ""
            named = {module, *(f"{module}.{name}" for name in statement.names)} & _PARTS
            for name in () if statement.excused else sorted(named):
                then = "; what calls this fails" if statement.later else ""
                yield self.finding(
                    statement.place,
                    f"{name}: Workers do not have this module{then}; do without it",
                    severity=subject.reach.severity(statement.place.path, later=statement.later),
                )


class ToolImport(Rule):
    """An import of tests or of a developer's tool from the Worker.

    Neither is uploaded with the Worker's modules: it fails at its first import. Inside a function
    it is a warning: only what calls that fails. In a module that the Worker never imports it is a
    note.

    Fix: move what both need into the Worker's own modules, and import it from the tests.
    """

    id = "IMP006"
    since = "0.1.0"
    failing: ClassVar[Files] = {
        "src/service.py": "import httpx\nimport pytest\n\n\nasync def answer(env):\n"
        "    return httpx.__version__ + pytest.__version__\n"
    }
    passing: ClassVar[Files] = {}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Imports of what is not uploaded."""
        project = subject.project
        beside = {"tests", "test", "conftest"} & {path.parts[0] for path in project.files}
        inside = {path.relative_to(project.base).parts[0] for path in project.files
                  if path.is_relative_to(project.base)}  # fmt: skip
        declared = _declared_modules(subject)
        for each in subject.facts.imports:
            if each.optional or each.typing or each.top in declared:
                continue
            if each.top in TOOL_MODULES or each.top in beside - inside:
                yield self.finding(
                    each.place,
                    f"{each.top}: not uploaded with the Worker; keep tests and tools out of its "
                    "modules",
                    severity=subject.reach.severity(each.place.path, later=each.later),
                )
