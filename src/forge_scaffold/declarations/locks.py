"""uv.lock, poetry.lock and pylock.toml."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from forge_scaffold.declarations.dependency import Collector
from forge_scaffold.declarations.files import Source, strings, table, tables, text
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
    packages = tables(source.toml().get("package"))
    versions = {text(package.get("name")): text(package.get("version")) for package in packages}
    roots = [
        package
        for package in packages
        if table(package.get("source")).keys() & {"virtual", "editable"}
    ]
    for root in roots:
        sections = {"": tables(root.get("dependencies"))}
        for extra, needed in table(root.get("optional-dependencies")).items():
            sections[f"extra {extra}"] = tables(needed)
        for group, needed in table(root.get("dev-dependencies")).items():
            sections[f"group {group}"] = tables(needed)
        for group, needed in sections.items():
            for one in needed:
                _pinned(into, source, one, versions, group)
    if not roots:
        _undemanded(into, source, packages)


def poetry_lock(into: Collector, source: Source) -> None:
    """Every direct dependency that a poetry.lock has."""
    _undemanded(into, source, tables(source.toml().get("package")))


def pylock(into: Collector, source: Source) -> None:
    """Every direct dependency that a pylock.toml has."""
    _undemanded(into, source, tables(source.toml().get("packages")))


def _pinned(
    into: Collector,
    source: Source,
    needed: Mapping[str, Any],
    versions: Mapping[str, str],
    group: str,
) -> None:
    name, extras = text(needed.get("name")), ",".join(strings(needed.get("extra")))
    marker = text(needed.get("marker"))
    requirement = f"{name}[{extras}]" if extras else name
    before = len(into.found)
    into.add(source, f"{requirement}; {marker}" if marker else requirement, group)
    if len(into.found) > before:
        line = source.line(f'name = "{name}"')
        place = f"{source.name}:{line}"
        locked = versions.get(name, "")
        into.found[before] = replace(into.found[before], place=place, locked=locked)


def _undemanded(into: Collector, source: Source, packages: list[dict[str, Any]]) -> None:
    """A lock that does not say what is direct: whatever no other package of it needs."""
    needed: set[str] = set()
    for package in packages:
        dependencies = package.get("dependencies")
        names = [text(entry.get("name")) for entry in tables(dependencies)]
        needed |= {canonicalize_name(name) for name in [*table(dependencies), *names]}
    versions = {text(package.get("name")): text(package.get("version")) for package in packages}
    for package in packages:
        if canonicalize_name(text(package.get("name"))) not in needed:
            groups = strings(package.get("groups"))
            group = f"group {groups[0]}" if groups and "main" not in groups else ""
            _pinned(into, source, {"name": package.get("name")}, versions, group)
    into.notes.append(
        f"{source.name}: a lock does not say what is direct: taken is what nothing else needs"
    )
