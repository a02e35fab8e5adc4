"""pyproject.toml: PEP 621 and PEP 735, and the tables of Poetry, Flit, PDM, uv and setuptools."""

from collections.abc import Iterator, Mapping
from typing import Any

from forge_scaffold.declarations import poetry, requirements
from forge_scaffold.declarations.dependency import Collector
from forge_scaffold.declarations.files import Source, strings, table, text


def read(into: Collector, source: Source) -> None:
    """Every requirement of a pyproject.toml."""
    data = source.toml()
    project, tool = table(data.get("project")), table(data.get("tool"))
    for requirement in strings(project.get("dependencies")):
        into.add(source, requirement)
    for extra, listed in table(project.get("optional-dependencies")).items():
        for requirement in strings(listed):
            into.add(source, requirement, f"extra {extra}")
    _groups(into, source, table(data.get("dependency-groups")))
    poetry.read(into, source, table(tool.get("poetry")))
    _flit(into, source, table(table(tool.get("flit")).get("metadata")))
    for group, listed in table(table(tool.get("pdm")).get("dev-dependencies")).items():
        for requirement in strings(listed):
            if not requirement.startswith("-e"):
                into.add(source, requirement, f"group {group}")
    for requirement in strings(table(tool.get("uv")).get("dev-dependencies")):
        into.add(source, requirement, "group dev")
    _setuptools(into, source, table(table(tool.get("setuptools")).get("dynamic")))


def _flit(into: Collector, source: Source, flit: Mapping[str, Any]) -> None:
    for requirement in strings(flit.get("requires")):
        into.add(source, requirement)
    for extra, listed in table(flit.get("requires-extra")).items():
        for requirement in strings(listed):
            into.add(source, requirement, f"extra {extra}")


def _groups(into: Collector, source: Source, groups: Mapping[str, Any]) -> None:
    for group in groups:
        for requirement in dict.fromkeys(_group(groups, group, set())):
            into.add(source, requirement, f"group {group}")


def _setuptools(into: Collector, source: Source, dynamic: Mapping[str, Any]) -> None:
    """`dynamic = ["dependencies"]`, read from requirements files."""
    optional = table(dynamic.get("optional-dependencies"))
    files = {"": dynamic.get("dependencies")}
    files |= {f"extra {extra}": told for extra, told in optional.items()}
    for group, told in files.items():
        names = table(told).get("file")
        for name in [names] if isinstance(names, str) else strings(names):
            included = source.path.parent / name
            requirements.read(into, Source.read(included), group)


def _group(groups: Mapping[str, Any], name: str, seen: set[str]) -> Iterator[str]:
    """A dependency group's requirements, with those of the groups that it includes (PEP 735)."""
    if name in seen:
        return
    seen.add(name)
    entries = groups.get(name)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, str):
            yield entry
        elif included := text(table(entry).get("include-group")):
            yield from _group(groups, included, seen)
