"""The requirements that pyproject.toml lists, as they are written: for checks and for the audit."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from forge_scaffold.project import strings, table


class Entry(NamedTuple):
    """A requirement in a list of pyproject.toml.

    Attributes:
        text: as it is written.
        group: "" for what runs; "extra NAME" or "group NAME" otherwise.
        address: of the list.
    """

    text: str
    group: str
    address: tuple[str, ...]


def standard(data: Mapping[str, Any]) -> Iterator[Entry]:
    """What PEP 621 and PEP 735 have tables for."""
    project, groups = table(data, "project"), table(data, "dependency-groups")
    yield from _listed(project, "dependencies", "", "project")
    extras = table(project, "optional-dependencies")
    for extra in extras:
        yield from _listed(extras, extra, f"extra {extra}", "project", "optional-dependencies")
    for group in groups:
        yield from dict.fromkeys(_group(groups, group, group, set()))


def of_tools(data: Mapping[str, Any]) -> Iterator[Entry]:
    """The same in the tables of Flit, PDM and uv."""
    tool = table(data, "tool")
    flit = table(table(tool, "flit"), "metadata")
    yield from _listed(flit, "requires", "", "tool", "flit", "metadata")
    extras, around = table(flit, "requires-extra"), ("tool", "flit", "metadata", "requires-extra")
    for extra in extras:
        yield from _listed(extras, extra, f"extra {extra}", *around)
    development = table(table(tool, "pdm"), "dev-dependencies")
    for group in development:
        listed = _listed(development, group, f"group {group}", "tool", "pdm", "dev-dependencies")
        for entry in listed:
            if not entry.text.startswith("-e"):
                yield entry
    yield from _listed(table(tool, "uv"), "dev-dependencies", "group dev", "tool", "uv")


def _listed(data: Mapping[str, Any], key: str, group: str, *around: str) -> Iterator[Entry]:
    for text in strings(data.get(key)):
        yield Entry(text, group, (*around, key))


def _group(groups: Mapping[str, Any], name: str, group: str, seen: set[str]) -> Iterator[Entry]:
    """A dependency group's requirements, with those of the groups that it includes (PEP 735)."""
    if name in seen:
        return
    seen.add(name)
    entries = groups.get(name)
    for entry in entries if isinstance(entries, list) else []:
        included = entry.get("include-group") if isinstance(entry, dict) else None
        if isinstance(entry, str):
            yield Entry(entry, f"group {group}", ("dependency-groups", name))
        elif isinstance(included, str):
            yield from _group(groups, included, group, seen)
