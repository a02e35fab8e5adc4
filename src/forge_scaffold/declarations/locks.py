"""uv.lock, poetry.lock and pylock.toml."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from forge_scaffold.declarations.dependency import LOCAL_PROBLEM, URL_PROBLEM, Collector
from forge_scaffold.declarations.files import Source, strings, table, tables, text
from forge_scaffold.declarations.uv import Need, UvLock, needs_by_group
from forge_scaffold.errors import UserError

LOCKS = ("uv.lock", "poetry.lock", "pylock.toml")


def locked_versions(root: Path) -> dict[str, str]:
    """The version of each package in a project's lock, by name; a broken lock holds none."""
    for name in LOCKS:
        lock = root / name
        if lock.is_file():
            try:
                content = Source.read(lock).toml()
            except UserError:
                return {}
            packages = [*tables(content.get("package")), *tables(content.get("packages"))]
            return {
                canonicalize_name(text(package.get("name"))): text(package.get("version"))
                for package in packages
            }
    return {}


def uv_lock(into: Collector, source: Source) -> None:
    """Every direct dependency that a uv.lock has."""
    data = source.toml()
    lock = UvLock.of(data)
    for member in lock.members:
        for group, need in needs_by_group(lock.package(member)):
            _pinned(into, source, need, lock.package(need.name), group)
    if not lock.members:
        _undemanded(into, source, tables(data.get("package")))


def poetry_lock(into: Collector, source: Source) -> None:
    """Every direct dependency that a poetry.lock has."""
    _undemanded(into, source, tables(source.toml().get("package")))


def pylock(into: Collector, source: Source) -> None:
    """Every direct dependency that a pylock.toml has."""
    _undemanded(into, source, tables(source.toml().get("packages")))


def _pinned(
    into: Collector, source: Source, need: Need, package: Mapping[str, Any], group: str
) -> None:
    """A need, with what the lock says of its package."""
    extras = ",".join(need.extras)
    requirement = f"{need.name}[{extras}]" if extras else need.name
    before = len(into.found)
    into.add(source, f"{requirement}; {need.marker}" if need.marker else requirement, group)
    if len(into.found) > before:
        line = source.line(f'name = "{need.name}"')
        into.found[before] = replace(
            into.found[before],
            place=f"{source.name}:{line}",
            locked=text(package.get("version")),
            problem=_problem(package),
        )


def _problem(package: Mapping[str, Any]) -> str:
    """Why no index can be asked for a locked package; empty when one can."""
    told = table(package.get("source"))  # poetry.lock names the kind, uv.lock has it as the key
    kinds = {told["type"]} if isinstance(told.get("type"), str) else {*told, *package}
    if kinds & {"directory", "editable", "virtual"}:
        return LOCAL_PROBLEM
    return URL_PROBLEM if kinds & {"archive", "file", "git", "path", "url", "vcs"} else ""


def _undemanded(into: Collector, source: Source, packages: list[dict[str, Any]]) -> None:
    """A lock that does not say what is direct: whatever no other package of it needs."""
    needed: set[str] = set()
    for package in packages:
        dependencies = package.get("dependencies")
        names = [text(entry.get("name")) for entry in tables(dependencies)]
        needed |= {canonicalize_name(name) for name in [*table(dependencies), *names]}
    for package in packages:
        name = text(package.get("name"))
        if canonicalize_name(name) not in needed:
            groups = strings(package.get("groups"))
            group = f"group {groups[0]}" if groups and "main" not in groups else ""
            _pinned(into, source, Need(name, (), ""), package, group)
    into.notes.append(
        f"{source.name}: a lock does not say what is direct: taken is what nothing else needs"
    )
