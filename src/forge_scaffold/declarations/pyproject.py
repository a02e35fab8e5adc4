"""pyproject.toml: PEP 621 and PEP 735, and the tables of Poetry, Flit, PDM, uv and setuptools."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from forge_scaffold.declarations import manifest, poetry, requirements, uv
from forge_scaffold.declarations.dependency import (
    LOCAL_PROBLEM,
    URL_PROBLEM,
    Collector,
    holds_on_workers,
)
from forge_scaffold.declarations.files import Source, strings, table


def read(into: Collector, source: Source) -> None:
    """Every requirement of a pyproject.toml."""
    data = source.toml()
    tool = table(data.get("tool"))
    for entry in manifest.standard(data):
        into.add(source, entry.text, entry.group)
    poetry.read(into, source, table(tool.get("poetry")))
    for entry in manifest.of_tools(data):
        into.add(source, entry.text, entry.group)
    _setuptools(into, source, table(table(tool.get("setuptools")).get("dynamic")))
    problems = dict(_elsewhere(data))
    into.found[:] = [
        replace(each, problem=problems.get(each.name, each.problem)) for each in into.found
    ]


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


def _elsewhere(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The packages that uv takes from no index, each with its problem."""
    for _, name, sources in uv.sources(data):
        for found in sources:
            if found is None or holds_on_workers(found.marker):
                if found:
                    yield name, LOCAL_PROBLEM if found.kind == "folder" else URL_PROBLEM
                break
