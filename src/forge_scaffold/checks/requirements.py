"""What a project declares and locks for its Worker."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forge_scaffold.documents import Address, Document, Place, Text
from forge_scaffold.project import Project, strings, table, tables
from forge_scaffold.versions import Requirement, canonical

# A line of a requirements file that pins one version.
PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*==\s*(?P<version>[^\s;]+)\s*(?:;[^#]*?)?"
    r"(?P<hashes>(?:\s*--hash=\S+)*)"
)


@dataclass(frozen=True)
class Declared:
    """A declared runtime requirement.

    Attributes:
        text: as it is written.
        requirement: what it means; None for what is no requirement.
        place: where.
    """

    text: str
    requirement: Requirement | None
    place: Place

    @property
    def name(self) -> str:
        """The package, normalised; the whole text when it is no requirement."""
        return self.requirement.name if self.requirement else self.text


@dataclass(frozen=True)
class Locked:
    """A package that a lock gives to the Worker.

    Attributes:
        name: normalised.
        version: as the lock has it; None when it has none.
        place: where.
        data: the lock's entry; empty for a requirements file.
    """

    name: str
    version: str | None
    place: Place
    data: Mapping[str, Any]


def declared(project: Project) -> Iterator[Declared]:
    """Every runtime requirement of pyproject.toml, optional ones included."""
    if project.manifest is None:
        return
    extras = table(table(project.pyproject, "project"), "optional-dependencies")
    named: list[tuple[str, Address]]
    named = [(text, ("project", "dependencies")) for text in project.dependencies]
    for extra, texts in extras.items():
        named += [(text, ("project", "optional-dependencies", extra)) for text in strings(texts)]
    for text, address in named:
        line = project.manifest.place(*address).line
        yield Declared(text, _parsed(text), project.manifest.text.place_of(text, line))


def _parsed(text: str) -> Requirement | None:
    try:
        return Requirement.parse(text)
    except ValueError:
        return None


def locked(project: Project) -> Iterator[Locked]:
    """Every package that requirements/worker.txt, uv.lock or pylock.toml gives to the Worker."""
    if project.lock:
        for line, text in project.lock.logical_lines():
            if pin := PIN.fullmatch(text):
                place = _name_place(project.lock, line, pin["name"])
                yield Locked(canonical(pin["name"]), pin["version"], place, {})
    if project.uv_lock:
        yield from _uv_locked(project.uv_lock)
    if project.pylock:
        for index, package in enumerate(tables(project.pylock.data.get("packages"))):
            place = project.pylock.place("packages", index, "name")
            yield from _entry(package, place)


def _name_place(lock: Text, line: int, name: str) -> Place:
    place = lock.place_of(name, line)
    return place if place.line == line else Place(lock.path, line)


def _entry(package: Mapping[str, Any], place: Place) -> Iterator[Locked]:
    name, version = package.get("name"), package.get("version")
    if isinstance(name, str):
        known = version if isinstance(version, str) else None
        yield Locked(canonical(name), known, place, package)


def _uv_locked(lock: Document) -> Iterator[Locked]:
    """The packages that uv.lock gives to the project itself, development groups left out."""
    entries: dict[str, tuple[int, Mapping[str, Any]]] = {}
    pending: list[str] = []
    for index, package in enumerate(tables(lock.data.get("package"))):
        name = package.get("name")
        if not isinstance(name, str):
            continue
        entries[name] = (index, package)
        if table(package, "source").keys() & {"virtual", "editable"}:
            pending += _needs(package)
    reached: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in reached and name in entries:
            reached.add(name)
            pending += _needs(entries[name][1])
    for name in sorted(reached):
        index, package = entries[name]
        yield from _entry(package, lock.place("package", index, "name"))


def _needs(package: Mapping[str, Any]) -> list[str]:
    needed = tables(package.get("dependencies"))
    return [item["name"] for item in needed if isinstance(item.get("name"), str)]
