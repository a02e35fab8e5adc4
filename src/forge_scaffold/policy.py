"""The dependency policy: what a Worker may depend on, and where a project breaks it.

The allow-list is data of the project (`[tool.forge]` in pyproject.toml), so that `copier update`
carries changes of it. Three places are held against it: the declared runtime dependencies (PEP
508), the locked ones, and every import under src/.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from forge_scaffold.errors import RejectedError
from forge_scaffold.project import Module, Project, Text, canonical

# What the Workers runtime and its SDK put on the path, without any requirement saying so.
PLATFORM_MODULES = frozenset(
    {"_pyodide", "asgi", "cloudflare", "js", "pyodide", "pyodide_js", "worker_bindings", "workers"}
)

# Packages whose import name is not their own name with underscores.
IMPORT_NAMES: Mapping[str, str] = {"pyyaml": "yaml", "python-dateutil": "dateutil"}


@dataclass(frozen=True)
class Violation:
    """One breach of the policy.

    Attributes:
        path: the file, relative to the project.
        line: counted from 1.
        package: the package or module that is too many.
        reason: why it may not be there.
        fix: what to do about it.
    """

    path: PurePosixPath
    line: int
    package: str
    reason: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.package}: {self.reason}; {self.fix}"


def violations(project: Project) -> list[Violation]:
    """Every place where the project depends on what its policy does not allow.

    Args:
        project: a project whose pyproject.toml holds the allow-list.
    """
    allowed = _Allowed.of(project)
    found = [*_declared(project, allowed), *_locked(project, allowed), *_imported(project, allowed)]
    return sorted(found, key=lambda violation: (str(violation.path), violation.line))


@dataclass(frozen=True)
class _Allowed:
    """The allow-list.

    Attributes:
        direct: what may be declared and imported, with the versions allowed.
        transitive: what those bring: may be locked, not declared, not imported.
        platform: the Workers SDK: may be locked; brings PLATFORM_MODULES.
    """

    direct: Mapping[str, SpecifierSet]
    transitive: set[str]
    platform: set[str]

    @classmethod
    def of(cls, project: Project) -> "_Allowed":
        allow = project.policy.get("allow", {})
        try:
            direct: dict[str, SpecifierSet] = {
                canonicalize_name(name): SpecifierSet(allow[name]) for name in allow
            }
        except (InvalidSpecifier, AttributeError, TypeError) as error:
            raise RejectedError(f"pyproject.toml: [tool.forge.allow]: {error}") from error
        return cls(
            direct=direct,
            transitive=canonical(project.policy.get("transitive")),
            platform=canonical(project.policy.get("platform")),
        )

    @property
    def names(self) -> str:
        return ", ".join(sorted(self.direct))


def _declared(project: Project, allowed: _Allowed) -> Iterator[Violation]:
    table = project.pyproject.get("project", {})
    extras = table.get("optional-dependencies", {}).values()
    for text in [*table.get("dependencies", []), *(line for extra in extras for line in extra)]:
        if problem := _requirement_problem(text, allowed):
            package, reason, fix = problem
            line = project.manifest.line_of(text)
            yield Violation(project.manifest.path, line, package, reason, fix)


def _requirement_problem(text: str, allowed: _Allowed) -> tuple[str, str, str] | None:
    """What is wrong with a runtime requirement: (package, reason, fix)."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        return text, f"not a requirement (PEP 508): {error}", "write it as  name>=1,<2"
    name = canonicalize_name(requirement.name)
    if requirement.url:
        return name, "a URL is no version that can be allowed", "declare a released version"
    if name not in allowed.direct:
        return (
            name,
            "not on the allow-list",
            f"remove it, or allow it in [tool.forge.allow] (now: {allowed.names})",
        )
    admitted = allowed.direct[name]
    if outside := _outside(requirement.specifier, admitted):
        declared = requirement.specifier or "any version"
        return name, f"{declared} admits {outside}", f"the allow-list says {admitted}: narrow it"
    return None


def _outside(wide: SpecifierSet, narrow: SpecifierSet) -> Version | None:
    """A version that `wide` admits and `narrow` does not; None when there is none.

    Membership changes only at the versions that a specifier names or implies (`~=2.1` ends at 3),
    so those, the points right after them and the two ends tell all.
    """
    named = {Version(spec.version.removesuffix(".*")) for spec in (*wide, *narrow)}
    implied = {_next(version, place) for version in named for place in range(len(version.release))}
    after = {Version(f"{version.base_version}.0.0.1") for version in named | implied}
    for version in sorted({Version("0"), *named, *implied, *after, Version("9999")}):
        if wide.contains(version) and not narrow.contains(version):
            return version
    return None


