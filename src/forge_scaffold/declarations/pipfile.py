"""Pipfile."""

from forge_scaffold.declarations import poetry
from forge_scaffold.declarations.dependency import Collector
from forge_scaffold.declarations.files import Source, table


def read(into: Collector, source: Source) -> None:
    """Every dependency of a Pipfile."""
    data = source.toml()
    for section, group in (("packages", ""), ("dev-packages", "group dev")):
        for name, wanted in table(data.get(section)).items():
            poetry.add(into, source, name, wanted, group)