def _next(version: Version, place: int) -> Version:
    """The version with the number at `place` raised by one and those behind it gone."""
    *head, number = version.release[: place + 1]
    return Version(".".join(map(str, (*head, number + 1))))


def _locked(project: Project, allowed: _Allowed) -> Iterator[Violation]:
    if project.lock:
        yield from _requirements_lock(project.lock, allowed)
    if project.uv_lock:
        yield from _uv_lock(project.uv_lock, allowed)


PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*)\s*==\s*(?P<version>[^\s;]+)\s*(?:;[^#]*?)?(?P<hashes>(?:\s*--hash=\S+)*)"
)


def _requirements_lock(lock: Text, allowed: _Allowed) -> Iterator[Violation]:
    for line, text in lock.logical_lines():
        pin = PIN.fullmatch(text)
        if pin is None:
            package = text.split()[0]
            yield Violation(
                lock.path, line, package, "not pinned to one version", "lock again: npm run lock"
            )
            continue
        name = canonicalize_name(pin["name"])
        if not pin["hashes"].strip():
            yield Violation(
                lock.path, line, name, "locked without a hash", "lock again: npm run lock"
            )
        yield from _locked_version(lock.path, line, name, pin["version"], allowed)


def _uv_lock(lock: Text, allowed: _Allowed) -> Iterator[Violation]:
    """The packages that uv.lock gives to the project itself, development groups left out."""
    packages = {package["name"]: package for package in tomllib.loads(lock.content)["package"]}
    roots = [
        name
        for name, package in packages.items()
        if package["source"].keys() & {"virtual", "editable"}
    ]
    reached: set[str] = set()
    pending = [name for root in roots for name in _uv_needs(packages[root])]
    while pending:
        name = pending.pop()
        if name not in reached and name in packages:
            reached.add(name)
            pending.extend(_uv_needs(packages[name]))
    for name in sorted(reached):
        line = lock.line_of(f'\nname = "{name}"') + 1
        yield from _locked_version(lock.path, line, name, packages[name]["version"], allowed)


def _uv_needs(package: Mapping[str, list[Mapping[str, str]]]) -> list[str]:
    return [needed["name"] for needed in package.get("dependencies", [])]


def _locked_version(
    path: PurePosixPath, line: int, name: str, version: str, allowed: _Allowed
) -> Iterator[Violation]:
    if name in allowed.transitive | allowed.platform:
        return
    if name not in allowed.direct:
        yield Violation(
            path,
            line,
            name,
            "locked for the Worker, but neither allowed nor brought by what is",
            "remove it and lock again (npm run lock), or name it in [tool.forge]",
        )
        return
    admitted = allowed.direct[name]
    try:
        inside = admitted.contains(Version(version), prereleases=True)
    except InvalidVersion:
        inside = False
    if not inside:
        yield Violation(
            path, line, name, f"{version} is outside {admitted}", "lock again: npm run lock"
        )


def _imported(project: Project, allowed: _Allowed) -> Iterator[Violation]:
    declared = {
        canonicalize_name(match[0])
        for text in project.pyproject.get("project", {}).get("dependencies", [])
        if (match := re.match(r"[A-Za-z0-9][\w.-]*", text))
    }
    importable = {_import_name(name) for name in declared & allowed.direct.keys()}
    known = sys.stdlib_module_names | project.own_modules | PLATFORM_MODULES | importable
    for module in project.modules:
        for line, name in imports(module):
            if name not in known:
                yield Violation(module.path, line, name, *_import_problem(name, allowed))


def _import_problem(name: str, allowed: _Allowed) -> tuple[str, str]:
    for package in allowed.direct:
        if _import_name(package) == name:
            return (
                "imported but not declared",
                f"add {package} to the dependencies in pyproject.toml",
            )
    for package in allowed.transitive:
        if _import_name(package) == name:
            return (
                "imported, though only another package's own dependency",
                "import what is declared",
            )
    return (
        "imported but not on the allow-list",
        "remove the import, or declare and allow the package",
    )


def _import_name(package: str) -> str:
    return IMPORT_NAMES.get(package, package.replace("-", "_"))


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Every absolute import of a module as (line, top-level name), wherever it stands.

    `importlib.import_module`, `import_module` and `__import__` count when the name is a literal.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and (name := _called_import(node)):
            yield node.lineno, name


def _called_import(call: ast.Call) -> str | None:
    function = call.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
    if called not in {"import_module", "__import__"} or not call.args:
        return None
    name = call.args[0]
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        return None
    return name.value.partition(".")[0] or None
